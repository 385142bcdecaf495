"""One rule a file: claim, premises, critical questions, error rate, references."""
