"""The kinds of selectors, one a file: each finds its own in a text."""
