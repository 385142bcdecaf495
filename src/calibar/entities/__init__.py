"""Addresses believed to be under one control, and the rules that say so or forbid it."""
