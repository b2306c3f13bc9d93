/*
 * Where a version ranks the pairs of a test: passes over blocks of users and tiles of items, as in recommend_all.c, which
 * keep no list, but count for each test item how many candidates come before it. See test.h.
 *
 * Legend: B users of a block, T items of a tile, P pairs of a block that can be ranked.
 */
#include "pg/evaluate/test.h"

#include <math.h>

#include "core/ascending.h"
#include "core/topn.h"
#include "miscadmin.h"
#include "pg/serve/ids.h"
#include "pg/serve/scorer.h"
#include "utils/memutils.h"

#define BLOCK_USERS 64
#define TILE_ITEMS 252

typedef struct BlockUser
{
	int32		user;			/* in the test */
	const int32 *out;			/* (n_out) positions of what is no candidate, ascending */
	int			n_out;
	int			next_out;		/* the first one in or after the next tile */
	int32		first_pair;		/* of the block's pairs */
	int32		n_pairs;
} BlockUser;

typedef struct Pass
{
	TagrecCall *call;
	const TagrecTest *test;
	bool		exclude_seen;
	TagrecRanking *ranking;
	TagrecScorer *scorer;
	const TagrecMatrix *items;
	int32	   *position;		/* (items of the test) -1 = unknown */
	uint64	   *candidate;		/* bits of (items); NULL = every item is one */
	int32		n_candidates;
	float	   *score;			/* (B,T) */

	/* the block, of the scorer's users */
	BlockUser	user[BLOCK_USERS];
	int32		pairs;
	int32	   *pair;			/* (P) in the test */
	int32	   *relevant;		/* (P) position of its item */
	float	   *bar;			/* (P) its score */
	int32	   *ahead;			/* (P) candidates before it, so far */
} Pass;

/* ------------------------------------------------------------------ looking items up */

static void
find_items(Pass *pass)
{
	const TagrecKeys *keys = &pass->test->items;
	TagrecKeyInput input;

	pass->position = MemoryContextAllocHuge(pass->call->context, ((Size) keys->count + 1) * sizeof(int32));
	tagrec_key_input(&input, pass->items->key_type);
	for (int32 item = 0; item < keys->count; item++)
	{
		CHECK_FOR_INTERRUPTS();
		pass->position[item] = tagrec_matrix_find(pass->items, tagrec_key_read(&input, keys->text[item]));
		pass->ranking->unknown[item] = pass->position[item] < 0;
		pass->ranking->known_items += pass->position[item] >= 0;
	}
}

/* ------------------------------------------------------------------ a block */

/* Adds the pairs of user u of the block to the block's, except those without a rank. */
static void
take_pairs(Pass *pass, int u, const TagrecRow *row)
{
	TagrecRanking *ranking = pass->ranking;
	BlockUser  *user = &pass->user[u];

	user->first_pair = pass->pairs;
	for (int64 p = pass->test->group_ptr[user->user]; p < pass->test->group_ptr[user->user + 1]; p++)
	{
		int32		position = pass->position[pass->test->pairs.item[p]];
		float		bar;

		if (position < 0)
			continue;
		ranking->seen[p] = tr_find_ascending(row->out, row->n_out, position) >= 0;
		bar = tagrec_score_pair(pass->scorer, u, position);
		if (tr_find_ascending(user->out, user->n_out, position) >= 0 || isnan(bar))
			continue;
		pass->pair[pass->pairs] = (int32) p;
		pass->relevant[pass->pairs] = position;
		pass->bar[pass->pairs] = bar;
		pass->ahead[pass->pairs++] = 0;
	}
	user->n_pairs = pass->pairs - user->first_pair;
}

/* How many items the user's are ranked among */
static int32
candidates_of(const Pass *pass, const BlockUser *user)
{
	int32		count = pass->n_candidates;

	for (int i = 0; i < user->n_out; i++)
		count -= !pass->candidate || tr_bit_test(pass->candidate, user->out[i]);
	return count;
}

/* A user of the test joins the block. */
static void
take_user(Pass *pass, int32 test_user, const TagrecRow *row)
{
	int			u = pass->scorer->users;

	tagrec_scorer_add(pass->scorer, row->embedding, &row->sparse);
	pass->user[u] = (BlockUser) {.user = test_user};
	pass->user[u].out = tagrec_row_out(row, pass->exclude_seen, &pass->user[u].n_out);
	take_pairs(pass, u, row);
	pass->ranking->known[test_user] = true;
	pass->ranking->candidates[test_user] = candidates_of(pass, &pass->user[u]);
	pass->ranking->known_users++;
}

/* Room for the pairs of any block. */
static void
make_room(Pass *pass)
{
	Size		room = (Size) pass->scorer->limit * tagrec_test_most(pass->test);

	pass->pair = MemoryContextAllocHuge(CurrentMemoryContext, room * sizeof(int32));
	pass->relevant = MemoryContextAllocHuge(CurrentMemoryContext, room * sizeof(int32));
	pass->bar = MemoryContextAllocHuge(CurrentMemoryContext, room * sizeof(float));
	pass->ahead = MemoryContextAllocHuge(CurrentMemoryContext, room * sizeof(int32));
}

/* Takes what is no candidate of the user's out of the tile; there may have been tiles before it that were not scored. */
static void
leave_out(BlockUser *user, float *score, int32 first, int n)
{
	for (; user->next_out < user->n_out && user->out[user->next_out] < first + n; user->next_out++)
		if (user->out[user->next_out] >= first)
			score[user->out[user->next_out] - first] = NAN;
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
		tagrec_score_tile(pass->scorer, pass->score, TILE_ITEMS, first, n);
		for (int u = 0; u < pass->scorer->users; u++)
		{
			BlockUser  *user = &pass->user[u];
			float	   *score = pass->score + u * TILE_ITEMS;
			int32		p = user->first_pair;

			leave_out(user, score, first, n);
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
	const TagrecKeys *keys = &pass->test->users;
	TagrecScorer *scorer = pass->scorer;
	TagrecKeyInput input;

	tagrec_key_input(&input, pass->call->tables.users->key_type);
	make_room(pass);
	for (int32 user = 0; user < keys->count;)
	{
		MemoryContextSwitchTo(batch);
		scorer->users = pass->pairs = 0;
		for (; user < keys->count && scorer->users < scorer->limit; user++)
		{
			TagrecRow	row;

			if (tagrec_find_user_key(pass->call, tagrec_key_read(&input, keys->text[user]), &row))
				take_user(pass, user, &row);
		}
		rank_block(pass);
		MemoryContextSwitchTo(pass->call->context);
		MemoryContextReset(batch);
	}
}

/* ------------------------------------------------------------------ all of it */

static void
find_candidates(Pass *pass)
{
	int			n;
	int32	   *position = tagrec_find_positions(tagrec_call_items(pass->call), pass->test->candidates, &n);

	pass->candidate = palloc0((TR_BIT_WORDS(pass->items->rows) + 1) * sizeof(uint64));
	for (int i = 0; i < n; i++)
		tr_bit_set(pass->candidate, position[i]);
	pass->n_candidates = n;
}

static void
prepare(Pass *pass)
{
	pass->scorer = tagrec_scorer(pass->call, BLOCK_USERS);
	pass->items = pass->scorer->items;
	pass->n_candidates = pass->items->rows;
	pass->score = palloc(BLOCK_USERS * TILE_ITEMS * sizeof(float));
}

TagrecRanking *
tagrec_rank_items(const TagrecVersion *version, TagrecTest *test, bool exclude_seen)
{
	MemoryContext result = CurrentMemoryContext;
	TagrecCall *call = tagrec_call_begin_version(version->model, version->version);
	Pass		pass = {.call = call, .test = test, .exclude_seen = exclude_seen};

	tagrec_test_settle(test, &call->tables);
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
