#!/usr/bin/env python3
"""Random tag assignments of a given number, for speed alone: a TSV of (user, item, tag) without duplicates.

    make_synthetic.py OUTPUT.tsv [--assignments 10000000] [--users 200000] [--items 300000] [--tags 50000] [--seed 1]

Users, items and tags are drawn by power laws like those of the public sets; an item has a few tags of its own, so that
profiles are short and overlap.
"""
import argparse
import os

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
    cells = numpy.empty(0, dtype=numpy.int64)               # (user, item, tag) as one number
    while len(cells) < a.assignments:
        n = int((a.assignments - len(cells)) * 1.2) + 1000
        item = zipf(rng, a.items, n, 0.8)
        tag = tags_of_item[item, rng.integers(0, 20, n)]
        cells = numpy.unique(numpy.concatenate((cells, (zipf(rng, a.users, n, 0.6) * a.items + item) * a.tags + tag)))
    rng.shuffle(cells)
    cells = cells[:a.assignments]
    with open(a.output + ".part", "w", encoding="ascii") as out:
        out.write("user\titem\ttag\n")
        for first in range(0, len(cells), 100_000):
            pair, tag = numpy.divmod(cells[first:first + 100_000], a.tags)
            user, item = numpy.divmod(pair, a.items)
            out.writelines(map("%d\t%d\t%d\n".__mod__, zip(user.tolist(), item.tolist(), tag.tolist())))
    os.replace(a.output + ".part", a.output)


main()
