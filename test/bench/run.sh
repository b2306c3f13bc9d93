#!/bin/bash
# Seconds per epoch of the paper's preset on the clean split of Last.fm, here and in PyTorch. Called by make bench.
#
#   test/bench/run.sh path/of/bench_train       environment: TAGREC_DATA, THREADS (2), BENCH_PYTHON (python3)
set -u
cd "$(dirname "$0")/../.." || exit
THREADS=${THREADS:-2}
PYTHON=${BENCH_PYTHON:-python3}
SPLIT=build/bench/lastfm

"$PYTHON" test/bench/make_splits.py "$SPLIT"
status=$?
if [ $status -ne 0 ]; then
	[ $status -eq 77 ] && echo "bench: training skipped" && exit 0
	exit $status
fi
for run in hdlpr_ns:1024 hdlpr_ns:128 dspr:1024 hdlpr:1024; do
	echo "== ${run%:*}, batch ${run#*:}, $THREADS threads"
	"$1" -b cpu -t "$THREADS" "${run%:*}" "$SPLIT/train.tsv" preset=paper batch="${run#*:}" epochs=1 || exit
done
if "$PYTHON" -c 'import torch' 2>/dev/null; then
	"$PYTHON" test/bench/bench_pytorch.py "$SPLIT/train.tsv" --threads "$THREADS"
else
	echo "bench: PyTorch skipped: $PYTHON has no torch (BENCH_PYTHON=… names another)"
fi
