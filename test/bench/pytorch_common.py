"""What the comparisons with PyTorch share. Works with PyTorch 1.13 and later; compiling takes 2.0."""
import contextlib
import time

import numpy
import torch

PRECISIONS = ("fp32", "tf32", "bf16")


def read_columns(path):
    """Users, items and tags of a file, each as numbers from 0 on and how many there are."""
    try:
        columns = numpy.loadtxt(path, dtype=numpy.int64, delimiter="\t", skiprows=1, ndmin=2).T
    except ValueError:
        with open(path, encoding="utf-8") as lines:
            next(lines)
            columns = [numpy.array(c) for c in zip(*(line.rstrip("\n").split("\t") for line in lines))]
    codes = [numpy.unique(c, return_inverse=True) for c in columns]
    return [(code.reshape(-1), len(values)) for values, code in codes]


def add_arguments(parser):
    parser.add_argument("train")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--seconds", type=float, default=60)


def prepare(arguments):
    """Settings of the process; returns what the machine and PyTorch are called."""
    if arguments.compile and not hasattr(torch, "compile"):
        raise SystemExit(f"PyTorch {torch.__version__} has no torch.compile")
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("PyTorch finds no CUDA device")
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    torch.set_float32_matmul_precision("high" if arguments.precision == "tf32" else "highest")
    torch.manual_seed(1)
    name = torch.cuda.get_device_name() if arguments.device == "cuda" else f"{arguments.threads} threads"
    return f"PyTorch {torch.__version__} {'compiled' if arguments.compile else 'eager'}, {name}, {arguments.precision}"


def rounding(arguments):
    """The context of a forward pass: bf16 is autocast, as PyTorch has no products of float32 that round to it."""
    if arguments.precision != "bf16":
        return contextlib.nullcontext()
    return torch.autocast(arguments.device, dtype=torch.bfloat16)


def fused(device):
    """The quickest form of an optimiser's step on a card."""
    return {"fused": True} if device == "cuda" and int(torch.__version__.split(".")[0]) >= 2 else {}


def finish(device):
    if device == "cuda":
        torch.cuda.synchronize()


def product_peak(device):
    """Operations per second of a large product, at the precision that is set: the best of six."""
    n = 8192 if device == "cuda" else 2048
    a, b, best = torch.randn(n, n, device=device), torch.randn(n, n, device=device), float("inf")
    for _ in range(6):
        finish(device)
        began = time.perf_counter()
        a @ b
        finish(device)
        best = min(best, time.perf_counter() - began)
    return 2 * n ** 3 / best


class Clock:
    """Times the steps of an epoch after those that warm up, until the time is over."""

    def __init__(self, device, seconds):
        self.device, self.seconds, self.began, self.used = device, seconds, None, None

    def start(self):
        finish(self.device)
        self.began, self.used = time.perf_counter(), time.process_time()

    def over(self):
        return time.perf_counter() - self.began > self.seconds

    def stop(self):
        """Seconds by the clock, and of all the process's threads together."""
        finish(self.device)
        return time.perf_counter() - self.began, time.process_time() - self.used
