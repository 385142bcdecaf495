"""Stories with a known truth, one a file."""
