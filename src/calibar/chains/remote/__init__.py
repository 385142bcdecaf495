"""Servers elsewhere: their addresses, sockets to them (plain, TLS, through a proxy), bounded exchanges over these."""
