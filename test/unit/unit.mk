# Tests and benchmarks that need no server: plain C, in build/. Included by the Makefile; works alone as well.
#
#   make check-core             every test/unit/test_*.c against src/core, src/models and src/cpu
#   make check-core-sanitize    the same under the address and undefined-behaviour sanitizers
#   make fuzz                   spoilt weights read back under the sanitizers, FUZZ_ROUNDS=100000 times over all algorithms
#   make bench-ops              speed of every operation of the CPU backend
#
# OpenBLAS is the compiler's. BLAS=directory names another: its include/ has cblas.h, its lib/ the library. What needs a GPU
# (gpu/gpu.mk) goes without the CPU backend where there is none, or with BLAS=none.

comma := ,
BLAS_PROBE = printf '\#include <cblas.h>\nint main(void) { return !openblas_get_config(); }' | \
	$(CC) -x c $(CPPFLAGS) -o /dev/null - -lopenblas 2>/dev/null
ifneq ($(filter %-gpu gpu-%,$(MAKECMDGOALS)),)
BLAS ?= $(shell $(BLAS_PROBE) || { test -d build/gpu-kit/blas && echo build/gpu-kit/blas || echo none; })
BLAS := $(BLAS)
endif
ifneq ($(filter-out none,$(BLAS)),)
# an old-style path, which holds for what the library needs as well
BLAS_CFLAGS ?= -I$(abspath $(BLAS))/include
BLAS_LIBS ?= -L$(abspath $(BLAS))/lib -Wl,-rpath,$(abspath $(BLAS))/lib,--disable-new-dtags -lopenblas
endif
BLAS_LIBS ?= -lopenblas
UNIT_OPTFLAGS ?= -O3 -fassociative-math -fno-signed-zeros -fno-trapping-math -fno-math-errno -ffp-contract=fast
# After all other flags, where the order and the roundings of a sum are the code's alone: scores that several queries give.
EXACT_CFLAGS = -fno-associative-math -ffp-contract=off
UNIT_CFLAGS = -std=c11 -D_GNU_SOURCE -g -Wall -Wextra -Werror -Isrc -Itest/unit -MMD -MP
UNIT_LIBS = $(BLAS_LIBS) -lpthread -ldl -lm
UNIT_SOURCES = $(sort $(wildcard src/core/*.c src/models/*.c src/models/*/*.c src/cpu/*.c))
UNIT_TESTS = $(sort $(patsubst test/unit/%.c,%,$(wildcard test/unit/test_*.c)))
UNIT_CFLAGS += $(BLAS_CFLAGS)
ifeq ($(BLAS),none)
BLAS_LIBS =
UNIT_CFLAGS += -DTR_NO_BLAS
UNIT_SOURCES := $(filter-out src/cpu/%,$(UNIT_SOURCES)) test/unit/no_blas.c
endif

# Each test is one object, and what it needs of unit.a: all the sources'. $(1) = directory below build/, $(2) = flags
define unit_rules
build/$(1)/%.o: %.c
	@mkdir -p $$(@D)
	$(CC) $$(UNIT_CFLAGS) $(2) $$(EXACT) -c $$< -o $$@
build/$(1)/src/core/dot.o build/$(1)/test/unit/test_topn.o: EXACT = $$(EXACT_CFLAGS)
build/$(1)/unit.a: $$(patsubst %.c,build/$(1)/%.o,$$(UNIT_SOURCES))
	@rm -f $$@
	$(AR) rcs $$@ $$^
build/$(1)/test_%: build/$(1)/test/unit/test_%.o build/$(1)/unit.a
	$(CC) $(2) -o $$@ $$^ $$(UNIT_LIBS)
build/$(1)/bench_%: build/$(1)/test/bench/bench_%.o build/$(1)/unit.a
	$(CC) $(2) -o $$@ $$^ $$(UNIT_LIBS)
.PRECIOUS: build/$(1)/%.o
-include $$(shell find build/$(1) -name '*.d' 2>/dev/null)
endef

$(eval $(call unit_rules,unit,$(UNIT_OPTFLAGS)))
# The loader picks a function's SIMD form before a sanitizer is ready, so there is only one form here.
$(eval $(call unit_rules,unit-sanitize,-O1 -DTR_NO_CLONES -fsanitize=address$(comma)undefined -fno-sanitize-recover=undefined))
# A NaN that becomes a number of anything is an error where stored numbers are read.
build/unit-sanitize/src/models/%.o: UNIT_CFLAGS += -fsanitize=float-cast-overflow -fno-sanitize-recover=float-cast-overflow

# UNIT_RUNNER: a program to run the tests in, such as qemu's
unit_run = @UNIT_RUNNER='$(UNIT_RUNNER)' test/unit/run.sh build/$(1) $(UNIT_TESTS)

check-core: check-layers $(addprefix build/unit/,$(UNIT_TESTS))
	$(call unit_run,unit)

# Who includes whom
check-layers:
	@mkdir -p build/unit
	@if perl test/unit/layers.pl > build/unit/test_layers.out; then echo "ok   layers"; \
	else echo "FAIL layers"; cat build/unit/test_layers.out; exit 1; fi

check-core-sanitize: $(addprefix build/unit-sanitize/,$(UNIT_TESTS))
	$(call unit_run,unit-sanitize)

FUZZ_ROUNDS ?= 100000
fuzz: build/unit-sanitize/test_fuzz_weights
	OPENBLAS_NUM_THREADS=1 ASAN_OPTIONS=allocator_may_return_null=1 FUZZ_ROUNDS=$(FUZZ_ROUNDS) $<

bench-ops: build/unit/bench_ops
	OPENBLAS_NUM_THREADS=1 build/unit/bench_ops

.PHONY: check-core check-layers check-core-sanitize fuzz bench-ops
