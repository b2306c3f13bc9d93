# tagrec: a PostgreSQL extension, built with PGXS.
#
#   make demo           install what is missing, build, start a private server, train on real data, show what it can do
#   make check          build and run every test on private servers
#   make                build the extension
#   make install        install it into the server that PG_CONFIG belongs to
#   make installcheck   run the regression tests against a running server
#   make check-core     run the tests that need no server
#   make check-matrix   the same with every compiler, PostgreSQL and release of Debian that can be had (scripts/matrix.sh)
#   make gpu            build the CUDA backend, when there is nvcc
#   make bench          run the benchmarks
#   make bench-serving  measure recommendations out of large catalogues
#   make bench-scale    measure trainings on 1 and 10 million assignments
#   make bench-filters  measure filters, boosts and the like
#   make bench-quality  measure every algorithm's ranking quality
#   make bench-ratings  measure mf, svdpp, ials and bpr beside other programs
#   make dist           the sources of the checked out commit as build/tagrec-VERSION.zip, for PGXN
#   make deb            Debian packages for every PostgreSQL whose headers are installed, in build/deb
#
# Two libraries: tagrec.so (SQL, serving; no BLAS) and tagrec_cpu.so (training; OpenBLAS), opened in training workers only.
# A new .c file in src/core, src/models, src/pg or src/cpu is found by itself.

EXTENSION = tagrec
EXTVERSION := $(shell sed -n "s/^default_version *= *'\([^']*\)'.*/\1/p" tagrec.control)

MODULE_big = tagrec
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/pg/*/*.c src/core/*.c src/models/*.c src/models/*/*.c)))
CPU_OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/cpu/*.c)))

# The install script is made of the registry and these sections, in this order.
SQL_SECTIONS = sql/training.sql sql/queries.sql sql/newcomers.sql sql/evaluation.sql sql/information.sql
SQL_SCRIPT = sql/tagrec--$(EXTVERSION).sql
# joins files; the arguments in rules.sql stand in place of @rules@ in each of them
JOIN_SQL = awk 'FNR == NR { rules = rules newline $$0; newline = "\n"; next } { gsub(/@rules@/, rules) } 1' sql/rules.sql
# what was released stays as it was
DATA = sql/tagrec--0.1.0.sql
# To the newest version: what is special to the step, then the same sections, which replace the functions and views.
SQL_UPGRADES = $(patsubst sql/upgrade/%,sql/tagrec--%,$(wildcard sql/upgrade/*--$(EXTVERSION).sql))
DATA_built = $(SQL_SCRIPT) $(SQL_UPGRADES)

REGRESS = $(sort $(patsubst test/sql/%.sql,%,$(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test --outputdir=build/regress --encoding=UTF8 --no-locale --load-extension=tagrec

# Sums may be reordered, so that loops over floats become SIMD; NaN and infinity keep their meaning. Wider SIMD is chosen at
# run time, function by function, so nothing here names a processor. `make OPTFLAGS=` builds without any of it.
OPTFLAGS = -O3 -fassociative-math -fno-signed-zeros -fno-trapping-math -fno-math-errno

# -MMD: an edited header rebuilds what includes it.
PG_CPPFLAGS = -Isrc -MMD -MP -DTAGREC_VERSION='"$(EXTVERSION)"'
PG_CFLAGS = $(OPTFLAGS) -Wno-declaration-after-statement
SHLIB_LINK = -lpthread -lm

# Bitcode for the server's JIT would need clang and gains nothing here.
override with_llvm = no
# Neither library needs one of the server's.
override enable_rpath = no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
# Debian's server package has the makefiles; the headers are in another.
SERVER_HEADERS := $(shell $(PG_CONFIG) --includedir-server 2>/dev/null)

all:

ifneq ($(filter check demo,$(MAKECMDGOALS)),)

# These two are scripts that install what is missing and then run make. They stand apart from PGXS, which need not be there
# yet, and which has a target check of its own.
check:
	@+scripts/check.sh
demo:
	@scripts/demo.sh
$(filter-out check demo,$(MAKECMDGOALS)):
	$(MAKE) $@

else ifneq ($(and $(wildcard $(PGXS)),$(wildcard $(SERVER_HEADERS)/postgres.h)),)

include $(PGXS)

# PostgreSQL's flags and headers are those of the compiler it was built by.
ifneq ($(findstring clang,$(shell $(CC) --version)),)
override CFLAGS += -Wno-unknown-warning-option -Wno-ignored-attributes -Wno-ignored-optimization-argument
endif

CPU_LIB = tagrec_cpu$(DLSUFFIX)

all: $(CPU_LIB)

# What is built belongs to one server; with another PG_CONFIG, or a newer version there, it is built anew.
build/server: always
	@mkdir -p $(@D)
	@$(PG_CONFIG) --version --pgxs | cmp -s - $@ || $(PG_CONFIG) --version --pgxs > $@
$(OBJS) $(CPU_OBJS): build/server

# Where scores are added up
$(filter src/core/dot.o %/neighbours.o,$(OBJS)): override CFLAGS += $(EXACT_CFLAGS)

# Its only symbol is the one that tagrec.so asks for; -z defs: it needs nothing from the server.
$(CPU_OBJS): override CFLAGS += -fvisibility=hidden $(BLAS_CFLAGS)
$(CPU_LIB): $(CPU_OBJS)
	$(CC) $(CFLAGS) -shared -o $@ $(CPU_OBJS) $(LDFLAGS) -Wl,-z,defs $(BLAS_LIBS) -lpthread -ldl -lm

# It records the version.
src/pg/train/job_tune.o src/pg/serve/mapped.o src/pg/registry/statement.o: tagrec.control

$(SQL_SCRIPT): sql/registry.sql sql/rules.sql $(SQL_SECTIONS) tagrec.control
	$(JOIN_SQL) sql/registry.sql $(SQL_SECTIONS) > $@
$(SQL_UPGRADES): sql/tagrec--%: sql/upgrade/% sql/rules.sql $(SQL_SECTIONS) tagrec.control
	$(JOIN_SQL) $< $(SQL_SECTIONS) > $@

install: install-cpu
install-cpu: all installdirs
	$(INSTALL_SHLIB) $(CPU_LIB) '$(DESTDIR)$(pkglibdir)/$(CPU_LIB)'
	test ! -f tagrec_cuda$(DLSUFFIX) || $(INSTALL_SHLIB) tagrec_cuda$(DLSUFFIX) '$(DESTDIR)$(pkglibdir)/'

uninstall: uninstall-cpu
uninstall-cpu:
	rm -f '$(DESTDIR)$(pkglibdir)/$(CPU_LIB)' '$(DESTDIR)$(pkglibdir)/tagrec_cuda$(DLSUFFIX)'

installcheck: | build/regress
build/regress:
	mkdir -p $@

# The TAP tests, against the installation that PG_CONFIG belongs to; each starts servers of its own.
prove_installcheck:
	mkdir -p build/tap
	TESTDIR='$(CURDIR)/build/tap' TESTDATADIR='$(CURDIR)/build/tap/data' TESTLOGDIR='$(CURDIR)/build/tap/log' \
	PATH="$(bindir):$$PATH" PGPORT='6$(DEF_PGPORT)' PG_REGRESS='$(top_builddir)/src/test/regress/pg_regress' \
	$(PROVE) -I $(top_builddir)/src/test/perl $(PROVE_FLAGS) $(if $(PROVE_TESTS),$(PROVE_TESTS),test/t/*.pl)

# build/demo may hold a running server: `scripts/demo.sh remove` takes it away.
clean: clean-tagrec
clean-tagrec:
	rm -f $(CPU_LIB) $(CPU_OBJS) tagrec_cuda$(DLSUFFIX) $(SQL_SCRIPT) $(SQL_UPGRADES)
	rm -f $(patsubst %.o,%.d,$(OBJS) $(CPU_OBJS))
	test ! -d build || find build -mindepth 1 -maxdepth 1 ! -name demo -exec rm -rf {} +

.PHONY: always install-cpu uninstall-cpu prove_installcheck clean-tagrec

-include $(patsubst %.o,%.d,$(OBJS) $(CPU_OBJS))

else

all install installcheck:
	@echo "tagrec: PostgreSQL's server headers are missing. 'make demo' installs what is needed; by hand: scripts/deps.sh" >&2
	@exit 1

endif

check-matrix:
	@scripts/matrix.sh

dist:
	@mkdir -p build
	git archive --format=zip --prefix=tagrec-$(EXTVERSION)/ -o build/tagrec-$(EXTVERSION).zip HEAD
deb:
	@scripts/deb.sh $(EXTVERSION)
.PHONY: dist deb

# check-core, check-core-sanitize, bench-ops: tests and benchmarks without a server, in build/
include test/unit/unit.mk

# The benchmarks: every operation of the CPU backend; then training on Last.fm, read from TAGREC_DATA (its licence keeps it out
# of this repository); and, where BENCH_PYTHON has torch, the same models in PyTorch.
bench: bench-ops build/unit/bench_train
	@test/bench/run.sh build/unit/bench_train

# The scan by bounds against the plain one, without a server and with one; SERVING_SIZES="65877 200000 1000000" takes longer.
bench-serving: build/unit/bench_scan
	$< 65877 200000 1000000
	test/bench/serving.sh $<

# Calls with filters, boosts, groups, diversity and pages, beside a plain one
bench-filters: build/unit/bench_scan
	test/bench/filters.sh $<

# Trainings on assignments that are made up: SCALE_SIZES="1000000 10000000 100000000", SCALE_ALGORITHMS (scale.sh says how)
bench-scale: build/unit/bench_generate
	test/bench/scale.sh $<

# Ranking quality of every item algorithm, in tables, and how fast the towers learn. Takes minutes to an hour, and goes on where it
# was interrupted. QUALITY_ARGS="--only ease --seeds 1" and the like: test/bench/quality.py says what there is.
bench-quality: build/unit/bench_train
	test/bench/quality.py $< build/bench $(QUALITY_ARGS)
	test/bench/convergence.py $< build/bench $(CONVERGENCE_ARGS)
	test/bench/sweep.py $< build/bench $(SWEEP_ARGS)

# Beside programs of others, by TAGREC_PYTHON, which has them
bench-ratings: build/unit/bench_ratings build/unit/bench_train
	test/bench/make_ratings.py build/bench/ml-100k-ratings
	$(or $(TAGREC_PYTHON),python3) test/bench/beside_others.py build/unit build/bench/ml-100k-ratings

# gpu, check-gpu, bench-gpu; and the emulation that lets check-core test the CUDA backend without a GPU
ifneq ($(wildcard gpu/gpu.mk),)
include gpu/gpu.mk
else
gpu:
	@echo "gpu: nothing to build (it takes nvcc and CUDA sources in gpu/); training runs on the CPU"
endif

.PHONY: all install installcheck demo check check-core check-matrix gpu bench bench-filters bench-quality bench-ratings bench-serving bench-scale
