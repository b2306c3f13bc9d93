#!/bin/bash
# Jobs on the GPU inside a private server: what there is, training and its results, cancelling, the card's memory afterwards, a
# card that is not there. The server is that of PG_CONFIG, else the one in build/gpu-kit.tar.gz (kit.sh). Prints TAP; exits with 0
# when nothing failed or there is no server. Part of make check-gpu.
#
#   test/bench/gpu/server.sh tagrec_cuda.so     environment: PG_CONFIG, BLAS, ROWS (all) of debtags to train on
set -u
cd "$(dirname "$0")/../../.." || exit
. scripts/lib.sh
LIBRARY=$(realpath "$1")
KIT=$PWD/build/gpu-kit.tar.gz
DIRECTORY=
NUMBER=0
STATUS=0

finish() {
	[ -z "$DIRECTORY" ] || { [ -z "${PRIVATE_BIN:-}" ] || private_stop; rm -rf "$DIRECTORY"; }
}
trap finish EXIT
trap 'exit 1' INT TERM

# check CONDITION NAME: a shell condition as one word
check() {
	NUMBER=$((NUMBER + 1))
	if eval "$1"; then
		echo "ok $NUMBER - $2"
	else
		echo "not ok $NUMBER - $2"
		echo "${SAID:-}" | sed 's/^/# /' | tail -n 20
		STATUS=1
	fi
}

sql() { as_server_user "$PRIVATE_BIN/psql" -h "$DIRECTORY" -U tagrec -d postgres -XAtq -v ON_ERROR_STOP=1 -c "$1" 2>&1; }

# until SECONDS SQL: waits until the query's answer is t
until_true() {
	local i
	for i in $(seq $(($1 * 10))); do
		[ "$(sql "$2")" = t ] && return 0
		sleep 0.1
	done
	return 1
}

memory_used() { nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits 2>/dev/null | head -n 1; }

# The card's memory is back to where it was, within 10 seconds and 64 MB
check_memory() {
	local i used
	if [ -z "$MEMORY" ]; then
		echo "# SKIP the card's memory after $1: there is no nvidia-smi"
		return
	fi
	for i in $(seq 100); do
		used=$(memory_used)
		[ "$used" -le $((MEMORY + 64)) ] && break
		sleep 0.1
	done
	SAID="$used MB in use, $MEMORY MB before"
	check '[ "$used" -le $((MEMORY + 64)) ]' "the card's memory after $1: $used MB in use, $MEMORY MB before"
}

# ---------------------------------------------------------------- the server

DIRECTORY=$(private_directory "$PWD/build/gpu-server-$$") || exit
if ! has_server && [ -f "$KIT" ]; then
	# where the server's user can read it, which may not be below this directory
	tar -xzf "$KIT" -C "$DIRECTORY" gpu-kit && chmod -R a+rX "$DIRECTORY/gpu-kit" || exit
	PG_CONFIG=$(ls "$DIRECTORY"/gpu-kit/server/usr/lib/postgresql/*/bin/pg_config)
	SERVER_LIBRARIES=$DIRECTORY/gpu-kit/lib
	export PG_CONFIG BLAS=${BLAS:-$DIRECTORY/gpu-kit/blas}
fi
has_server || { echo "SKIP server: there is no PostgreSQL with its headers (PG_CONFIG=…, or a kit that make gpu-kit packs)"; exit 0; }
case ${BLAS:-} in
	none) echo "SKIP server: there is no OpenBLAS for tagrec_cpu.so"; exit 0 ;;
esac
make -s -j"$(nproc)" all || exit
private_install "$DIRECTORY" || exit
as_server_user mkdir -p "$DIRECTORY/cuda" && cp "$LIBRARY" "$DIRECTORY/cuda/tagrec_cuda.so" && chmod a+rx "$DIRECTORY/cuda/tagrec_cuda.so" || exit
private_start "$DIRECTORY" jit=off || exit
sql "ALTER SYSTEM SET dynamic_library_path = '$DIRECTORY/cuda:\$libdir'" && sql "SELECT pg_reload_conf()" > /dev/null || exit
gzip -dc test/data/debtags.tsv.gz | head -n $((${ROWS:-1000000} + 1)) > "$DIRECTORY/debtags.tsv" && chmod a+r "$DIRECTORY/debtags.tsv" || exit
SAID=$(sql "CREATE EXTENSION tagrec") && SAID=$(sql "CREATE TABLE a (user_id text, item_id text, tag text)") &&
	SAID=$(sql "COPY a FROM '$DIRECTORY/debtags.tsv' (HEADER, FORMAT csv, DELIMITER E'\t')") || { echo "$SAID"; exit 1; }
echo "# $(sql 'SELECT version()')"
MEMORY=$(memory_used)

# ---------------------------------------------------------------- jobs

SAID=$(sql "SELECT device, name, memory FROM tagrec_devices()")
check '[[ $SAID == *cuda* ]]' "tagrec_devices(): $(echo "$SAID" | tr '\n' ' ')"
check_memory "tagrec_devices()"

SAID=$(sql "SELECT tagrec_train('items', 'a', 'hdlpr_ns', '{\"epochs\": 2}', device => 'cuda')")
check '[[ $SAID == *"trained version 1 of model \"items\""*cuda,* ]]' "hdlpr_ns trains on cuda"
echo "$SAID" | sed -n 's/^DETAIL: */# /p'
check_memory "hdlpr_ns"
SAID=$(sql "SELECT count(*) FROM (SELECT min(user_id) AS u FROM a) m, tagrec_recommend('items', m.u, 10)")
check '[ "$SAID" = 10 ]' "its deployed version recommends"

SAID=$(sql "SELECT tagrec_train('tags', 'a', 'dae_ptr', '{\"epochs\": 2}', device => 'cuda')")
check '[[ $SAID == *"trained version 1 of model \"tags\""*cuda,* ]]' "dae_ptr trains on cuda"
echo "$SAID" | sed -n 's/^DETAIL: */# /p'
check_memory "dae_ptr"
SAID=$(sql "SELECT count(*) FROM (SELECT min(user_id) AS u, min(item_id) AS i FROM a) m, tagrec_recommend_tags('tags', m.u, m.i, 5)")
check '[ "$SAID" = 5 ]' "its deployed version recommends tags"

for precision in tf32 bf16; do
	SAID=$(sql "SELECT tagrec_train('items', 'a', 'hdlpr_ns', '{\"epochs\": 1, \"precision\": \"$precision\"}', device => 'auto')")
	check '[[ $SAID == *"trained version"*cuda,* ]]' "auto takes cuda, in $precision"
done
check_memory "tf32 and bf16"

# ---------------------------------------------------------------- the end of a job

JOB=$(sql "SELECT tagrec_train('long', 'a', 'hdlpr_ns', '{\"epochs\": 100000}', device => 'cuda', wait => false)" | tail -n 1)
SAID="job $JOB"
check 'until_true 120 "SELECT state = '\''running'\'' AND phase = '\''training'\'' FROM tagrec_jobs WHERE job = $JOB"' "a long job trains"
sleep 2
[ -z "$MEMORY" ] || echo "# $(memory_used) MB in use by it, $MEMORY MB before"
BEGAN=$EPOCHREALTIME
SAID=$(sql "SELECT tagrec_cancel($JOB)")
check 'until_true 20 "SELECT state = '\''cancelled'\'' FROM tagrec_jobs WHERE job = $JOB"' "tagrec_cancel() ends it"
check 'until_true 20 "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = '\''tagrec worker'\''"' "... its worker is gone"
echo "# after $(awk "BEGIN { printf \"%.2f\", $EPOCHREALTIME - $BEGAN }") s"
check_memory "a cancelled job"

SAID=$(sql "SELECT tagrec_train('none', 'a', device => 'cuda:99')")
check '[[ $SAID == *ERROR*"no CUDA device 99"* ]]' "cuda:99 is refused: $(echo "$SAID" | grep -m 1 DETAIL)"
SAID=$(sql "SELECT tagrec_train('items', 'a', 'hdlpr_ns', '{\"epochs\": 1}', device => 'cuda')")
check '[[ $SAID == *"trained version"*cuda,* ]]' "and cuda trains after all that"
check_memory "everything"
echo "1..$NUMBER"
exit $STATUS
