#!/usr/bin/env python3
"""dae_ptr's paper preset in PyTorch, for comparison of speed: seconds per epoch of the same computation on the same data.

    bench_pytorch_tags.py train.tsv [--threads 2] [--hidden 512] [--batch 1024] [--epochs 3] [--sparse] [--seconds 60]
                          [--device cpu|cuda] [--precision fp32|tf32|bf16] [--compile]

train.tsv has a header and the columns user, item, tag (make_tag_splits.py makes it). z = sigmoid(W y~ + p_u + q_i + b), y^ = W' z
+ b', cross-entropy from logits over all tags, summed over the tags and averaged over the posts of a batch; every tag is dropped from
the input with probability 0.8; Adam 0.001 on every parameter, weight decay 0.01 over the number of posts. The table W, P, Q is one
EmbeddingBag, as it is in tagrec. --sparse gives the table a sparse gradient and SparseAdam, without weight decay: what touched_rows
does. The first epoch, or --seconds of it, warms up and is not counted; an epoch that takes longer than --seconds is stopped there,
scaled up, and marked as such. With --device cuda the posts lie on the card, and Adam is the fused one. --precision is that of the
matrix products: bf16 by autocast. --compile puts the network and its loss through torch.compile.

`floor` is what the dense matrix products of the epoch would take at the speed of one large product, measured first. The second time
is processor time over the threads: what the clock would say on a machine without other work.
"""
import argparse

import numpy
import torch

import pytorch_common as common

CORRUPTION, RATE, LAMBDA = 0.8, 0.001, 0.01


class Posts:
    def __init__(self, path, device):
        (user, self.users), (item, self.items), (tag, self.tags) = common.read_columns(path)
        cells = numpy.unique((user * self.items + item) * self.tags + tag)
        pairs, start = numpy.unique(cells // self.tags, return_index=True)
        self.count = len(pairs)
        self.length = numpy.diff(numpy.append(start, len(cells)))
        self.start, self.lengths, self.tag, self.user, self.item = (
            torch.from_numpy(a).to(device) for a in (start, self.length, cells % self.tags, pairs // self.items, pairs % self.items))

    def batch(self, chosen):
        """Table rows and their bags' offsets; the row and tag of each target."""
        entries = int(self.length[chosen].sum())
        posts = torch.from_numpy(chosen).to(self.tag.device)
        length, own = self.lengths[posts], torch.arange(len(chosen), device=self.tag.device)
        row = torch.repeat_interleave(own, length, output_size=entries)
        entry = torch.arange(entries, device=own.device) + (self.start[posts] - torch.cumsum(length, 0) + length)[row]
        tag = self.tag[entry]
        stays = torch.rand(entries, device=own.device) >= CORRUPTION
        rows = torch.cat([row[stays], own, own])
        entries = torch.cat([tag[stays], self.tags + self.user[posts], self.tags + self.users + self.item[posts]])
        rows, order = torch.sort(rows, stable=True)
        return entries[order], torch.searchsorted(rows, own), row, tag


class Autoencoder(torch.nn.Module):
    def __init__(self, posts, hidden, sparse):
        super().__init__()
        self.table = torch.nn.EmbeddingBag(posts.tags + posts.users + posts.items, hidden, mode="sum", sparse=sparse)
        self.bias = torch.nn.Parameter(torch.zeros(hidden))
        self.decoder = torch.nn.Linear(hidden, posts.tags)
        torch.nn.init.normal_(self.table.weight, std=(2 / (posts.tags + hidden)) ** 0.5)
        torch.nn.init.normal_(self.decoder.weight, std=(2 / (posts.tags + hidden)) ** 0.5)

    def forward(self, entry, offset, row, tag):
        logits = self.decoder(torch.sigmoid(self.table(entry, offset) + self.bias)).float()
        target = torch.zeros(logits.shape, device=logits.device)
        target[row, tag] = 1
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="sum")


def optimisers(model, posts, arguments):
    decay, form = LAMBDA / posts.count, common.fused(arguments.device)
    if not arguments.sparse:
        return [torch.optim.Adam(model.parameters(), lr=RATE, weight_decay=decay, **form)]
    dense = [p for name, p in model.named_parameters() if name != "table.weight"]
    return [torch.optim.SparseAdam([model.table.weight], lr=RATE), torch.optim.Adam(dense, lr=RATE, weight_decay=decay, **form)]


def epoch(network, posts, arguments, steps, rng):
    """Seconds by the clock and of the processor, the share of the posts that they were for, their mean loss."""
    order, total, done = rng.permutation(posts.count), torch.zeros((), device=arguments.device), 0
    clock = common.Clock(arguments.device, arguments.seconds)
    clock.start()
    for first in range(0, posts.count, arguments.batch):
        chosen = order[first:first + arguments.batch]
        for step in steps:
            step.zero_grad()
        with common.rounding(arguments):
            loss = network(*posts.batch(chosen))
        (loss / len(chosen)).backward()
        for step in steps:
            step.step()
        total += loss.detach()
        done += len(chosen)
        if clock.over():
            break
    elapsed, used = clock.stop()
    return elapsed, used, done / posts.count, total.item() / done


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common.add_arguments(parser)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--sparse", action="store_true")
    a = parser.parse_args()
    name, rng = common.prepare(a), numpy.random.default_rng(1)
    posts, peak = Posts(a.train, a.device), common.product_peak(a.device)
    model = Autoencoder(posts, a.hidden, a.sparse).to(a.device)
    network = torch.compile(model, dynamic=True) if a.compile else model
    steps = optimisers(model, posts, a)
    floor = 6 * posts.count * a.hidden * posts.tags / peak
    print(f"{name}, product {peak / 1e9:.0f} GFLOP/s; {posts.users} users, {posts.items} items, {posts.tags} tags, {posts.count} "
          f"posts; hidden {a.hidden}, batch {a.batch}{', sparse' * a.sparse}")
    for number in range(a.epochs + 1):
        clock, used, share, loss = epoch(network, posts, a, steps, rng)
        note = "" if share == 1 else f"  (extrapolated from {share:.0%} of it)"
        print(f"epoch {number}: {clock / share:.4g} s, {used / share / a.threads:.4g} s of processor time, floor {floor:.4g} s, "
              f"loss {loss:.4f}{note}", flush=True)


main()
