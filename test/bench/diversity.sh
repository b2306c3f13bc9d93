#!/bin/bash
# What diversity costs: NDCG@20 beside the mean distance between the items of a list, for diversity => 0, 0.1, … on the clean
# split of Last.fm, as a table and as doc/how-to/diversity.svg.
#
#   test/bench/diversity.sh [algorithm…]
#
# Environment: TAGREC_DATA (../shared/data/lastfm), DIVERSITY_SVG (doc/how-to/diversity.svg).
set -u
cd "$(dirname "$0")/../.." || exit
. scripts/lib.sh
SVG=${DIVERSITY_SVG:-$PWD/doc/how-to/diversity.svg}
[ $# -gt 0 ] || set -- hdlpr_ns ials
HOME_DIR=$(mktemp -d /tmp/tagrec-diversity.XXXXXX)
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
	-c "\\copy test FROM '$HOME_DIR/split/test.tsv' WITH (header true)" || exit
for algorithm; do
	sql -c "SELECT tagrec_train('$algorithm', 'train', '$algorithm')" >/dev/null || exit
done
python3 test/bench/diversity.py "$SVG" "$@"
