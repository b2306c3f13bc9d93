#!/bin/bash
# What make and make demo do on machines in many a state: what is missing, who runs them, where, and how little there is. Each
# state is a bare Debian of its own, laid over ROOT (build/matrix/debian-bookworm.root, which scripts/matrix.sh makes).
#
#   scripts/states.sh [ROOT]       as root; the first state takes a network and some minutes, the others seconds
#
# A line for each state: what was said, or the end of it. What was said in full: build/states/STATE.log
set -u
cd "$(dirname "$0")/.." || exit
. scripts/lib.sh
ROOT=$(realpath -m "${1:-build/matrix/debian-bookworm.root}")
[ "$(id -u)" -eq 0 ] || die "scripts/states.sh needs root"
[ -x "$ROOT/usr/bin/make" ] || die "$ROOT is no Debian with make: scripts/matrix.sh debian-bookworm makes one"
WORK=$PWD/build/states
PASSED=0
FAILED=0
rm -rf "$WORK"
mkdir -p "$WORK"

# Few data, for a demo of seconds
SHORT="DATA=short.tsv 'OPTIONS={\"epochs\": 1}'"

# state NAME BELOW EXPECTED COMMANDS: runs COMMANDS in the state BELOW ('' is the bare Debian), in the tree; passes
# if the last lines of what they say match EXPECTED. The variables SHM and LIMIT make the machine smaller.
state() {
	local name=$1 below=$2 expected=$3 directory=$WORK/$1 lower=$ROOT log=$WORK/$1.log
	[ -z "$below" ] || lower=$(cat "$WORK/$below/lower")
	mkdir -p "$directory"/{upper,work,root}
	echo "$directory/upper:$lower" > "$directory/lower"
	unshare --mount --pid --fork bash -c '
		mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root" && mount --rbind /dev "$2/root/dev" || exit
		mount -t proc proc "$2/root/proc" && cp /etc/resolv.conf "$2/root/etc/" || exit
		[ -z "$SHM" ] || mount -t tmpfs -o "size=$SHM" tmpfs "$2/root/dev/shm" || exit
		exec $LIMIT chroot "$2/root" /usr/bin/env -i HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
			PATH=/usr/sbin:/usr/bin:/sbin:/bin bash -c "cd /tagrec; $3"' bash "$lower" "$directory" "$4" > "$log" 2>&1
	if tail -n 12 "$log" | grep -qE -- "$expected"; then
		say "ok - $name: $(tail -n 12 "$log" | grep -E -- "$expected" | tail -n 1)"
		PASSED=$((PASSED + 1))
	else
		say "not ok - $name: expected $expected"
		tail -n 12 "$log"
		FAILED=$((FAILED + 1))
	fi
}
LIMIT=
SHM=
export LIMIT SHM

# The tree, and the user who owns it
mkdir -p "$WORK/tree/upper/tagrec"
echo "$WORK/tree/upper:$ROOT" > "$WORK/tree/lower"
find . \( -path ./build -o -path ./.git \) -prune -o -type f ! -name '*.[od]' ! -name '*.so' -print0 | tar --null -T - -c |
	tar -x -C "$WORK/tree/upper/tagrec" || exit
zcat test/data/debtags.tsv.gz | head -n 5000 > "$WORK/tree/upper/tagrec/short.tsv"
chown -R nobody "$WORK/tree/upper/tagrec"

INSTALL="apt-get update -q && apt-get install -y -q --no-install-recommends"
SHOWN='^stop, remove'
as_user() { echo "runuser -u nobody -- env HOME=/tmp $*"; }

state nothing-user tree 'sudo apt-get install -y .*postgresql-15' "$(as_user make demo)"
state nothing-no-network tree 'apt-get could not install' 'unshare --net make demo'
state nothing tree "$SHOWN" "make demo $SHORT"
state libpq tree 'sudo apt-get install -y .*postgresql-server-dev-15' "$INSTALL gcc libc6-dev libpq-dev; $(as_user make demo)"
state libpq-make libpq 'server headers are missing.*scripts/deps.sh' "$(as_user make)"
state no-headers libpq 'sudo apt-get install -y libopenblas-dev postgresql-15 postgresql-server-dev-15' \
	"$INSTALL postgresql-15 && $(as_user make demo)"
state no-headers-root no-headers "$SHOWN" "make demo $SHORT"
state other-headers nothing 'is not the pg_config of a PostgreSQL server with its headers' \
	'mv /usr/include/postgresql/15 /usr/include/postgresql/14; make demo PG_CONFIG=/usr/lib/postgresql/15/bin/pg_config'
state wrong-pg-config nothing 'PG_CONFIG is /nonexistent, which is not the pg_config' 'make demo PG_CONFIG=/nonexistent'
state no-network nothing "$SHOWN" "unshare --net make demo $SHORT"
state user nothing "$SHOWN" "chown -R nobody /tagrec; $(as_user make demo "$SHORT")"
state others-checkout nothing 'build in a copy of your own' "make -s clean; chown -R root /tagrec; $(as_user make demo "$SHORT")"
state blanks nothing "$SHOWN" "mkdir '/a b'; cp -a /tagrec '/a b/c d'; cd '/a b/c d' && make demo $SHORT"
SHM=4m state small-shm nothing "$SHOWN" "make demo $SHORT"
LIMIT='taskset -c 0' state one-core nothing "$SHOWN" "make demo $SHORT"
LIMIT='prlimit --as=2147483648' state two-gigabytes nothing "$SHOWN" "make demo 'OPTIONS={\"epochs\": 1}'"

say "$PASSED passed, $FAILED failed"
[ "$FAILED" -eq 0 ] && [ "$PASSED" -gt 0 ]
