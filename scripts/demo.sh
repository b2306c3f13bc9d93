#!/bin/bash
# Installs what is missing, builds, starts a private server below build/demo, trains on real data and shows what came out.
#
#   make demo                                       Debian's packages, their maintainers and their debtags
#   make demo DATA=file [USER_COL=… ITEM_COL=… TAG_COL=…] [DELIM=…] [OPTIONS='{"epochs": 5}'] [ALGORITHM=…]
#                                                   any delimited file with a header line, plain or .gz
#   scripts/demo.sh psql | stop | remove            work with the server, stop it, take it away with its data
set -u
cd "$(dirname "$0")/.." || exit
. scripts/lib.sh

# DATA on make's command line would reach the makes below, where PGXS has a DATA of its own
unset MAKEFLAGS MFLAGS
DATA=${DATA-}
OPTIONS=${OPTIONS:-\{\}}
# More posts than this would not be trained on in passing.
MOST_POSTS=200000
ALGORITHM=${ALGORITHM:-hdlpr_ns}

find_server() {
	choose_server
	DIRECTORY=$(private_directory "$PWD/build/demo") || exit
	PRIVATE=$DIRECTORY
	PRIVATE_BIN=$DIRECTORY/install$("${PG_CONFIG:-pg_config}" --bindir 2>/dev/null)
}

sql() {
	"$PRIVATE_BIN/psql" -X -q -h "$DIRECTORY" -U tagrec -d demo -v ON_ERROR_STOP=1 -v VERBOSITY=terse \
		-P footer=off -P pager=off "$@"
}

value() {
	sql -At -c "$1"
}

# Whether the model answers a query; not every algorithm does. Says why not.
answers() {
	local why
	why=$(sql -At -c "$1" 2>&1 >/dev/null) && return
	printf '%s\n\n' "${why#ERROR:  }"
	return 1
}

title() {
	printf '%s\n%s\n' "$1" "$(printf '%s' "$1" | sed 's/./-/g')"
}

# A string constant of SQL
literal() {
	printf "'%s'" "$(printf '%s' "$1" | sed "s/'/''/g")"
}

identifier() {
	printf '"%s"' "$(printf '%s' "$1" | sed 's/"/""/g')"
}

# ---- the data -------------------------------------------------------------------------------------------------------

unpack() {
	case "$FILE" in
		*.gz) gzip -dc -- "$FILE" ;;
		*) cat -- "$FILE" ;;
	esac
}

# HEADER: the names of the file's columns
read_header() {
	local line
	line=$(unpack | head -n 1 | sed 's/^\xEF\xBB\xBF//; s/\r$//')
	[ -n "$line" ] || die "$FILE is empty"
	if [ -z "$DELIM" ]; then
		case "$line" in
			*$'\t'*) DELIM=$'\t' ;;
			*\;*) DELIM=';' ;;
			*\|*) DELIM='|' ;;
			*) DELIM=, ;;
		esac
	fi
	case "$DELIM" in tab | '\t') DELIM=$'\t' ;; esac
	[ ${#DELIM} -eq 1 ] || die "DELIM is one character, or tab"
	# read treats tabs as white space and would merge empty names
	IFS=$'\x1f' read -r -a HEADER <<<"${line//"$DELIM"/$'\x1f'}"
	HEADER=("${HEADER[@]#\"}")
	HEADER=("${HEADER[@]%\"}")
}

# The name of a column: the one that was asked for (in the variable $1), else the first of the usual names $2, else the first that
# is not among the ones chosen already ($3, $4).
choose_column() {
	local wanted=${!1-} name column
	for name in ${wanted:+"$wanted"} ${wanted:-$2}; do
		for column in "${HEADER[@]}"; do
			[ "$column" != "$name" ] || [ "$column" = "${3-}" ] || [ "$column" = "${4-}" ] || { echo "$column"; return; }
		done
	done
	[ -z "$wanted" ] || die "$FILE has no column \"$wanted\" for $1; its columns are: $(printf '"%s" ' "${HEADER[@]}")"
	for column in "${HEADER[@]}"; do
		[ "$column" = "${3-}" ] || [ "$column" = "${4-}" ] || { echo "$column"; return; }
	done
	die "$FILE needs a user, an item and a tag column; its columns are: $(printf '"%s" ' "${HEADER[@]}")(DELIM='$DELIM')"
}

load() {
	local columns quote encoding column
	columns=$(for column in "${HEADER[@]}"; do printf '%s text, ' "$(identifier "$column")"; done)
	# tab-separated files rarely quote; one that does not may have a lone quote in a name
	quote="QUOTE '\"'"
	[ "$DELIM" != $'\t' ] || quote="QUOTE E'\\b'"
	encoding=UTF8
	unpack | iconv -f UTF-8 -t UTF-8 >/dev/null 2>&1 || encoding=LATIN1
	value "DROP TABLE IF EXISTS $TABLE CASCADE; CREATE TABLE $TABLE (${columns%, })" 2>/dev/null || die "cannot make a table of $FILE's columns"
	unpack | sed '1s/^\xEF\xBB\xBF//; s/\r$//' | sql -c "\\copy $TABLE FROM pstdin WITH (FORMAT csv, HEADER, DELIMITER E'${DELIM/$'\t'/\\t}', $quote, ENCODING '$encoding')" ||
		die "cannot read $FILE"
	# ids that are numbers become numbers, as they would be in anybody's tables
	for column in "$USER_COLUMN" "$ITEM_COLUMN"; do
		column=$(identifier "$column")
		[ "$(value "SELECT bool_and($column ~ '^(0|[1-9][0-9]{0,17})$') FROM $TABLE")" != t ] ||
			value "ALTER TABLE $TABLE ALTER $column TYPE bigint USING $column::bigint"
	done
	value "ANALYZE $TABLE"
}

# ---- what to show ---------------------------------------------------------------------------------------------------

# A user and an item of any data: somebody in the middle, and another one, something well known, the most common tag, and two
# common tags that no item has both of.
choose_examples() {
	EXAMPLE_ITEM=$(value "SELECT $I FROM $TABLE GROUP BY 1 ORDER BY count(DISTINCT $U) DESC, count(*) DESC, 1 LIMIT 1")
	EXAMPLE_USER=$(value "SELECT $U FROM $TABLE GROUP BY 1 ORDER BY abs(count(DISTINCT $I) - 30), count(*) DESC, 1 LIMIT 1")
	EXAMPLE_OTHER=$(value "SELECT $U FROM $TABLE GROUP BY 1 ORDER BY abs(count(DISTINCT $I) - 30), count(*) DESC, 1 OFFSET 1 LIMIT 1")
	EXAMPLE_GIVEN=$(value "SELECT ARRAY[$T] FROM $TABLE WHERE $T IS NOT NULL GROUP BY $T ORDER BY count(*) DESC, $T LIMIT 1")
	EXAMPLE_TAGS=$(value "
		WITH common AS (SELECT $T AS tag FROM $TABLE WHERE $T IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 40),
		having_it AS (SELECT DISTINCT $T AS tag, $I AS item FROM $TABLE WHERE $T IN (TABLE common))
		SELECT ARRAY[a.tag, b.tag] FROM common a, common b WHERE a.tag < b.tag
		AND NOT EXISTS (SELECT FROM having_it x JOIN having_it y USING (item) WHERE x.tag = a.tag AND y.tag = b.tag)
		ORDER BY a.tag, b.tag LIMIT 1")
}

show_training() {
	echo
	title "What was trained"
	value "
		SELECT format(E'%s, version %s: %s on %s\n%s users, %s items, %s tags; %s assignments, %s (user, item) pairs\n',
				model, version, algorithm, backend, users, items, tags, assignments, pairs) ||
			format('%s epochs; %s s with reading and storing', epochs, round(seconds::numeric, 1)) ||
			CASE WHEN metric_value IS NULL THEN '' ELSE
				format(E'\nbest on held-out pairs: epoch %s, %s %s', best_epoch, metric, round(metric_value::numeric, 4)) END
		FROM tagrec_versions WHERE model = 'demo' AND deployed"
	echo
	sql -c "
		SELECT epoch, round(loss::numeric, 4) AS loss, round(metric_value::numeric, 4) AS \"held out\",
			round(seconds::numeric, 2) AS seconds, round(rows_per_second) AS \"pairs/s\",
			repeat('#', 1 + coalesce(30 * (loss - min(loss) OVER ()) / nullif(max(loss) OVER () - min(loss) OVER (), 0), 0)::int) AS \"loss curve\"
		FROM tagrec_epochs WHERE job = $JOB ORDER BY epoch"
}

# Shows items with those of their tags that matter here: $1 = a query of rank, item, score; $2 = one of tag, weight; $3 = what
# the tags are to be called
with_tags() {
	sql -c "
		WITH results AS ($1), context AS ($2)
		SELECT r.rank, r.item AS \"$WHAT\", round(r.score::numeric, 3) AS score,
			(SELECT string_agg(tag, ', ' ORDER BY weight DESC, tag)
			 FROM (SELECT tag, weight FROM context
				WHERE tag IN (SELECT $T FROM $TABLE WHERE $I::text = r.item) ORDER BY weight DESC, tag LIMIT 4) best) AS \"$3\"
		FROM results r ORDER BY r.rank"
}

show_similar() {
	title "Similar to $EXAMPLE_ITEM"
	answers "SELECT tagrec_similar_items('demo', $(literal "$EXAMPLE_ITEM"), 1)" || return 0
	with_tags "SELECT * FROM tagrec_similar_items('demo', $(literal "$EXAMPLE_ITEM"), 8)" "
		SELECT $T AS tag, 1.0 / count(*) AS weight FROM $TABLE
		WHERE $T IN (SELECT $T FROM $TABLE WHERE $I::text = $(literal "$EXAMPLE_ITEM")) GROUP BY 1" "tags in common, rarest first"
}

show_user() {
	local who profile top
	who="$U::text = $(literal "$EXAMPLE_USER")"
	profile="SELECT $T AS tag, count(*) AS weight FROM $TABLE WHERE $who AND $T IS NOT NULL GROUP BY 1"
	title "For $EXAMPLE_USER"
	say "who used most: $(value "SELECT string_agg(format('%s (%s)', tag, weight), ', ' ORDER BY weight DESC, tag)
		FROM ($profile ORDER BY 2 DESC, 1 LIMIT 6) p")"
	answers "SELECT tagrec_recommend('demo', $(literal "$EXAMPLE_USER"), 1)" || return 0
	say "and might like, of what they have not:"
	with_tags "SELECT * FROM tagrec_recommend('demo', $(literal "$EXAMPLE_USER"), 8)" "
		SELECT $T AS tag, count(*) FILTER (WHERE $who) / sqrt(count(*)) AS weight FROM $TABLE
		GROUP BY 1 HAVING count(*) FILTER (WHERE $who) > 0" "tags of theirs, most telling first"
	top=$(value "SELECT item FROM tagrec_recommend('demo', $(literal "$EXAMPLE_USER"), 1)")
	title "Why $top: what its score would lose without each tag"
	answers "SELECT tagrec_explain('demo', $(literal "$EXAMPLE_USER"), $(literal "$top"), 1)" || return 0
	sql -c "
		SELECT tag, round(contribution::numeric, 4) AS contribution, user_count AS \"user's count\", item_count AS \"item's count\"
		FROM tagrec_explain('demo', $(literal "$EXAMPLE_USER"), $(literal "$top"), 6)"
}

show_tags() {
	local tags having
	[ -n "$EXAMPLE_TAGS" ] || return 0
	tags="$(literal "$EXAMPLE_TAGS")::text[]"
	having=$(value "
		SELECT count(*) FROM (SELECT $I FROM $TABLE WHERE $T = ANY ($tags) GROUP BY 1
		HAVING count(DISTINCT $T) = cardinality($tags)) x")
	title "For tags alone: $(value "SELECT array_to_string($tags, ' + ')")"
	[ "$having" -ne 0 ] || say "which no $WHAT has together"
	answers "SELECT tagrec_recommend_for_tags('demo', $tags, n => 1)" || return 0
	with_tags "SELECT * FROM tagrec_recommend_for_tags('demo', $tags, n => 8)" \
		"SELECT tag, 1 AS weight FROM unnest($tags) tag" "tags asked for"
}

# Tags for something new, of which two users have said the same so far. It takes a model of its own, trained in seconds.
show_posts() {
	local given posts
	posts=$(value "SELECT count(*) FROM (SELECT DISTINCT $U, $I FROM $TABLE) posts")
	[ -n "$EXAMPLE_GIVEN" ] && [ "$posts" -le "$MOST_POSTS" ] || return 0
	given="$(literal "$EXAMPLE_GIVEN")::text[]"
	title "Tags for a new $WHAT that has $(value "SELECT array_to_string($given, ' + ')")"
	say "as $EXAMPLE_USER, and as $EXAMPLE_OTHER, would go on:"
	value "SELECT tagrec_train('demo_tags', '$TABLE', 'dae_ptr', '{\"hidden\": 128, \"epochs\": 6}',
		user_column => $(literal "$USER_COLUMN"), item_column => $(literal "$ITEM_COLUMN"), tag_column => $(literal "$TAG_COLUMN"))" \
		>/dev/null 2>&1 || die "cannot train a model of tags"
	sql -c "
		SELECT rank, a.tag AS $(identifier "$EXAMPLE_USER"), b.tag AS $(identifier "$EXAMPLE_OTHER")
		FROM tagrec_recommend_tags('demo_tags', $(literal "$EXAMPLE_USER"), NULL, 8, $given) a
		JOIN tagrec_recommend_tags('demo_tags', $(literal "$EXAMPLE_OTHER"), NULL, 8, $given) b USING (rank) ORDER BY rank"
}

# A table of two columns, as likes are: here, which $WHAT has which tag.
show_pairs() {
	title "Without tags, from pairs alone: what goes with what $EXAMPLE_ITEM has"
	sql -c "CREATE VIEW pairs AS SELECT DISTINCT $I AS user_id, $T AS item_id FROM $TABLE WHERE $T IS NOT NULL"
	value "SELECT tagrec_train('demo_pairs', 'pairs', 'ease', tag_column => NULL)" >/dev/null 2>&1 || die "cannot train a model of pairs"
	say "$(value "SELECT format('%s, on %s pairs, in %s s', algorithm, pairs, round(seconds::numeric, 1)) FROM tagrec_versions
		WHERE model = 'demo_pairs'")"
	sql -c "SELECT rank, item, round(score::numeric, 3) AS score FROM tagrec_recommend('demo_pairs', $(literal "$EXAMPLE_ITEM"), 5)"
}

show_features() {
	title "What the strongest features of $EXAMPLE_ITEM mean: the tags that move each one most"
	answers "SELECT tagrec_feature_tags('demo', 1, 1)" || return 0
	sql -c "
		WITH strongest AS (
			SELECT feature::int, value FROM demo_item_embedding, unnest(embedding) WITH ORDINALITY e(value, feature)
			WHERE item_id::text = $(literal "$EXAMPLE_ITEM") AND feature <=
				(SELECT unit_width FROM tagrec_versions WHERE model = 'demo' AND deployed)
			ORDER BY value DESC LIMIT 3)
		SELECT feature, round(value::numeric, 3) AS value, string_agg(tag, ', ' ORDER BY rank) AS tags
		FROM strongest, tagrec_feature_tags('demo', feature, 4) GROUP BY feature, value ORDER BY value DESC"
}

show_way_on() {
	title "Go on"
	cat <<END
connect           $PRIVATE_BIN/psql -h $DIRECTORY -U tagrec demo
                  (or: scripts/demo.sh psql)
try               SELECT * FROM tagrec_recommend('demo', $(literal "$EXAMPLE_USER"));
                  SELECT * FROM tagrec_options WHERE algorithm = '$ALGORITHM';
stop, remove      scripts/demo.sh stop        scripts/demo.sh remove
END
}

# ---- main -----------------------------------------------------------------------------------------------------------

run() {
	[ -z "$DATA" ] || [ -r "$DATA" ] || die "cannot read DATA=$DATA"
	FILE=${DATA:-test/data/debtags.tsv.gz}
	DELIM=${DELIM-}
	read_header
	USER_COLUMN=$(choose_column USER_COL "user_id user userID maintainer" "${ITEM_COL-}" "${TAG_COL-}") || exit
	ITEM_COLUMN=$(choose_column ITEM_COL "item_id item itemID package" "$USER_COLUMN" "${TAG_COL-}") || exit
	TAG_COLUMN=$(choose_column TAG_COL "tag tag_id tagID" "$USER_COLUMN" "$ITEM_COLUMN") || exit
	U=$(identifier "$USER_COLUMN")
	I=$(identifier "$ITEM_COLUMN")
	T=$(identifier "$TAG_COLUMN")

	ensure_packages build
	ensure_writable
	say "Building …"
	make -s -j"$(nproc)" all >/dev/null || exit
	find_server
	private_running "$DIRECTORY" "$PRIVATE_BIN" && private_stop
	private_install "$DIRECTORY" || exit
	private_start "$DIRECTORY" || exit
	"$PRIVATE_BIN/psql" -X -q -h "$DIRECTORY" -U tagrec -d postgres -c 'SET client_min_messages = error' \
		-c 'DROP DATABASE IF EXISTS demo' -c 'CREATE DATABASE demo' || die "cannot make the database demo"

	TABLE=assignments
	WHAT=$ITEM_COLUMN
	sql -c 'CREATE EXTENSION tagrec' || exit
	load
	say "Training $ALGORITHM on $(value "SELECT count(*) FROM $TABLE") rows of $FILE ($USER_COLUMN, $ITEM_COLUMN, $TAG_COLUMN) …"
	JOB=$(value "SELECT tagrec_train('demo', '$TABLE', $(literal "$ALGORITHM"), $(literal "$OPTIONS")::jsonb,
		user_column => $(literal "$USER_COLUMN"), item_column => $(literal "$ITEM_COLUMN"), tag_column => $(literal "$TAG_COLUMN"))") || exit

	if [ -z "$DATA" ]; then
		EXAMPLE_ITEM=gimp
		EXAMPLE_USER="Debian Games Team"
		EXAMPLE_TAGS='{implemented-in::python,interface::commandline,works-with::image,works-with::audio}'
		EXAMPLE_OTHER="Debian Science Maintainers"
		EXAMPLE_GIVEN='{implemented-in::python,interface::graphical}'
	else
		choose_examples
	fi
	show_training && show_similar && show_user && show_tags && show_posts && show_pairs && show_features && show_way_on
}

case "${1-}" in
	"") run ;;
	psql) find_server && shift && sql "$@" ;;
	stop) find_server && private_running "$DIRECTORY" "$PRIVATE_BIN" && private_stop && say "stopped" ;;
	remove)
		find_server
		private_running "$DIRECTORY" "$PRIVATE_BIN" && private_stop
		rm -rf "$DIRECTORY" && say "removed"
		;;
	*) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
