#!/usr/bin/env python3
"""The DSPR family in PyTorch, for comparison of speed: seconds per epoch of the same computation on the same data.

    bench_pytorch.py train.tsv [--threads 2] [--runs hdlpr_ns:1024 hdlpr_ns:128 dspr:1024 hdlpr:1024] [--seconds 60]
                     [--device cpu|cuda] [--compile]

A run is ALGORITHM:BATCH, BATCH being (user, item) pairs. train.tsv has a header and the columns user, item, tag (make_splits.py
makes it). The model is the paper's: a shared tanh tower 2000-300-128 over raw tag counts, cosine, softmax; a tied decoder
with an L2-norm reconstruction for hdlpr and hdlpr_ns; plain SGD. As in tagrec, each distinct user and item of a batch is
encoded and decoded once and weighted by its multiplicity; the sparse layer is an EmbeddingBag. dspr and hdlpr encode every
item at every step; a run that would take longer than --seconds is stopped there, scaled up to the epoch, and marked as such.
With --device cuda the profiles lie on the card, in float32 without TF32; --compile puts the network through torch.compile.

`floor` is what the dense matrix products of the epoch would take at the speed of one large sgemm, measured first.
"""
import argparse
import collections
import resource
import time

import numpy
import torch

LAYERS = (2000, 300, 128)
RATE, LAMBDA_THETA, LAMBDA_E = 0.005, 0.01, 0.2
RUNS = ("hdlpr_ns:1024", "hdlpr_ns:128", "dspr:1024", "hdlpr:1024")


class Profiles:
    """Tag counts of all users or all items as CSR."""

    def __init__(self, entity, tag, n_entities, n_tags, device):
        cells, count = numpy.unique(entity * n_tags + tag, return_counts=True)
        rows = cells // n_tags
        self.n_tags = n_tags
        self.pointer = numpy.searchsorted(rows, numpy.arange(n_entities + 1))
        self.pointer = torch.from_numpy(self.pointer).to(device)
        self.tag = torch.from_numpy(cells % n_tags).to(device)
        self.count = torch.from_numpy(count.astype(numpy.float32)).to(device)

    def rows(self, index):
        """Tags, their bags' offsets and counts of some rows, and the row of each entry."""
        index = torch.from_numpy(index).to(self.tag.device)
        start, length = self.pointer[index], self.pointer[index + 1] - self.pointer[index]
        end = torch.cumsum(length, 0)
        row = torch.repeat_interleave(torch.arange(len(index), device=index.device), length)
        entry = torch.arange(len(row), device=index.device) + (start - end + length)[row]
        return self.tag[entry], end - length, self.count[entry], row


class Data:
    def __init__(self, path, device):
        self.device = device
        with open(path, encoding="utf-8") as lines:
            next(lines)
            columns = list(zip(*(line.rstrip("\n").split("\t") for line in lines)))
        codes = [numpy.unique(numpy.array(c), return_inverse=True) for c in columns]
        self.users, self.items, self.tags = (len(values) for values, _ in codes)
        user, item, tag = (code for _, code in codes)
        self.pairs = numpy.unique(user * self.items + item)
        self.user_profiles = Profiles(user, tag, self.users, self.tags, device)
        self.item_profiles = Profiles(item, tag, self.items, self.tags, device)

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
        for weight, bias in zip(self.weight[1:], self.bias[1:]):
            h = torch.tanh(torch.addmm(bias, h, weight))
        return h

    def reconstruction_error(self, h, profile):
        """L2 norm of each row's error."""
        tag, offset, count, row = profile
        for weight, bias in zip(reversed(self.weight), self.bias[len(LAYERS):]):
            h = torch.tanh(torch.addmm(bias, h, weight.t()))
        target = torch.zeros_like(h)
        target[row, tag] = count
        return torch.linalg.vector_norm(h - target, dim=1)


def step_loss(model, data, algorithm, user, item, flops):
    users, user_row, user_count = numpy.unique(user, return_inverse=True, return_counts=True)
    items, item_row, item_count = numpy.unique(item, return_inverse=True, return_counts=True)
    exact = algorithm != "hdlpr_ns"
    user_profile = data.user_profiles.rows(users)
    item_profile = data.item_profiles.rows(numpy.arange(data.items) if exact else items)
    h_user, h_item = model.encode(user_profile), model.encode(item_profile)
    logits = torch.nn.functional.normalize(h_user) @ torch.nn.functional.normalize(h_item).t()
    target = torch.from_numpy(item if exact else item_row).to(data.device)
    user_row = torch.from_numpy(user_row).to(data.device)
    # distinct users share a row of logits: the normaliser is computed once
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


def finish(device):
    if device == "cuda":
        torch.cuda.synchronize()


def train(data, algorithm, batch, seconds, peak, compiled):
    torch.manual_seed(1)
    rng = numpy.random.default_rng(1)
    model = Tower(data.tags, algorithm != "dspr").to(data.device)
    if compiled:
        model.encode = torch.compile(model.encode, dynamic=True)
        model.reconstruction_error = torch.compile(model.reconstruction_error, dynamic=True)
    # the mean over the batch keeps the step's size independent of it
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE, weight_decay=2 * LAMBDA_THETA / len(data.pairs))
    steps, done, pairs, flops = -(-len(data.pairs) // batch), 0, 0, collections.Counter()
    total = torch.zeros((), device=data.device)
    for warm, (user, item) in enumerate(data.batches(batch, rng)):     # a second shape where a compiler learns from it
        step_loss(model, data, algorithm, user, item, collections.Counter()).backward()
        if warm == (3 if compiled else 0):
            break
    finish(data.device)
    began = time.perf_counter()
    for user, item in data.batches(batch, rng):
        optimiser.zero_grad()
        loss = step_loss(model, data, algorithm, user, item, flops)
        (loss / len(user)).backward()
        optimiser.step()
        done, pairs, total = done + 1, pairs + len(user), total + loss.detach()
        if time.perf_counter() - began > seconds:
            break
    finish(data.device)
    elapsed = time.perf_counter() - began
    scale = len(data.pairs) / pairs
    note = "" if done == steps else f"  (extrapolated from {done} of {steps} steps)"
    print(f"{algorithm:9} {batch:6} {elapsed * scale:9.1f} s/epoch {len(data.pairs) / (elapsed * scale):9.0f} pairs/s "
          f"{flops['total'] * scale / peak:8.1f} s floor  loss {total.item() / pairs:.4f}{note}", flush=True)


def sgemm_peak(device):
    """Operations per second of a large product: the best of six."""
    n = 8192 if device == "cuda" else 2048
    a, b, best = torch.randn(n, n, device=device), torch.randn(n, n, device=device), float("inf")
    for _ in range(6):
        finish(device)
        began = time.perf_counter()
        a @ b
        finish(device)
        best = min(best, time.perf_counter() - began)
    return 2 * n ** 3 / best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", nargs="+", default=RUNS, metavar="ALGORITHM:BATCH")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("bench_pytorch: torch finds no CUDA device")
    torch.backends.cuda.matmul.allow_tf32 = False
    data, peak = Data(arguments.train, arguments.device), sgemm_peak(arguments.device)
    name = torch.cuda.get_device_name() if arguments.device == "cuda" else f"{arguments.threads} threads"
    print(f"PyTorch {torch.__version__} {'compiled' if arguments.compile else 'eager'}, {name}, sgemm {peak / 1e9:.0f} GFLOP/s; "
          f"{data.users} users, {data.items} items, {data.tags} tags, {len(data.pairs)} pairs; layers {LAYERS}")
    for run in arguments.runs:
        algorithm, batch = run.split(":")
        train(data, algorithm, int(batch), arguments.seconds, peak, arguments.compile)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


main()
