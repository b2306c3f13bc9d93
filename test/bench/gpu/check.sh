#!/bin/bash
# The CUDA backend on this machine's GPU: the tests of the operations, their gradients and of training, then the same under
# compute-sanitizer where there is one. Called by make check-gpu.
#
#   test/bench/gpu/check.sh tagrec_cuda.so
set -u
cd "$(dirname "$0")/../../.." || exit
LIBRARY=$(realpath "$1")
TESTS="test_cuda_life test_ops test_softmax test_profile_rows test_cuda_train"
SANITIZED="test_ops test_softmax test_profile_rows"
status=0

build/unit/cuda_device "$LIBRARY" || { echo "check-gpu: there is no GPU to run on; make check-core runs the kernels in emulation" >&2; exit 1; }

# run NAME COMMAND …: the outcome in one line, the whole output of a failure
run() {
	local name=$1 log=build/unit/gpu_$1.out
	shift
	if TAGREC_CUDA_LIBRARY=$LIBRARY OPENBLAS_NUM_THREADS=1 "$@" > "$log" 2>&1; then
		echo "ok   $name: $(grep -c '^ok' "$log") checks"
	else
		echo "FAIL $name"
		grep -v '^ok' "$log" | head -n 60
		status=1
	fi
}

for test in $TESTS; do
	run "$test" "build/unit/$test"
done
if command -v compute-sanitizer > /dev/null; then
	for tool in memcheck racecheck synccheck initcheck; do
		for test in $SANITIZED; do
			run "$tool-$test" compute-sanitizer --tool "$tool" --error-exitcode 9 "build/unit/$test"
		done
	done
else
	echo "SKIP compute-sanitizer: there is none"
fi
exit $status
