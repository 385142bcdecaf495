"""Chains with known truth, written as genuine block files."""
