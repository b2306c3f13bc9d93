#!/usr/bin/env python3
"""Items from likes alone: every collaborative algorithm with its defaults on MovieLens 100k, ratings of 4 and 5 as likes.

    likes.py path/of/bench_train OUTPUT_DIRECTORY [--only NAME,…] [--seeds 3] [--threads 1] [--any-build]

Trained on likes_train.tsv of make_ratings.py, measured on likes_test.tsv; `blend` weighs its members on likes_valid.tsv, which
the others do not see. One row for each algorithm: means over the seeds, with the middle 95 % of 1,000 bootstrap samples of the
users in brackets, and in the last column that of the difference in NDCG@20 to `ease`, for the same users. The texts of the runs
are kept as quality.py keeps them.
"""
import argparse
import os
import random
import statistics
import sys

import quality
import runs

ALGORITHMS = ["popularity", "item_knn", "user_knn", "bpr", "cdae", "multvae", "ials", "ease", "blend"]
OPTIONS = {"blend": "members=ease;ials;item_knn;user_knn;bpr"}
METRICS = ["ndcg@20", "recall@20", "mrr"]


def bootstrap(values):
    """The middle 95 % of the mean in samples of the users."""
    draw = random.Random(1)
    means = sorted(statistics.fmean(draw.choices(values, k=len(values))) for _ in range(quality.SAMPLES))
    return means[round(0.025 * (quality.SAMPLES - 1))], means[round(0.975 * (quality.SAMPLES - 1))]


def short(value):
    return f"{value:.4f}".removeprefix("0")


def train(runner, directory, algorithm, seeds):
    """The texts of the seeds, and their files of users' values; a second seed that changes nothing is the last."""
    arguments = ["-e", os.path.join(directory, "likes_test.tsv")]
    if algorithm in quality.CHOOSING:
        arguments += ["-v", os.path.join(directory, "likes_valid.tsv")]
    texts, paths = [], []
    for seed in range(1, seeds + 1):
        text, path = runner.run(f"likes {algorithm} seed {seed}", arguments, algorithm,
                                os.path.join(directory, "likes_train.tsv"), f"seed={seed} {OPTIONS.get(algorithm, '')}", True)
        texts.append(text)
        paths.append(path)
        if seed == 2 and runs.figures(texts[0]) == runs.figures(text):
            return texts[:1], paths[:1]
    return texts, paths


def print_row(algorithm, texts, paths, base):
    cells = [f"`{algorithm}`"]
    for metric in METRICS:
        of_users = list(quality.user_values(paths, metric).values())
        cells.append("{} ({}–{})".format(*map(short, (statistics.fmean(of_users), *bootstrap(of_users)))))
    cells.append(f"{statistics.fmean(map(runs.seconds, texts)):.1f}")
    cells.append("{:+.4f} to {:+.4f}".format(*quality.interval(quality.user_values(paths), base))
                 if base and algorithm != quality.BASE else "")
    print("| " + " | ".join(cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("output")
    parser.add_argument("--only", type=lambda text: text.split(","), default=ALGORITHMS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--any-build", action="store_true")
    arguments = parser.parse_args()
    directory = os.path.join(arguments.output, "ml-100k-ratings")
    if not runs.make_split("make_ratings.py", directory):
        sys.exit("the data is not there")
    runner = runs.Runner(arguments.program, os.path.join(arguments.output, "runs"), arguments.threads, arguments.any_build)
    base = quality.user_values(train(runner, directory, quality.BASE, arguments.seeds)[1])
    print("| | NDCG@20 | R@20 | MRR | s | NDCG@20 − ease |\n|---|---|---|---|---|---|", flush=True)
    for algorithm in arguments.only:
        try:
            print_row(algorithm, *train(runner, directory, algorithm, arguments.seeds), base)
        except runs.Failed as failure:
            print(f"| `{algorithm}` | failed: {failure} | | | | |", flush=True)


if __name__ == "__main__":
    main()
