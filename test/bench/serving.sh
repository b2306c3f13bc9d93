#!/bin/bash
# Recommendations out of large catalogues: time of a call, calls per second, first calls, memory. Called by make bench-serving.
#
#   test/bench/serving.sh path/of/bench_scan
#
# Environment: SERVING_SIZES (lastfm 65877 200000 1000000), SERVING_SECONDS of a measurement (2), SERVING_ROUNDS (1),
# SERVING_VARIANTS (plain shared; also own), SERVING_HNSW: the largest size that an HNSW index is made for (65877). All of it
# takes about seven minutes on two quiet cores.
#
# One table, printed as it grows, in Markdown:
#   plain    every session reads a copy of its own and scores all items
#   own      a copy of its own, by bounds
#   shared   as it comes: one copy for all, made beforehand, by bounds
#   fresh    with fresh => true: the user's rows are read from the source and encoded; of Last.fm, as the others here
#   items    tagrec_recommend_for_items, five items of a user
#   popular  fallback => 'popularity' for an unknown user
#   vector, hnsw    pgvector's <#> over the same arrays, where pgvector is installed: exact, and with an index, whose ef_search is
#            the least of 40, 80, … with a recall of .99. They leave no seen items out.
# With several rounds, the variants take turns, and a figure is the best one. lastfm: a model trained on Last.fm, whose
# data TAGREC_DATA names; the other catalogues are made up, as bench_scan.c says, for 2,000 users who have seen 20 items each.
set -u
cd "$(dirname "$0")/../.." || exit
. scripts/lib.sh
SIZES=${SERVING_SIZES:-lastfm 65877 200000 1000000}
SECONDS_EACH=${SERVING_SECONDS:-2}
ROUNDS=${SERVING_ROUNDS:-1}
VARIANTS=${SERVING_VARIANTS:-plain shared}
HNSW=${SERVING_HNSW:-65877}
LARGEST_COPIES=200000	# items of which sixteen sessions may have a copy each
DATA=${TAGREC_DATA:-../shared/data/lastfm}
WRITE=$1
HOME_DIR=$(mktemp -d /tmp/tagrec-serving.XXXXXX)
OUT=$HOME_DIR/out
trap 'private_stop >/dev/null 2>&1; rm -rf "$HOME_DIR"' EXIT
mkdir -p "$OUT"
[ "$(id -u)" -ne 0 ] || chown -R postgres "$HOME_DIR"
chmod 755 "$HOME_DIR"
private_install "$HOME_DIR" || exit
private_start "$HOME_DIR" shared_buffers=512MB maintenance_work_mem=1GB || exit
export PGHOST=$HOME_DIR PGUSER=tagrec PGDATABASE=postgres

ask() {
	psql -qXAt -v ON_ERROR_STOP=1 "$@"
}

# ---- models: m, with users 0 .. users-1
new_database() {
	export PGDATABASE=postgres
	ask -c 'SET client_min_messages = error' -c 'DROP DATABASE IF EXISTS catalogue' -c 'CREATE DATABASE catalogue' || exit
	export PGDATABASE=catalogue
	ask -c 'CREATE EXTENSION tagrec' || exit
}

load_lastfm() {
	new_database
	ask -c 'CREATE TABLE posts (user_id int, item_id int, tag int)' || exit
	gzip -dc "$DATA/user_taggedartists.dat.gz" | tr -d '\r' |
		awk 'NR > 1 { if (!($1 in u)) u[$1] = n++; printf "%d\t%d\t%d\n", u[$1], $2, $3 }' | ask -c 'COPY posts FROM STDIN' || exit
	ask -c 'SET client_min_messages = warning' -c "SELECT tagrec_train('m', 'posts', 'hdlpr_ns')" >/dev/null || exit
	ask -c 'CREATE INDEX ON posts (user_id)' -c "
		CREATE TABLE basket AS SELECT user_id AS u, (array_agg(DISTINCT item_id))[1:5] AS items FROM posts GROUP BY 1;
		ALTER TABLE basket ADD PRIMARY KEY (u)" || exit
	users=$(ask -c "SELECT users FROM tagrec_models WHERE model = 'm'")
	items=$(ask -c "SELECT items FROM tagrec_models WHERE model = 'm'")
}

load_made_up() {
	new_database
	users=2000
	items=$1
	ask -f test/fixture/hand_made.sql -c "
		SELECT fixture_version('m', 1, 'int', 'int', 'popularity', '{}', 129, 128);
		TRUNCATE m_user_v1, m_item_v1;
		UPDATE tagrec_version SET items = $items, users = $users;
		CREATE UNLOGGED TABLE loading (key int, position int, embedding real[])" >/dev/null || exit
	"$WRITE" write 0 "$items" | ask -c 'COPY loading FROM STDIN' -c "
		INSERT INTO m_item_v1 SELECT 1, key, position, embedding, '{}', '{}', 1 FROM loading" -c 'TRUNCATE loading' || exit
	"$WRITE" write 5000000 $users | ask -c 'COPY loading FROM STDIN' -c "
		INSERT INTO m_user_v1 (version, user_id, embedding, seen, tags, counts)
		SELECT 1, key, embedding, ARRAY(SELECT key % 50 + x * 600 FROM generate_series(0, 19) x), '{}', '{}' FROM loading" || exit
}

# ---- pgvector over the same arrays
has_vector() {
	[ "$(ask -c "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'")" = 1 ]
}

load_vectors() {
	local width
	width=$(ask -c "SELECT cardinality(embedding) FROM m_item_embedding LIMIT 1")
	ask -c 'CREATE EXTENSION vector' -c "
		CREATE TABLE item_vector AS SELECT item_id AS item, embedding::vector($width) AS v FROM m_item_embedding;
		CREATE TABLE user_vector AS SELECT user_id, embedding::vector($width) AS v FROM m_user_embedding;
		ALTER TABLE user_vector ADD PRIMARY KEY (user_id)" -c 'VACUUM ANALYZE item_vector' || exit
}

nearest='SELECT item FROM item_vector ORDER BY v <#> (SELECT v FROM user_vector WHERE user_id = %s) LIMIT 10'

# share of the ten best of 100 users that the index finds
recall() {
	local query
	query=$(printf "$nearest" u)
	ask -c "SET hnsw.ef_search = $1" -c 'SET enable_seqscan = off' -c "
		CREATE TEMP TABLE found AS SELECT u, x.item FROM generate_series(0, 99) u, LATERAL ($query) x" \
		-c 'SET enable_indexscan = off' -c 'SET enable_seqscan = on' -c "
		CREATE TEMP TABLE best AS SELECT u, x.item FROM generate_series(0, 99) u, LATERAL ($query) x" \
		-c "SELECT count(*) / 1000.0 FROM found NATURAL JOIN best"
}

make_hnsw() {
	ask -c 'CREATE INDEX ON item_vector USING hnsw (v vector_ip_ops)' || return
	for ef in 40 80 160 320 640 1000; do
		[ "$(awk "BEGIN { print ($(recall $ef) >= .99) }")" = 1 ] && return
	done
}

# ---- measurements
variant_options() {
	case $1 in
		own) echo "-c tagrec.mapped_size=0" ;;
		plain) echo "-c tagrec.mapped_size=0 -c tagrec.fast_scan=off" ;;
		hnsw) echo "-c hnsw.ef_search=$ef -c enable_seqscan=off" ;;
		vector) echo "-c enable_indexscan=off" ;;
	esac
}

# the call of a variant, for user $2
call_of() {
	case $1 in
		vector|hnsw) printf "$nearest" "$2" ;;
		fresh) echo "SELECT item FROM tagrec_recommend('m', $2::int, 10, fresh => true)" ;;
		items) echo "SELECT r.item FROM basket b, tagrec_recommend_for_items('m', b.items, n => 10) r WHERE b.u = $2" ;;
		popular) echo "SELECT item FROM tagrec_recommend('m', -1 - $2::int, 10, fallback => 'popularity')" ;;
		*) echo "SELECT item FROM tagrec_recommend('m', $2::int, 10)" ;;
	esac
}

run_pgbench() {
	pgbench -n -M prepared -f "$OUT/call.sql" "$@"
}

latency() {
	rm -f "$OUT"/log.*
	(cd "$OUT" && run_pgbench -T "$SECONDS_EACH" -l --log-prefix=log >/dev/null 2>&1)
	# without the first calls, which are measured apart
	cat "$OUT"/log.* | tail -n +6 | awk '{ print $3 / 1000 }' | sort -n | awk '
		{ v[NR] = $1 } END { printf "p50 %.3f\np99 %.3f\n", v[int(NR * .5) + 1], v[int(NR * .99) + 1] }'
}

throughput() {
	run_pgbench -T "$SECONDS_EACH" "$@" 2>/dev/null | awk '/^tps/ { printf "%.1f\n", $3; exit }'
}

# median of five sessions
first_call() {
	for user in 7 8 9 10 11; do
		psql -XAtq -c '\timing on' -c 'SELECT 1' -c "$(call_of "$1" $user)" | awk '/^Time/ { t = $2 } END { print t }'
	done | sort -g | sed -n 3p
}

# MB: proportional share of all backends; those with copies of their own have to read them first
memory() {
	local seconds=$((SECONDS_EACH + 1))
	[ "$2" = shared ] || seconds=$((SECONDS_EACH + $1 / 2))
	run_pgbench -T $((seconds + 2)) -c "$1" >/dev/null 2>&1 &
	sleep $seconds
	for pid in $(ask -c "SELECT pid FROM pg_stat_activity WHERE application_name = 'pgbench'"); do
		as_server_user cat "/proc/$pid/smaps_rollup" 2>/dev/null
	done | awk '/^Pss:/ { p += $2 } END { printf "%.0f\n", p / 1024 }'
	wait $!
}

measure() {
	printf '\\set u random(0, %d)\n%s;\n' $((users - 1)) "$(call_of "$1" :u)" > "$OUT/call.sql"
	latency
	echo "first $(first_call "$1")"
	echo "tps2 $(throughput -c 2)"
	echo "tps16 $(throughput -c 16)"
	echo "connect $(throughput -C)"
	case $1 in
		vector|hnsw) ;;
		*) echo "pss1 $(memory 1 "$1")"; echo "pss16 $(memory 16 "$1")" ;;
	esac
}

# the best of the rounds: the least, or, of calls per second, the most
best() {
	local order=
	case $2 in tps*|connect) order=-r ;; esac
	[ -f "$OUT/figure.$1.$2" ] && sort -g $order "$OUT/figure.$1.$2" | head -n 1
}

run_variants() {
	rm -f "$OUT"/figure.*
	for round in $(seq "$ROUNDS"); do
		for variant in "$@"; do
			PGOPTIONS=$(variant_options "$variant")
			export PGOPTIONS
			measure "$variant" | while read -r name value; do echo "$value" >> "$OUT/figure.$variant.$name"; done
		done
	done
	export PGOPTIONS=
	for variant in "$@"; do
		label=$variant
		[ "$variant" != hnsw ] || label="hnsw, ef $ef"
		printf '| %s | %s |' "$items" "$label"
		for name in p50 p99 first tps2 tps16 connect pss1 pss16; do printf ' %s |' "$(best "$variant" $name)"; done
		echo
	done
}

# ---- all sizes
echo 'SELECT 1' > "$OUT/call.sql"
echo "SELECT 1, a connection each: $(throughput -C)/s. Load: $(cut -d ' ' -f 1-3 /proc/loadavg)."
echo
echo '| items | | p50, ms | p99, ms | first call, ms | calls/s, 2 sessions | 16 sessions | a connection each | MB (PSS), 1 session | 16 sessions |'
echo '|---|---|---|---|---|---|---|---|---|---|'
for size in $SIZES; do
	if [ "$size" = lastfm ]; then
		[ -r "$DATA/user_taggedartists.dat.gz" ] || continue
		load_lastfm
	else
		load_made_up "$size"
	fi
	ask -c 'VACUUM ANALYZE' -c CHECKPOINT -c "SELECT tagrec_warm('m')" >/dev/null
	wanted=$VARIANTS
	[ "$items" -le $LARGEST_COPIES ] || wanted=shared
	run_variants $wanted
	[ "$size" != lastfm ] || run_variants fresh items popular
	has_vector && [ "$items" -le $LARGEST_COPIES ] || continue
	load_vectors
	run_variants vector
	[ "$items" -gt "$HNSW" ] || ! make_hnsw || run_variants hnsw
done
