/*
 * What a statement has found is what it would find. See unchanged.h.
 */
#include "pg/serve/unchanged.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "catalog/catalog.h"
#include "catalog/pg_am.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "pg/base/compat.h"
#include "storage/bufmgr.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

/* Looking at so many pages takes as long as the planner's unit of cost. */
#define PAGES_PER_COST 20

/* ------------------------------------------------------------------ the statement */

static bool
is_users_function(Oid function, void *unused)
{
	return function >= FirstUnpinnedObjectId;
}

static bool
depends_on_more(Node *node, void *unused)
{
	if (!node)
		return false;
	if (IsA(node, TableSampleClause))
		return true;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, depends_on_more, unused, 0);
	return check_functions_in_node(node, is_users_function, unused) || expression_tree_walker(node, depends_on_more, unused);
}

/* Is it a query whose rows follow from those of its relations alone? A function that a user has written may lie. */
static bool
depends_on_rows_alone(SPIPlanPtr plan)
{
	List	   *sources = SPI_plan_get_plan_sources(plan);
	CachedPlanSource *source = list_length(sources) == 1 ? linitial(sources) : NULL;

	return source && !source->dependsOnRLS && !contain_mutable_functions((Node *) source->query_list) &&
		!depends_on_more((Node *) source->query_list, NULL);
}

static PlannedStmt *
statement_of(const CachedPlan *plan)
{
	PlannedStmt *statement = linitial_node(PlannedStmt, plan->stmt_list);

	return statement->commandType == CMD_SELECT && !statement->rowMarks && !statement->dependsOnRole ? statement : NULL;
}

/* ------------------------------------------------------------------ the pages */

/*
 * Had the transactions that wrote the tuple ended before the oldest one? Whether they committed is then the same for all.
 */
static bool
is_settled(HeapTupleHeader tuple, TransactionId oldest)
{
	uint16		info = tuple->t_infomask;
	TransactionId inserted = HeapTupleHeaderGetRawXmin(tuple);

	if ((info & HEAP_MOVED) || (TransactionIdIsNormal(inserted) && !TransactionIdPrecedes(inserted, oldest)))
		return false;
	if ((info & HEAP_XMAX_INVALID) || HEAP_XMAX_IS_LOCKED_ONLY(info))
		return true;
	return !(info & HEAP_XMAX_IS_MULTI) && TransactionIdPrecedes(HeapTupleHeaderGetRawXmax(tuple), oldest);
}

static bool
all_settled(Page page, TransactionId oldest)
{
	OffsetNumber last = PageGetMaxOffsetNumber(page);

	for (OffsetNumber i = FirstOffsetNumber; i <= last; i++)
	{
		ItemId		item = PageGetItemId(page, i);

		if (ItemIdIsNormal(item) && !is_settled((HeapTupleHeader) PageGetItem(page, item), oldest))
			return false;
	}
	return true;
}

/* settle: its tuples must be settled for the mark, too */
static bool
page_is_old(Relation relation, BlockNumber block, const TagrecReadMark *mark, bool settle)
{
	Buffer		buffer = ReadBuffer(relation, block);
	bool		old;

	if (settle)
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
	old = BufferGetLSNAtomic(buffer) <= mark->position;
	if (settle)
	{
		old = old && all_settled(BufferGetPage(buffer), mark->oldest);
		LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	}
	ReleaseBuffer(buffer);
	CHECK_FOR_INTERRUPTS();
	return old;
}

/* Does every change of the relation reach the WAL, and leave its transaction's number in the tuple? */
static bool
changes_are_seen(Relation relation)
{
	return (relation->rd_rel->relkind == RELKIND_RELATION || relation->rd_rel->relkind == RELKIND_MATVIEW) &&
		relation->rd_rel->relam == HEAP_TABLE_AM_OID && relation->rd_rel->relpersistence == RELPERSISTENCE_PERMANENT &&
		!IsCatalogRelation(relation);
}

static bool
relation_is_old(Oid id, double *pages, const TagrecReadMark *mark, bool settle)
{
	Relation	relation = relation_open(id, AccessShareLock);
	char		kind = relation->rd_rel->relkind;
	bool		old = kind == RELKIND_VIEW || kind == RELKIND_PARTITIONED_TABLE;	/* the plan names what they are made of */

	if (!old && changes_are_seen(relation))
	{
		BlockNumber blocks = RelationGetNumberOfBlocks(relation);

		*pages -= blocks;
		old = *pages >= 0;
		for (BlockNumber block = 0; old && block < blocks; block++)
			old = page_is_old(relation, block, mark, settle);
	}
	relation_close(relation, NoLock);
	return old;
}

static bool
all_old(const PlannedStmt *statement, const TagrecReadMark *mark, bool settle)
{
	double		pages = statement->planTree->total_cost * PAGES_PER_COST;
	ListCell   *cell;

	foreach(cell, statement->relationOids)
		if (!relation_is_old(lfirst_oid(cell), &pages, mark, settle))
			return false;
	return true;
}

/* ------------------------------------------------------------------ marks */

/* Nothing is removed that a snapshot may see, and the WAL has all changes. */
static bool
can_be_proved(Snapshot snapshot)
{
	return snapshot->snapshot_type == SNAPSHOT_MVCC && XLogIsNeeded() && !tagrec_snapshots_grow_old() &&
		!IsolationIsSerializable();	/* whose reads are noted by the executor */
}

static XLogRecPtr
end_of_wal(void)
{
	return RecoveryInProgress() ? GetXLogReplayRecPtr(NULL) : GetXLogInsertRecPtr();
}

TagrecReadMark
tagrec_mark_read(SPIPlanPtr plan, uint64 statement)
{
	static const TagrecReadMark none;
	TagrecReadMark mark = {.statement = statement, .oldest = GetActiveSnapshot()->xmin};
	CachedPlan *cached;
	PlannedStmt *planned;
	bool		proved;

	if (statement == 0 || !can_be_proved(GetActiveSnapshot()) || !depends_on_rows_alone(plan))
		return none;
	cached = SPI_plan_get_cached_plan(plan);
	if (!cached)
		return none;
	mark.generation = cached->generation;
	mark.position = mark.looked = end_of_wal();
	planned = statement_of(cached);
	proved = planned && all_old(planned, &mark, true);
	ReleaseCachedPlan(cached, CurrentResourceOwner);
	return proved ? mark : none;
}

bool
tagrec_unchanged(TagrecReadMark *mark, SPIPlanPtr plan, uint64 statement)
{
	Snapshot	snapshot = GetActiveSnapshot();
	XLogRecPtr	end = end_of_wal();
	CachedPlan *cached;
	bool		same = false;

	if (statement == 0 || mark->statement != statement || !can_be_proved(snapshot) ||
		TransactionIdPrecedes(snapshot->xmin, mark->oldest))
		return false;
	cached = SPI_plan_get_cached_plan(plan);
	if (!cached)
		return false;
	if (cached->generation == mark->generation)
	{
		PlannedStmt *planned = linitial_node(PlannedStmt, cached->stmt_list);

		tagrec_check_privileges(planned);
		same = mark->looked == end || all_old(planned, mark, false);
		if (same)
			mark->looked = end;
	}
	ReleaseCachedPlan(cached, CurrentResourceOwner);
	return same;
}
