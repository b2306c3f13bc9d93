#!/bin/bash
# run.sh DIRECTORY TEST…: runs test programs, as many at a time as there are processors. What one says goes to
# DIRECTORY/TEST.out; the whole of it is shown where it failed. UNIT_RUNNER: a program to run them in, such as qemu's.
set -u
export DIRECTORY=$1 OPENBLAS_NUM_THREADS=1 ASAN_OPTIONS=allocator_may_return_null=1
shift

run_test() {
	local test=$1 out=$DIRECTORY/$1.out
	if ${UNIT_RUNNER:-} "$DIRECTORY/$test" > "$out" 2>&1; then
		echo "ok   $test: $(grep -c '^ok' "$out") checks"
	else
		echo "FAIL $test"$'\n'"$(grep -v '^ok' "$out" | head -n 60)"
		return 1
	fi
}
export -f run_test

printf '%s\n' "$@" | xargs -P "$(nproc)" -I '{}' bash -c 'run_test {}'
