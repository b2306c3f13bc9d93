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

DATA=${DATA-}
OPTIONS=${OPTIONS:-\{\}}
ALGORITHM=${ALGORITHM:-hdlpr_ns}

find_server() {
	DIRECTORY=$(private_directory "$PWD/build/demo") || exit
	PRIVATE=$DIRECTORY
	PRIVATE_BIN=$DIRECTORY/install$("${PG_CONFIG:-pg_config}" --bindir 2>/dev/null)
}

sql() {
	"$PRIVATE_BIN/psql" -X -q -h "$DIRECTORY" -U tagrec -d demo -v ON_ERROR_STOP=1 -v VERBOSITY=terse \
		-P footer=off -P pager=off -P null='' "$@"
}

value() {
	sql -At -c "$1"
}

title() {
	printf '\n%s\n%s\n' "$1" "$(printf '%s' "$1" | sed 's/./-/g')"
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

# The name of a column: the one that was asked for, else the first of the usual names, else the one at position $3.
choose_column() {
	local variable=$1 position=$3 name wanted column
	wanted=${!variable-}
	for name in ${wanted:+"$wanted"} ${wanted:-$2}; do
		for column in "${HEADER[@]}"; do
			[ "$column" != "$name" ] || { echo "$column"; return; }
		done
	done
	[ -z "$wanted" ] || die "$FILE has no column \"$wanted\"; its columns are: $(printf '"%s" ' "${HEADER[@]}")"
	[ ${#HEADER[@]} -gt "$position" ] ||
		die "$FILE needs a user, an item and a tag column; its columns are: $(printf '"%s" ' "${HEADER[@]}")(DELIM='$DELIM')"
	echo "${HEADER[$position]}"
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

# A user and an item of any data: somebody in the middle, something well known, and two common tags that no item has both of.
choose_examples() {
	EXAMPLE_ITEM=$(value "SELECT $I FROM $TABLE GROUP BY 1 ORDER BY count(DISTINCT $U) DESC, count(*) DESC, 1 LIMIT 1")
	EXAMPLE_USER=$(value "SELECT $U FROM $TABLE GROUP BY 1 ORDER BY abs(count(DISTINCT $I) - 30), count(*) DESC, 1 LIMIT 1")
	EXAMPLE_TAGS=$(value "
		WITH common AS (SELECT $T AS tag FROM $TABLE WHERE $T IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 40),
		having_it AS (SELECT DISTINCT $T AS tag, $I AS item FROM $TABLE WHERE $T IN (TABLE common))
		SELECT ARRAY[a.tag, b.tag] FROM common a, common b WHERE a.tag < b.tag
		AND NOT EXISTS (SELECT FROM having_it x JOIN having_it y USING (item) WHERE x.tag = a.tag AND y.tag = b.tag)
		ORDER BY a.tag, b.tag LIMIT 1")
}

show_training() {
	title "What was trained"
	sql -t -P format=aligned -P border=0 -c "
		SELECT format('%s, version %s: %s on %s', model, version, algorithm, backend) || E'\n' ||
			format('%s users, %s items, %s tags, %s assignments, %s (user, %s) pairs', users, items, tags, assignments, pairs, 'item') || E'\n' ||
			format('%s epochs in %s s, the best was epoch %s', epochs, round(seconds::numeric, 1), best_epoch) ||
			coalesce(format(', held-out %s %s', metric, round(metric_value::numeric, 4)), '')
		FROM tagrec_version JOIN tagrec_model USING (model_id) WHERE model = 'demo' AND version = deployed_version"
	sql -P border=1 -c "
		SELECT epoch, round(loss::numeric, 4) AS loss, round(metric_value::numeric, 4) AS \"held out\",
			round(seconds::numeric, 1) AS seconds, round(rows_per_second) AS \"pairs/s\",
			repeat('#', greatest(1, round(40 * loss / nullif(max(loss) OVER (), 0))::int)) AS \"loss curve\"
		FROM tagrec_epoch WHERE job = $JOB ORDER BY epoch"
}

# Results with the tags of each item: $1 is a query that gives rank, item, score
with_tags() {
	sql -c "
		SELECT r.rank, r.item AS \"$WHAT\", round(r.score::numeric, 3) AS score,
			(SELECT left(string_agg(t, ', ' ORDER BY c DESC, t), 90)
			 FROM (SELECT $T AS t, count(*) AS c FROM $TABLE WHERE $I::text = r.item AND $T IS NOT NULL GROUP BY 1 ORDER BY c DESC, 1 LIMIT 5) x) AS tags
		FROM ($1) r ORDER BY r.rank"
}

show_similar() {
	title "Similar to $EXAMPLE_ITEM"
	with_tags "SELECT rank, item, score FROM tagrec_similar_items('demo', $(literal "$EXAMPLE_ITEM"), 8)"
}

show_user() {
	local top
	title "For $EXAMPLE_USER, who has"
	sql -c "
		SELECT $T AS tag, count(*) AS assignments FROM $TABLE WHERE $U::text = $(literal "$EXAMPLE_USER")
		GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 6"
	say "and might like, of what they have not:"
	with_tags "SELECT rank, item, score FROM tagrec_recommend('demo', $(literal "$EXAMPLE_USER"), 8)"
	top=$(value "SELECT item FROM tagrec_recommend('demo', $(literal "$EXAMPLE_USER"), 1)")
	title "Why $top? What its score would lose without each tag"
	sql -c "
		SELECT tag, round(contribution::numeric, 4) AS contribution, user_count AS \"user's count\", item_count AS \"item's count\"
		FROM tagrec_explain('demo', $(literal "$EXAMPLE_USER"), $(literal "$top"), 6)"
}

show_tags() {
	local having
	[ -n "$EXAMPLE_TAGS" ] || return 0
	having=$(value "
		SELECT count(*) FROM (SELECT $I FROM $TABLE WHERE $T = ANY ($(literal "$EXAMPLE_TAGS")::text[])
		GROUP BY 1 HAVING count(DISTINCT $T) = cardinality($(literal "$EXAMPLE_TAGS")::text[])) x")
	title "For tags alone: $(value "SELECT array_to_string($(literal "$EXAMPLE_TAGS")::text[], ' + ')")"
	say "($having of the items have all of them)"
	with_tags "SELECT rank, item, score FROM tagrec_recommend_for_tags('demo', $(literal "$EXAMPLE_TAGS"), n => 8)"
}

show_features() {
	title "What abstract features mean: the tags that move each one most"
	sql -c "
		SELECT f AS feature, string_agg(tag, ', ' ORDER BY rank) AS tags
		FROM generate_series(1, 3) f, tagrec_feature_tags('demo', f, 5) GROUP BY f ORDER BY f"
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
	USER_COLUMN=$(choose_column USER_COL "user_id user userID maintainer" 0) || exit
	ITEM_COLUMN=$(choose_column ITEM_COL "item_id item itemID package" 1) || exit
	TAG_COLUMN=$(choose_column TAG_COL "tag tag_id tagID" 2) || exit
	U=$(identifier "$USER_COLUMN")
	I=$(identifier "$ITEM_COLUMN")
	T=$(identifier "$TAG_COLUMN")

	ensure_packages build
	say "Building …"
	make -s all >/dev/null || exit
	find_server
	private_running "$DIRECTORY" "$PRIVATE_BIN" && private_stop
	private_install "$DIRECTORY" || exit
	private_start "$DIRECTORY" || exit
	"$PRIVATE_BIN/psql" -X -q -h "$DIRECTORY" -U tagrec -d postgres -c 'DROP DATABASE IF EXISTS demo' -c 'CREATE DATABASE demo' \
		2>/dev/null || die "cannot make the database demo"

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
	else
		choose_examples
	fi
	show_training && show_similar && show_user && show_tags && show_features && show_way_on
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
