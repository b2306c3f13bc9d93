#!/bin/bash
# What auto chooses on the data sets of quality_defaults.py, how good it is there, and what the choice costs.
#
#   test/bench/quality_auto.sh OUTPUT_DIRECTORY [data…]
#
# data: lastfm, citeulike-t, ml-100k, ml-100k-pairs (the same without tags), sparse, debtags; all of them by default. Environment:
# TAGREC_DATA (../shared/data/lastfm), AUTO_THREADS (1). Training, trials among it, sees train.tsv of the clean split alone, and
# test.tsv is ranked as there; of debtags, new packages among themselves. Splits that OUTPUT_DIRECTORY has are not made again. A
# line: the algorithm, its NDCG@20, seconds in all, of the final training, and of one call that names the algorithm (of a
# blend, with its members), and what that is worth. Trials are listed below it.
set -u
cd "$(dirname "$0")/../.." || exit
. scripts/lib.sh
OUT=${1:?a directory for the splits}
shift
[ $# -gt 0 ] || set -- lastfm citeulike-t ml-100k ml-100k-pairs sparse debtags
HOME_DIR=$(mktemp -d /tmp/tagrec-auto.XXXXXX)
trap 'private_stop >/dev/null 2>&1; rm -rf "$HOME_DIR"' EXIT
[ "$(id -u)" -ne 0 ] || chown -R postgres "$HOME_DIR"
chmod a+rX "$HOME_DIR"
private_install "$HOME_DIR" || exit
private_start "$HOME_DIR" || exit
export PGHOST=$HOME_DIR PGUSER=tagrec PGDATABASE=postgres

sql() {
	psql -qXAt -v ON_ERROR_STOP=1 -c 'SET client_min_messages = warning' -c "SET tagrec.threads = ${AUTO_THREADS:-1}" "$@"
}

sql -c 'CREATE EXTENSION tagrec' -c 'CREATE TABLE train (user_id text, item_id text, tag text)' -c 'CREATE TABLE test (LIKE train)' \
	-c 'CREATE TABLE profiles (LIKE train)' -c 'CREATE VIEW source AS TABLE train' || exit

# The split's files as tables; new: of packages that training has nothing of, the tags are known
load() {
	local split=clean file
	[ "$1" != debtags ] || split=new
	[ -e "$OUT/$1-$split/complete" ] || { python3 test/bench/make_splits.py "$OUT/$1-$split" "${TAGREC_DATA:-../shared/data/lastfm}" \
		--data "$1" --split "$split" >/dev/null && touch "$OUT/$1-$split/complete"; } || return
	sql -c 'TRUNCATE train, test, profiles' || return
	for file in train test profiles; do
		[ ! -e "$OUT/$1-$split/$file.tsv" ] || sql -c "\\copy $file FROM '$OUT/$1-$split/$file.tsv' WITH (header true)" || return
	done
}

# Trains the model $1; $2 = further arguments of the call
train() {
	sql -c 'CREATE OR REPLACE VIEW source AS TABLE train' -c "SELECT tagrec_train('$1', 'source'$2)" >/dev/null
}

# $1 = data, $2 = model
ndcg() {
	local candidates=
	if [ "$1" = debtags ]; then
		sql -c 'CREATE OR REPLACE VIEW source AS TABLE train UNION ALL TABLE profiles' -c "SELECT tagrec_refresh('$2')" >/dev/null || return
		candidates=', candidates => ARRAY(SELECT DISTINCT item_id FROM profiles)'
	fi
	sql -c "SELECT round(value::numeric, 4) FROM tagrec_evaluate('$2', 'test'$candidates) WHERE metric = 'ndcg' AND k = 20"
}

for data; do
	tags=
	[ "$data" != ml-100k-pairs ] || tags=', tag_column => NULL'
	load "${data%-pairs}" || exit
	train chosen "$tags" || exit
	algorithm=$(sql -c "SELECT algorithm FROM tagrec_versions WHERE model = 'chosen' AND deployed")
	options=$(sql -c "SELECT quote_literal(jsonb_strip_nulls(jsonb_build_object('members', options -> 'members')))
		FROM tagrec_trials WHERE job = (SELECT max(job) FROM tagrec_trials) AND best")
	train alone ", '$algorithm', $options$tags" || exit
	seconds=$(sql -c "SELECT format('%s s in all, %s s the final training; alone', round(v.seconds::numeric, 1),
			round((v.seconds - sum(t.seconds))::numeric, 1)) FROM tagrec_versions v JOIN tagrec_trials t USING (job)
		WHERE v.model = 'chosen' AND v.deployed GROUP BY v.seconds" -c "SELECT round(seconds::numeric, 1) || ' s' FROM tagrec_versions WHERE model = 'alone'")
	trials=$(sql -c "SELECT format('    %-10s %s (%s) %s s %s', settings ->> 'algorithm', round(value::numeric, 4),
		round(stderr::numeric, 4), round(seconds::numeric, 1), coalesce(error, settings ->> 'weights'))
		FROM tagrec_trials WHERE job = (SELECT max(job) FROM tagrec_trials) ORDER BY trial")
	echo "$data: $algorithm, NDCG@20 $(ndcg "$data" chosen), $(echo $seconds), NDCG@20 $(ndcg "$data" alone)"
	echo "$trials"
	sql -c "SELECT tagrec_drop('chosen'), tagrec_drop('alone')" >/dev/null
done
