#!/bin/bash
# Tests with every compiler, PostgreSQL and release of Debian that this machine has or can get, each in a copy of the tree below
# build/matrix.
#
#   scripts/matrix.sh [ROW…]       gcc-12, clang-14, … by their versions; gcc and clang, the machine's own; gcc-plain and
#                                  clang-plain, without optimisation; old, an x86-64 without FMA, in qemu; arm64, cross-compiled
#                                  and in qemu: what needs no server
#                                  pg-15, pg-16, …: make check with that PostgreSQL, where Debian's packages put it
#                                  debian-bookworm, debian-trixie, debian-sid: make check in a bare Debian of its own
#                                  debian-sid-19: the same with a PostgreSQL that is in Debian's experimental only
#                                  All of them without arguments.
#
# CHECK_PARTS says which parts of make check a row runs (scripts/check.sh); the default is "sql tap" where only the server is
# another one than in a row before, pg-* and debian-sid-19, and everything in the other Debians.
#
# A row that takes programs which are not here is shown as skipped, and so is a Debian without root, debootstrap and a network;
# one that is there, below build/matrix, is used again. In qemu there are only the tests that do without the emulated GPU. The
# last line says how many checks passed and failed, and how many were skipped, a row being one. What the tests said:
# build/matrix/ROW.log, build/matrix/ROW/build/unit/test_*.out
set -u
cd "$(dirname "$0")/.." || exit
. scripts/lib.sh

ROWS="gcc-11 gcc-12 gcc-13 gcc-14 gcc-15 gcc-16 clang-14 clang-15 clang-16 clang-17 clang-18 clang-19 clang-20 clang-21 clang-22
	clang-23 gcc gcc-plain clang clang-plain old arm64 pg-15 pg-16 pg-17 pg-18 pg-19
	debian-bookworm debian-trixie debian-sid debian-sid-19"
PASSED=0
FAILED=0
SKIPPED=0

skip() {
	say "$1: skipped, for there is no $2"
	SKIPPED=$((SKIPPED + 1))
}

# The tree as it is, without what was built, below the directory $1
copy_tree() {
	mkdir -p "$1"
	find . \( -path ./build -o -path ./.git \) -prune -o -type f ! -name '*.[od]' -print0 | tar --null -T - -c | tar -x -C "$1" || exit
}

# row NAME 'PROGRAM …' COMPILER [make's arguments]: PROGRAMs are what it takes besides the compiler for C, and its one for C++
row() {
	local name=$1 programs=$2 cc=$3 directory=$PWD/build/matrix/$1 cxx program passed failed status
	shift 3
	case $cc in
		*clang*) cxx=${cc/clang/clang++} ;;
		*) cxx=${cc/gcc/g++} ;;
	esac
	for program in "$cc" "$cxx" $programs; do
		command -v "$program" >/dev/null || { skip "$name" "$program"; return; }
	done
	copy_tree "$directory"
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

# count_check NAME STATUS WHAT: what make check, which ended with STATUS, said at the end of build/matrix/NAME.log
count_check() {
	local passed failed skipped
	read -r passed failed skipped < <(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' \
		"build/matrix/$1.log" | tail -n 1)
	# that it does not build is a failure as well
	[ "${failed:=0}" -gt 0 ] || [ "$2" -eq 0 ] || failed=1
	say "$1: $3: ${passed:=0} passed, $failed failed, ${skipped:=0} skipped"
	[ "$failed" -eq 0 ] || grep -E '^not ok|FAILED|: error|^# +(Failed|at|got|expected)' "build/matrix/$1.log" | head -n 40
	PASSED=$((PASSED + passed))
	FAILED=$((FAILED + failed))
	SKIPPED=$((SKIPPED + skipped))
}

# server MAJOR: make check with that PostgreSQL
server() {
	local name=pg-$1 config=/usr/lib/postgresql/$1/bin/pg_config
	[ -x "$config" ] && PG_CONFIG=$config has_server || { skip "$name" "PostgreSQL $1 with its headers"; return; }
	copy_tree "build/matrix/$name"
	env -u MAKEFLAGS -u CHECK_COMPILERS CHECK_PARTS="${CHECK_PARTS:-sql tap}" PG_CONFIG="$config" \
		make -s -C "build/matrix/$name" check PG_CONFIG="$config" > "build/matrix/$name.log" 2>&1
	count_check "$name" $? "$("$config" --version)"
}

# inside DIRECTORY COMMAND…: in the Debian below DIRECTORY. What it needs mounted goes with it.
inside() {
	unshare --mount bash -c 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" || exit
		exec chroot "$0" /usr/bin/env -i HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive TAGREC_DATA=/data \
			PATH=/usr/sbin:/usr/bin:/sbin:/bin "${@:1}"' "$@"
}

# release NAME SUITE [MAJOR]: make check in a bare Debian, with PostgreSQL MAJOR out of experimental
release() {
	local name=$1 suite=$2 major=${3:-} root=$PWD/build/matrix/$1.root config= parts=${CHECK_PARTS:-}
	[ "$(id -u)" -eq 0 ] || { skip "$name" "root"; return; }
	command -v debootstrap >/dev/null || { skip "$name" debootstrap; return; }
	if ! [ -e "$root/made" ]; then
		rm -rf "$root"
		mkdir -p "$root"
		debootstrap --variant=minbase --include=make "$suite" "$root" > "build/matrix/$name.log" 2>&1 && touch "$root/made" ||
			{ skip "$name" "Debian $suite to be had (build/matrix/$name.log)"; return; }
		cp /etc/resolv.conf "$root/etc/"
		# a mirror may be a snapshot of some day
		echo 'Acquire::Check-Valid-Until "false";' > "$root/etc/apt/apt.conf.d/snapshot"
	fi
	if [ -n "$major" ]; then
		config=/usr/lib/postgresql/$major/bin/pg_config
		[ -e "$root$config" ] || {
			sed 's/ sid / experimental /' "$root/etc/apt/sources.list" > "$root/etc/apt/sources.list.d/experimental.list"
			# nothing else out of there
			printf '%s\n' 'Package: postgresql* libpq*' 'Pin: release a=experimental' 'Pin-Priority: 600' \
				> "$root/etc/apt/preferences.d/experimental"
			inside "$root" sh -c "apt-get update -q && apt-get install -y -q --no-install-recommends \
				postgresql-$major postgresql-server-dev-$major" > "build/matrix/$name.log" 2>&1
		} || { skip "$name" "PostgreSQL $major to be had (build/matrix/$name.log)"; return; }
	fi
	copy_tree "$root/tagrec"
	[ -z "$major" ] || parts=${CHECK_PARTS:-sql tap}
	inside "$root" env CHECK_PARTS="$parts" make -s -C /tagrec check ${config:+PG_CONFIG=$config} > "build/matrix/$name.log" 2>&1
	count_check "$name" $? "$(inside "$root" bash -c ". /etc/os-release; echo \"\$PRETTY_NAME, \$(gcc -dumpfullversion),\" \
		\"\$(${config:-pg_config} --version)\"")"
}

tests_without_gpu() {
	grep -L 'backends\.h\|tr_cuda' test/unit/test_*.c | sed 's,.*/,,; s,\.c$,,' | tr '\n' ' '
}

mkdir -p build/matrix
for name in ${*:-$ROWS}; do
	case $name in
		*-plain) row "$name" '' "${name%-plain}" UNIT_OPTFLAGS= ;;
		old) row old qemu-x86_64 gcc UNIT_RUNNER="qemu-x86_64 -cpu Nehalem" UNIT_TESTS="$(tests_without_gpu)" ;;
		arm64) row arm64 qemu-aarch64 aarch64-linux-gnu-gcc BLAS=none UNIT_TESTS="$(tests_without_gpu)" \
			UNIT_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu" ;;
		pg-*) server "${name#pg-}" ;;
		debian-sid-*) release "$name" sid "${name#debian-sid-}" ;;
		debian-*) release "$name" "${name#debian-}" ;;
		*) row "$name" '' "$name" ;;
	esac
done
say "$PASSED passed, $FAILED failed, $SKIPPED skipped"
[ "$FAILED" -eq 0 ] && [ $((PASSED + SKIPPED)) -gt 0 ]
