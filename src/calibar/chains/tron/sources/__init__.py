"""Explorers of TRON as sources of transfers: what they tell is reported, nothing of it is proven."""
