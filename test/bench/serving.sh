#!/bin/bash
# Recommendations out of large catalogues: time of a call, calls per second, first calls, memory. Called by make bench-serving.
#
#   test/bench/serving.sh path/of/bench_scan
#
# Environment: SERVING_SIZES (65877 200000), SERVING_SECONDS of a measurement (4), SERVING_ROUNDS (3). The variants take turns,
# SERVING_ROUNDS times; each figure is the best of the rounds and, behind the stroke, the median. Items are made up, as
# bench_scan.c says; there are 2,000 users, who have seen 20 items each.
set -u
cd "$(dirname "$0")/../.." || exit
. scripts/lib.sh
SIZES=${SERVING_SIZES:-65877 200000}
SECONDS_EACH=${SERVING_SECONDS:-4}
ROUNDS=${SERVING_ROUNDS:-3}
WRITE=$1
USERS=2000
HOME_DIR=$(mktemp -d /tmp/tagrec-serving.XXXXXX)
OUT=$HOME_DIR/out
trap 'private_stop >/dev/null 2>&1; rm -rf "$HOME_DIR"' EXIT
mkdir -p "$OUT"
[ "$(id -u)" -ne 0 ] || chown -R postgres "$HOME_DIR"
chmod 755 "$HOME_DIR"
private_install "$HOME_DIR" || exit
private_start "$HOME_DIR" || exit
export PGHOST=$HOME_DIR PGUSER=tagrec PGDATABASE=postgres

variant_options() {
	case $1 in
		shared) echo ;;
		own) echo "-c tagrec.mapped_size=0" ;;
		plain) echo "-c tagrec.mapped_size=0 -c tagrec.fast_scan=off" ;;
	esac
}

# ---- a model of so many items
load() {
	psql -qX -v ON_ERROR_STOP=1 -c 'DROP DATABASE IF EXISTS catalogue' -c 'CREATE DATABASE catalogue' || exit
	export PGDATABASE=catalogue
	psql -qXAt -v ON_ERROR_STOP=1 -c 'CREATE EXTENSION tagrec' -f test/fixture/hand_made.sql -c "
		SELECT fixture_version('m', 1, 'int', 'int', 'popularity', '{}', 129, 128);
		TRUNCATE m_user_v1, m_item_v1;
		UPDATE tagrec_version SET items = $1, users = $USERS;
		CREATE UNLOGGED TABLE loading (key int, position int, embedding real[])" >/dev/null || exit
	"$WRITE" write 0 "$1" | psql -qX -c 'COPY loading FROM STDIN' -c "
		INSERT INTO m_item_v1 SELECT 1, key, position, embedding, '{}', '{}', 1 FROM loading" -c 'TRUNCATE loading' || exit
	"$WRITE" write 5000000 $USERS | psql -qX -c 'COPY loading FROM STDIN' -c "
		INSERT INTO m_user_v1 (version, user_id, embedding, seen, tags, counts)
		SELECT 1, key, embedding, ARRAY(SELECT key % 50 + x * 600 FROM generate_series(0, 19) x), '{}', '{}' FROM loading" || exit
	psql -qX -c 'VACUUM ANALYZE' -c CHECKPOINT
	export PGDATABASE=catalogue
}

printf '\\set u random(0, %d)\nSELECT item FROM tagrec_recommend('"'m'"', :u::int, 10);\n' $((USERS - 1)) > "$OUT/call.sql"

# ---- measurements: each prints "name value"
latency() {
	rm -f "$OUT"/log.*
	(cd "$OUT" && pgbench -n -M prepared -T "$SECONDS_EACH" -f call.sql -l --log-prefix=log >/dev/null 2>&1)
	# without the first calls, which are measured apart
	cat "$OUT"/log.* | tail -n +6 | awk '{ print $3 / 1000 }' | sort -n | awk '
		{ v[NR] = $1 } END { printf "p50 %.3f\np99 %.3f\n", v[int(NR * .5) + 1], v[int(NR * .99) + 1] }'
}

throughput() {
	pgbench -n -M prepared -T "$SECONDS_EACH" -f "$OUT/call.sql" "$@" 2>/dev/null | awk '/^tps/ { printf "%.1f\n", $3; exit }'
}

first_call() {
	psql -XAtq -c '\timing on' -c 'SELECT 1' -c "SELECT count(*) FROM tagrec_recommend('m', 7, 10)" | awk '/^Time/ { t = $2 } END { print t }'
}

# MB: proportional share of all backends, and what is each one's alone
memory() {
	pgbench -n -M prepared -T $((SECONDS_EACH + 4)) -c "$1" -f "$OUT/call.sql" >/dev/null 2>&1 &
	sleep $((SECONDS_EACH + 2))
	for pid in $(psql -XAtq -c "SELECT pid FROM pg_stat_activity WHERE application_name = 'pgbench'"); do
		as_server_user cat "/proc/$pid/smaps_rollup" 2>/dev/null
	done | awk '/^Pss:/ { p += $2 } /^Private_/ { q += $2 } END { printf "%.0f\n", p / 1024 }'
	wait $!
}

measure() {
	latency
	echo "tps2 $(throughput -c 2)"
	echo "tps16 $(throughput -c 16)"
	echo "connect $(throughput -C)"
	echo "first $(first_call)"
	echo "pss1 $(memory 1)"
	echo "pss16 $(memory 16)"
}

# best and median of the rounds: the least, or, of calls per second, the most
summary() {
	sort -g "$@" | awk '{ v[NR] = $1 } END { printf "%s | %s", v[1], v[int((NR + 1) / 2)] }'
}

for size in $SIZES; do
	load "$size"
	psql -XAtq -c "SELECT count(*) FROM tagrec_recommend('m', 7, 10)" >/dev/null	# makes the file
	rm -f "$OUT"/figure.*
	for round in $(seq "$ROUNDS"); do
		for variant in plain own shared; do
			PGOPTIONS=$(variant_options $variant)
			export PGOPTIONS
			measure | while read -r name value; do echo "$value" >> "$OUT/figure.$variant.$name"; done
		done
	done
	PGOPTIONS=
	echo "$size items of width 129; best | median of $ROUNDS"
	for name in p50 p99 first tps2 tps16 connect pss1 pss16; do
		printf '%-8s' $name
		for variant in plain own shared; do
			case $name in tps*|connect) order=-r ;; *) order= ;; esac
			printf '  %-6s %-22s' $variant "$(summary $order "$OUT/figure.$variant.$name")"
		done
		echo
	done
done
