#!/usr/bin/env python3
"""Beside other programs, in one run: mf and svdpp beside Surprise, ials and bpr beside implicit, on MovieLens 100k.

    beside_others.py DIRECTORY_OF_PROGRAMS DATA_DIRECTORY [--threads 1] [--seeds 3] [--only surprise|implicit]

Seconds of processors of ours are with all that the program reads and measures. Of mf and svdpp the last epoch counts; a mini-batch of svdpp is larger than by default. Surprise has one thread.

The programs are bench_ratings and bench_train; DATA_DIRECTORY has what make_ratings.py writes. Needs the packages numpy, scipy,
scikit-surprise and implicit: install them into a virtual environment outside the repository, and run this with its python.

Both sides of a row have the same factors, learning rate, regularization, initial deviation, passes and threads, and learn from
the same file; RMSE is of predictions clipped to 1..5, NDCG@20 over all items but those of the user's training, as
tagrec_evaluate counts it. What a hyper-parameter stands for differs, which the code below takes into account:

  - a step of Surprise or implicit's BPR follows half the gradient of the squared error, and lambda w in place of 2 lambda w
  - what an item says of its users has lambda for each of a user's items and ratings in Surprise, and a part of lambda there as
    large as the user's items are many in svdpp: it is multiplied by the mean of these numbers over the ratings
  - implicit's ALS minimizes sum of c (1 - s)^2 over the pairs + sum of s^2 over the others + lambda (|W|^2 + |H|^2); ials with
    nu=0 minimizes sum of (1 - s)^2 over the pairs + alpha sum of s^2 over all + lambda' (|W|^2 + |H|^2). These are the same up to
    a factor of the scores when c = 1 + 1/alpha and lambda = lambda' (1 + alpha) / alpha.
  - implicit's BPR draws negatives by their popularity, and its first embeddings between -1/2 and 1/2, divided by the factors.
    It updates after each triple, and bpr after a mini-batch of 512.
"""
import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np
import scipy.sparse

K = 20


def read(directory, name):
    return np.loadtxt(os.path.join(directory, name + ".tsv"), skiprows=1, usecols=(0, 1, 2), dtype=float)


def pairs(directory, name):
    rows = np.loadtxt(os.path.join(directory, name + ".tsv"), skiprows=1, usecols=(0, 1), dtype=int) - 1
    return rows[:, 0], rows[:, 1]


def cpu():
    """Seconds of processors that this process and those that it waited for have taken."""
    return sum(resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime
               for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def ours(program, arguments):
    """The text of a run, and its seconds of processors, with all that it reads and measures."""
    start = cpu()
    text = subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout
    return text, cpu() - start


def fit(model, *arguments, **named):
    """Seconds, and those of processors."""
    start, start_cpu = time.perf_counter(), cpu()
    model.fit(*arguments, **named)
    return time.perf_counter() - start, cpu() - start_cpu


def print_row(name, quality, seconds):
    took, of_processors = map(statistics.fmean, zip(*seconds))
    print(f"| {name} | {statistics.fmean(quality):.4f} | {took:.4f} | {of_processors:.4f} |".replace("| 0.", "| ."), flush=True)


# ------------------------------------------------------------------ Surprise

SVD = {"factors": 50, "epochs": 20, "rate": 0.005, "lambda": 0.02, "deviation": 0.1}
SVDPP = {"factors": 20, "epochs": 20, "rate": 0.007, "lambda": 0.02, "deviation": 0.1}


def surprise_row(kind, parameters, trainset, test, seeds):
    quality, seconds = [], []
    for seed in range(seeds):
        algorithm = kind(n_factors=parameters["factors"], n_epochs=parameters["epochs"], lr_all=parameters["rate"],
                         reg_all=parameters["lambda"], init_std_dev=parameters["deviation"], random_state=seed)
        seconds.append(fit(algorithm, trainset))
        errors = [min(5, max(1, algorithm.predict(str(int(u)), str(int(i))).est)) - value for u, i, value in test]
        quality.append(float(np.sqrt(np.mean(np.square(errors)))))
    return quality, seconds


def our_rating_row(arguments, algorithm, parameters, more=""):
    options = [f"factors={parameters['factors']}", f"epochs={parameters['epochs']}", f"learning_rate={parameters['rate'] / 2}",
               f"regularization={parameters['lambda']}", "decay=false", "patience=0", "validation_every=1000",
               f"init_std={parameters['deviation'] * parameters['factors'] ** 0.5}", *more.split()]
    text, of_processors = ours(os.path.join(arguments.programs, "bench_ratings"),
                ["-q", "-e", "-n", str(arguments.seeds), "-t", str(arguments.threads), algorithm, arguments.data, *options])
    seconds = [(float(s), of_processors / arguments.seeds) for s in re.findall(r"of \d+, ([\d.]+) s", text)]
    return [float(v) for v in re.findall(r"test rmse ([\d.]+) mae", text)][:len(seconds)], seconds


def rows_of_users(directory):
    return read(directory, "train")[:, 0].astype(int)


def beside_surprise(arguments):
    import surprise

    reader = surprise.Reader(line_format="user item rating", sep="\t", skip_lines=1, rating_scale=(1, 5))
    trainset = surprise.Dataset.load_from_file(os.path.join(arguments.data, "train.tsv"), reader).build_full_trainset()
    test = read(arguments.data, "test")
    print("\n| | RMSE | s | CPU s |\n|---|---|---|---|")
    print_row("Surprise SVD", *surprise_row(surprise.SVD, SVD, trainset, test, arguments.seeds))
    print_row("mf", *our_rating_row(arguments, "mf", SVD))
    print_row("Surprise SVD++", *surprise_row(surprise.SVDpp, SVDPP, trainset, test, arguments.seeds))
    count = np.bincount(rows_of_users(arguments.data))
    implicit = SVDPP["lambda"] * float((count ** 2).sum() / count.sum())
    print_row("svdpp", *our_rating_row(arguments, "svdpp", SVDPP, f"implicit_regularization={implicit} batch=5000"))


# ------------------------------------------------------------------ implicit

ALS = {"factors": 64, "epochs": 10, "alpha": 0.3, "lambda": 8.0}
BPR = {"factors": 64, "epochs": 30, "rate": 0.02, "lambda": 0.03}


def ndcg(scores, train, test):
    scores = np.where(train.toarray() > 0, -np.inf, scores)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    discount = 1 / np.log2(np.arange(2, K + 2))
    users = np.flatnonzero((test.getnnz(axis=1) > 0) & (train.getnnz(axis=1) > 0))
    hits = np.take_along_axis(test.toarray()[users] > 0, best[users], axis=1)
    ideal = np.cumsum(discount)[np.minimum(K, test.getnnz(axis=1)[users]) - 1]
    return float(np.mean((hits * discount).sum(axis=1) / ideal))


def implicit_row(make, epochs, train, test, seeds):
    quality, seconds = [], []
    for seed in range(seeds):
        model = make(seed)
        seconds.append([s / epochs for s in fit(model, train, show_progress=False)])
        quality.append(ndcg(model.user_factors @ model.item_factors.T, train, test))
    return quality, seconds


def our_item_row(arguments, algorithm, options):
    quality, seconds = [], []
    for seed in range(1, arguments.seeds + 1):
        text, of_processors = ours(os.path.join(arguments.programs, "bench_train"),
                    ["-t", str(arguments.threads), "-e", os.path.join(arguments.data, "likes_test.tsv"), algorithm,
                     os.path.join(arguments.data, "likes_train.tsv"), f"seed={seed}", *options])
        quality.append(float(re.search(r"ndcg@20 ([\d.]+)", text).group(1)))
        epochs = [float(s) for s in re.findall(r"^epoch .*?([\d.]+) s", text, re.M)]
        seconds.append((statistics.fmean(epochs), of_processors / len(epochs)))
    return quality, seconds


def beside_implicit(arguments):
    import implicit

    user, item = pairs(arguments.data, "likes_train")
    test_user, test_item = pairs(arguments.data, "likes_test")
    shape = max(user.max(), test_user.max()) + 1, max(item.max(), test_item.max()) + 1
    train = scipy.sparse.csr_matrix((np.ones(len(user), dtype=np.float32), (user, item)), shape)
    test = scipy.sparse.csr_matrix((np.ones(len(test_user), dtype=np.float32), (test_user, test_item)), shape)

    def als(cg):
        return lambda seed: implicit.als.AlternatingLeastSquares(
            factors=ALS["factors"], regularization=ALS["lambda"] * (1 + ALS["alpha"]) / ALS["alpha"],
            alpha=1 + 1 / ALS["alpha"], iterations=ALS["epochs"], use_cg=cg, use_gpu=False, num_threads=arguments.threads,
            random_state=seed, dtype=np.float32)

    def bpr(seed):
        return implicit.bpr.BayesianPersonalizedRanking(
            factors=BPR["factors"], learning_rate=BPR["rate"], regularization=BPR["lambda"], iterations=BPR["epochs"],
            num_threads=arguments.threads, use_gpu=False, random_state=seed)

    print("\n| | NDCG@20 | s per epoch | CPU s per epoch |\n|---|---|---|---|")
    print_row("implicit ALS, conjugate gradients", *implicit_row(als(True), ALS["epochs"], train, test, arguments.seeds))
    print_row("implicit ALS, exact", *implicit_row(als(False), ALS["epochs"], train, test, arguments.seeds))
    print_row("ials", *our_item_row(arguments, "ials", [
        f"factors={ALS['factors']}", f"epochs={ALS['epochs']}", f"alpha={ALS['alpha']}", f"regularization={ALS['lambda']}", "nu=0"]))
    print_row("implicit BPR", *implicit_row(bpr, BPR["epochs"], train, test, arguments.seeds))
    print_row("bpr", *our_item_row(arguments, "bpr", [
        f"factors={BPR['factors']}", f"epochs={BPR['epochs']}", f"learning_rate={BPR['rate']}", "optimizer=sgd", "sampling=popularity",
        f"regularization={BPR['lambda'] / 2}", "batch=512",
        f"init_std={12 ** -0.5 * BPR['factors'] ** -0.5}"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs")
    parser.add_argument("data")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=["surprise", "implicit"])
    arguments = parser.parse_args()
    if arguments.only != "implicit":
        beside_surprise(arguments)
    if arguments.only != "surprise":
        beside_implicit(arguments)


if __name__ == "__main__":
    sys.exit(main())
