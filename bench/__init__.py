"""Benchmarks of the speeds that Calíbar claims; `python -m bench` runs them and compares with results.json."""
