"""Explorers of Ethereum and its kin as sources of transfers: what they tell is reported, nothing of it is proven."""
