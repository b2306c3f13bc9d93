#!/usr/bin/env python3
"""Seconds per epoch on this machine's GPU, beside the floor, the CPU backend and PyTorch on the same card, in Markdown tables; and
whether training reaches the same quality there. Called by make bench-gpu.

    run.py path/of/bench_train tagrec_cuda.so [--data lastfm,debtags,synthetic] [--kinds cuda,host,eager,cpu,compiled,quality]
           [--only WORD,…] [--all] [--budget 540] [--threads N] [--again]

A row is an algorithm with options; --only keeps the rows that one of the words is part of ("hdlpr_ns", "tf32", "graphs"). Its kinds:
cuda; host, the same without a single operation: what planning the batches costs; cpu; eager and compiled, the same computation in
PyTorch. quality trains hdlpr_ns by its defaults on the clean split of Last.fm, on either backend and at every precision. Which rows
run on which data is in ROWS below; --all runs every row on every set.

Every run leaves its text in build/bench/gpu, and is not repeated by the same programs unless --again: a call that the budget (seconds)
cut short goes on where it was. The tables are of all runs there are, and in build/bench/gpu/tables.md.

ASSIGNMENTS (10000000) is the size of the synthetic set. To try all this without a GPU, by the emulated library: --sample N takes the
first lines of each set and tiny networks, --torch-device cpu.
"""
import argparse
import collections
import hashlib
import math
import os
import re
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.dont_write_bytecode = True

import runs  # noqa: E402

OUTPUT = "build/bench/gpu"
TITLES = {"lastfm": "Last.fm, clean split", "debtags": "debtags", "synthetic": "synthetic"}
KINDS = ("cuda", "host", "eager", "cpu", "compiled", "quality")
PRECISIONS = ("fp32", "tf32", "bf16")
NO_GRAPHS = "TAGREC_CUDA_GRAPHS=no"

# algorithm; options; what is different from the row it belongs to: a precision, or a variable of the environment; the run in
# PyTorch, of which program; the sets it runs on
Row = collections.namedtuple("Row", "algorithm options variant torch sets")
FAMILY, TAGS = "bench_pytorch.py", "bench_pytorch_tags.py"
EVERY, BOTH, ONE = ("lastfm", "debtags", "synthetic"), ("lastfm", "debtags"), ("lastfm",)
ROWS = [
    Row("hdlpr_ns", "preset=paper batch=128", "", (FAMILY, "hdlpr_ns:128"), BOTH),
    Row("hdlpr_ns", "preset=paper batch=128", NO_GRAPHS, None, ONE),
    Row("hdlpr_ns", "preset=paper batch=1024", "", (FAMILY, "hdlpr_ns:1024"), EVERY),
    Row("hdlpr_ns", "preset=paper batch=1024", NO_GRAPHS, None, ONE),
    Row("hdlpr_ns", "preset=paper batch=1024", "tf32", (FAMILY, "hdlpr_ns:1024"), ONE),
    Row("hdlpr_ns", "preset=paper batch=1024", "bf16", (FAMILY, "hdlpr_ns:1024"), ONE),
    Row("dspr", "preset=paper batch=1024", "", (FAMILY, "dspr:1024"), ONE),
    Row("hdlpr", "preset=paper batch=1024", "", (FAMILY, "hdlpr:1024"), ONE),
    Row("hdlpr_ns", "", "", None, BOTH),
    Row("hdlpr_ns", "", NO_GRAPHS, None, ONE),
    Row("dae_ptr", "preset=paper batch=1024", "", (TAGS, ""), BOTH),
    Row("dae_ptr", "preset=paper batch=1024", "tf32", (TAGS, ""), ONE),
    Row("dae_ptr", "preset=paper batch=1024", "bf16", (TAGS, ""), ONE),
    Row("dae_ptr", "", "", None, BOTH),
    Row("ials", "", "", None, EVERY),
    Row("bpr", "", "", None, ONE),
    Row("pitf", "", "", None, ONE),
    Row("abnt", "", "", None, ONE),
]
# With --sample: the emulation computes a million times slower than a card.
TINY = {"hdlpr_ns": "layers=16,8", "hdlpr": "layers=16,8", "dspr": "layers=16,8", "dae_ptr": "hidden=16", "abnt": "dimensions=8 layers=8",
        "ials": "factors=8", "bpr": "factors=8", "pitf": "factors=8"}
# What matters most comes first, for the budget may end it.
ORDER = [("cuda", "lastfm"), ("host", "lastfm"), ("cuda", "debtags"), ("host", "debtags"), ("eager", "lastfm"), ("quality", "lastfm"),
         ("cuda", "synthetic"), ("eager", "debtags"), ("eager", "synthetic"), ("cpu", "lastfm"), ("cpu", "debtags"),
         ("compiled", "lastfm"), ("compiled", "debtags"), ("host", "synthetic"), ("cpu", "synthetic"), ("compiled", "synthetic")]
# seconds after which the steps of a run are stopped and scaled up to the epoch, and those that the whole of a run may take
MOST_STEPS, MOST_RUN = 10, 240


def row_name(row):
    return " ".join(word for word in (row.algorithm, row.options, row.variant) if word)


def precision_of(row):
    return row.variant if row.variant in PRECISIONS else "fp32"


def digest(*paths):
    total = hashlib.md5()
    for path in paths:
        with open(path, "rb") as file:
            total.update(file.read())
    return total.hexdigest()


class Session:
    """Runs commands within the budget and keeps their texts."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.deadline = time.monotonic() + arguments.budget
        self.left_out = 0
        os.makedirs(OUTPUT, exist_ok=True)

    def run(self, name, programs, command, environment=()):
        """The text of a run: an earlier one's, or that of a new one; None when there is no time for it."""
        path = os.path.join(OUTPUT, re.sub(r"[^\w=.,+-]+", "_", name) + ".log")
        head = f"# {digest(*programs)} {' '.join([*environment, *command])}\n"
        text = read_kept(path, head)
        if text is None or self.arguments.again:
            left = self.deadline - time.monotonic()
            if left < 5:
                self.left_out += 1
                return None
            began = time.monotonic()
            text, failure = execute(command, environment, min(left + 20, MOST_RUN))
            print(f"{time.monotonic() - began:6.1f} s  {name}{failure}", flush=True)
            if failure:
                said = [line for line in text.splitlines() if line.strip()]
                why = [line for line in said if line.startswith("bench_train: ")] or said[-1:] or ["it said nothing"]
                print(f"          {why[0][:200]}", flush=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(head + text + failure)
        return text


def read_kept(path, head):
    try:
        with open(path, encoding="utf-8") as file:
            kept, text = file.readline(), file.read()
    except FileNotFoundError:
        return None
    return text if kept == head and not text.rstrip().endswith(("failed", "took too long")) else None


def execute(command, environment, limit):
    """What it said, and how it failed, empty when it did not."""
    settings = {**os.environ, **dict(e.split("=", 1) for e in environment)}
    try:
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                                env=settings, timeout=limit, check=False)
    except subprocess.TimeoutExpired as expired:
        said = expired.stdout or b""
        return said.decode(errors="replace") if isinstance(said, bytes) else said, ": took too long"
    return result.stdout, "" if result.returncode == 0 else ": failed"


# ---------------------------------------------------------------- bench_train


def train(session, data, path, row, kind):
    a = session.arguments
    options = [*row.options.split(), f"epochs={1 if kind == 'cpu' else 6}"]
    if precision_of(row) != "fp32":
        options.append(f"precision={row.variant}")
    options += TINY[row.algorithm].split() if a.sample else []
    environment = [f"TAGREC_CUDA_LIBRARY={a.library}", "OPENBLAS_NUM_THREADS=1"]
    if "=" in row.variant:
        environment.append(row.variant)
    command = [a.program, "-f", "-s", str(MOST_STEPS), "-b", kind, "-t", str(a.threads), row.algorithm, path, *options]
    return session.run(f"{data} {row_name(row)} {kind}", [a.program] + [a.library] * (kind == "cuda"), command, environment)


def number(pattern, text):
    found = re.search(pattern, text, re.M)
    return float(found.group(1)) if found else None


def epoch_steps(row, texts):
    """Steps of an epoch: from a run that finished one, else from the batch."""
    for text in texts:
        steps = number(r"^launched per epoch: .* in " + runs.NUMBER + " steps", text)
        if steps:
            return steps
    batch, pairs = number(r"batch=(\d+)", row.options), number(r" (\d+) pairs$", texts[0])
    return math.ceil(pairs / batch) if batch and pairs else None


def seconds(text, steps):
    """Of an epoch: the median of those after the first, or of the steps that were done in time. None when there is no telling."""
    took = [t for _, _, t, _ in runs.epochs(text)]
    if took:
        return statistics.median(took[1:] or took)
    found = re.search(r"^stopped after \d+ steps, the last (\d+) in " + runs.NUMBER + " s", text, re.M)
    return float(found.group(2)) / float(found.group(1)) * steps if found and steps and float(found.group(2)) > 0 else None


def floor(text, steps):
    whole = number(r"^floor " + runs.NUMBER + " s per epoch", text)
    part = number(r"^floor " + runs.NUMBER + " s in all", text)
    done = number(r"^launched in all: .* in " + runs.NUMBER + " steps", text)
    return whole if whole is not None else part / done * steps if part is not None and done and steps else None


def operations(text):
    found = re.search(r"steps, " + runs.NUMBER + " and " + runs.NUMBER + " a step", text)
    return f"{float(found.group(1)):.0f} + {float(found.group(2)):.0f}" if found else ""


# ---------------------------------------------------------------- PyTorch


def torch_groups(rows):
    """Rows by the process that measures them: {(program, precision): [run, …]}"""
    groups = collections.defaultdict(list)
    for row in rows:
        if row.torch:
            groups[row.torch[0], precision_of(row)].append(row.torch[1])
    return groups


def train_torch(session, data, path, key, names, kind):
    a = session.arguments
    script = os.path.join(os.path.dirname(HERE), key[0])
    command = [sys.executable, script, path, "--device", a.torch_device, "--precision", key[1], "--threads", str(a.threads),
               "--seconds", str(MOST_STEPS)]
    command += ["--runs", *names] if key[0] == FAMILY else ["--epochs", "2"]
    if kind == "compiled":
        command.append("--compile")
    common = os.path.join(os.path.dirname(HERE), "pytorch_common.py")
    return session.run(f"{data} {key[0].removesuffix('.py')} {key[1]} {kind}", [script, common], command)


def torch_seconds(row, texts):
    """texts: {(program, precision): text}"""
    if not row.torch or not texts.get((row.torch[0], precision_of(row))):
        return None
    text = texts[row.torch[0], precision_of(row)]
    if row.torch[0] == TAGS:
        return min((float(t) for t in re.findall(r"^epoch [1-9]\d*: " + runs.NUMBER + " s", text, re.M)), default=None)
    algorithm, batch = row.torch[1].split(":")
    return number(rf"^{algorithm} +{batch} +" + runs.NUMBER + " s/epoch", text)


# ---------------------------------------------------------------- the data


def sampled(path, lines):
    """The path of the file's first lines."""
    if not lines:
        return path
    short = os.path.join(OUTPUT, "sample_" + path.replace("/", "_"))
    with open(path, encoding="utf-8") as file, open(short, "w", encoding="utf-8") as out:
        out.writelines(line for _, line in zip(range(lines + 1), file))
    return short


def make_data(session, name):
    """Its training file, None when the set cannot be had."""
    lines = session.arguments.sample
    if name == "lastfm":
        if "TAGREC_DATA" not in os.environ and os.path.isdir("build/gpu-kit/lastfm"):
            os.environ["TAGREC_DATA"] = "build/gpu-kit/lastfm"
        directory = "build/bench/lastfm-clean"
        return sampled(directory + "/train.tsv", lines) if runs.make_split("make_splits.py", directory) else None
    if name == "debtags":
        path = "build/bench/debtags.tsv"
        with open(path, "wb") as out:
            subprocess.run(["gzip", "-dc", "test/data/debtags.tsv.gz"], stdout=out, check=True)
        return sampled(path, lines)
    size = os.environ.get("ASSIGNMENTS", "10000000")
    path = f"build/bench/synthetic_{size}.tsv"
    if not os.path.exists(path):
        began = time.monotonic()
        made = subprocess.run([sys.executable, os.path.join(HERE, "make_synthetic.py"), path, "--assignments", size], check=False)
        print(f"{time.monotonic() - began:6.1f} s  making {path}", flush=True)
        if made.returncode != 0:
            return None
    return sampled(path, lines)


# ---------------------------------------------------------------- quality


def train_quality(session, train_path):
    """{(backend, precision): [text by seed]}"""
    a = session.arguments
    texts = collections.defaultdict(list)
    directory = "build/bench/lastfm-clean"
    for seed in range(1, a.seeds + 1):
        for backend, precision in (("cpu", "fp32"), *(("cuda", p) for p in PRECISIONS)):
            if backend == "cpu" and not a.has_cpu:
                continue
            command = [a.program, "-b", backend, "-t", str(a.threads), "-v", f"{directory}/valid.tsv", "-e", f"{directory}/test.tsv",
                       "hdlpr_ns", train_path, f"seed={seed}", f"precision={precision}", "metric=ndcg", "metric_k=20"]
            if a.sample:
                command += [TINY["hdlpr_ns"], "epochs=2"]
            text = session.run(f"quality {backend} {precision} seed {seed}", [a.program] + [a.library] * (backend == "cuda"), command,
                               [f"TAGREC_CUDA_LIBRARY={a.library}", "OPENBLAS_NUM_THREADS=1"])
            if text and runs.epochs(text):
                texts[backend, precision].append(text)
    return texts


def quality_table(texts):
    """NDCG@20 of the epoch that validation chose."""
    lines = ["**Quality: hdlpr_ns by its defaults, Last.fm, clean split; NDCG@20 of the best epoch**", "",
             "| | validation, by seed | mean | test, mean |", "|---|---|---|---|"]
    means = {}
    for (backend, precision), of_seeds in texts.items():
        valid = [max(v for *_, v in runs.epochs(text) if v is not None) for text in of_seeds]
        test = [runs.figures(text)["ndcg@20"] for text in of_seeds]
        means[backend, precision] = statistics.fmean(valid), min(valid), max(valid)
        lines.append(f"| {backend}, {precision} | {' '.join(f'{v:.4f}' for v in valid)} | {statistics.fmean(valid):.4f} "
                     f"| {statistics.fmean(test):.4f} |")
    if ("cpu", "fp32") in means:
        mean, low, high = means.pop(("cpu", "fp32"))
        for (_, precision), (other, *_) in means.items():
            lines += ["", f"cuda, {precision}: {other - mean:+.4f} of the CPU's mean, whose seeds spread over {high - low:.4f}."]
    return lines


# ---------------------------------------------------------------- tables


def figure(value, digits=3):
    return "" if value is None else f"{value:.{digits}g}" if value < 1000 else f"{value:.0f}"


def ratio(one, other):
    return "" if not one or not other else f"{one / other:.2g}" if one / other < 100 else f"{one / other:.0f}"


def table(name, rows, texts):
    """texts: {(kind, row): text} of bench_train, {(kind, program, precision): text} of PyTorch"""
    lines = [f"**{name}**", "",
             "| | cuda, s/epoch | floor | of the floor | operations + copies a step | host alone | CPU | CPU / cuda | PyTorch | compiled "
             "| best PyTorch / cuda |", "|---" * 11 + "|"]
    for row in rows:
        of = {kind: texts.get((kind, row)) for kind in ("cuda", "host", "cpu")}
        there = [text for text in of.values() if text]
        steps = epoch_steps(row, there) if there else None
        took = {kind: seconds(text, steps) if text else None for kind, text in of.items()}
        least = floor(of["cuda"], steps) if of["cuda"] else None
        torch = [torch_seconds(row, {key[1:]: text for key, text in texts.items() if key[0] == kind and len(key) == 3})
                 for kind in ("eager", "compiled")]
        best = min((t for t in torch if t), default=None)
        share = f"{least / took['cuda']:.0%}" if least and took["cuda"] else ""
        lines.append("| " + " | ".join(
            [row_name(row), figure(took["cuda"]), figure(least), share, operations(of["cuda"] or of["host"] or ""), figure(took["host"]),
             figure(took["cpu"]), ratio(took["cpu"], took["cuda"]), *map(figure, torch), ratio(best, took["cuda"])]) + " |")
    return lines


def first_line(*command):
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return ""


def machine(arguments):
    model = ""
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "")
    card = first_line("build/unit/cuda_device", arguments.library)
    driver = first_line("nvidia-smi", "--query-gpu=driver_version,clocks.max.sm,power.limit", "--format=csv,noheader")
    torch = first_line(sys.executable, "-c", "import torch; print('PyTorch', torch.__version__, 'for CUDA', torch.version.cuda)")
    arguments.has_torch = bool(torch)
    return "; ".join(part for part in (
        card, driver and f"driver, clock, power: {driver}", f"{os.cpu_count()} cores of {model}, {arguments.threads} threads",
        torch or "no PyTorch") if part)


# ---------------------------------------------------------------- the whole


def wanted_rows(arguments, data):
    return [row for row in ROWS if (arguments.all or data in row.sets)
            and (not arguments.only or any(word in row_name(row) for word in arguments.only))]


def measure(session, kind, data, path, texts):
    """Fills in the texts of a kind."""
    rows = wanted_rows(session.arguments, data)
    if kind in ("eager", "compiled"):
        for key, names in torch_groups(rows).items() if session.arguments.has_torch else ():
            texts[kind, *key] = train_torch(session, data, path, key, names, kind)
        return
    for row in rows:
        # the CPU knows neither graphs nor precisions
        if (kind == "cuda" or not row.variant) and (kind != "cpu" or session.arguments.has_cpu):
            texts[kind, row] = train(session, data, path, row, kind)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("library")
    words = {"type": lambda text: text.split(",")}
    parser.add_argument("--data", default=list(TITLES), **words)
    parser.add_argument("--kinds", default=list(KINDS), **words)
    parser.add_argument("--only", default=[], **words)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--budget", type=float, default=540)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--torch-device", default="cuda")
    arguments = parser.parse_args()
    for name, given, known in (("data", arguments.data, TITLES), ("kinds", arguments.kinds, KINDS)):
        if unknown := set(given) - set(known):
            sys.exit(f"--{name} knows no {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    arguments.library = os.path.abspath(arguments.library)
    arguments.has_cpu = not os.path.exists("build/unit/blas-none")
    return arguments


def main():
    os.chdir(os.path.join(HERE, "../../.."))
    arguments = parse()
    if subprocess.run(["build/unit/cuda_device", arguments.library], check=False).returncode != 0:
        sys.exit("bench-gpu: there is no GPU to run on")
    session = Session(arguments)
    print(name := machine(arguments), flush=True)
    if not arguments.has_torch:
        print("bench-gpu: PyTorch skipped: this python3 has no torch")
    paths, texts, quality = {}, {data: {} for data in TITLES}, {}
    for kind, data in ORDER:
        if kind not in arguments.kinds or data not in arguments.data or (kind != "quality" and not wanted_rows(arguments, data)):
            continue
        if data not in paths:
            paths[data] = make_data(session, data)
            if not paths[data]:
                print(f"bench-gpu: {TITLES[data]} skipped: its data is not there")
        if paths[data] and kind == "quality":
            quality = train_quality(session, paths[data])
        elif paths[data]:
            measure(session, kind, data, paths[data], texts[data])
    lines = [f"{name}, {time.strftime('%Y-%m-%d')}"]
    for data, path in paths.items():
        if path and any(texts[data].values()):
            size = next((line for text in texts[data].values() for line in (text or "").splitlines() if " to train on: " in line), "")
            lines += ["", *table(f"{TITLES[data]}: {size}", wanted_rows(arguments, data), texts[data])]
    if quality:
        lines += ["", *quality_table(quality)]
    with open(os.path.join(OUTPUT, "tables.md"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    print("\n" + "\n".join(lines))
    if session.left_out:
        print(f"\n{session.left_out} runs left out, for the {arguments.budget:.0f} s were over (--budget); the same call goes on with them")


if __name__ == "__main__":
    main()
