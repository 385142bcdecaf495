"""Trails on account chains: unit `address`."""
