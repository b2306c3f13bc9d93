# The CUDA backend: its library, its emulation for the tests, its checks and benchmarks on a device. Included by the Makefile.
#
#   make gpu         tagrec_cuda.so, when there is nvcc
#   make check-gpu   the tests of the operations and of training on the machine's GPU, with compute-sanitizer where there is one,
#                    and jobs in a server; CHECK_GPU_PARTS="tests sanitizer server" chooses
#   make bench-gpu   seconds per epoch on the GPU, beside the CPU backend, PyTorch and the floor; BENCH_GPU_ARGS=--help
#   make gpu-kit     build/gpu-kit.tar.gz: OpenBLAS, PostgreSQL and the data, for a machine with a GPU that lacks them
#
#   make check-core-races check-core-arithmetic   in emulation: races between threads; a device's arithmetic at its worst
#
# Machine code for the GPUs from Volta to Hopper that nvcc still knows, and PTX of the newest, which the driver compiles for
# later ones. CUDA_ARCHS='sm_90' builds for one alone, and quicker.

CUDA_SOURCES = $(sort $(wildcard gpu/*.cu))
CUDA_HEADERS = $(wildcard gpu/*.cuh src/core/*.h)
CUDA_LIB = tagrec_cuda.so
ifeq ($(origin NVCC),undefined)
NVCC := $(firstword $(shell command -v nvcc 2>/dev/null) $(wildcard /usr/local/cuda/bin/nvcc))
endif

ifneq ($(NVCC),)

CUDA_ARCHS ?= $(filter sm_70 sm_75 sm_80 sm_86 sm_87 sm_89 sm_90,$(shell $(NVCC) --list-gpu-code))
CUDA_NEWEST = $(patsubst sm_%,%,$(lastword $(CUDA_ARCHS)))
CUDA_CODE = $(foreach a,$(patsubst sm_%,%,$(CUDA_ARCHS)),-gencode=arch=compute_$(a),code=sm_$(a)) \
	-gencode=arch=compute_$(CUDA_NEWEST),code=compute_$(CUDA_NEWEST)
NVCCFLAGS = -std=c++17 -O3 -lineinfo -Isrc -Xcompiler -fPIC,-fvisibility=hidden,-Wall,-Wextra
# libcublas is found where nvcc's own lies, when the loader does not know it; the run-time library is linked in.
CUDA_LIB_DIR = $(dir $(firstword $(wildcard $(addsuffix /libcublas.so,$(addprefix $(dir $(realpath $(NVCC)))../,lib64 lib)))))
CUDA_LDFLAGS = -cudart static -Xlinker -z,defs,--exclude-libs,ALL,--no-undefined $(addprefix -Xlinker -rpath$(comma),$(realpath $(CUDA_LIB_DIR)))
# A toolkit without cuBLAS: PyTorch's packages may have it. CUBLAS=directory names another, with include/ and lib/.
CUBLAS := $(or $(CUBLAS),$(if $(wildcard $(dir $(realpath $(NVCC)))../include/cublas_v2.h),,\
	$(shell python3 -c 'import glob, nvidia; print(*glob.glob(nvidia.__path__[0] + "/cu1*"))' 2>/dev/null)))
ifneq ($(CUBLAS),)
NVCCFLAGS += -I$(CUBLAS)/include
CUDA_LIB_DIR = $(CUBLAS)/lib
CUDA_LIBS = -Xlinker $(firstword $(wildcard $(CUBLAS)/lib/libcublas.so*))
else
CUDA_LIBS = -lcublas
endif

build/gpu/%.o: gpu/%.cu $(CUDA_HEADERS)
	@mkdir -p $(@D)
	$(NVCC) $(NVCCFLAGS) $(CUDA_CODE) -c $< -o $@

$(CUDA_LIB): $(CUDA_SOURCES:gpu/%.cu=build/gpu/%.o)
	$(NVCC) -shared -o $@ $^ $(CUDA_LDFLAGS) $(CUDA_LIBS)

gpu: $(CUDA_LIB)

else

gpu $(CUDA_LIB):
	@echo "gpu: nothing built, for nvcc is missing; training runs on the CPU"

endif

# Into the server, where it has been built.
ifdef INSTALL_SHLIB
install: install-cuda
install-cuda: installdirs
	@if [ -f $(CUDA_LIB) ]; then echo "$(INSTALL_SHLIB) $(CUDA_LIB) '$(DESTDIR)$(pkglibdir)/$(CUDA_LIB)'"; \
		$(INSTALL_SHLIB) $(CUDA_LIB) '$(DESTDIR)$(pkglibdir)/$(CUDA_LIB)'; fi
endif

# The same sources on the processor, part of every test program: check-core runs them without a GPU.
EMULATION_DIR = test/unit/cuda_emulation
EMULATE_FUSED = $(if $(filter x86_64,$(shell uname -m)),-mfma -ffp-contract=fast,-ffp-contract=fast)
EMULATION_SOURCES = $(sort $(wildcard $(EMULATION_DIR)/*.cc))
EMULATION_CXXFLAGS = -std=c++17 -g -Wall -Wextra -Werror -Wno-unknown-pragmas -I$(EMULATION_DIR) -Isrc -MMD -MP \
	-fno-exceptions -fno-rtti -fno-threadsafe-statics -Dtagrec_backend_ops=tr_emulated_cuda_ops
EMULATION = $(CUDA_SOURCES:%.cu=%.emulated.o) $(EMULATION_SOURCES:%.cc=%.o) $(EMULATION_DIR)/cuda_ops.o

# $(1) = directory below build/, $(2) = flags
define emulation_rules
build/$(1)/gpu/%.emulated.o: gpu/%.cu
	@mkdir -p $$(@D)
	$$(CXX) -x c++ $$(EMULATION_CXXFLAGS) $(2) -c $$< -o $$@
build/$(1)/$(EMULATION_DIR)/%.o: $(EMULATION_DIR)/%.cc
	@mkdir -p $$(@D)
	$$(CXX) $$(EMULATION_CXXFLAGS) $(2) -c $$< -o $$@
build/$(1)/unit.a: $(addprefix build/$(1)/,$(EMULATION))
endef

$(eval $(call emulation_rules,unit,-O2))
$(eval $(call emulation_rules,unit-sanitize,-O1 -fsanitize=address$(comma)undefined -fno-sanitize-recover=undefined))

# The same once more, built otherwise, in a directory each; the rest is that of build/unit. For races, the compiler tells of every
# access to memory, and races.cc judges. For arithmetic, sums are fused and functions as wrong as a device's may be.
EMULATED_TESTS = test_ops test_softmax test_profile_rows test_cuda_train

# $(1) = directory below build/, $(2) = flags of the kernels, $(3) = flags of the rest
define emulated_again
build/$(1)/gpu/%.emulated.o: gpu/%.cu
	@mkdir -p $$(@D)
	$$(CXX) -x c++ $$(EMULATION_CXXFLAGS) $(2) -c $$< -o $$@
build/$(1)/%.o: $(EMULATION_DIR)/%.cc
	@mkdir -p $$(@D)
	$$(CXX) $$(EMULATION_CXXFLAGS) $(3) -c $$< -o $$@
build/$(1)/test_%: build/unit/test/unit/test_%.o $$(CUDA_SOURCES:%.cu=build/$(1)/%.emulated.o) \
		$$(EMULATION_SOURCES:$(EMULATION_DIR)/%.cc=build/$(1)/%.o) build/unit/unit.a
	$$(CC) -o $$@ $$^ $$(UNIT_LIBS)
.PRECIOUS: build/$(1)/gpu/%.emulated.o build/$(1)/%.o
-include $$(wildcard build/$(1)/*.d build/$(1)/gpu/*.d)

check-core-$(1): $(addprefix build/$(1)/,$(EMULATED_TESTS))
	@status=0; for test in $(EMULATED_TESTS); do \
		if OPENBLAS_NUM_THREADS=1 build/$(1)/$$$$test > build/$(1)/$$$$test.out 2>&1; \
		then echo "ok   $$$$test: $$$$(grep -c '^ok' build/$(1)/$$$$test.out) checks"; \
		else echo "FAIL $$$$test"; grep -v '^ok' build/$(1)/$$$$test.out | head -n 60; status=1; fi; done; exit $$$$status

.PHONY: check-core-$(1)
endef

$(eval $(call emulated_again,races,-O1 -fsanitize=thread,-O2))
$(eval $(call emulated_again,arithmetic,-O2 $(EMULATE_FUSED) -DEMULATE_ARITHMETIC,-O2 -DEMULATE_ARITHMETIC))

# As a library, for a server to open: dynamic_library_path = '<here>/build/emulated:$$libdir'
build/emulated/tagrec_cuda.so: $(CUDA_SOURCES) $(EMULATION_SOURCES) $(CUDA_HEADERS) $(wildcard $(EMULATION_DIR)/*.h)
	@mkdir -p $(@D)
	$(CXX) $(filter-out -D% -MMD -MP -Werror,$(EMULATION_CXXFLAGS)) -O2 -fPIC -fvisibility=hidden -shared -o $@ \
		-x c++ $(CUDA_SOURCES) $(EMULATION_SOURCES) -Wl,-z,defs

# What the checks and benchmarks on a device run. TAGREC_CUDA_LIBRARY=build/emulated/tagrec_cuda.so tries them without one.
GPU_TESTS = test_cuda_life test_ops test_softmax test_profile_rows test_cuda_train
GPU_TESTED = $(or $(TAGREC_CUDA_LIBRARY),$(CUDA_LIB))
GPU_JOBS = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

# Two makes, for a kit that is still packed may hold the BLAS that the second one finds.
check-gpu: gpu-unpack
	@$(MAKE) $(GPU_JOBS) gpu-programs
	test/bench/gpu/check.sh $(GPU_TESTED)

bench-gpu: gpu-unpack | $(filter check-gpu,$(MAKECMDGOALS))
	@$(MAKE) $(GPU_JOBS) gpu-programs
	test/bench/gpu/run.py build/unit/bench_train $(GPU_TESTED) $(BENCH_GPU_ARGS)

gpu-programs: $(GPU_TESTED) $(addprefix build/unit/,$(GPU_TESTS) cuda_device bench_train)
	@test "$(BLAS)" != none || echo "gpu: built without the CPU backend, for there is no OpenBLAS; its rows and comparisons are left out"

# A machine with a GPU may lack what the rest takes: see test/bench/gpu/kit.sh
gpu-kit:
	@test/bench/gpu/kit.sh
gpu-unpack:
	@test ! -f build/gpu-kit.tar.gz || test build/gpu-kit -nt build/gpu-kit.tar.gz || \
		{ rm -rf build/gpu-kit && tar -xzf build/gpu-kit.tar.gz -C build && touch build/gpu-kit; }

# Built with and without the CPU backend these differ.
GPU_BLAS_STAMP = build/unit/blas$(if $(filter none,$(BLAS)),-none)
$(GPU_BLAS_STAMP):
	@mkdir -p $(@D) && rm -f build/unit/blas build/unit/blas-none && touch $@
$(GPU_TESTS:%=build/unit/test/unit/%.o) build/unit/test/bench/bench_train.o: $(GPU_BLAS_STAMP)

build/unit/cuda_device: build/unit/test/bench/gpu/cuda_device.o
	$(CC) -o $@ $^ -ldl
build/unit/bench_train: build/unit/test/bench/gpu/counted.o build/unit/test/bench/host_backend.o
build/unit/test/bench/bench_train.o: UNIT_CFLAGS += -Itest/bench
UNIT_LIBS += -ldl

.PHONY: gpu install-cuda check-gpu bench-gpu gpu-programs gpu-kit gpu-unpack
