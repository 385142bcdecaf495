"""Compiled inner loops: numbers in, numbers out, no I/O."""
