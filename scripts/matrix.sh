#!/bin/bash
# Builds and tests what needs no server with every compiler that this machine has, each in a copy of the tree below build/matrix.
#
#   scripts/matrix.sh [ROW…]       gcc-12, clang-14, … by their versions; gcc and clang, the machine's own; gcc-plain and
#                                  clang-plain, without optimisation; old, an x86-64 without FMA, in qemu; arm64, cross-compiled
#                                  and in qemu. All of them without arguments.
#
# A row that takes programs which are not here is shown as skipped. In qemu there are only the tests that do without the emulated
# GPU. The last line says how many checks passed and failed, and how many rows were skipped. What the tests of a row said:
# build/matrix/ROW/build/unit/test_*.out
set -u
cd "$(dirname "$0")/.." || exit
. scripts/lib.sh

ROWS="gcc-11 gcc-12 gcc-13 gcc-14 gcc-15 clang-14 clang-15 clang-16 clang-17 clang-18 clang-19 clang-20 clang-21
	gcc gcc-plain clang clang-plain old arm64"
PASSED=0
FAILED=0
SKIPPED=0

# row NAME 'PROGRAM …' COMPILER [make's arguments]: PROGRAMs are what it takes besides the compiler for C, and its one for C++
row() {
	local name=$1 programs=$2 cc=$3 directory=$PWD/build/matrix/$1 cxx program passed failed status
	shift 3
	case $cc in
		*clang*) cxx=${cc/clang/clang++} ;;
		*) cxx=${cc/gcc/g++} ;;
	esac
	for program in "$cc" "$cxx" $programs; do
		command -v "$program" >/dev/null || { say "$name: skipped, for there is no $program"; SKIPPED=$((SKIPPED + 1)); return; }
	done
	mkdir -p "$directory"
	find . \( -path ./build -o -path ./.git \) -prune -o -type f ! -name '*.[od]' -print0 | tar --null -T - -c | tar -x -C "$directory" ||
		exit
	rm -f "$directory"/build/unit/test_*.out
	env -u MAKEFLAGS make -s -k -j"$(nproc)" -C "$directory" check-core CC="$cc" CXX="$cxx" "$@" > "$directory.log" 2>&1
	status=$?
	passed=$(cat "$directory"/build/unit/test_*.out 2>/dev/null | grep -c '^ok')
	failed=$(cat "$directory"/build/unit/test_*.out 2>/dev/null | grep -c '^not ok')
	# that it does not build is a failure as well
	[ "$failed" -gt 0 ] || [ "$status" -eq 0 ] || failed=1
	say "$name: $("$cc" --version | head -n 1): $passed passed, $failed failed"
	[ "$failed" -eq 0 ] || grep -vE '^ok ' "$directory.log" | head -n 40
	PASSED=$((PASSED + passed))
	FAILED=$((FAILED + failed))
}

tests_without_gpu() {
	grep -L 'backends\.h\|tr_cuda' test/unit/test_*.c | sed 's,.*/,,; s,\.c$,,' | tr '\n' ' '
}

for name in ${*:-$ROWS}; do
	case $name in
		*-plain) row "$name" '' "${name%-plain}" UNIT_OPTFLAGS= ;;
		old) row old qemu-x86_64 gcc UNIT_RUNNER="qemu-x86_64 -cpu Nehalem" UNIT_TESTS="$(tests_without_gpu)" ;;
		arm64) row arm64 qemu-aarch64 aarch64-linux-gnu-gcc BLAS=none UNIT_TESTS="$(tests_without_gpu)" \
			UNIT_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu" ;;
		*) row "$name" '' "$name" ;;
	esac
done
say "$PASSED passed, $FAILED failed, $SKIPPED skipped"
[ "$FAILED" -eq 0 ] && [ $((PASSED + SKIPPED)) -gt 0 ]
