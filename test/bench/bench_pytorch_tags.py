#!/usr/bin/env python3
"""dae_ptr's paper preset in PyTorch, for comparison of speed: seconds per epoch of the same computation on the same data.

    bench_pytorch_tags.py train.tsv [--threads 2] [--hidden 512] [--batch 1024] [--epochs 3] [--sparse]

train.tsv has a header and the columns user, item, tag (make_tag_splits.py makes it). z = sigmoid(W y~ + p_u + q_i + b), y^ = W' z
+ b', cross-entropy from logits over all tags, summed over the tags and averaged over the posts of a batch; every tag is dropped from
the input with probability 0.8; Adam 0.001 on every parameter, weight decay 0.01 over the number of posts. The table W, P, Q is one
EmbeddingBag, as it is in tagrec. --sparse gives the table a sparse gradient and SparseAdam, without weight decay: what touched_rows
does. The first epoch warms up and is not counted.

`floor` is what the dense matrix products of the epoch would take at the speed of one large sgemm, measured first. The second time is
processor time over the threads: what the clock would say on a machine without other work.
"""
import argparse
import time

import numpy
import torch

CORRUPTION, RATE, LAMBDA = 0.8, 0.001, 0.01


class Posts:
    def __init__(self, path):
        with open(path, encoding="utf-8") as lines:
            next(lines)
            columns = list(zip(*(line.rstrip("\n").split("\t") for line in lines)))
        codes = [numpy.unique(numpy.array(c), return_inverse=True) for c in columns]
        self.users, self.items, self.tags = (len(values) for values, _ in codes)
        user, item, tag = (code for _, code in codes)
        cells = numpy.unique((user * self.items + item) * self.tags + tag)
        pairs, self.start = numpy.unique(cells // self.tags, return_index=True)
        self.end = numpy.append(self.start[1:], len(cells))
        self.tag = cells % self.tags
        self.user, self.item = pairs // self.items, pairs % self.items
        self.count = len(pairs)

    def batch(self, posts, rng):
        """Table rows and their bags' offsets; the row and tag of each target."""
        length = self.end[posts] - self.start[posts]
        row = numpy.repeat(numpy.arange(len(posts)), length)
        tag = self.tag[numpy.arange(len(row)) + (self.start[posts] - numpy.cumsum(length) + length)[row]]
        stays = rng.random(len(tag)) >= CORRUPTION
        rows = numpy.concatenate([row[stays], numpy.arange(len(posts)), numpy.arange(len(posts))])
        entry = numpy.concatenate([tag[stays], self.tags + self.user[posts], self.tags + self.users + self.item[posts]])
        order = numpy.argsort(rows, kind="stable")
        offset = numpy.searchsorted(rows[order], numpy.arange(len(posts)))
        return torch.from_numpy(entry[order]), torch.from_numpy(offset), torch.from_numpy(row), torch.from_numpy(tag)


class Autoencoder(torch.nn.Module):
    def __init__(self, posts, hidden, sparse):
        super().__init__()
        self.table = torch.nn.EmbeddingBag(posts.tags + posts.users + posts.items, hidden, mode="sum", sparse=sparse)
        self.bias = torch.nn.Parameter(torch.zeros(hidden))
        self.decoder = torch.nn.Linear(hidden, posts.tags)
        torch.nn.init.normal_(self.table.weight, std=(2 / (posts.tags + hidden)) ** 0.5)
        torch.nn.init.normal_(self.decoder.weight, std=(2 / (posts.tags + hidden)) ** 0.5)

    def forward(self, entry, offset):
        return self.decoder(torch.sigmoid(self.table(entry, offset) + self.bias))


def optimisers(model, posts, sparse):
    decay = LAMBDA / posts.count
    if not sparse:
        return [torch.optim.Adam(model.parameters(), lr=RATE, weight_decay=decay)]
    dense = [p for name, p in model.named_parameters() if name != "table.weight"]
    return [torch.optim.SparseAdam([model.table.weight], lr=RATE), torch.optim.Adam(dense, lr=RATE, weight_decay=decay)]


def epoch(model, posts, batch, steps, rng):
    order, total = rng.permutation(posts.count), 0.0
    for first in range(0, posts.count, batch):
        chosen = order[first:first + batch]
        entry, offset, row, tag = posts.batch(chosen, rng)
        target = torch.zeros(len(chosen), posts.tags)
        target[row, tag] = 1
        for step in steps:
            step.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(entry, offset), target, reduction="sum")
        (loss / len(chosen)).backward()
        for step in steps:
            step.step()
        total += loss.item()
    return total / posts.count


def sgemm_peak():
    """Operations per second of a large product: the best of six."""
    n = 2048
    a, b, best = torch.randn(n, n), torch.randn(n, n), float("inf")
    for _ in range(6):
        began = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - began)
    return 2 * n ** 3 / best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--sparse", action="store_true")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(1)
    rng = numpy.random.default_rng(1)
    posts, peak = Posts(a.train), sgemm_peak()
    model = Autoencoder(posts, a.hidden, a.sparse)
    steps = optimisers(model, posts, a.sparse)
    floor = 6 * posts.count * a.hidden * posts.tags / peak
    print(f"PyTorch {torch.__version__}, {a.threads} threads, sgemm {peak / 1e9:.0f} GFLOP/s; {posts.users} users, {posts.items} "
          f"items, {posts.tags} tags, {posts.count} posts; hidden {a.hidden}, batch {a.batch}{', sparse' * a.sparse}")
    for number in range(a.epochs + 1):
        began, used = time.perf_counter(), time.process_time()
        loss = epoch(model, posts, a.batch, steps, rng)
        clock, used = time.perf_counter() - began, (time.process_time() - used) / a.threads
        print(f"epoch {number}: {clock:.2f} s, {used:.2f} s of processor time, floor {floor:.2f} s, loss {loss:.4f}", flush=True)


main()
