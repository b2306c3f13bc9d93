/*
 * Dropping the versions that are not kept, at the start of a job and at its end. See write.h for when one may go.
 */
#include "pg/train/job_prune.h"

#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "pg/base/compat.h"
#include "pg/base/tagrec.h"
#include "pg/registry/statement.h"
#include "pg/registry/version_write.h"
#include "pg/store/write.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/procarray.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

/* What is in use at the end of a job is tried again so often, after so many milliseconds each. */
#define TRIES 20
#define NAP_MS 10

/* For objects that depend on the partitions, such as a foreign key; the partitions are locked by then. */
#define DROP_LOCK_TIMEOUT "10ms"

/* So many versions beyond those that are kept may wait for snapshots that still see them as deployed. */
#define WAITING_VERSIONS 2

typedef enum Fate
{
	IN_USE,						/* it may go a little later */
	GONE,
	STUCK						/* something depends on it that this job cannot drop */
} Fate;

/* Versions that are to go, newest first, and how far that is. */
typedef struct Pruning
{
	const TagrecRunningJob *job;
	TagrecPlace place;
	int			count;
	int32	   *versions;
	Fate	   *fates;
} Pruning;

/* None if the model is gone or belongs to another role. */
static void
find_versions(Pruning *p, int keep)
{
	TagrecModel *model;
	Oid			view;

	tagrec_worker_begin(p->job->context);
	model = tagrec_model_find(p->job->request->model, true, true);
	view = model ? tagrec_model_view(model->schema, model->model) : InvalidOid;
	if (OidIsValid(view) && tagrec_owns_relation(view, GetUserId()))
	{
		p->place = tagrec_place_of(model);
		p->count = tagrec_versions_beyond(model->model_id, keep, &p->versions);
		p->fates = palloc0(Max(p->count, 1) * sizeof(Fate));
	}
	tagrec_worker_commit(p->job->context);
}

/* What precedes it, every snapshot of this database sees. Our own, a catalog snapshot included, must not count. */
static TransactionId
horizon(void)
{
	Relation	models = table_open(get_relname_relid("tagrec_model", tagrec_schema()), AccessShareLock);
	TransactionId oldest;

	InvalidateCatalogSnapshot();
	oldest = GetOldestNonRemovableTransactionId(models);
	table_close(models, AccessShareLock);
	return oldest;
}

/*
 * The statement of a client that waits has a snapshot from before the job. It does not count: the statement runs no
 * parallel workers, and where it asks the model, it is given the version of now.
 */
static bool
client_alone_sees(const TagrecShared *shared, TransactionId replaced)
{
	int			count;
	VirtualTransactionId *holders;

	if (!shared)
		return false;
	holders = GetCurrentVirtualXIDs(replaced, true, false, 0, &count);
	for (int i = 0; i < count; i++)
		if (!VirtualTransactionIdEquals(holders[i], shared->client))
			return false;
	return true;
}

/* In a transaction; true when it is this job's to drop, and has its locks. */
static bool
may_go(Pruning *p, int i, TransactionId oldest)
{
	TransactionId replaced;

	if (!tagrec_model_hold_at_once(p->place.model_id))
		return false;
	replaced = tagrec_version_replaced(p->place.model_id, p->versions[i]);
	if (!TransactionIdIsValid(replaced))
		return false;
	if (i < WAITING_VERSIONS && !TransactionIdPrecedes(replaced, oldest) && !client_alone_sees(p->job->shared, replaced))
		return false;
	p->place.version = p->versions[i];
	return tagrec_store_lock_version(&p->place);
}

static Fate
try_drop(Pruning *p, int i)
{
	Fate		fate = IN_USE;
	TransactionId oldest;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	oldest = horizon();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(p->job->context);
	if (may_go(p, i, oldest))
	{
		(void) set_config_option("lock_timeout", DROP_LOCK_TIMEOUT, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true,
								 0, false);
		tagrec_store_drop_version(&p->place);
		tagrec_version_delete(p->place.model_id, p->place.version);
		fate = GONE;
	}
	tagrec_worker_commit(p->job->context);
	return fate;
}

/* In a transaction of its own, so that a version that cannot go does not keep the others. */
static Fate
drop_version(Pruning *p, int i)
{
	volatile Fate fate = STUCK;

	PG_TRY();
	{
		fate = try_drop(p, i);
	}
	PG_CATCH();
	{
		int			sqlstate = geterrcode();

		if (sqlstate == ERRCODE_QUERY_CANCELED || sqlstate == ERRCODE_ADMIN_SHUTDOWN)
			PG_RE_THROW();
		(void) tagrec_worker_abort(p->job->context);
	}
	PG_END_TRY();
	return fate;
}

/* Returns how many are in use. */
static int
drop_versions(Pruning *p)
{
	int			in_use = 0;

	for (int i = 0; i < p->count; i++)
	{
		if (p->fates[i] == IN_USE)
			p->fates[i] = drop_version(p, i);
		in_use += p->fates[i] == IN_USE;
	}
	return in_use;
}

static void
nap(void)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, NAP_MS, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

void
tagrec_prune(const TagrecRunningJob *job, int keep, bool patiently)
{
	Pruning		p = {.job = job};

	find_versions(&p, keep);
	for (int i = 1; drop_versions(&p) > 0 && patiently && i < TRIES; i++)
		nap();
}

/* In a subtransaction, which something that depends on the version may abort. */
static void
drop_here(const TagrecPlace *place)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		if (tagrec_store_lock_version(place))
		{
			tagrec_store_drop_version(place);
			tagrec_version_delete(place->model_id, place->version);
		}
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		int			sqlstate = geterrcode();

		if (sqlstate == ERRCODE_QUERY_CANCELED || sqlstate == ERRCODE_ADMIN_SHUTDOWN)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

void
tagrec_prune_here(const TagrecPlace *last, int keep)
{
	TransactionId oldest = horizon();
	int32	   *versions;
	int			count = tagrec_versions_beyond(last->model_id, keep, &versions);

	for (int i = 0; i < count; i++)
	{
		TagrecPlace place = *last;
		TransactionId replaced = tagrec_version_replaced(last->model_id, versions[i]);

		place.version = versions[i];
		if (TransactionIdIsValid(replaced) && TransactionIdPrecedes(replaced, oldest))
			drop_here(&place);
	}
}
