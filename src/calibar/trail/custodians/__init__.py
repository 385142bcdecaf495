"""Trails through accounts at custodians: chains and records, one after the other, in one document."""
