#!/usr/bin/env python3
"""The DSPR family in PyTorch, for comparison of speed: seconds per epoch of the same computation on the same data.

    bench_pytorch.py train.tsv [--threads 2] [--runs hdlpr_ns:1024 hdlpr_ns:128 dspr:1024 hdlpr:1024] [--seconds 60]
                     [--device cpu|cuda] [--precision fp32|tf32|bf16] [--compile]

A run is ALGORITHM:BATCH, BATCH being (user, item) pairs. train.tsv has a header and the columns user, item, tag (make_splits.py
makes it). The model is the paper's: a shared tanh tower 2000-300-128 over raw tag counts, cosine, softmax; a tied decoder
with an L2-norm reconstruction for hdlpr and hdlpr_ns; plain SGD. As in tagrec, each distinct user and item of a batch is
encoded and decoded once and weighted by its multiplicity; the sparse layer is an EmbeddingBag. dspr and hdlpr encode every
item at every step. The first steps warm up; a run that would take longer than --seconds is stopped there, scaled up to the epoch,
and marked as such. With --device cuda the profiles lie on the card, and the step is the fused one. --precision is that of the matrix
products: bf16 by autocast. --compile puts the network through torch.compile.

`floor` is what the dense matrix products of the epoch would take at the speed of one large product, measured first.
"""
import argparse
import collections
import resource

import numpy
import torch

import pytorch_common as common

LAYERS = (2000, 300, 128)
RATE, LAMBDA_THETA, LAMBDA_E = 0.005, 0.01, 0.2
RUNS = ("hdlpr_ns:1024", "hdlpr_ns:128", "dspr:1024", "hdlpr:1024")


class Profiles:
    """Tag counts of all users or all items as CSR."""

    def __init__(self, entity, tag, n_entities, n_tags, device):
        cells, count = numpy.unique(entity * n_tags + tag, return_counts=True)
        rows = cells // n_tags
        self.n_tags = n_tags
        pointer = numpy.searchsorted(rows, numpy.arange(n_entities + 1))
        self.length = numpy.diff(pointer)                   # here too, so that nobody waits for the card to tell it
        self.pointer = torch.from_numpy(pointer).to(device)
        self.tag = torch.from_numpy(cells % n_tags).to(device)
        self.count = torch.from_numpy(count.astype(numpy.float32)).to(device)

    def rows(self, index):
        """Tags, their bags' offsets and counts of some rows, and the row of each entry."""
        entries = int(self.length[index].sum())
        index = torch.from_numpy(index).to(self.tag.device)
        start, length = self.pointer[index], self.pointer[index + 1] - self.pointer[index]
        end = torch.cumsum(length, 0)
        row = torch.repeat_interleave(torch.arange(len(index), device=index.device), length, output_size=entries)
        entry = torch.arange(len(row), device=index.device) + (start - end + length)[row]
        return self.tag[entry], end - length, self.count[entry], row


class Data:
    def __init__(self, path, device):
        self.device = device
        (user, self.users), (item, self.items), (tag, self.tags) = common.read_columns(path)
        self.pairs = numpy.unique(user * self.items + item)
        self.user_profiles = Profiles(user, tag, self.users, self.tags, device)
        self.item_profiles = Profiles(item, tag, self.items, self.tags, device)
        self.all_items = self.item_profiles.rows(numpy.arange(self.items))

    def batches(self, size, rng):
        shuffled = rng.permutation(self.pairs)
        for first in range(0, len(shuffled), size):
            batch = shuffled[first:first + size]
            yield batch // self.items, batch % self.items


class Tower(torch.nn.Module):
    def __init__(self, n_tags, decodes):
        super().__init__()
        sizes = (n_tags,) + LAYERS
        self.weight = torch.nn.ParameterList()
        for inputs, outputs in zip(sizes, sizes[1:]):
            self.weight.append(torch.nn.Parameter(torch.randn(inputs, outputs) * (2 / (inputs + outputs)) ** 0.5))
        biases = LAYERS + tuple(reversed(sizes[:-1])) if decodes else LAYERS
        self.bias = torch.nn.ParameterList(torch.nn.Parameter(torch.zeros(n)) for n in biases)

    def encode(self, profile):
        tag, offset, count, _ = profile
        h = torch.nn.functional.embedding_bag(tag, self.weight[0], offset, mode="sum", per_sample_weights=count)
        h = torch.tanh(h + self.bias[0])
        for weight, bias in list(zip(self.weight, self.bias))[1:]:
            h = torch.tanh(torch.addmm(bias, h, weight))
        return h

    def reconstruction_error(self, h, profile):
        """L2 norm of each row's error."""
        tag, offset, count, row = profile
        for weight, bias in zip(list(self.weight)[::-1], list(self.bias)[len(LAYERS):]):
            h = torch.tanh(torch.addmm(bias, h, weight.t()))
        target = torch.zeros(h.shape, device=h.device)
        target[row, tag] = count
        return torch.linalg.vector_norm(h.float() - target, dim=1)


def step_loss(model, data, algorithm, user, item, flops):
    users, user_row, user_count = numpy.unique(user, return_inverse=True, return_counts=True)
    items, item_row, item_count = numpy.unique(item, return_inverse=True, return_counts=True)
    exact = algorithm != "hdlpr_ns"
    user_profile = data.user_profiles.rows(users)
    item_profile = data.all_items if exact else data.item_profiles.rows(items)
    h_user, h_item = model.encode(user_profile), model.encode(item_profile)
    logits = torch.nn.functional.normalize(h_user) @ torch.nn.functional.normalize(h_item).t()
    target = torch.from_numpy(item if exact else item_row).to(data.device)
    user_row = torch.from_numpy(user_row).to(data.device)
    # distinct users share a row of logits: the normaliser is computed once
    logits = logits.float()
    normaliser = torch.logsumexp(logits, dim=1)
    loss = (normaliser[user_row] - logits[user_row, target]).sum()
    count_flops(flops, data, len(users), h_item.shape[0], len(items), algorithm != "dspr")
    if algorithm != "dspr":
        batch_profile = data.item_profiles.rows(items) if exact else item_profile
        error_user = model.reconstruction_error(h_user, user_profile)
        error_item = model.reconstruction_error(h_item[torch.from_numpy(items).to(data.device)] if exact else h_item, batch_profile)
        errors = (error_user * torch.from_numpy(user_count).to(data.device)).sum() \
            + (error_item * torch.from_numpy(item_count).to(data.device)).sum()
        loss = (1 - LAMBDA_THETA - LAMBDA_E) * loss + LAMBDA_E * errors
    return loss


def count_flops(flops, data, users, columns, items, decodes):
    """Forward and backward of the dense products: three of each size."""
    encoder = LAYERS[0] * LAYERS[1] + LAYERS[1] * LAYERS[2]
    flops["total"] += 6 * encoder * (users + columns) + 6 * users * columns * LAYERS[2]
    if decodes:
        flops["total"] += 6 * (encoder + LAYERS[0] * data.tags) * (users + items)


def train(data, arguments, algorithm, batch, peak):
    rng = numpy.random.default_rng(1)
    model = Tower(data.tags, algorithm != "dspr").to(data.device)
    if arguments.compile:
        model.encode = torch.compile(model.encode, dynamic=True)
        model.reconstruction_error = torch.compile(model.reconstruction_error, dynamic=True)
    # the mean over the batch keeps the step's size independent of it
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE, weight_decay=2 * LAMBDA_THETA / len(data.pairs))
    clock, total = common.Clock(data.device, arguments.seconds), torch.zeros((), device=data.device)

    def step(user, item, flops):
        optimiser.zero_grad()
        with common.rounding(arguments):
            loss = step_loss(model, data, algorithm, user, item, flops)
        (loss / len(user)).backward()
        optimiser.step()
        return loss.detach()

    for warm, (user, item) in enumerate(data.batches(batch, rng)):
        step(user, item, collections.Counter())
        if warm == (5 if data.device == "cuda" else 0) + (3 if arguments.compile else 0):
            break
    steps, done, pairs, flops = -(-len(data.pairs) // batch), 0, 0, collections.Counter()
    clock.start()
    for user, item in data.batches(batch, rng):
        total += step(user, item, flops)
        done, pairs = done + 1, pairs + len(user)
        if clock.over():
            break
    elapsed, _ = clock.stop()
    scale = len(data.pairs) / pairs
    note = "" if done == steps else f"  (extrapolated from {done} of {steps} steps)"
    print(f"{algorithm:9} {batch:6} {elapsed * scale:9.4g} s/epoch {len(data.pairs) / (elapsed * scale):9.0f} pairs/s "
          f"{flops['total'] * scale / peak:9.4g} s floor  loss {total.item() / pairs:.4f}{note}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common.add_arguments(parser)
    parser.add_argument("--runs", nargs="+", default=RUNS, metavar="ALGORITHM:BATCH")
    arguments = parser.parse_args()
    name = common.prepare(arguments)
    data, peak = Data(arguments.train, arguments.device), common.product_peak(arguments.device)
    print(f"{name}, product {peak / 1e9:.0f} GFLOP/s; "
          f"{data.users} users, {data.items} items, {data.tags} tags, {len(data.pairs)} pairs; layers {LAYERS}")
    for run in arguments.runs:
        algorithm, batch = run.split(":")
        train(data, arguments, algorithm, int(batch), peak)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


main()
