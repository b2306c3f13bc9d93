#!/bin/bash
# Recommendations by filters, boosts and the like: milliseconds of a call, beside a plain one. Called by make bench-filters.
#
#   test/bench/filters.sh path/of/bench_scan
#
# Environment: FILTER_SIZES (12212 200000), FILTER_SECONDS of a measurement (2), FILTER_ROUNDS (3). The variants take turns; each
# figure is the best median of the rounds, and behind the stroke the median of them. Items are made up, as bench_scan.c says.
set -u
cd "$(dirname "$0")/../.." || exit
. scripts/lib.sh
SIZES=${FILTER_SIZES:-12212 200000}
SECONDS_EACH=${FILTER_SECONDS:-2}
ROUNDS=${FILTER_ROUNDS:-3}
WRITE=$1
USERS=2000
HOME_DIR=$(mktemp -d /tmp/tagrec-filters.XXXXXX)
OUT=$HOME_DIR/out
trap 'private_stop >/dev/null 2>&1; rm -rf "$HOME_DIR"' EXIT
mkdir -p "$OUT"
[ "$(id -u)" -ne 0 ] || chown -R postgres "$HOME_DIR"
chmod 755 "$HOME_DIR"
private_install "$HOME_DIR" || exit
private_start "$HOME_DIR" || exit
export PGHOST=$HOME_DIR PGUSER=tagrec PGDATABASE=postgres

load() {
	psql -qX -d postgres -v ON_ERROR_STOP=1 -c 'SET client_min_messages = warning' -c 'DROP DATABASE IF EXISTS catalogue' -c 'CREATE DATABASE catalogue' || exit
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
	psql -qX -v ON_ERROR_STOP=1 -c "
		CREATE TABLE chosen AS SELECT item_id, position % 20 AS category, 1.5::float8 AS factor FROM m_item_v1;
		ALTER TABLE chosen ADD PRIMARY KEY (item_id);
		CREATE TABLE none AS SELECT item_id FROM chosen WHERE false;
		CREATE TABLE one AS SELECT item_id FROM chosen LIMIT 1;
		CREATE TABLE hundred AS SELECT item_id FROM chosen ORDER BY md5(item_id::text) LIMIT 100;
		CREATE TABLE half AS SELECT item_id FROM chosen WHERE item_id % 2 = 0;
		CREATE VIEW half_view AS SELECT item_id FROM chosen WHERE category < 10;
		CREATE VIEW half_read AS SELECT item_id FROM half WHERE now() > '2000-01-01';
		CREATE TABLE everything AS SELECT item_id FROM chosen" -c 'VACUUM ANALYZE' -c CHECKPOINT || exit
}

# name, further arguments of the query
variant() {
	printf '\\set u random(0, %d)\nSELECT item FROM tagrec_recommend('"'m'"', :u::int, 10%s);\n' $((USERS - 1)) "$2" > "$OUT/$1.sql"
	NAMES="$NAMES $1"
}

ids() {
	psql -qXAt -c "SELECT coalesce(array_agg(item_id $2), '{}') FROM $1"
}

variants() {
	NAMES=
	variant plain ''
	for f in none one hundred half everything; do
		variant "array_$f" ", candidates => '$(ids $f 'ORDER BY item_id')'::int[]"
		variant "relation_$f" ", candidates_from => '$f'"
	done
	variant view_half ", candidates_from => 'half_view'"
	variant read_half ", candidates_from => 'half_read'"	# by each call, as it asks for the time
	variant text_half ", candidates => '$(ids half 'ORDER BY item_id')'::text[]"
	variant shuffled_half ", candidates => '$(ids half 'ORDER BY md5(item_id::text)')'::int[]"
	variant exclude_half ", exclude => '$(ids half 'ORDER BY item_id')'::int[]"
	variant boost_hundred ", boost => '$(ids hundred 'ORDER BY item_id')'::int[], boost_factor => '{2}'"
	variant diversity ", diversity => 0.3"
	variant groups ", group_from => 'chosen', group_by => 'category', max_per_group => 2"
	variant page_50 ", after => 490"
}

# median milliseconds of a variant, but for its first calls
median() {
	rm -f "$OUT"/log.*
	(cd "$OUT" && pgbench -n -M prepared -T "$SECONDS_EACH" -f "$1.sql" -l --log-prefix=log >/dev/null 2>&1)
	cat "$OUT"/log.* | tail -n +6 | awk '{ print $3 / 1000 }' | sort -n | awk '{ x[NR] = $1 } END { printf "%.3f\n", x[int((NR + 1) / 2)] }'
}

for size in $SIZES; do
	load "$size"
	variants
	rm -f "$OUT"/result.*
	for ((round = 0; round < ROUNDS; round++)); do
		for name in $NAMES; do
			median "$name" >> "$OUT/result.$name"
		done
	done
	echo "$size items, milliseconds of a call"
	for name in $NAMES; do
		sort -n "$OUT/result.$name" | awk -v name="$name" '{ x[NR] = $1 } END { printf "  %-20s %8.3f / %.3f\n", name, x[1], x[int((NR + 1) / 2)] }'
	done
done
