#!/bin/bash
# How training grows with the data: seconds and memory of reading, training, writing and refreshing. Called by make bench-scale.
#
#   test/bench/scale.sh path/of/bench_generate
#
# Environment: SCALE_SIZES, numbers of assignments (1000000 10000000); SCALE_ALGORITHMS, separated by bars, each with
# options as JSON behind it if it is to have some (see below); SCALE_THREADS (2). What learns by gradients runs for one epoch.
# A phase is how long the job says it is in it, looked at every 0.2 s. Peak memory is what the worker had resident, PostgreSQL's
# shared buffers included as far as it has used them. Seconds per million assignments are those of the whole job.
set -u
cd "$(dirname "$0")/../.." || exit
. scripts/lib.sh
SIZES=${SCALE_SIZES:-1000000 10000000}
ALGORITHMS=${SCALE_ALGORITHMS:-'popularity | tag_bm25 | item_knn | ials {"epochs": 1} | ease {"method": "spectral"} | ease_tags {"method": "spectral", "rank": 512} | hdlpr_ns {"epochs": 1} | dae_ptr {"epochs": 1} | blend {"members": "ease_tags method=spectral rank=512; ials epochs=1"}'}
GENERATE=$1
HOME_DIR=$(mktemp -d /tmp/tagrec-scale.XXXXXX)
trap 'private_stop >/dev/null 2>&1; rm -rf "$HOME_DIR"' EXIT
[ "$(id -u)" -ne 0 ] || chown -R postgres "$HOME_DIR"
chmod 755 "$HOME_DIR"
private_install "$HOME_DIR" || exit
private_start "$HOME_DIR" || exit
export PGHOST=$HOME_DIR PGUSER=tagrec PGDATABASE=postgres PGOPTIONS="-c client_min_messages=warning -c tagrec.threads=${SCALE_THREADS:-2}"

ask() {
	psql -qXAt -F ' ' -v ON_ERROR_STOP=1 -c "$1"
}

# Most memory that a process has had resident, in MB; 0 = it is gone
resident() {
	[ -z "$1" ] || sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status" 2>/dev/null
}

# Of a job, until it ends: the seconds of reading, training and writing; the most memory of its worker, in MB
watch_job() {
	local before phase now state pid kb peak=0
	declare -A spent=([reading]=0 [training]=0 [writing]=0)
	before=$(date +%s.%N)
	while read -r state phase pid < <(ask "SELECT state, coalesce(phase, '-'),
			(SELECT max(pid) FROM pg_stat_activity WHERE backend_type = 'tagrec worker') FROM tagrec_jobs WHERE job = $1"); do
		kb=$(resident "$pid")
		[ "${kb:-0}" -le "$peak" ] || peak=$kb
		now=$(date +%s.%N)
		[ -z "$phase" ] || spent[$phase]=$(echo "${spent[$phase]:-0} + $now - $before" | bc)
		before=$now
		[ "$state" = running ] || [ "$state" = queued ] || break
		sleep 0.2
	done
	printf '%.1f %.1f %.1f %d' "${spent[reading]}" "${spent[training]}" "${spent[writing]}" $((peak / 1024))
}

# One line of the table: the training, and the refresh of those that have one
measure() {
	local size=$1 name=${2%% *} options='{}' job phases peak refresh=- start
	[ "$name" = "$2" ] || options=${2#* }
	job=$(ask "SELECT tagrec_train('m', 'a', '$name', '$options', wait => false)") || return
	phases=$(watch_job "$job")
	peak=${phases##* }
	phases=${phases% *}
	if [ "$(ask "SELECT state FROM tagrec_jobs WHERE job = $job")" != done ]; then
		echo "| $size | $name | $(ask "SELECT message FROM tagrec_jobs WHERE job = $job") | | | | | |"
		return
	fi
	start=$(date +%s.%N)
	if psql -qXAt -v ON_ERROR_STOP=1 -c "SELECT tagrec_refresh('m')" >/dev/null 2>&1; then
		refresh=$(printf '%.1f' "$(echo "$(date +%s.%N) - $start" | bc)")
	fi
	ask "SELECT format('| %s | %s | %s | %s | %s | %s |', '$size', '$name', replace('$phases', ' ', ' | '), '$refresh',
			'$peak', round(extract(epoch FROM finished_at - started_at) / $size * 1e6, 2))
		FROM tagrec_jobs WHERE job = $job"
	ask "SELECT tagrec_drop('m')" >/dev/null
}

ask 'CREATE EXTENSION tagrec' || exit
echo "load $(cut -d' ' -f1 /proc/loadavg), $(nproc) cores, $(ask 'SELECT device FROM tagrec_devices() LIMIT 1' 2>/dev/null)"
echo '| assignments | algorithm | reading, s | training, s | writing, s | refresh, s | peak, MB | s per million |'
echo '|---|---|---|---|---|---|---|---|'
for size in $SIZES; do
	ask 'DROP TABLE IF EXISTS a; CREATE TABLE a (user_id int, item_id int, tag int)' || exit
	"$GENERATE" "$size" | psql -qX -c 'COPY a FROM STDIN (HEADER)' || exit
	ask 'ANALYZE a'
	while read -r one; do
		[ -z "$one" ] || measure "$size" "$one"
	done < <(echo "$ALGORITHMS" | tr '|' '\n' | sed 's/^ *//; s/ *$//')
done
