/*
 * Looks for oneDNN, and for the instructions without which its products in bfloat16 are slower than those in float32. See
 * bf16.h. What is declared here of oneDNN is all that is needed of it; versions 2 and 3 have it alike.
 */
#include "cpu/bf16.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

/* What dnnl_version() returns begins with these. */
typedef struct DnnlVersion
{
	int			major,
				minor,
				patch;
} DnnlVersion;

/* AVX512-BF16: leaf 7, subleaf 1, EAX bit 5. Whether the system saves such registers, the loader's choice of SIMD says. */
static bool
has_instructions(void)
{
#if defined(__x86_64__) || defined(__i386__)
	unsigned	a = 0,
				b,
				c,
				d;

	return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 5) && __builtin_cpu_supports("avx512bw");
#else
	return false;
#endif
}

static void *
open_library(void)
{
	static const char *const names[] = {"libdnnl.so.2", "libdnnl.so.3"};
	void	   *library = NULL;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !library; i++)
		library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	return library;
}

/* Is it what its declaration says? (1.5 -2) (4 0.5)^T = 5, and it is added to 1. */
static bool
multiplies(TrBf16Gemm gemm)
{
	static const uint16_t a[2] = {0x3fc0, 0xc000};
	static const uint16_t b[2] = {0x4080, 0x3f00};
	float		c = 1;

	return gemm('N', 'T', 1, 1, 2, 1, a, 2, b, 2, 1, &c, 1) == 0 && c == 6;
}

const char *
tr_bf16_open(TrBf16 *bf16)
{
	const DnnlVersion *(*version) (void);
	void	   *library;

	*bf16 = (TrBf16) {0};
	if (!has_instructions())
		return "the processor has no AVX512-BF16 instructions";
	library = open_library();
	if (!library)
		return "the library oneDNN (libdnnl) is not installed";
	*(void **) &bf16->set_threads = dlsym(library, "omp_set_num_threads");
	*(void **) &bf16->gemm = dlsym(library, "dnnl_gemm_bf16bf16f32");
	*(void **) &version = dlsym(library, "dnnl_version");
	if (bf16->set_threads && bf16->gemm && version)
	{
		bf16->set_threads(1);
		snprintf(bf16->version, sizeof(bf16->version), "oneDNN %d.%d.%d", version()->major, version()->minor,
				 version()->patch);
		if (multiplies(bf16->gemm))
			return NULL;
	}
	bf16->gemm = NULL;
	return "the library oneDNN (libdnnl) does not offer its products in bf16, or starts threads of its own";
}
