# Shared by the scripts: what is missing on this machine, and private PostgreSQL servers. To be sourced, from the repository root.
#
# A private server is a directory with its own copy of the installation (install/, so that the system's PostgreSQL stays
# untouched), its own data (data/) and its socket. It listens on no port and never runs as root.

# where runuser is; a plain `su` leaves it out
PATH=$PATH:/usr/sbin:/sbin

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# ---- what is needed -------------------------------------------------------------------------------------------------

# Debian packages that are missing: $1 = build (also enough for the demo) or test
missing_packages() {
	command -v gcc >/dev/null || echo gcc libc6-dev
	command -v make >/dev/null || echo make
	if ! has_server; then
		local major
		major=$(server_major)
		echo "postgresql-${major:-all}" "postgresql-server-dev-${major:-all}" | sed 's/postgresql-all /postgresql /'
	fi
	has_openblas || echo libopenblas-dev
	command -v gzip >/dev/null || echo gzip
	if [ "$1" = test ]; then
		command -v g++ >/dev/null || echo g++
		command -v prove >/dev/null || echo perl
		perl -MIPC::Run -e 1 2>/dev/null || echo libipc-run-perl
	fi
}

# The server, the makefiles for extensions, and the headers. Debian has the first two in one package and the headers in another;
# pg_config may come from the headers of libpq alone.
has_server() {
	local pgxs
	pgxs=$("${PG_CONFIG:-pg_config}" --pgxs 2>/dev/null) && [ -f "$pgxs" ] &&
		[ -x "$("${PG_CONFIG:-pg_config}" --bindir)/initdb" ] &&
		[ -f "$("${PG_CONFIG:-pg_config}" --includedir-server)/postgres.h" ]
}

# Debian's pg_config is that of the newest headers, whose server may not be here: then any server will do that has its own.
choose_server() {
	local config
	[ -z "${PG_CONFIG:-}" ] && ! has_server || return 0
	for config in $(ls -v /usr/lib/postgresql/*/bin/pg_config 2>/dev/null); do
		! PG_CONFIG=$config has_server || export PG_CONFIG=$config
	done
}

# The major version of PostgreSQL to build for: that of a server which is installed, else the distribution's
server_major() {
	local bindir
	bindir=$(pg_config --bindir 2>/dev/null)
	[ -x "$bindir/initdb" ] || bindir=$(ls -dv /usr/lib/postgresql/*/bin/initdb 2>/dev/null | tail -n 1 | xargs -r dirname)
	if [ -n "$bindir" ]; then
		"$bindir/postgres" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/'
	else
		apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\([0-9][0-9]*\)$/\1/p' | head -n 1
	fi
}

has_openblas() {
	printf '#include <cblas.h>\nint main(void) { return cblas_sdot(0, 0, 1, 0, 1) != 0; }\n' |
		gcc -x c -o /dev/null - -lopenblas 2>/dev/null
}

# Installs what is missing, or says how to. $1 as above.
ensure_packages() {
	local missing
	# whoever names an installation wants that one
	[ -z "${PG_CONFIG:-}" ] || has_server ||
		die "PG_CONFIG is $PG_CONFIG, which is not the pg_config of a PostgreSQL server with its headers (pgxs) and programs."
	choose_server
	missing=$(missing_packages "$1" | tr ' ' '\n' | sort -u | tr '\n' ' ')
	[ -z "$missing" ] && return 0
	if ! command -v apt-get >/dev/null; then
		die "Missing (named as in Debian): $missing"
	fi
	if [ "$(id -u)" -ne 0 ]; then
		die "Missing: ${missing}
This needs root, once:    sudo apt-get install -y ${missing% }"
	fi
	say "Installing ${missing% } …"
	# just now the packages shall not make and start a cluster of their own, which nobody asked for
	local log config=
	if ! [ -e /etc/postgresql-common/createcluster.conf ] && ! command -v pg_createcluster >/dev/null; then
		config=/etc/postgresql-common/createcluster.conf
		mkdir -p /etc/postgresql-common
		echo 'create_main_cluster = false' > $config
	fi
	log=$(mktemp)
	{
		[ -n "$(apt-cache policy libopenblas-dev 2>/dev/null | grep Candidate)" ] || apt-get update -q
		missing=$(missing_packages "$1" | tr ' ' '\n' | sort -u | tr '\n' ' ')
		# an old index names files that are gone: update and try again
		DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing ||
			{ apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing; }
	} >"$log" 2>&1 || { tail -n 20 "$log" >&2; rm -f "$log"; die "apt-get could not install ${missing% }"; }
	rm -f "$log"
	[ -z "$config" ] || cp /usr/share/postgresql-common/createcluster.conf $config 2>/dev/null || rm -f $config
	hash -r
	choose_server
}

# Whoever cannot write here can still run what is built.
ensure_writable() {
	[ -w . ] || [ -f tagrec_cpu.so ] || die "$PWD is $(stat -c %U .)'s and cannot be written to: build in a copy of your own."
}

# ---- a user to run servers as ---------------------------------------------------------------------------------------

# Empty when we are not root; else the user that servers and tests run as.
server_user() {
	[ "$(id -u)" -eq 0 ] || return 0
	local user
	for user in postgres nobody; do
		if id "$user" >/dev/null 2>&1; then echo "$user"; return; fi
	done
}

# Runs a command as that user, in a directory the user can be in. SERVER_LIBRARIES: where a server that was carried here has
# the shared libraries it needs.
as_server_user() {
	local user
	user=$(server_user)
	(
		cd "${PRIVATE:-/}" || exit
		[ -n "$user" ] || exec env ${SERVER_LIBRARIES:+LD_LIBRARY_PATH="$SERVER_LIBRARIES"} "$@"
		exec runuser -u "$user" -- env HOME="${PRIVATE:-/tmp}" PATH="$PATH" \
			${SERVER_LIBRARIES:+LD_LIBRARY_PATH="$SERVER_LIBRARIES"} "$@"
	)
}

# ---- a private server -----------------------------------------------------------------------------------------------

# A directory for a private server: the wanted one, or one below /tmp where it cannot be made or the user cannot enter it, or
# its path is too long for a socket, or has blanks or the like, which servers' options do not take. Prints the directory; what
# it contains survives.
private_directory() {
	local wanted=$1 user
	user=$(server_user)
	if ! mkdir -p "$wanted" 2>/dev/null ||
		{ [ -n "$user" ] && ! runuser -u "$user" -- test -x "$wanted" 2>/dev/null; } ||
		[ ${#wanted} -gt 80 ] || [[ $wanted == *[!A-Za-z0-9_./+-]* ]]; then
		rmdir "$wanted" 2>/dev/null
		wanted=/tmp/tagrec-$(basename "$wanted")-$(printf %s "$wanted" | cksum | cut -d ' ' -f 1)
		mkdir -p "$wanted"
	fi
	# below /tmp somebody else may have been first
	[ -O "$wanted" ] || [ "$(stat -c %U "$wanted")" = "${user:-$(id -un)}" ] || die "$wanted belongs to somebody else"
	[ -z "$user" ] || chown "$user" "$wanted"
	echo "$wanted"
}

# A copy of the server's installation with tagrec in it, below $1/install. PostgreSQL finds its files relative to its programs,
# so copied programs and links to the rest make an installation of their own.
private_install() {
	local root=$1/install bindir pkglibdir sharedir
	bindir=$("${PG_CONFIG:-pg_config}" --bindir)
	pkglibdir=$("${PG_CONFIG:-pg_config}" --pkglibdir)
	sharedir=$("${PG_CONFIG:-pg_config}" --sharedir)
	if [ "$(cat "$root/version" 2>/dev/null)" != "$("${PG_CONFIG:-pg_config}" --version)" ]; then
		rm -rf "$root"
		mkdir -p "$root$bindir" "$root$pkglibdir" "$root$sharedir/extension"
		cp "$bindir"/* "$root$bindir/"
		ln -s "$pkglibdir"/* "$root$pkglibdir/"
		find "$sharedir" -mindepth 1 -maxdepth 1 ! -name extension -exec ln -s {} "$root$sharedir/" \;
		ln -s "$sharedir"/extension/* "$root$sharedir/extension/" 2>/dev/null || :
		# a tagrec of the system's is not the one to run
		rm -f "$root$pkglibdir"/tagrec* "$root$sharedir"/extension/tagrec*
		"${PG_CONFIG:-pg_config}" --version > "$root/version"
	fi
	make -s install DESTDIR="$root" >/dev/null || return 1
	chmod -R a+rX "$root"
	PRIVATE=$1
	PRIVATE_BIN=$root$bindir
}

# Where /dev/shm is as small as containers may have it, a server keeps what it shares in files. Prints the setting.
shared_memory_setting() {
	[ "$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)" -ge 65536 ] 2>/dev/null || echo dynamic_shared_memory_type=mmap
}

# Starts the server of $1 (after private_install), making its data when there is none. Further arguments: postgres settings.
private_start() {
	PRIVATE=$1
	shift
	local setting options=
	if [ ! -f "$PRIVATE/data/PG_VERSION" ]; then
		as_server_user rm -rf "$PRIVATE/data"
		as_server_user "$PRIVATE_BIN/initdb" -D "$PRIVATE/data" -U tagrec -A trust -E UTF8 --locale=C.UTF-8 --no-sync \
			>"$PRIVATE/initdb.log" 2>&1 || { cat "$PRIVATE/initdb.log" >&2; return 1; }
	fi
	for setting in listen_addresses= "unix_socket_directories=$PRIVATE" fsync=off max_worker_processes=16 \
		$(shared_memory_setting) "$@"; do
		options="$options -c $setting"
	done
	as_server_user "$PRIVATE_BIN/pg_ctl" -D "$PRIVATE/data" -l "$PRIVATE/server.log" -w -t 60 -o "$options" start \
		>/dev/null || { tail -n 20 "$PRIVATE/server.log" >&2; return 1; }
}

private_running() {
	[ -f "$1/data/postmaster.pid" ] && PRIVATE=$1 as_server_user "$2/pg_ctl" -D "$1/data" status >/dev/null 2>&1
}

private_stop() {
	as_server_user "$PRIVATE_BIN/pg_ctl" -D "$PRIVATE/data" -m immediate -w stop >/dev/null 2>&1 || :
}
