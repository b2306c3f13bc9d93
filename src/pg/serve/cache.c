/*
 * The session's cache of versions. See cache.h.
 */
#include "pg/serve/cache.h"

#include <math.h>

#include "miscadmin.h"
#include "pg/base/tagrec.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* Entries without parts are small, but their number is limited, too. */
#define MAX_ENTRIES 100

static dlist_head entries = DLIST_STATIC_INIT(entries);
static int	n_entries;

/* ------------------------------------------------------------------ size */

static Size
entry_bytes(const TagrecServed *served)
{
	Size		bytes = 0;

	if (served->item_matrix)
		bytes += served->item_matrix->bytes;
	if (served->user_matrix)
		bytes += served->user_matrix->bytes;
	if (served->neighbours)
		bytes += served->neighbours->bytes;
	if (served->encoder)
		bytes += tagrec_encoder_bytes(served->encoder);
	if (served->popularity)
		bytes += (Size) served->n_items * sizeof(TrScored);
	if (served->caution)
		bytes += (Size) served->n_items * sizeof(float);
	return bytes;
}

static void
drop_item_matrix(TagrecServed *served)
{
	if (served->item_matrix)
		tagrec_matrix_free(served->item_matrix);
	served->item_matrix = NULL;
}

static void
drop_user_matrix(TagrecServed *served)
{
	if (served->user_matrix)
		tagrec_matrix_free(served->user_matrix);
	served->user_matrix = NULL;
}

static void
drop_neighbours(TagrecServed *served)
{
	if (served->neighbours)
		tagrec_neighbours_free(served->neighbours);
	served->neighbours = NULL;
}

static void
drop_encoder(TagrecServed *served)
{
	if (served->encoder)
		tagrec_encoder_free(served->encoder);
	served->encoder = NULL;
}

static void
drop_entry(TagrecServed *served)
{
	dlist_delete(&served->node);
	n_entries--;
	drop_item_matrix(served);
	drop_user_matrix(served);
	drop_neighbours(served);
	drop_encoder(served);
	MemoryContextDelete(served->context);
}

static Size
total_bytes(void)
{
	Size		bytes = 0;
	dlist_iter	i;

	dlist_foreach(i, &entries)
		bytes += entry_bytes(dlist_container(TagrecServed, node, i.cur));
	return bytes;
}

/* The entry used longest ago that may go; NULL when there is none. */
static TagrecServed *
oldest_idle(const TagrecServed *keep)
{
	dlist_iter	i;

	dlist_reverse_foreach(i, &entries)
	{
		TagrecServed *served = dlist_container(TagrecServed, node, i.cur);

		if (served != keep && served->pins == 0)
			return served;
	}
	return NULL;
}

/* Makes room for what is about to be read, or was read, for `keep`. */
static void
shrink(const TagrecServed *keep)
{
	Size		limit = (Size) tagrec_cache_size * 1024 * 1024;

	while (n_entries > MAX_ENTRIES || total_bytes() > limit)
	{
		TagrecServed *oldest = oldest_idle(keep);

		if (!oldest)
			break;
		drop_entry(oldest);
	}
}

static bool
over_limit(void)
{
	return total_bytes() > (Size) tagrec_cache_size * 1024 * 1024;
}

/* ------------------------------------------------------------------ entries */

static TagrecStored
stored(const TagrecTable *table)
{
	if (!table)
		return (TagrecStored) {InvalidOid, InvalidOid};
	return (TagrecStored) {RelationGetRelid(table->relation), table->relation->rd_rel->relfilenode};
}

static bool
is_from(const TagrecStored *source, const TagrecTable *table)
{
	TagrecStored now = stored(table);

	return source->relation == now.relation && source->file == now.file;
}

static TagrecServed *
find_entry(const TagrecTables *tables)
{
	const TagrecVersion *version = tables->users->version;
	dlist_iter	i;

	dlist_foreach(i, &entries)
	{
		TagrecServed *served = dlist_container(TagrecServed, node, i.cur);

		if (served->model_id == version->model_id && served->version == version->version &&
			strcmp(served->algorithm, version->algorithm) == 0 && strcmp(served->task, version->task) == 0 &&
			served->width == version->width && served->unit_width == version->unit_width &&
			served->features == version->features && served->n_users == version->users &&
			served->n_items == version->items && is_from(&served->users_from, tables->users) &&
			is_from(&served->items_from, tables->items) && is_from(&served->neighbours_from, tables->neighbours))
			return served;
	}
	return NULL;
}

static bool
is_left_behind(const TagrecServed *served)
{
	return (served->item_matrix && tagrec_mapping_gone(&served->item_matrix->mapping)) ||
		(served->user_matrix && tagrec_mapping_gone(&served->user_matrix->mapping)) ||
		(served->neighbours && tagrec_mapping_gone(&served->neighbours->mapping));
}

/* A file that was unlinked keeps its space for as long as somebody has mapped it. */
void
tagrec_served_let_go(void)
{
	dlist_mutable_iter i;

	dlist_foreach_modify(i, &entries)
	{
		TagrecServed *served = dlist_container(TagrecServed, node, i.cur);

		if (served->pins == 0 && is_left_behind(served))
			drop_entry(served);
	}
}

static TagrecServed *
add_entry(const TagrecTables *tables)
{
	const TagrecVersion *version = tables->users->version;
	MemoryContext context = AllocSetContextCreate(CacheMemoryContext, "tagrec version", ALLOCSET_SMALL_SIZES);
	TagrecServed *served = MemoryContextAllocZero(context, sizeof(TagrecServed));

	served->context = context;
	served->model_id = version->model_id;
	served->version = version->version;
	served->algorithm = MemoryContextStrdup(context, version->algorithm);
	served->task = MemoryContextStrdup(context, version->task);
	served->width = version->width;
	served->unit_width = version->unit_width;
	served->features = version->features;
	served->n_users = version->users;
	served->n_items = version->items;
	served->users_from = stored(tables->users);
	served->items_from = stored(tables->items);
	served->neighbours_from = stored(tables->neighbours);
	dlist_push_head(&entries, &served->node);
	n_entries++;
	return served;
}

TagrecServed *
tagrec_served(const TagrecTables *tables)
{
	TagrecServed *served = find_entry(tables);

	if (served)
		dlist_move_head(&entries, &served->node);
	else
	{
		tagrec_served_let_go();
		served = add_entry(tables);
	}
	shrink(served);
	served->pins++;
	return served;
}

void
tagrec_served_unpin(TagrecServed *served)
{
	served->pins--;
}

/* ------------------------------------------------------------------ parts */

TagrecMatrix *
tagrec_served_items(TagrecServed *served, const TagrecTables *tables)
{
	if (!served->item_matrix)
	{
		served->item_matrix = tagrec_matrix(tables->items);
		MemoryContextSetParent(served->item_matrix->context, CacheMemoryContext);
		shrink(served);
		if (over_limit() && served->pins == 1)
			drop_user_matrix(served);
	}
	return served->item_matrix;
}

TagrecMatrix *
tagrec_served_users(TagrecServed *served, const TagrecTables *tables)
{
	if (!served->user_matrix)
	{
		served->user_matrix = tagrec_matrix(tables->users);
		MemoryContextSetParent(served->user_matrix->context, CacheMemoryContext);
		shrink(served);
		if (over_limit() && served->pins == 1)
		{
			drop_item_matrix(served);
			drop_neighbours(served);
			drop_encoder(served);
		}
	}
	return served->user_matrix;
}

TagrecNeighbours *
tagrec_served_neighbours(TagrecServed *served, const TagrecTables *tables)
{
	if (!served->neighbours)
	{
		served->neighbours = tagrec_neighbours(tables->neighbours);
		MemoryContextSetParent(served->neighbours->context, CacheMemoryContext);
		shrink(served);
		if (over_limit() && served->pins == 1)
			drop_user_matrix(served);
	}
	return served->neighbours;
}

TagrecEncoder *
tagrec_served_encoder(TagrecServed *served, const TagrecTables *tables)
{
	if (!served->encoder)
	{
		served->encoder = tagrec_encoder_load(tables->users->version);
		shrink(served);
	}
	return served->encoder;
}

/* Every item with the number of its users. */
const TrScored *
tagrec_served_popularity(TagrecServed *served, const TagrecTables *tables)
{
	const TagrecVersion *version = tables->items->version;
	TrScored   *popularity;
	TagrecScan	scan;

	if (served->popularity)
		return served->popularity;
	popularity = MemoryContextAllocHuge(served->context, ((Size) version->items + 1) * sizeof(TrScored));
	for (int32 i = 0; i < version->items; i++)
		popularity[i] = (TrScored) {0, i};
	scan = tagrec_scan_all(tables->items);
	while (tagrec_scan_next(&scan))
	{
		int32		item = tagrec_get_int(&scan, Item_position, version->items);

		CHECK_FOR_INTERRUPTS();
		popularity[item].score = (float) tagrec_get_int(&scan, Item_posts, PG_INT32_MAX);
	}
	tagrec_scan_end(&scan);
	served->popularity = popularity;
	return popularity;
}

float
tagrec_caution(const TagrecVersion *version, int32 ratings)
{
	double		caution = tagrec_version_task(version)->values ? tagrec_version_number(version, "caution", 0) : 0;

	return caution > 0 ? (float) (caution / sqrt(1.0 + ratings)) : 0;
}

const float *
tagrec_served_caution(TagrecServed *served, const TagrecTables *tables)
{
	const TagrecVersion *version = tables->items->version;
	const TrScored *popularity;

	if (served->caution || tagrec_caution(version, 0) == 0)
		return served->caution;
	popularity = tagrec_served_popularity(served, tables);
	served->caution = MemoryContextAllocHuge(served->context, ((Size) version->items + 1) * sizeof(float));
	for (int32 i = 0; i < version->items; i++)
		served->caution[i] = tagrec_caution(version, (int32) popularity[i].score);
	return served->caution;
}
