#!/usr/bin/env python3
"""Random tag assignments of a given number, for speed alone: a TSV of (user, item, tag) without duplicates.

    make_synthetic.py OUTPUT.tsv [--assignments 10000000] [--users 200000] [--items 300000] [--tags 50000] [--seed 1]

Users, items and tags are drawn by power laws like those of the public sets; an item has a few tags of its own, so that
profiles are short and overlap.
"""
import argparse

import numpy


def zipf(rng, n, count, power):
    """count numbers below n, k with probability ~ (k + 1) ^ -power, under a random numbering."""
    weight = numpy.cumsum(numpy.arange(1, n + 1, dtype=numpy.float64) ** -power)
    return rng.permutation(n)[numpy.searchsorted(weight / weight[-1], rng.random(count))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output")
    for name, default in (("assignments", 10_000_000), ("users", 200_000), ("items", 300_000), ("tags", 50_000), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    a = parser.parse_args()
    rng = numpy.random.default_rng(a.seed)
    tags_of_item = zipf(rng, a.tags, a.items * 20, 1.0).reshape(a.items, 20)
    rows = numpy.empty((0, 3), dtype=numpy.int64)
    while len(rows) < a.assignments:
        n = int((a.assignments - len(rows)) * 1.2) + 1000
        item = zipf(rng, a.items, n, 0.8)
        rows = numpy.concatenate((rows, numpy.stack(
            (zipf(rng, a.users, n, 0.6), item, tags_of_item[item, rng.integers(0, 20, n)]), axis=1)))
        rows = numpy.unique(rows, axis=0)
    rows = rows[rng.permutation(len(rows))[:a.assignments]]
    numpy.savetxt(a.output, rows, fmt="%d", delimiter="\t", header="user\titem\ttag", comments="")


main()
