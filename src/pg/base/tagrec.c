/*
 * The library's entry: its settings. Nothing here needs shared_preload_libraries.
 */
#include "pg/base/tagrec.h"

#include <limits.h>
#include <unistd.h>

#include "fmgr.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

#define MAX_THREADS 1024
#define DEFAULT_THREADS 4

int			tagrec_threads;
int			tagrec_max_memory;
int			tagrec_max_running_jobs;
int			tagrec_max_queued_jobs;
int			tagrec_max_finished_jobs;
int			tagrec_cache_size;
int			tagrec_progress_interval;

PGDLLEXPORT void _PG_init(void);

static int
default_threads(void)
{
	long		cores = sysconf(_SC_NPROCESSORS_ONLN);

	return cores < 1 ? 1 : (int) Min(cores, DEFAULT_THREADS);
}

static void
define_training_settings(void)
{
	DefineCustomIntVariable("tagrec.threads",
							"Most threads that a training worker runs.",
							NULL,
							&tagrec_threads, default_threads(), 1, MAX_THREADS,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("tagrec.max_memory",
							"Most memory that a training worker may take.",
							"-1 means half of the machine's memory, or of its control group's; 0 means no limit.",
							&tagrec_max_memory, -1, -1, INT_MAX,
							PGC_SUSET, GUC_UNIT_MB, NULL, NULL, NULL);
	DefineCustomIntVariable("tagrec.progress_interval",
							"Least time between two progress notices of a training that is waited for.",
							NULL,
							&tagrec_progress_interval, 3, 0, 3600,
							PGC_USERSET, GUC_UNIT_S, NULL, NULL, NULL);
}

static void
define_job_settings(void)
{
	DefineCustomIntVariable("tagrec.max_running_jobs",
							"Most jobs of one role that run at once in a database.",
							NULL,
							&tagrec_max_running_jobs, 4, 1, 1024,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("tagrec.max_queued_jobs",
							"Most jobs of one role that wait in a database.",
							NULL,
							&tagrec_max_queued_jobs, 100, 0, INT_MAX,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("tagrec.max_finished_jobs",
							"Finished jobs of one role that are kept beside those of existing versions.",
							"-1 means all.",
							&tagrec_max_finished_jobs, 1000, -1, INT_MAX,
							PGC_SUSET, 0, NULL, NULL, NULL);
}

static void
define_serving_settings(void)
{
	DefineCustomIntVariable("tagrec.cache_size",
							"Memory that a session keeps item matrices and weights between neighbours in.",
							"The version being asked is always kept, whatever its size.",
							&tagrec_cache_size, 256, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MB, NULL, NULL, NULL);
}

void
_PG_init(void)
{
	define_training_settings();
	define_job_settings();
	define_serving_settings();
	MarkGUCPrefixReserved("tagrec");
}
