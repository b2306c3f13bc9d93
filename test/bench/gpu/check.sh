#!/bin/bash
# The CUDA backend on this machine's GPU, each part with its seconds:
#
#   tests       the operations, their gradients and training, against the plain and the CPU backend
#   sanitizer   shares of the same under compute-sanitizer, where there is one
#   server      jobs in a private server (server.sh), where there is PostgreSQL
#
# Called by make check-gpu.
#
#   test/bench/gpu/check.sh tagrec_cuda.so      environment: CHECK_GPU_PARTS ("tests sanitizer server"),
#                                               SANITIZER_SECONDS (45) that each program may take under each tool
set -u
cd "$(dirname "$0")/../../.." || exit
LIBRARY=$(realpath "$1")
PARTS=" ${CHECK_GPU_PARTS:-tests sanitizer server} "
TESTS="test_cuda_life test_ops test_softmax test_profile_rows test_cuda_train"
# under an instrument that makes a kernel 10 to 100 times slower: program=n runs one in n of its cases
SANITIZED="test_ops=7 test_softmax=5 test_profile_rows=5 test_cuda_train=4"
TOOLS="memcheck racecheck synccheck initcheck"
SANITIZER_SECONDS=${SANITIZER_SECONDS:-45}
LOGS=build/unit
PATH=$PATH:/usr/local/cuda/bin
status=0

build/unit/cuda_device "$LIBRARY" || { echo "check-gpu: there is no GPU to run on; make check-core runs the kernels in emulation" >&2; exit 1; }
export TAGREC_CUDA_LIBRARY=$LIBRARY OPENBLAS_NUM_THREADS=1

# run NAME COMMAND …: the outcome in one line, the whole output of a failure. With MAY_BE_CUT, a run that was out of time
# (status 124) counts by what it had checked until then.
run() {
	local name=$1 log=$LOGS/gpu_$1.out began=$EPOCHREALTIME outcome passed took skipped
	shift
	"$@" > "$log" 2>&1
	outcome=$?
	took=$(awk "BEGIN { printf \"%.1f s\", $EPOCHREALTIME - $began }")
	passed=$(grep -c '^ok' "$log")
	if [ $outcome -eq 0 ] && [ "$passed" -gt 0 ]; then
		echo "ok   $name: $passed checks, $took"
	elif [ $outcome -eq 124 ] && [ -n "${MAY_BE_CUT:-}" ] && [ "$passed" -gt 0 ] && ! grep -qE '^not ok|^Bail out|ERROR SUMMARY: [1-9]|^========= (Error|Invalid|Race|Barrier|Uninit)' "$log"; then
		echo "cut  $name: $passed checks, all well, $took; SANITIZER_SECONDS=… gives more"
	elif [ $outcome -eq 0 ] && skipped=$(grep -m 1 '^SKIP' "$log"); then
		echo "$skipped"
	else
		echo "FAIL $name, status $outcome, $took: $log"
		grep -v '^ok' "$log" | head -n 60
		return 1
	fi
}

wanted() { [[ $PARTS == *" $1 "* ]]; }

if wanted tests; then
	for test in $TESTS; do
		run "$test" timeout -k 5 300 "build/unit/$test" || status=1
	done
fi

# compute-sanitizer refuses some machines (virtual ones): that is no failure of ours.
sanitizer_works() {
	TAGREC_TEST_SHARE=1000000 timeout -k 5 120 compute-sanitizer build/unit/test_cuda_life > $LOGS/gpu_sanitizer.out 2>&1 ||
		! grep -qE 'Device not supported|not supported on this|Unable to|Internal Sanitizer Error' $LOGS/gpu_sanitizer.out
}

# The tools side by side, for they wait more than they compute
sanitize() {
	local test tool name share jobs
	for test in $SANITIZED; do
		name=${test%=*} share=${test#*=} jobs=
		for tool in $TOOLS; do
			MAY_BE_CUT=yes TAGREC_TEST_SHARE=$share run "$tool-$name" timeout -k 5 "$SANITIZER_SECONDS" \
				compute-sanitizer --tool "$tool" --error-exitcode 9 "build/unit/$name" &
			jobs="$jobs $!"
		done
		for tool in $jobs; do
			wait "$tool" || status=1
		done
	done
}

if wanted sanitizer; then
	if ! command -v compute-sanitizer > /dev/null; then
		echo "SKIP compute-sanitizer: there is none"
	elif ! sanitizer_works; then
		echo "SKIP compute-sanitizer: it does not work here: $(grep -m 1 -E 'not supported|Unable|Internal' $LOGS/gpu_sanitizer.out)"
	else
		sanitize
	fi
fi

if wanted server; then
	run server timeout -k 20 420 test/bench/gpu/server.sh "$LIBRARY"
	outcome=$?
	grep '^# .*MB' $LOGS/gpu_server.out
	[ $outcome -eq 0 ] || status=1
fi
exit $status
