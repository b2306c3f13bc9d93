#!/bin/bash
# In a machine or root of its own, as root: installs the packages of build/deb, trains, asks, upgrades, purges, and looks for what
# is left. usage: deb_check.sh DIRECTORY-WITH-PACKAGES MAJOR
cd "${1:?}" || exit
major=${2:?}
failed=0
export DEBIAN_FRONTEND=noninteractive
expect() { # what, wanted, got
	if [ "$2" = "$3" ]; then echo "ok - $1"; else echo "not ok - $1: $3, expected $2"; failed=1; fi
}
sql() { runuser -u postgres -- psql -XAtq -d shop -c "$1" 2>&1; }

apt-get update -q >/dev/null
apt-get install -y -q --no-install-recommends ./"postgresql-$major-tagrec_"*.deb >/tmp/deb.log 2>&1 || { tail /tmp/deb.log; exit 1; }
expect 'serving alone needs no BLAS' '' "$(dpkg-query -W -f '${Package} ${Status}\n' '*blas*' 2>/dev/null | grep 'ok installed')"
find / -xdev -path /proc -prune -o -path /sys -prune -o -path /tmp -prune -o -iname '*tagrec*' -print | grep -v "^$PWD" | sort > /tmp/with
pg_ctlcluster "$major" main start 2>/dev/null || { pg_createcluster --start "$major" main >/dev/null; }
runuser -u postgres -- createdb shop
sql 'CREATE EXTENSION tagrec;
	CREATE TABLE t AS SELECT u AS user_id, (u * 7 + k * k) % 50 AS item_id, $$t$$ || (u + k) % 20 AS tag
	FROM generate_series(1, 100) u, generate_series(1, 10) k'
case $(sql "SELECT tagrec_train('m', 't', 'popularity')") in
	*tagrec_cpu*) echo 'ok - without the second package training says what is missing' ;;
	*) echo 'not ok - training without the second package'; failed=1 ;;
esac
apt-get install -y -q --no-install-recommends ./"postgresql-$major-tagrec-openblas_"*.deb >/tmp/deb.log 2>&1 || { tail /tmp/deb.log; exit 1; }
sql "SELECT tagrec_train('m', 't', 'hdlpr_ns', '{\"epochs\": 2}')" >/dev/null
expect 'a model is trained and answers' 3 "$(sql "SELECT count(*) FROM tagrec_recommend('m', 42, 3)")"
sql 'DROP EXTENSION tagrec CASCADE' >/dev/null
apt-get purge -y -q "postgresql-$major-tagrec" "postgresql-$major-tagrec-openblas" >/tmp/deb.log 2>&1 || { tail /tmp/deb.log; exit 1; }
expect 'nothing is left' '' "$(find / -xdev -path /proc -prune -o -path /sys -prune -o -path /tmp -prune -o -iname '*tagrec*' -print |
	grep -v "^$PWD" | grep -v '/var/lib/dpkg/\|/var/cache/apt')"
pg_ctlcluster "$major" main stop
exit $failed
