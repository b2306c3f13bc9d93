/*
 * Where a version ranks the pairs of a test: passes over blocks of users and tiles of items, as in recommend_all.c, which
 * keep no list, but count for each test item how many candidates come before it. See evaluation.h.
 *
 * Legend: B users of a block, T items of a tile, P pairs of a block that can be ranked.
 */
#include "evaluation.h"

#include <math.h>

#include "executor/spi.h"
#include "look_up.h"
#include "matrix.h"
#include "miscadmin.h"
#include "score.h"
#include "tagrec.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define BLOCK_USERS 64
#define TILE_ITEMS 252

/* Keys that one query looks up. */
#define CHUNK_USERS (16 * BLOCK_USERS)
#define CHUNK_ITEMS 8192

/* Columns of the look-ups. */
enum
{
	Col_position = TAGREC_LOOK_UP_COLUMN,	/* items */
	Col_embedding = Col_position,	/* users */
	Col_seen,
	Col_features,				/* these two for a version that has some */
	Col_feature_values
};

typedef struct BlockUser
{
	int32		user;			/* in the test */
	int32	   *seen;			/* (n_seen) positions, ascending */
	int			n_seen;
	int			next_seen;		/* the first one in or after the next tile */
	int32		first_pair;		/* of the block's pairs */
	int32		n_pairs;
} BlockUser;

typedef struct Pass
{
	TagrecCall *call;
	const TagrecTest *test;
	bool		exclude_seen;
	TagrecRanking *ranking;
	const TagrecMatrix *items;
	int32	   *position;		/* (items of the test) -1 = unknown */
	uint64	   *candidate;		/* bits of (items); NULL = every item is one */
	float	   *vector;			/* (B,width) padded */
	float	   *score;			/* (B,T) */
	const TagrecNeighbours *neighbours; /* NULL = the scores have no sparse part */
	float	   *sparse;			/* (B,items) it */

	/* the block */
	int			block;			/* users of a full one */
	int			users;
	BlockUser	user[BLOCK_USERS];
	int32		pairs;
	int32	   *pair;			/* (P) in the test */
	int32	   *relevant;		/* (P) position of its item */
	float	   *bar;			/* (P) its score */
	int32	   *ahead;			/* (P) candidates before it, so far */
} Pass;

/* ------------------------------------------------------------------ looking items up */

static void
check_position(int32 position, int32 limit)
{
	if (position < 0 || position >= limit)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a stored version refers to item %d of %d", position, limit)));
}

static void
find_items(Pass *pass)
{
	const TagrecStored *source = &pass->call->served->items;
	int32		count = pass->test->items.count;
	TagrecLookUp look_up;

	pass->position = MemoryContextAllocHuge(pass->call->context, ((Size) count + 1) * sizeof(int32));
	memset(pass->position, 0xff, (Size) count * sizeof(int32));
	tagrec_look_up_prepare(&look_up, &pass->test->items, source, "item_id", pass->call->version->version, "r.position");
	for (int32 first = 0; first < count; first += CHUNK_ITEMS)
	{
		uint64		rows = tagrec_look_up_keys(&look_up, NULL, first, Min(CHUNK_ITEMS, count - first));

		for (uint64 row = 0; row < rows; row++)
		{
			int32		item = first + tagrec_look_up_place(row);

			pass->position[item] = DatumGetInt32(tagrec_look_up_column(&look_up, row, Col_position));
			check_position(pass->position[item], pass->items->rows);
			pass->ranking->unknown[item] = false;
			pass->ranking->known_items++;
		}
		SPI_freetuptable(SPI_tuptable);
	}
}

/* ------------------------------------------------------------------ a block */

static void
take_seen(Pass *pass, BlockUser *user, Datum value)
{
	ArrayType  *seen = DatumGetArrayTypeP(value);

	user->n_seen = ArrayGetNItems(ARR_NDIM(seen), ARR_DIMS(seen));
	user->seen = (int32 *) ARR_DATA_PTR(seen);
	for (int i = 0; i < user->n_seen; i++)
	{
		check_position(user->seen[i], pass->items->rows);
		if (i > 0 && user->seen[i] <= user->seen[i - 1])
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("the items of a user in relation %s are not in order", pass->call->served->users.name)));
	}
}

static bool
has_seen(const BlockUser *user, int32 position)
{
	int			low = 0;
	int			high = user->n_seen;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (user->seen[middle] < position)
			low = middle + 1;
		else
			high = middle;
	}
	return low < user->n_seen && user->seen[low] == position;
}

/* The user's pairs join the block's, but for those that have no rank. */
static void
take_pairs(Pass *pass, BlockUser *user, const float *vector, const float *sparse)
{
	TagrecRanking *ranking = pass->ranking;

	user->first_pair = pass->pairs;
	for (int64 p = pass->test->group_ptr[user->user]; p < pass->test->group_ptr[user->user + 1]; p++)
	{
		int32		position = pass->position[pass->test->pairs.item[p]];
		float		bar;

		if (position < 0)
			continue;
		ranking->seen[p] = has_seen(user, position);
		bar = tr_dot(vector, tagrec_matrix_row(pass->items, position), pass->items->stride);
		if (sparse)
			tagrec_add(&bar, sparse + position, 1);
		if ((ranking->seen[p] && pass->exclude_seen) || isnan(bar))
			continue;
		pass->pair[pass->pairs] = (int32) p;
		pass->relevant[pass->pairs] = position;
		pass->bar[pass->pairs] = bar;
		pass->ahead[pass->pairs++] = 0;
	}
	user->n_pairs = pass->pairs - user->first_pair;
}

/* The sparse part of the scores of user u of the block; NULL = there is none. */
static float *
sparse_part(const Pass *pass, int u)
{
	return pass->neighbours ? pass->sparse + (Size) u * pass->items->rows : NULL;
}

/* Rows first..first+n-1 of the look-up become the block, in the current context. */
static void
take_block(Pass *pass, const TagrecLookUp *look_up, uint64 first, int n, int32 first_key)
{
	int64		room = 1;

	pass->users = n;
	pass->pairs = 0;
	for (int u = 0; u < n; u++)
	{
		BlockUser  *user = &pass->user[u];

		memset(user, 0, sizeof(*user));
		user->user = first_key + tagrec_look_up_place(first + u);
		room += pass->test->group_ptr[user->user + 1] - pass->test->group_ptr[user->user];
	}
	pass->pair = MemoryContextAllocHuge(CurrentMemoryContext, room * sizeof(int32));
	pass->relevant = MemoryContextAllocHuge(CurrentMemoryContext, room * sizeof(int32));
	pass->bar = MemoryContextAllocHuge(CurrentMemoryContext, room * sizeof(float));
	pass->ahead = MemoryContextAllocHuge(CurrentMemoryContext, room * sizeof(int32));
	for (int u = 0; u < n; u++)
	{
		BlockUser  *user = &pass->user[u];
		float	   *vector = pass->vector + u * pass->items->stride;

		tagrec_read_embedding(vector, tagrec_look_up_column(look_up, first + u, Col_embedding), pass->items->width,
							  look_up->relation);
		take_seen(pass, user, tagrec_look_up_column(look_up, first + u, Col_seen));
		if (pass->neighbours)
			tagrec_neighbours_sum(pass->neighbours, tagrec_look_up_column(look_up, first + u, Col_features),
								  tagrec_look_up_column(look_up, first + u, Col_feature_values), look_up->relation,
								  sparse_part(pass, u));
		take_pairs(pass, user, vector, sparse_part(pass, u));
		pass->ranking->known[user->user] = true;
		pass->ranking->known_users++;
	}
}

/* Takes the items that the user has seen out of the tile; there may have been tiles before it that were not scored. */
static void
leave_out_seen(BlockUser *user, float *score, int32 first, int n)
{
	for (; user->next_seen < user->n_seen && user->seen[user->next_seen] < first + n; user->next_seen++)
		if (user->seen[user->next_seen] >= first)
			score[user->seen[user->next_seen] - first] = NAN;
}

/* The places in the tile of what is no candidate; their number. */
static int
find_others(const Pass *pass, int32 first, int n, int *other)
{
	int			count = 0;

	for (int i = 0; pass->candidate && i < n; i++)
		if (!tr_bit_test(pass->candidate, first + i))
			other[count++] = i;
	return count;
}

static void
rank_block(Pass *pass)
{
	const TagrecMatrix *items = pass->items;

	for (int32 first = 0; first < items->rows; first += TILE_ITEMS)
	{
		int			n = Min(TILE_ITEMS, items->rows - first);
		int			other[TILE_ITEMS];
		int			n_other = find_others(pass, first, n, other);

		CHECK_FOR_INTERRUPTS();
		if (n_other == n)
			continue;
		tr_dot_block(pass->score, TILE_ITEMS, pass->vector, pass->users, tagrec_matrix_row(items, first), n,
					 items->stride);
		for (int u = 0; u < pass->users; u++)
		{
			BlockUser  *user = &pass->user[u];
			float	   *score = pass->score + u * TILE_ITEMS;
			int32		p = user->first_pair;

			if (pass->neighbours)
				tagrec_add(score, sparse_part(pass, u) + first, n);
			if (pass->exclude_seen)
				leave_out_seen(user, score, first, n);
			for (int i = 0; i < n_other; i++)
				score[other[i]] = NAN;
			tr_ranks_tile(pass->ahead + p, pass->relevant + p, pass->bar + p, user->n_pairs, score, first, n);
		}
	}
	for (int32 p = 0; p < pass->pairs; p++)
		pass->ranking->rank[pass->pair[p]] = pass->ahead[p] + 1;
}

static void
rank_users(Pass *pass)
{
	MemoryContext batch = AllocSetContextCreate(pass->call->context, "tagrec block", ALLOCSET_DEFAULT_SIZES);
	int32		count = pass->test->users.count;
	TagrecLookUp look_up;

	tagrec_look_up_prepare(&look_up, &pass->test->users, &pass->call->served->users, "user_id",
						   pass->call->version->version,
						   pass->neighbours ? "r.embedding, r.seen, r.features, r.feature_values" : "r.embedding, r.seen");
	for (int32 chunk = 0; chunk < count; chunk += CHUNK_USERS)
	{
		uint64		rows = tagrec_look_up_keys(&look_up, NULL, chunk, Min(CHUNK_USERS, count - chunk));

		MemoryContextSwitchTo(batch);
		for (uint64 first = 0; first < rows; first += pass->block)
		{
			take_block(pass, &look_up, first, (int) Min((uint64) pass->block, rows - first), chunk);
			rank_block(pass);
			MemoryContextReset(batch);
		}
		MemoryContextSwitchTo(pass->call->context);
		SPI_freetuptable(SPI_tuptable);
	}
}

/* ------------------------------------------------------------------ all of it */

static void
find_candidates(Pass *pass)
{
	int			n;
	int32	   *position = tagrec_find_positions(pass->call, pass->test->candidates, &n);

	pass->candidate = palloc0((TR_BIT_WORDS(pass->items->rows) + 1) * sizeof(uint64));
	for (int i = 0; i < n; i++)
		tr_bit_set(pass->candidate, position[i]);
}

static void
prepare(Pass *pass)
{
	TagrecCall *call = pass->call;

	pass->items = tagrec_served_items(call->served, call->version);
	pass->block = BLOCK_USERS;
	if (call->version->features)
	{
		pass->neighbours = tagrec_served_neighbours(call->served, call->version);
		pass->block = tagrec_neighbours_block(pass->neighbours, BLOCK_USERS);
		pass->sparse = MemoryContextAllocHuge(call->context, (Size) pass->block * (pass->items->rows + 1) * sizeof(float));
	}
	pass->vector = tagrec_padded_vectors(BLOCK_USERS, pass->items->width);
	pass->score = palloc(BLOCK_USERS * TILE_ITEMS * sizeof(float));
}

TagrecRanking *
tagrec_rank_items(const TagrecVersion *version, TagrecTest *test, bool exclude_seen)
{
	MemoryContext result = CurrentMemoryContext;
	TagrecCall *call = tagrec_call_begin_version(version->model, version->version);
	Pass		pass = {.call = call, .test = test, .exclude_seen = exclude_seen};

	tagrec_test_settle(test, call->served);
	MemoryContextSwitchTo(result);
	pass.ranking = tagrec_ranking_make(test);
	MemoryContextSwitchTo(call->context);
	prepare(&pass);
	find_items(&pass);
	if (test->candidates)
		find_candidates(&pass);
	rank_users(&pass);
	tagrec_call_end(call);
	return pass.ranking;
}
