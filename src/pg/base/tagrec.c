/*
 * The library's entry: its settings. Nothing here needs shared_preload_libraries.
 */
#include "pg/base/tagrec.h"
#include "pg/base/told.h"

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
int			tagrec_mapped_size;
bool		tagrec_fast_scan;
int			tagrec_progress_interval;
char	   *tagrec_model_schema;
void		(*tagrec_told) (const char *unit, int64 done, int64 total);

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
							"Sets the maximum number of threads of a training worker.",
							NULL,
							&tagrec_threads, default_threads(), 1, MAX_THREADS,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("tagrec.max_memory",
							"Sets the maximum memory to be used by a training worker.",
							"-1 means half of the memory of the machine or of its control group; 0 means no limit.",
							&tagrec_max_memory, -1, -1, INT_MAX,
							PGC_SUSET, GUC_UNIT_MB, NULL, NULL, NULL);
	DefineCustomIntVariable("tagrec.progress_interval",
							"Sets the minimum time between progress notices while waiting for a training.",
							NULL,
							&tagrec_progress_interval, 3, 0, 3600,
							PGC_USERSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomStringVariable("tagrec.model_schema",
							   "Sets the schema for the tables and views of new models.",
							   "An empty string means the current schema.",
							   &tagrec_model_schema, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
}

static void
define_job_settings(void)
{
	DefineCustomIntVariable("tagrec.max_running_jobs",
							"Sets the maximum number of running jobs per role in a database.",
							NULL,
							&tagrec_max_running_jobs, 4, 1, 1024,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("tagrec.max_queued_jobs",
							"Sets the maximum number of queued jobs per role in a database.",
							NULL,
							&tagrec_max_queued_jobs, 100, 0, INT_MAX,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("tagrec.max_finished_jobs",
							"Sets the number of finished jobs to keep per role, in addition to those of existing versions.",
							"-1 keeps all.",
							&tagrec_max_finished_jobs, 1000, -1, INT_MAX,
							PGC_SUSET, 0, NULL, NULL, NULL);
}

static void
define_serving_settings(void)
{
	DefineCustomIntVariable("tagrec.cache_size",
							"Sets the maximum memory for item matrices and neighbour weights cached by a session.",
							"The version in use is always cached, regardless of its size.",
							&tagrec_cache_size, 256, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MB, NULL, NULL, NULL);
	DefineCustomIntVariable("tagrec.mapped_size",
							"Sets the maximum disk space for item matrices and neighbour weights that all sessions share.",
							"Those used longest ago make room for new ones. 0 means that every session has its own copy.",
							&tagrec_mapped_size, 4096, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_MB, NULL, NULL, NULL);
	DefineCustomBoolVariable("tagrec.fast_scan",
							 "Leaves out rows that cannot be among the best ones, by bounds on their scores.",
							 "The answers are the same; turn it off to compare.",
							 &tagrec_fast_scan, true,
							 PGC_USERSET, 0, NULL, NULL, NULL);
}

void
_PG_init(void)
{
	define_training_settings();
	define_job_settings();
	define_serving_settings();
	MarkGUCPrefixReserved("tagrec");
}
