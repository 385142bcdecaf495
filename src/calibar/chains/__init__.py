"""Bytes and RPC to facts: one package a chain."""
