#!/usr/bin/env python3
"""What corruption and the width of the hidden layer do to dae_ptr, as Markdown and as a picture (gnuplot, where there is one).

    sweep.py path/of/bench_train OUTPUT_DIRECTORY [--options "drop=share"] [--epochs 8] [--threads 2] [--any-build]

Figures 2 to 4 of the paper ask the same: the probability with which a tag of a post is dropped from the input, at K = 128, and K at
the default corruption. On Last.fm's 5-core, trained on fit.tsv and measured on valid.tsv (make_tag_splits.py), so that test.tsv stays unseen;
the weights of the best epoch. Texts of runs are kept in OUTPUT_DIRECTORY/runs, as those of quality.py; the picture is
OUTPUT_DIRECTORY/sweep-dae_ptr.png.
"""
import argparse
import os
import shutil
import subprocess
import sys

import runs

SWEEPS = {
    "corruption": ("0 0.2 0.4 0.6 0.8 0.9 1".split(), "hidden=128"),
    "hidden": ("32 64 128 256 512".split(), ""),
}
METRICS = ["hit@1", "hit@5", "hit@10", "ndcg@10"]


def sweep(runner, directory, name, arguments):
    """Prints the sweep's table; returns the path of its points."""
    values, fixed = SWEEPS[name]
    path = os.path.join(arguments.output, "runs", f"sweep-{name}.points")
    print(f"\n| {name} | " + " | ".join(METRICS) + " | best epoch | s per epoch |\n" + "|---" * (len(METRICS) + 3) + "|")
    with open(path, "w", encoding="utf-8") as points:
        for value in values:
            options = f"{arguments.options} {fixed} {name}={value} epochs={arguments.epochs} metric=mrr patience=0"
            text, _ = runner.run(f"sweep {name} {value}", ["-v", f"{directory}/valid.tsv", "-e", f"{directory}/valid.tsv"],
                                 "dae_ptr", f"{directory}/fit.tsv", options)
            figures = runs.figures(text)
            epochs = runs.epochs(text)
            best = max(epochs, key=lambda epoch: epoch[3])[0]
            print(f"| {value} | " + " | ".join(f"{figures[m]:.4f}".removeprefix("0") for m in METRICS)
                  + f" | {best} | {sum(e[2] for e in epochs) / len(epochs):.1f} |", flush=True)
            points.write("\t".join([value, *(str(figures[m]) for m in METRICS)]) + "\n")
    return path


def plot(png, points):
    if not shutil.which("gnuplot"):
        print("gnuplot is not there: no picture")
        return
    lines = ["set terminal pngcairo size 900,360 font 'sans,9'", f"set output '{png}'", "set multiplot layout 1,2",
             "set key bottom center", "set ylabel 'validation'", "set grid", "set yrange [0.2:1]"]
    for name, path in points.items():
        lines.append(f"set xlabel '{name}'")
        lines += ["set logscale x 2"] if name == "hidden" else []
        lines.append("plot " + ", ".join(f"'{path}' using 1:{k} with linespoints pointsize 0.5 title '{metric}' noenhanced"
                                         for k, metric in enumerate(METRICS, 2)))
    subprocess.run(["gnuplot"], input="\n".join(lines) + "\n", text=True, check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("output")
    parser.add_argument("--options", default="drop=share")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--any-build", action="store_true")
    arguments = parser.parse_args()

    directory = os.path.join(arguments.output, "tags-core5")
    if not runs.make_split("make_tag_splits.py", directory, "--core", "5"):
        sys.exit("skipped: the data is not there")
    runner = runs.Runner(arguments.program, os.path.join(arguments.output, "runs"), arguments.threads, arguments.any_build)
    print(f"dae_ptr {arguments.options}, at most {arguments.epochs} epochs, seed 1: values on valid.tsv")
    plot(os.path.join(arguments.output, "sweep-dae_ptr.png"),
         {name: sweep(runner, directory, name, arguments) for name in SWEEPS})


if __name__ == "__main__":
    main()
