#!/bin/bash
# Do models that an earlier version trained answer the same after ALTER EXTENSION tagrec UPDATE?
#
#   scripts/update_check.sh [REVISION]     of this repository; without one, the last that was version 0.1.0
#
# Builds the revision and the present tree, trains a model of every algorithm that the revision has on the debtags data, writes
# down what the functions answer, installs the present tree beside it, updates, and compares. A session that was there before
# the update is asked, too: what it gets is shown. The last line says how many answers were the same and how many were not.
set -u
cd "$(dirname "$0")/.." || exit
. scripts/lib.sh
REVISION=${1:-$(git log --format=%H --reverse -S"default_version = '0.2.0'" -- tagrec.control | head -n 1)^}
HERE=$PWD
OLD=$PWD/build/update/old

HOME_DIR=$(mktemp -d /tmp/tagrec-update.XXXXXX) || exit
trap 'exec 3>&-; private_stop >/dev/null 2>&1; rm -rf "$HOME_DIR"' EXIT
[ "$(id -u)" -ne 0 ] || chown "$(server_user)" "$HOME_DIR"
chmod 755 "$HOME_DIR"

rm -rf "$OLD"
mkdir -p "$OLD"
git archive "$REVISION" | tar -x -C "$OLD" || exit
say "building $(git log -1 --format='%h %s' "$REVISION")"
make -s -C "$OLD" -j"$(nproc)" || exit
make -s -j"$(nproc)" || exit

ask() {
	"$PRIVATE_BIN/psql" -qXAt -h "$HOME_DIR" -U tagrec -d postgres "$@"
}

cd "$OLD" && private_install "$HOME_DIR" && private_start "$HOME_DIR" tagrec.threads=1 || exit
ask -v ON_ERROR_STOP=1 -c 'CREATE EXTENSION tagrec' -c 'CREATE TABLE a (user_id text, item_id text, tag text)' || exit
gzip -dc "$OLD/test/data/debtags.tsv.gz" | tail -n +2 | ask -c 'COPY a FROM STDIN' || exit
ask -c 'DELETE FROM a WHERE tagrec_fold(user_id, item_id) % 5 > 0' -c 'ANALYZE a' || exit

# a model of each algorithm, of few epochs where it has any
ask -F ' ' -c 'SELECT a.algorithm, a.task, exists(SELECT FROM tagrec_options o WHERE o.algorithm = a.algorithm AND o.option = $$epochs$$)
		FROM tagrec_algorithms a' > "$HOME_DIR/algorithms" || exit
while read -r algorithm task epochs; do
	options='{}'
	[ "$epochs" = f ] || options='{"epochs": 2}'
	ask -c "SET client_min_messages = error" -c "SELECT tagrec_train('$algorithm', 'a', '$algorithm', '$options')" > "$HOME_DIR/trained" 2>&1 ||
		{ say "$algorithm was not trained:"; cat "$HOME_DIR/trained"; }
done < "$HOME_DIR/algorithms"
say "$(ask -c 'SELECT count(*) FROM tagrec_models') models trained by the old library"

# Every answer on a line, errors too, in the order of the questions
questions() {
	local model task rest
	while read -r model task rest; do
		ask -F ' ' <<-SQL 2>&1
			SET client_min_messages = error;
			\\set VERBOSITY terse
			SELECT '$model', 'metadata', task, algorithm, options FROM tagrec_models WHERE model = '$model';
			SELECT '$model', 'scores', u.user_id, i.item_id, tagrec_score('$model', u.user_id, i.item_id)
			FROM (SELECT DISTINCT user_id FROM a ORDER BY 1 LIMIT 5) u, (SELECT DISTINCT item_id FROM a ORDER BY 1 LIMIT 5) i ORDER BY 3, 4;
			SELECT '$model', 'recommends', u.user_id, r.* FROM (SELECT DISTINCT user_id FROM a ORDER BY 1 LIMIT 20) u,
				LATERAL tagrec_recommend('$model', u.user_id, 10) r ORDER BY 3, 4;
			SELECT '$model', 'similar', i.item_id, r.* FROM (SELECT DISTINCT item_id FROM a ORDER BY 1 LIMIT 20) i,
				LATERAL tagrec_similar_items('$model', i.item_id, 10) r ORDER BY 3, 4;
			SELECT '$model', 'for tags', r.* FROM tagrec_recommend_for_tags('$model', '{role::program,interface::commandline}', n => 10) r;
			SELECT '$model', 'tags', u.user_id, i.item_id, r.* FROM (SELECT DISTINCT user_id FROM a ORDER BY 1 LIMIT 5) u,
				(SELECT DISTINCT item_id FROM a ORDER BY 1 LIMIT 4) i, LATERAL tagrec_recommend_tags('$model', u.user_id, i.item_id, 5) r
			ORDER BY 3, 4, 5;
		SQL
	done < "$HOME_DIR/algorithms"
}

questions > "$HOME_DIR/before"
# a session that has the old library loaded
mkfifo "$HOME_DIR/session"
ask > "$HOME_DIR/session.out" 2>&1 < "$HOME_DIR/session" &
exec 3> "$HOME_DIR/session"
echo "SELECT count(*) FROM tagrec_recommend('popularity', (SELECT min(user_id) FROM a), 3);" >&3

cd "$HERE" && make -s install DESTDIR="$HOME_DIR/install" >/dev/null || exit
say "before the update, a new session: $(ask -c "SELECT tagrec_recommend('popularity', 'x', 3)" 2>&1 | head -n 1)"
ask -c 'ALTER EXTENSION tagrec UPDATE' || exit
questions > "$HOME_DIR/after"
echo "SELECT count(*) FROM tagrec_recommend('popularity', (SELECT min(user_id) FROM a), 3);" >&3
echo "SELECT count(*) FROM tagrec_similar_items('popularity', (SELECT min(item_id) FROM a), 3);" >&3
exec 3>&-
wait %1
say "a session from before the update:"
sed 's/^/    /' "$HOME_DIR/session.out"
while read -r algorithm task epochs; do
	ask -c "SET client_min_messages = error" -c "SELECT tagrec_refresh('$algorithm')" 2>&1 >/dev/null | sed "s/^ERROR:/refresh of $algorithm:/"
done < "$HOME_DIR/algorithms"
diff "$HOME_DIR/before" "$HOME_DIR/after" > "$HOME_DIR/differences"
grep '^[<>]' "$HOME_DIR/differences" | head -n 40
different=$(grep -c '^>' "$HOME_DIR/differences")
say "$(($(wc -l < "$HOME_DIR/after") - different)) answers the same, $different not"
[ "$different" -eq 0 ] && [ -s "$HOME_DIR/after" ]
