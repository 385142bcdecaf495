"""Ethereum and its kin: blocks from a node's JSON-RPC, checked and read into facts."""
