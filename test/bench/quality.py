#!/usr/bin/env python3
"""Ranking quality of every algorithm: one Markdown table per data set and split (see make_splits.py and make_tag_splits.py).

    quality.py path/of/bench_train OUTPUT_DIRECTORY [--only WORD,…] [--tables NAME,…] [--seeds 3] [--threads 2] [--any-build]

An algorithm has a row with its defaults; ROWS adds rows with options. --only keeps the rows that one of the words is part of.
A figure is the mean over the seeds, with the smallest and the largest NDCG@20 or Hit@1 in brackets where they differ. Weights are those
of the last epoch; nothing is chosen by the test file. `blend` sees the validation file, where there is one, to weigh its members. On the clean split, the last column has the middle 95 % of the difference
in NDCG@20 to EASE over 1,000 bootstrap samples of the users, the same users in both (their means over the seeds).

OUTPUT_DIRECTORY/runs keeps every training's text: what is there from the same program is not run again, so that an interrupted
call goes on where it was. --any-build believes the texts of other builds of the program, too.
"""
import argparse
import os
import random
import statistics
import sys

import runs

# Rows beside the algorithms with their defaults: (algorithm, options).
ROWS = [
    ("ease", "lambda=30"),
    ("tag_cosine", "weighting=count"),
    ("tag_bm25", "k1=1.2 b=0.75"),
    ("tag_popular", "by=all"),
    ("tag_popular", "by=user fallback=false"),
    ("tag_popular", "by=item fallback=false"),
    ("tag_product", "similar=0"),
    ("folkrank", "preset=paper tags=200 tolerance=0.001"),
    ("dae_ptr", "preset=paper epochs=300"),
]

# Algorithms that choose something by held-out pairs: they see the validation file, where the split has one.
CHOOSING = {"blend"}

BASE = "ease"
SAMPLES = 1000

USUAL = [("NDCG@20", "test", "ndcg@20"), ("R@20", "test", "recall@20"), ("MRR", "test", "mrr"), ("NDCG@10", "test", "ndcg@10"),
         ("MRR_pair", "test", "mrr_pair")]
PAPER = [("NDCG@20", "test", "ndcg@20"), ("MRR_pair", "test", "mrr_pair"), ("MRR", "test", "mrr"), ("P@10", "test", "precision@10"),
         ("R@10", "test", "recall@10"), ("NDCG@10", "test", "ndcg@10"), ("R@50", "test", "recall@50")]
NEW = [(f"{label}, {place}", f"test among {place}", metric) for place in ("new", "all")
       for label, metric in (("NDCG@20", "ndcg@20"), ("R@20", "recall@20"), ("MRR", "mrr"))]

GIVEN = r"test, \d+ posts, with tags given"
TAGS = [(f"Hit@{k}", "test", f"hit@{k}") for k in (1, 3, 5, 10)] + [("NDCG@10", "test", "ndcg@10"), ("MRR", "test", "mrr")] + [
    (f"{label}, given", GIVEN, metric) for label, metric in (("Hit@1", "hit@1"), ("Hit@10", "hit@10"), ("NDCG@10", "ndcg@10"))]

KINDS = {
    "clean": ("pairs of a user not seen in training", ["-e", "test.tsv"], USUAL),
    "paper": ("assignments; seen pairs stay candidates", ["-k", "-e", "test.tsv"], PAPER),
    "new": ("new items, ranked among themselves and among all", ["-e", "test.tsv", "-p", "profiles.tsv"], NEW),
    "core5": ("one tag of every post, by hash; \"given\": posts that had more than one", ["-e", "test.tsv"], TAGS),
    "core10": ("one tag of every post, by hash; \"given\": posts that had more than one", ["-e", "test.tsv"], TAGS),
    "last": ("5-core; the last tag of every post in the file", ["-e", "test.tsv"], TAGS),
}
TITLES = {"lastfm": "Last.fm", "debtags": "debtags", "tags": "Tags of Last.fm's posts"}
# debtags has no clean split: a package has one maintainer, so that a held-out pair's item would have nobody and no tags.
TABLES = ["lastfm-clean", "lastfm-paper", "lastfm-new", "debtags-paper", "debtags-new", "tags-core5", "tags-core10", "tags-last"]
TAG_SPLITS = {"core5": ["--core", "5"], "core10": ["--core", "10"], "last": ["--core", "5", "--holdout", "last"]}


def row_name(algorithm, options):
    return f"{algorithm} {options}".strip()


def wanted_rows(runner, table, words):
    rows = []
    for algorithm in runner.algorithms("tag" if table.startswith("tags-") else "item"):
        rows += [(algorithm, "")] + [row for row in ROWS if row[0] == algorithm]
    return [row for row in rows if not words or any(word in row_name(*row) for word in words)]


def in_directory(directory, arguments):
    return [os.path.join(directory, a) if a.endswith(".tsv") else a for a in arguments]


def train(runner, table, directory, row, seeds):
    """The texts of a row, and its files of values; a second seed that changes nothing is the last."""
    _, arguments, columns = KINDS[table.split("-")[1]]
    valid = os.path.join(directory, "valid.tsv")
    if row[0] in CHOOSING and os.path.exists(valid):
        arguments = ["-v", "valid.tsv", *arguments]
    texts = []
    values = []
    for seed in range(1, seeds + 1):
        text, path = runner.run(f"{table} {row_name(*row)} seed {seed}", in_directory(directory, arguments), row[0],
                                os.path.join(directory, "train.tsv"), f"{row[1]} seed={seed}",
                                values=table == "lastfm-clean")
        texts.append(text)
        values.append(path)
        if seed == 2 and all(runs.figures(texts[0], c[1]) == runs.figures(text, c[1]) for c in columns):
            return texts[:1], values[:1]
    return texts, values


def user_values(paths, metric="ndcg@20"):
    """Each user's mean over the files."""
    total = {}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            column = file.readline().rstrip("\n").split("\t").index(metric)
            for line in file:
                fields = line.rstrip("\n").split("\t")
                total[fields[0]] = total.get(fields[0], 0) + float(fields[column]) / len(paths)
    return total


def interval(mine, base):
    """The middle 95 % of the mean difference in bootstrap samples of the users."""
    difference = [mine[user] - base[user] for user in sorted(base)]
    draw = random.Random(1)
    means = sorted(statistics.fmean(draw.choices(difference, k=len(difference))) for _ in range(SAMPLES))
    return means[round(0.025 * (SAMPLES - 1))], means[round(0.975 * (SAMPLES - 1))]


def cell(label, metric, texts, reading):
    values = [runs.figures(text, reading)[metric] for text in texts]
    cut = [f"{v:.4f}".removeprefix("0") for v in (statistics.fmean(values), min(values), max(values))]
    spread = f" ({cut[1]}–{cut[2]})" if label.split(",")[0] in ("NDCG@20", "Hit@1") and cut[1] != cut[2] else ""
    return cut[0] + spread


def print_row(table, row, texts, values, base):
    _, _, columns = KINDS[table.split("-")[1]]
    cells = [row_name(*row)] + [cell(label, metric, texts, reading) for label, reading, metric in columns]
    cells.append(f"{statistics.fmean(map(runs.seconds, texts)):.1f}")
    if table.endswith("-clean"):
        against = row_name(*row) != BASE and base
        cells.append("{:+.4f} to {:+.4f}".format(*interval(user_values(values), base)) if against else "")
    print("| " + " | ".join(cells) + " |", flush=True)


def print_table(runner, table, directory, arguments):
    title, _, columns = KINDS[table.split("-")[1]]
    heads = ["", *(label for label, _, _ in columns), "s"] + ([f"NDCG@20 − {BASE}"] if table.endswith("-clean") else [])
    print(f"\n**{TITLES[table.split('-')[0]]}, split {table.split('-')[1]}** ({title})\n")
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|", flush=True)
    base = None
    if table.endswith("-clean") and BASE in runner.algorithms("item"):
        try:
            base = user_values(train(runner, table, directory, (BASE, ""), arguments.seeds)[1])
        except runs.Failed:
            pass
    for row in wanted_rows(runner, table, arguments.only):
        try:
            print_row(table, row, *train(runner, table, directory, row, arguments.seeds), base)
        except runs.Failed as failure:
            print(f"| {row_name(*row)} | failed: {failure} |" + " |" * (len(heads) - 2), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("output")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[])
    parser.add_argument("--tables", type=lambda text: text.split(","), default=TABLES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--any-build", action="store_true")
    arguments = parser.parse_args()
    if unknown := set(arguments.tables) - set(TABLES):
        sys.exit(f"no table is named {', '.join(sorted(unknown))}; there are {', '.join(TABLES)}")

    runner = runs.Runner(arguments.program, os.path.join(arguments.output, "runs"), arguments.threads, arguments.any_build)
    for table in arguments.tables:
        data, split = table.split("-")
        directory = os.path.join(arguments.output, table)
        if (runs.make_split("make_tag_splits.py", directory, *TAG_SPLITS[split]) if data == "tags"
                else runs.make_split("make_splits.py", directory, "--data", data, "--split", split)):
            print_table(runner, table, directory, arguments)
        else:
            print(f"\n**{TITLES[data]}, split {split}**: skipped, the data is not there", flush=True)


if __name__ == "__main__":
    main()
