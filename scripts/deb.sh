#!/bin/bash
# Builds the Debian packages of the checked out commit in build/deb: one pair for each PostgreSQL whose headers are installed.
# It needs the packages debhelper, postgresql-server-dev-all and libopenblas-dev.
# usage: deb.sh VERSION
cd "$(dirname "$0")/.." || exit
. scripts/lib.sh
version=$1
for program in dpkg-buildpackage dh pg_buildext; do
	command -v $program >/dev/null ||
		die "$program is missing: apt-get install -y dpkg-dev debhelper postgresql-server-dev-all libopenblas-dev"
done
rm -rf build/deb
mkdir -p build/deb || exit
git archive --prefix="tagrec-$version/" HEAD | gzip -n > "build/deb/tagrec_$version.orig.tar.gz" &&
	tar -x -C build/deb -f "build/deb/tagrec_$version.orig.tar.gz" || exit
cd "build/deb/tagrec-$version" || exit
# libpq-dev has a pg_config, too: only servers count
PG_SUPPORTED_VERSIONS=$(ls /usr/include/postgresql 2>/dev/null | grep -x '[0-9]*' | while read -r major; do
	[ "$major" -ge 15 ] && [ -f "/usr/include/postgresql/$major/server/postgres.h" ] && echo "$major"; done | tr '\n' ' ')
[ -n "$PG_SUPPORTED_VERSIONS" ] || die "no PostgreSQL from 15 on has its headers here: apt-get install -y postgresql-server-dev-all"
export PG_SUPPORTED_VERSIONS
pg_buildext updatecontrol || exit
dpkg-buildpackage -us -uc -d "${@:2}" >../build.log 2>&1 || { tail -n 30 ../build.log; exit 1; }
cd ..
ls -- *.deb
