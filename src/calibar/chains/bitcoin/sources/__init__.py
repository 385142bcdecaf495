"""Servers that tell of Bitcoin transactions, one kind a file, behind one interface (`told`)."""
