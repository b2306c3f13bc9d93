#!/bin/bash
# Everything that is tested: the core without a server, SQL on a private server, and TAP tests, which start servers of their
# own. The last line says how many passed, failed and were skipped; the exit status is 0 when something passed and nothing
# failed. CHECK_PARTS names the parts to run: "core compilers sql tap" are all of them, and the default.
set -u
cd "$(dirname "$0")/.." || exit
. scripts/lib.sh

LOGS=$PWD/build/check
PASSED=0
FAILED=0
SKIPPED=0
DIRECTORY=

finish() {
	local status=$1
	[ -z "$DIRECTORY" ] || { private_stop; rm -rf "$DIRECTORY"; }
	say "$PASSED passed, $FAILED failed, $SKIPPED skipped"
	trap - EXIT
	[ "$status" -eq 0 ] && [ "$FAILED" -eq 0 ] && [ "$PASSED" -gt 0 ]
	exit
}
trap 'finish 1' EXIT
trap 'exit 1' INT TERM

# Counts the TAP lines of a log: ok, not ok, ok … # SKIP, and files skipped as a whole. Lines of subtests are indented and
# belong to the test they are in; a lone 'ok' is prove's word on a file.
count_tap() {
	local skipped failed
	skipped=$(grep -ciE '^ok .*# *skip' "$1")
	failed=$(grep -E '^not ok .' "$1" | grep -ciE -v '# *todo')
	count $(($(grep -cE '^ok .' "$1") - skipped)) "$failed" $((skipped + $(grep -ciE '^1\.\.0 *# *skip|^test/t/.* skipped: ' "$1")))
}

# Counts pg_regress's: 'test name ... ok 12 ms' (15), 'ok 1 - name 12 ms' (16 and later)
count_regress() {
	count "$(grep -cE '^(test .*|.*) \.\.\. +ok\b|^ok +[0-9]+ ' "$1")" \
		"$(grep -cE '\.\.\. +(FAILED|failed)|^not ok\b' "$1")" 0
}

count() {
	STEP_FAILED=$2
	STEP_RAN=$(($1 + $2 + $3))
	PASSED=$((PASSED + $1))
	FAILED=$((FAILED + $2))
	SKIPPED=$((SKIPPED + $3))
}

# A step that says it failed, without a failed test to show for it, counts as one; so does one that ran nothing.
settle() {
	local name=$1 status=$2
	if [ "$STEP_FAILED" -eq 0 ] && { [ "$status" -ne 0 ] || [ "$STEP_RAN" -eq 0 ]; }; then
		say "$name: exit status $status after $STEP_RAN tests"
		FAILED=$((FAILED + 1))
	fi
}

check_core() {
	say "== core, without a server"
	# each test program leaves its TAP in build/unit
	rm -f build/unit/test_*.out
	make -s -k -j"$(nproc)" check-core
	local status=$?
	cat build/unit/test_*.out > "$LOGS/core.log" 2>/dev/null
	count_tap "$LOGS/core.log"
	settle check-core "$status"
}

# CHECK_COMPILERS: rows of scripts/matrix.sh to run as well
check_compilers() {
	[ -n "${CHECK_COMPILERS:-}" ] || return 0
	say "== core, by $CHECK_COMPILERS"
	scripts/matrix.sh $CHECK_COMPILERS 2>&1 | tee "$LOGS/matrix.log"
	local status=${PIPESTATUS[0]}
	count $(tail -n 1 "$LOGS/matrix.log" | tr -cd '0-9 ')
	settle check-matrix "$status"
}

check_regress() {
	say "== SQL, on a private server"
	local tests
	tests=$(ls test/sql/*.sql 2>/dev/null | sed 's,.*/,,; s,\.sql$,,')
	[ -n "$tests" ] || { count 0 0 0; settle pg_regress 0; return; }
	private_start "$DIRECTORY" || { count 0 0 0; settle "the private server" 1; return; }
	# in the private directory, where the server's user may read and write
	as_server_user mkdir -p "$DIRECTORY/regress"
	as_server_user env PGOPTIONS= "$REGRESS" --bindir="$PRIVATE_BIN" --inputdir="$DIRECTORY/test" --outputdir="$DIRECTORY/regress" \
		--host="$DIRECTORY" --user=tagrec --encoding=UTF8 --no-locale --load-extension=tagrec $tests 2>&1 | tee "$LOGS/regress.log"
	local status=${PIPESTATUS[0]}
	count_regress "$LOGS/regress.log"
	settle pg_regress "$status"
	if [ "$status" -ne 0 ] && [ -f "$DIRECTORY/regress/regression.diffs" ]; then
		cp -r "$DIRECTORY/regress" "$LOGS/"
		head -n 300 "$DIRECTORY/regress/regression.diffs"
	fi
	private_stop
}

check_tap() {
	say "== TAP, with servers of their own"
	ls test/t/*.pl >/dev/null 2>&1 || { count 0 0 0; settle prove 0; return; }
	[ -f "$(dirname "$REGRESS")/../perl/PostgreSQL/Test/Cluster.pm" ] || {
		say "This server was built without PostgreSQL::Test, which configure --enable-tap-tests installs."
		count 0 0 0; settle prove 1; return
	}
	as_server_user mkdir -p "$DIRECTORY/tap"
	(
		export TESTDIR=$DIRECTORY/tap TESTDATADIR=$DIRECTORY/tap/data TESTLOGDIR=$DIRECTORY/tap/log
		export PATH=$PRIVATE_BIN:$PATH PG_REGRESS=$REGRESS PGPORT=65432 PG_TEST_EXTRA= TMPDIR=/tmp
		# tests of real data skip themselves without it
		TAGREC_DATA=$(realpath -m "${TAGREC_DATA:-../shared/data/lastfm}")
		export TAGREC_DATA
		shared_memory_setting > "$DIRECTORY/tap.conf"
		export TEMP_CONFIG=$DIRECTORY/tap.conf
		as_server_user prove --verbose -I "$(dirname "$REGRESS")/../perl" -I test/t test/t/*.pl
	) 2>&1 | tee "$LOGS/tap.log" |
		grep -E '^(not ok|test/t/|Files=|Result)|^#  *(Failed|at |got|expected|Looks like)|skip'
	local status=${PIPESTATUS[0]}
	count_tap "$LOGS/tap.log"
	settle prove "$status"
	[ "$status" -eq 0 ] || cp -r "$DIRECTORY/tap/tmp_check/log" "$LOGS/tap" 2>/dev/null
}

PARTS=${CHECK_PARTS:-core compilers sql tap}
for part in $PARTS; do
	[[ " core compilers sql tap " == *" $part "* ]] || die "CHECK_PARTS is of core, compilers, sql and tap; there is no $part"
done
wanted() { [[ " $PARTS " == *" $1 "* ]]; }

ensure_packages test
ensure_writable
rm -rf "$LOGS"
mkdir -p "$LOGS"
say "== build"
make -s -j"$(nproc)" all || exit
! wanted core || check_core
! wanted compilers || check_compilers
wanted sql || wanted tap || finish 0

# a directory of this run's own, so that two checks of one tree do not meet
DIRECTORY=$(private_directory "$PWD/build/check-$$") || exit
private_install "$DIRECTORY" || exit
cp -r test scripts doc sql *.md LICENSE tagrec.control "$DIRECTORY/" && cp --parents src/core/*.h gpu/README.md "$DIRECTORY/" &&
	chmod -R a+rX "$DIRECTORY"/{test,scripts,doc,sql,src,gpu,LICENSE,*.md}
REGRESS=$(dirname "$("${PG_CONFIG:-pg_config}" --pgxs)")/../test/regress/pg_regress
! wanted sql || check_regress
! wanted tap || check_tap
finish 0
