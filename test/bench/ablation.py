#!/usr/bin/env python3
"""What each choice of the default preset is worth: one row per choice, as Markdown.

    ablation.py path/of/bench_train split_directory [--seeds 3] [--threads 1] [--epochs 30] [--algorithm hdlpr_ns]

split_directory holds train.tsv, valid.tsv and test.tsv (make_splits.py makes them). Every row differs from the default preset
in the options it names; the options that are chosen on held-out pairs are those of 0.1.0. Both files are looked at once, with
the weights of the last epoch.
"""
import argparse
import re
import statistics
import subprocess
import sys

ROWS = [
    "",
    "own_tags=true",
    "popularity=false",
    "keep=1",
    "user_dropout=0",
    "item_dropout=0",
    "user_dropout=0 item_dropout=0",
    "weighting=count",
    "weighting=count norm=none",
    "weighting=binary",
    "weighting=log",
    "weighting=bm25",
    "temperature=0.1",
    "temperature=1",
    "layers=64",
    "layers=256",
    "layers=512,128",
    "negatives=full",
    "negatives=uniform samples=2000",
    "negatives=popularity samples=2000",
    "logq=false",
    "mask_seen=false",
    "positive_in_denominator=false",
    "reconstruction=0.01",
    "reconstruction=0.2",
    "reconstruction=0.01 reconstruction_loss=squared",
    "batch_by=pairs batch=1024",
    "user_balance=0",
    "first_layer_gain=1",
    "optimizer=momentum learning_rate=0.05",
    "learning_rate_decay=none",
    "learning_rate=0.003",
    "batch=64",
    "batch=256",
    "layers=2000,300,128",
]

# What the default preset leaves open
GIVEN = ["temperature=0.05", "batch=128"]

NUMBER = r"([0-9.]+)"


def run(arguments, row, seed):
    """One training: (validation value, seconds of all epochs, test metrics by name)."""
    command = [arguments.bench, "-t", str(arguments.threads), "-v", f"{arguments.split}/valid.tsv",
               "-e", f"{arguments.split}/test.tsv", arguments.algorithm, f"{arguments.split}/train.tsv",
               f"epochs={arguments.epochs}", f"validation_every={arguments.epochs}", f"seed={seed}",
               *(option for option in GIVEN if option.split("=")[0] + "=" not in row), *row.split()]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    valid = float(re.search(r"valid " + NUMBER, text).group(1))
    seconds = sum(float(s) for s in re.findall(r"^epoch.*?" + NUMBER + r" s ", text, re.M))
    test = dict(re.findall(r"(\w+@?\d*) " + NUMBER, re.search(r"^test.*$", text, re.M).group()[4:]))
    return valid, seconds, {name: float(v) for name, v in test.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench")
    parser.add_argument("split")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--algorithm", default="hdlpr_ns")
    arguments = parser.parse_args()

    print("| different from the default | valid NDCG@20 | test NDCG@20 | MRR | R@20 | s per epoch |")
    print("|---|---|---|---|---|---|")
    for row in ROWS:
        runs = [run(arguments, row, seed) for seed in range(1, arguments.seeds + 1)]
        ndcg = [test["ndcg@20"] for _, _, test in runs]
        print(f"| {row or 'nothing'} | {statistics.mean(valid for valid, _, _ in runs):.4f} "
              f"| {statistics.mean(ndcg):.4f} ({min(ndcg):.4f}–{max(ndcg):.4f}) "
              f"| {statistics.mean(test['mrr'] for _, _, test in runs):.4f} "
              f"| {statistics.mean(test['recall@20'] for _, _, test in runs):.4f} "
              f"| {sum(seconds for _, seconds, _ in runs) / len(runs) / arguments.epochs:.2f} |")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
