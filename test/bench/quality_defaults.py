#!/usr/bin/env python3
"""Do the defaults hold? Every algorithm with its defaults on several data sets: NDCG@20 of one split, ranks, and how far from the
best of each set, on average and at worst. A change of a default that helps one set and hurts others is seen here.

    quality_defaults.py path/of/bench_train OUTPUT_DIRECTORY [--only NAME,…] [--data NAME,…] [--on test] [--threads 2] [--any-build]

Items: training on train.tsv of the split `clean` (make_splits.py), defaults, seed 1, users that training knows; `blend` sees
valid.tsv. debtags has no such split: there, new packages are ranked among themselves (split `new`), by those algorithms that
can. --on valid measures what defaults may be chosen by; choose by several sets together, and look at one that was left out.
The texts of the runs are kept as quality.py keeps them.
"""
import argparse
import os
import statistics

import runs

DATA = ["lastfm", "citeulike-t", "ml-100k", "sparse", "debtags"]
ALGORITHMS = ["popularity", "tag_bm25", "item_knn", "user_knn", "ease", "ials", "bpr", "hdlpr_ns", "hybrid", "ease_tags", "blend"]
# What says something of an item without users
NEW = {"popularity", "tag_bm25", "hdlpr_ns", "hybrid"}


def measure(runner, arguments, data, algorithm):
    """NDCG@20 and seconds, or None where there is nothing to measure"""
    new = data == "debtags"
    directory = os.path.join(arguments.output, f"{data}-{'new' if new else 'clean'}")
    if (new and (algorithm not in NEW or arguments.on != "test")) or not runs.make_split(
            "make_splits.py", directory, "--data", data, "--split", "new" if new else "clean"):
        return None
    files = ["-e", f"{arguments.on}.tsv", *(["-p", "profiles.tsv"] if new else []),
             *(["-v", "valid.tsv"] if algorithm == "blend" else [])]
    files = [os.path.join(directory, f) if f.endswith(".tsv") else f for f in files]
    try:
        text, _ = runner.run(f"defaults {data} {algorithm} {arguments.on}", files, algorithm,
                             os.path.join(directory, "train.tsv"), "seed=1")
    except runs.Failed:
        return None
    return runs.figures(text, "test among new" if new else "test")["ndcg@20"], runs.seconds(text)


def print_table(values, datasets, algorithms):
    """values[data][algorithm] = (NDCG@20, seconds)"""
    print("| | " + " | ".join(datasets) + " | mean rank | mean distance to the best | largest | s in all |")
    print("|---" * (len(datasets) + 5) + "|")
    best = {d: max((v[0] for v in values[d].values()), default=0) for d in datasets}
    for algorithm in algorithms:
        cells, ranks, apart, seconds = [], [], [], 0
        for data in datasets:
            if algorithm not in values[data]:
                cells.append("")
                continue
            value, took = values[data][algorithm]
            rank = 1 + sum(other > value for other, _ in values[data].values())
            cells.append(f"{value:.4f} ({rank})".removeprefix("0"))
            ranks.append(rank)
            apart.append(1 - value / best[data])
            seconds += took
        if ranks:
            print(f"| `{algorithm}` | " + " | ".join(cells) + f" | {statistics.fmean(ranks):.1f} | {statistics.fmean(apart):.1%}"
                  f" | {max(apart):.1%} | {seconds:.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("output")
    parser.add_argument("--only", type=lambda text: text.split(","), default=ALGORITHMS)
    parser.add_argument("--data", type=lambda text: text.split(","), default=DATA)
    parser.add_argument("--on", choices=["test", "valid"], default="test")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--any-build", action="store_true")
    arguments = parser.parse_args()
    runner = runs.Runner(arguments.program, os.path.join(arguments.output, "runs"), arguments.threads, arguments.any_build)
    values = {}
    for data in arguments.data:
        found = {algorithm: measure(runner, arguments, data, algorithm) for algorithm in arguments.only}
        values[data] = {algorithm: value for algorithm, value in found.items() if value}
    print_table(values, arguments.data, arguments.only)


if __name__ == "__main__":
    main()
