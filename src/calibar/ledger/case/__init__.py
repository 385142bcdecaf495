"""A ledger of the transactions that a case needed, each with where it came from, and checked without trust in that."""
