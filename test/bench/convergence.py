#!/usr/bin/env python3
"""How fast the towers learn: the held-out metric after each epoch, as Markdown and as a picture (gnuplot, where there is one).

    convergence.py path/of/bench_train OUTPUT_DIRECTORY [--curves default,paper] [--layers 100,64] [--epochs 15] [--threads 2]

default: the towers with their defaults on the clean split of Last.fm, NDCG@20 on its validation pairs.
paper:   dspr, hdlpr, hdlpr_ns with the preset "paper" on the paper's split, MRR_pair on its validation pairs, in a network
         of --layers (the paper's is 2000,300,128). Xu et al. (IJCAI 2017), Table 2 and Figure 4, ask the same of a GPU.

"Converged" is the first epoch within 1 % of the run's best; "the lowest best" is the best of the run whose best is the lowest: a level
that all reach. Seconds are those of training alone. Texts of runs are kept in
OUTPUT_DIRECTORY/runs, as those of quality.py; the pictures are OUTPUT_DIRECTORY/convergence-NAME.png.
"""
import argparse
import os
import shutil
import statistics
import subprocess

import runs

TOWERS = ["dspr", "hdlpr", "hdlpr_ns"]
WITHIN = 0.99


def curves(arguments):
    """Per name: split, arguments of bench_train, metric, and the runs as (label, algorithm, options)."""
    paper = f"preset=paper patience=0 metric=mrr_pair validation_every=1 layers={arguments.layers} epochs={arguments.epochs}"
    default = "patience=0 validation_every=1"
    return {
        "default": ("clean", [], "NDCG@20",
                    [("dspr", "dspr", default), ("hdlpr, reconstruction 0.2", "hdlpr", default + " reconstruction=0.2"),
                     ("hdlpr_ns", "hdlpr_ns", default),
                     ("hdlpr_ns, reconstruction 0.2", "hdlpr_ns", default + " reconstruction=0.2")]),
        "paper": ("paper", ["-k"], "MRR_pair", [(tower, tower, paper) for tower in TOWERS]),
    }


def reach(epochs, level):
    """Epochs and seconds until the value is at least the level."""
    number = next(k for k, (_, _, _, valid) in enumerate(epochs) if valid >= level) + 1
    return f"{number}, {sum(took for _, _, took, _ in epochs[:number]):.0f} s"


def print_table(rows):
    """rows: (label, epochs, text)"""
    bests = [max(valid for _, _, _, valid in epochs) for _, epochs, _ in rows]
    print("| | first epoch | best | converged after | reached the lowest best after | s per epoch | test MRR_pair |\n"
          "|---|---|---|---|---|---|---|")
    for (label, epochs, text), best in zip(rows, bests):
        took = statistics.fmean(took for _, _, took, _ in epochs)
        print(f"| {label} | {epochs[0][3]:.4f} | {best:.4f} | {reach(epochs, WITHIN * best)} | {reach(epochs, min(bests))} "
              f"| {took:.1f} | {runs.figures(text)['mrr_pair']:.4f} |", flush=True)


def write_points(path, epochs):
    """Rows of epoch, seconds so far, value."""
    spent = 0
    with open(path, "w", encoding="utf-8") as out:
        for number, _, took, valid in epochs:
            spent += took
            out.write(f"{number}\t{spent:.3f}\t{valid}\n")


def plot(png, metric, points):
    if not shutil.which("gnuplot"):
        print("gnuplot is not there: no picture")
        return
    lines = ["set terminal pngcairo size 900,360 font 'sans,9'", f"set output '{png}'", "set multiplot layout 1,2",
             "set key right center", f"set ylabel '{metric}, validation' noenhanced", "set grid"]
    for column, label in ((1, "epoch"), (2, "seconds of training")):
        lines.append(f"set xlabel '{label}'")
        lines.append("plot " + ", ".join(f"'{path}' using {column}:3 with linespoints pointsize 0.5 title '{name}' noenhanced"
                                         for name, path in points))
    subprocess.run(["gnuplot"], input="\n".join(lines) + "\n", text=True, check=True)


def draw(runner, output, name, curve):
    split, seen, metric, rows = curve
    directory = os.path.join(output, f"lastfm-{split}")
    if not runs.make_split("make_splits.py", directory, "--split", split):
        print(f"{name}: skipped, the data is not there")
        return
    done = []
    points = []
    for label, algorithm, options in rows:
        text, _ = runner.run(f"convergence {name} {label}", [*seen, "-v", f"{directory}/valid.tsv", "-e", f"{directory}/test.tsv"],
                             algorithm, f"{directory}/train.tsv", options)
        done.append((label, runs.epochs(text), text))
        points.append((label, os.path.join(output, "runs", f"convergence-{name}-{len(points)}.points")))
        write_points(points[-1][1], done[-1][1])
    print(f"\n**{name}**: {metric} on validation; `{rows[0][2]}`\n")
    print_table(done)
    plot(os.path.join(output, f"convergence-{name}.png"), metric, points)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("output")
    parser.add_argument("--curves", type=lambda text: text.split(","), default=["default"])
    parser.add_argument("--layers", default="100,64")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--any-build", action="store_true")
    arguments = parser.parse_args()

    runner = runs.Runner(arguments.program, os.path.join(arguments.output, "runs"), arguments.threads, arguments.any_build)
    for name in arguments.curves:
        draw(runner, arguments.output, name, curves(arguments)[name])


if __name__ == "__main__":
    main()
