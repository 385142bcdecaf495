"""Ledgers of account chains: who paid whom which asset, and what each had at any height."""
