"""Run the benchmarks: `python -m bench [NAME…] [--store]`; exit code 1 on a missed target."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time

from bench.figures import STORED, Figure, machine, store, stored, table

NAMES = ("startup", "decode", "ingest", "trace", "accounts", "case", "token_case", "records")


def main() -> int:
    """Run what was asked for, print the table, compare with the stored figures."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what Calíbar says of its speed.")
    parser.add_argument("names", nargs="*", choices=[[], *NAMES], help="which benchmarks (default: all)")
    parser.add_argument("--store", action="store_true", help=f"write the figures to {STORED.name}")
    arguments = parser.parse_args()
    print(", ".join(f"{key} {value}" for key, value in machine().items()))
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 0.5:
        print(f"Other work keeps this machine busy (load {load:.1f}): figures are lower than they would be.")
    if not machine()["sha_instructions"]:
        print("No SHA instructions here (or numba does not compile for them): decoding takes the plain path, about")
        print("a third of the speed.")
    figures: list[Figure] = []
    for name in arguments.names or NAMES:
        print(f"\n{name}", flush=True)
        module = importlib.import_module(f"bench.{name}")
        begun = time.perf_counter()
        figures += module.run()
        print(f"  ({time.perf_counter() - begun:.0f} s)", flush=True)
    print("\n" + table(figures, stored()))
    if arguments.store:
        store(figures)
        print(f"stored in {STORED}")
    missed = [figure.name for figure in figures if figure.missed]
    if missed:
        print(f"{len(missed)} of {sum(bool(f.target) for f in figures)} targets missed: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
