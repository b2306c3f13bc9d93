#!/bin/bash
# Packs what a machine with a GPU may lack, from this machine that has it, into build/gpu-kit.tar.gz: OpenBLAS; a PostgreSQL server
# with its headers and the shared libraries it needs; the Last.fm files where TAGREC_DATA has them. There, beside a copy of this
# repository, `make check-gpu bench-gpu` unpacks and uses what it does not find installed. Called by make gpu-kit.
#
# Server and libraries keep their places below server/, so that the server finds its files from where its programs are. libstdc++,
# libgcc_s and the C library stay behind: the other machine's are newer or as old, and its own programs need them.
#
#   test/bench/gpu/kit.sh                       environment: PG_CONFIG, TAGREC_DATA (../shared/data/lastfm)
set -eu
cd "$(dirname "$0")/../../.."
. scripts/lib.sh
KIT=build/gpu-kit
DATA=${TAGREC_DATA:-../shared/data/lastfm}

rm -rf $KIT $KIT.tar.gz
mkdir -p $KIT/blas/include $KIT/blas/lib $KIT/lib

# Copies a shared library under the name it is asked for by.
copy_library() { cp -L "$1" "$2/$(basename "$1")"; }

# The files of the libraries that a program or library is linked with, and theirs
needed() { ldd "$1" 2>/dev/null | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p'; }

stays_behind() {
	case $(basename "$1") in
		libc.* | libm.* | libdl.* | librt.* | libpthread.* | libresolv.* | libutil.* | libnss_* | libgcc_s.* | libstdc++.*) return 0 ;;
	esac
	return 1
}

# -------------------------------------------------------------------------------- OpenBLAS

if has_openblas; then
	printf '#include <cblas.h>\n' | gcc -x c -M - | tr ' \\' '\n\n' | grep -E 'cblas|openblas' | while read -r header; do
		cp -L "$header" "$KIT/blas/include/$(basename "$header")"
	done
	printf '#include <cblas.h>\nint main(void) { return !openblas_get_config(); }\n' | gcc -x c -o $KIT/probe - -lopenblas
	needed $KIT/probe | while read -r library; do
		stays_behind "$library" || copy_library "$library" $KIT/blas/lib
	done
	rm $KIT/probe
	ln -s libopenblas.so.0 $KIT/blas/lib/libopenblas.so
else
	say "gpu-kit: without OpenBLAS, which is not here"
fi

# -------------------------------------------------------------------------------- PostgreSQL

# of a directory, to the same place below server/
copy_tree() {
	mkdir -p "$KIT/server$1"
	cp -rL "$1/." "$KIT/server$1/"
}

if has_server; then
	CONFIG=${PG_CONFIG:-pg_config}
	for what in pkglibdir sharedir includedir-server; do
		copy_tree "$("$CONFIG" --$what)"
	done
	mkdir -p "$KIT/server$("$CONFIG" --bindir)"
	for program in postgres initdb pg_ctl psql pg_config; do
		cp -L "$("$CONFIG" --bindir)/$program" "$KIT/server$("$CONFIG" --bindir)/"
	done
	# needed by nothing here, and large
	rm -rf "$KIT/server$("$CONFIG" --pkglibdir)"/{bitcode,llvmjit*} "$KIT/server$("$CONFIG" --sharedir)"/{man,extension/tagrec*}
	rm -f "$KIT/server$("$CONFIG" --pkglibdir)"/tagrec*
	for program in "$KIT/server$("$CONFIG" --bindir)"/* "$KIT/server$("$CONFIG" --pkglibdir)"/plpgsql.so; do
		needed "$program"
	done | sort -u | while read -r library; do
		stays_behind "$library" || copy_library "$library" $KIT/lib
	done
else
	say "gpu-kit: without PostgreSQL, which is not here with its headers"
fi

# -------------------------------------------------------------------------------- data

if [ -f "$DATA/user_taggedartists.dat.gz" ]; then
	mkdir $KIT/lastfm
	cp "$DATA/user_taggedartists.dat.gz" $KIT/lastfm/
else
	say "gpu-kit: without Last.fm: no $DATA/user_taggedartists.dat.gz"
fi

cat > $KIT/README <<END
What tagrec's GPU tests and benchmarks may lack on the machine that runs them: make check-gpu bench-gpu finds it here.
Packed from a machine with $(. /etc/os-release; echo "${PRETTY_NAME:-an unknown system}"), $(uname -m).
blas/    OpenBLAS                   lastfm/  HetRec 2011 Last.fm, for non-commercial use
server/  $("${PG_CONFIG:-pg_config}" --version 2>/dev/null || echo nothing), with lib/ in LD_LIBRARY_PATH
END
tar -czf $KIT.tar.gz -C build gpu-kit
touch $KIT
say "$KIT.tar.gz: $(($(stat -c %s $KIT.tar.gz) / 1000000)) MB packed, $(du -sm $KIT | cut -f 1) MB unpacked"
