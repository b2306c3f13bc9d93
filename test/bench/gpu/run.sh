#!/bin/bash
# Seconds per epoch on this machine's GPU, beside the CPU backend, PyTorch on the same card (eager and compiled) and the floor.
# Called by make bench-gpu. The data: Last.fm where TAGREC_DATA has it, debtags, and a synthetic set.
#
#   test/bench/gpu/run.sh tagrec_cuda.so        environment: TAGREC_DATA, THREADS (all), PYTHON (python3),
#                                               ASSIGNMENTS (10000000) of the synthetic set, CPU (yes; no leaves it out)
set -u
cd "$(dirname "$0")/../../.." || exit
LIBRARY=$(realpath "$1")
THREADS=${THREADS:-$(nproc)}
PYTHON=${PYTHON:-python3}
ASSIGNMENTS=${ASSIGNMENTS:-10000000}
BENCH=build/bench

build/unit/cuda_device "$LIBRARY" || { echo "bench-gpu: there is no GPU to run on" >&2; exit 1; }
mkdir -p $BENCH

# train BACKEND DATA ALGORITHM OPTION=VALUE …: three epochs, of which the first warms up
train() {
	local backend=$1 data=$2 algorithm=$3
	shift 3
	TAGREC_CUDA_LIBRARY=$LIBRARY build/unit/bench_train -f -b "$backend" -t "$THREADS" "$algorithm" "$data" "$@" |
		grep -E '^(epoch|floor|[0-9]+ epochs)|, (cuda|cpu), '
}

# data_set NAME FILE: every algorithm in the paper's layers
data_set() {
	local name=$1 data=$2 run
	for run in hdlpr_ns:128 hdlpr_ns:1024 dspr:1024 hdlpr:1024; do
		echo "== $name: ${run%:*}, paper's layers, ${run#*:} pairs a batch"
		train cuda "$data" "${run%:*}" preset=paper "batch=${run#*:}" epochs=3
		[ "${CPU:-yes}" = no ] || train cpu "$data" "${run%:*}" preset=paper "batch=${run#*:}" epochs=1
	done
	echo "== $name: hdlpr_ns, default preset"
	train cuda "$data" hdlpr_ns epochs=3
	if "$PYTHON" -c 'import torch' 2> /dev/null; then
		"$PYTHON" test/bench/bench_pytorch.py "$data" --device cuda
		"$PYTHON" test/bench/bench_pytorch.py "$data" --device cuda --compile
	else
		echo "bench-gpu: PyTorch skipped: $PYTHON has no torch (PYTHON=… names another)"
	fi
}

if "$PYTHON" test/bench/make_splits.py $BENCH/lastfm; then
	data_set Last.fm $BENCH/lastfm/train.tsv
else
	echo "bench-gpu: Last.fm skipped"
fi
gzip -dc test/data/debtags.tsv.gz > $BENCH/debtags.tsv
data_set debtags $BENCH/debtags.tsv
if [ -s "$BENCH/synthetic_$ASSIGNMENTS.tsv" ] ||
	"$PYTHON" test/bench/gpu/make_synthetic.py "$BENCH/synthetic_$ASSIGNMENTS.tsv" --assignments "$ASSIGNMENTS"; then
	CPU=no data_set "synthetic, $ASSIGNMENTS assignments" "$BENCH/synthetic_$ASSIGNMENTS.tsv"
else
	echo "bench-gpu: the synthetic set skipped: it takes $PYTHON with numpy"
fi
