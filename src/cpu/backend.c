/*
 * The CPU backend's memory and its table. Backend memory is host memory, an operation is done when it returns.
 */
#include "cpu/blas.h"
#include "cpu/cpu.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Copies below this size are not worth waking a thread. */
#define COPY_BLOCK ((size_t) 4 << 20)

static const TrBackendOps cpu_ops;

/* "OpenBLAS 0.3.21" out of a longer line */
static int
library_name(const char *config)
{
	const char *space = strchr(config, ' ');

	space = space ? strchr(space + 1, ' ') : NULL;
	return space ? (int) (space - config) : (int) strlen(config);
}

static void
prepare(TrCpu *cpu, int threads)
{
	const char *config = openblas_get_config();

	openblas_set_num_threads(1);
	cpu->base.ops = &cpu_ops;
	cpu->base.threads = threads;
	tr_memory_init(&cpu->memory, 0);
	for (int c = 0; c < TR_CPU_LOGS; c++)
		cpu->logs[c] = log1pf((float) c);
	snprintf(cpu->description, sizeof(cpu->description), "cpu, %.*s %s, %d thread%s", library_name(config), config,
			 openblas_get_corename(), threads, threads == 1 ? "" : "s");
}

static void
set_precision(TrCpu *cpu, TrPrecision precision)
{
	size_t		end = strlen(cpu->description);

	if (precision == TR_TF32)
		cpu->base.shortfall = "a CPU multiplies in fp32 or bf16";
	else if (precision == TR_BF16)
		cpu->base.shortfall = tr_bf16_open(&cpu->bf16);
	if (cpu->bf16.gemm)
		snprintf(cpu->description + end, sizeof(cpu->description) - end, ", bf16 by %s", cpu->bf16.version);
}

static TrStatus
cpu_open(TrBackend **backend, const TrBackendConfig *config, TrError *err)
{
	TrCpu	   *cpu = calloc(1, sizeof(TrCpu));
	int			threads = config->threads < 1 ? 1 : config->threads;
	TrStatus	status;

	if (!cpu)
		return tr_fail(err, TR_NO_MEMORY, "out of memory");
	prepare(cpu, threads);
	set_precision(cpu, config->precision);
	status = tr_pool_open(&cpu->pool, threads, err);
	if (status != TR_OK)
	{
		free(cpu);
		return status;
	}
	*backend = &cpu->base;
	return TR_OK;
}

static void
cpu_close(TrBackend *b)
{
	if (!b)
		return;
	tr_pool_close(tr_cpu(b)->pool);
	tr_memory_release(&tr_cpu(b)->memory);
	free(b);
}

static const char *
cpu_describe(TrBackend *b)
{
	return tr_cpu(b)->description;
}

static void *
cpu_alloc(TrBackend *b, size_t bytes)
{
	return tr_alloc(&tr_cpu(b)->memory, bytes);
}

static void
cpu_release(TrBackend *b, void *p)
{
	tr_free(&tr_cpu(b)->memory, p);
}

static size_t
cpu_allocated(TrBackend *b)
{
	return tr_cpu(b)->memory.used - tr_cpu(b)->scratch_used;
}

void *
tr_cpu_scratch(TrBackend *b, size_t bytes)
{
	TrCpu	   *cpu = tr_cpu(b);
	size_t		used;

	if (bytes <= cpu->scratch_bytes && cpu->scratch)
		return cpu->scratch;
	tr_free(&cpu->memory, cpu->scratch);
	used = cpu->memory.used;
	cpu->scratch = tr_alloc(&cpu->memory, bytes);
	cpu->scratch_bytes = cpu->scratch ? bytes : 0;
	cpu->scratch_used = cpu->memory.used - used;
	if (!cpu->scratch && cpu->error.status == TR_OK)
		tr_fail(&cpu->error, TR_NO_MEMORY, "out of memory");
	return cpu->scratch;
}

typedef struct Copy
{
	char	   *dst;
	const char *src;			/* NULL = zeroes */
	size_t		bytes;
} Copy;

static void
copy_block(void *argument, int task)
{
	const Copy *copy = argument;
	size_t		start = task * COPY_BLOCK;
	size_t		bytes = (size_t) tr_block_end(copy->bytes, COPY_BLOCK, task) - start;

	if (copy->src)
		memcpy(copy->dst + start, copy->src + start, bytes);
	else
		memset(copy->dst + start, 0, bytes);
}

static void
cpu_copy(TrBackend *b, void *dst, const void *src, size_t bytes)
{
	Copy		copy = {dst, src, bytes};

	tr_cpu_run(b, copy_block, &copy, tr_blocks(bytes, COPY_BLOCK));
}

static void
cpu_zero(TrBackend *b, void *dst, size_t bytes)
{
	cpu_copy(b, dst, NULL, bytes);
}

static TrStatus
cpu_finish(TrBackend *b, TrError *err)
{
	TrError    *error = &tr_cpu(b)->error;

	if (error->status != TR_OK && err)
		*err = *error;
	return error->status;
}

static const TrBackendOps cpu_ops = {
	.api_version = TR_BACKEND_API_VERSION,
	.name = "cpu",
	.open = cpu_open,
	.close = cpu_close,
	.describe = cpu_describe,
	.alloc = cpu_alloc,
	.release = cpu_release,
	.allocated = cpu_allocated,
	.upload = cpu_copy,
	.download = cpu_copy,
	.zero = cpu_zero,
	.finish = cpu_finish,
	.run_tasks = tr_cpu_run,
#define OPERATION(name, parameters) .name = tr_cpu_##name,
#include "core/operations.h"
};

extern const TrBackendOps *tagrec_backend_ops(void);

__attribute__((visibility("default")))
const TrBackendOps *
tagrec_backend_ops(void)
{
	return &cpu_ops;
}
