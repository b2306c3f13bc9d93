#!/bin/bash
# Users who come after the training, asked for with fresh => true: their NDCG@20 beside what it is when they are trained on.
#
#   test/bench/fresh.sh [algorithm…]
#
# Environment: TAGREC_DATA (../shared/data/lastfm), FRESH_FOLDS (10), FRESH_DEVICE (cpu). The clean split of Last.fm
# (make_splits.py). The users are dealt into folds. For each fold a model is trained on the others' rows, then the fold's rows
# are inserted, and its users are asked for: from those rows (fresh), by their items alone (tagrec_recommend_for_items), and from
# a model that was trained on everybody. A line is the mean over the users of all folds, with the standard error of the
# difference. The model of a fold has learned from fewer users, too.
set -u
cd "$(dirname "$0")/../.." || exit
. scripts/lib.sh
FOLDS=${FRESH_FOLDS:-10}
DEVICE=${FRESH_DEVICE:-cpu}
[ $# -gt 0 ] || set -- hdlpr_ns ease_tags ials
HOME_DIR=$(mktemp -d /tmp/tagrec-fresh.XXXXXX)
trap 'private_stop >/dev/null 2>&1; rm -rf "$HOME_DIR"' EXIT
python3 test/bench/make_splits.py "$HOME_DIR/split" "${TAGREC_DATA:-../shared/data/lastfm}" --split clean >/dev/null || exit
[ "$(id -u)" -ne 0 ] || chown -R postgres "$HOME_DIR"
chmod -R a+rX "$HOME_DIR"
private_install "$HOME_DIR" || exit
private_start "$HOME_DIR" || exit
export PGHOST=$HOME_DIR PGUSER=tagrec PGDATABASE=postgres

sql() {
	psql -qXAt -v ON_ERROR_STOP=1 -c 'SET client_min_messages = warning' "$@"
}

sql -c 'CREATE EXTENSION tagrec' -c 'CREATE TABLE train (user_id int, item_id int, tag text)' -c 'CREATE TABLE test (LIKE train)' \
	-c "\\copy train FROM '$HOME_DIR/split/train.tsv' WITH (header true)" \
	-c "\\copy test FROM '$HOME_DIR/split/test.tsv' WITH (header true)" \
	-c "CREATE TABLE fold AS SELECT user_id, tagrec_fold(user_id, 'user') % $FOLDS AS fold FROM train GROUP BY 1" \
	-c 'CREATE TABLE source (LIKE train)' -c 'CREATE INDEX ON source (user_id)' \
	-c 'CREATE TABLE result (algorithm text, user_id int, trained float8, fresh float8, items float8)' -f - <<'SQL' || exit
CREATE FUNCTION ndcg(items text[], asked int) RETURNS float8 LANGUAGE sql AS $$
	SELECT coalesce(sum(1 / ln(r + 1)) FILTER (WHERE EXISTS (SELECT FROM test WHERE user_id = asked AND item_id = i::int)), 0)
		/ (SELECT sum(1 / ln(k + 1)) FROM generate_series(1, least(20, (SELECT count(DISTINCT item_id) FROM test
			WHERE user_id = asked))) k)
	FROM unnest(items) WITH ORDINALITY x (i, r)
$$;
SQL

for algorithm; do
	sql -c "SELECT tagrec_train('everybody', 'train', '$algorithm', device => '$DEVICE')" >/dev/null || exit
	for ((f = 0; f < FOLDS; f++)); do
		sql -c 'TRUNCATE source' -c "INSERT INTO source SELECT t.* FROM train t JOIN fold USING (user_id) WHERE fold <> $f" \
			-c "SELECT tagrec_train('others', 'source', '$algorithm', device => '$DEVICE')" \
			-c "INSERT INTO source SELECT t.* FROM train t JOIN fold USING (user_id) WHERE fold = $f" -c 'ANALYZE source' -c "
			INSERT INTO result SELECT '$algorithm', user_id,
				ndcg(ARRAY(SELECT item FROM tagrec_recommend('everybody', user_id, 20)), user_id),
				ndcg(ARRAY(SELECT item FROM tagrec_recommend('others', user_id, 20, fresh => true)), user_id),
				ndcg(ARRAY(SELECT item FROM tagrec_recommend_for_items('others',
					ARRAY(SELECT DISTINCT item_id FROM train t WHERE t.user_id = f.user_id), n => 20)), user_id)
			FROM fold f WHERE fold = $f AND EXISTS (SELECT FROM test t WHERE t.user_id = f.user_id)" >/dev/null || exit
	done
	sql -c "SELECT format('%-10s %s users  trained on %s  fresh %s  items alone %s  fresh - trained on %s (standard error %s)',
		algorithm, count(*), round(avg(trained)::numeric, 4), round(avg(fresh)::numeric, 4), round(avg(items)::numeric, 4),
		round(avg(fresh - trained)::numeric, 4), round((stddev(fresh - trained) / sqrt(count(*)))::numeric, 4))
		FROM result WHERE algorithm = '$algorithm' GROUP BY algorithm"
done
