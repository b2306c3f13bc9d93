/*
 * The best items of each measured user, and what they are like. See lists.h.
 *
 * Who has an item is counted in training, by the posts that are stored of it. An item that nobody has counts as if one user
 * had it.
 */
#include "pg/evaluate/lists.h"

#include <math.h>

#include "core/dot.h"
#include "miscadmin.h"
#include "pg/serve/ids.h"
#include "pg/serve/search.h"
#include "utils/memutils.h"

typedef struct Pass
{
	TagrecCall *call;
	TagrecLists *lists;
	const int  *k;
	bool		exclude_seen;
	TagrecMatrix *items;
	double	   *novelty;		/* (items) */
	uint64	   *out;			/* the set of items that are no candidates; NULL = none */
	int32		candidates;
	uint64	  **listed;			/* (n_k) sets of items */
	float	   *unit;			/* (longest list) unit parts of length 1, padded */
} Pass;

static double *
no_values(int32 groups, int n_k)
{
	Size		n = (Size) groups * n_k;
	double	   *value = MemoryContextAllocHuge(CurrentMemoryContext, Max(n, 1) * sizeof(double));

	for (Size i = 0; i < n; i++)
		value[i] = NAN;
	return value;
}

static uint64 *
no_items(const Pass *pass)
{
	return MemoryContextAllocExtended(CurrentMemoryContext, (TR_BIT_WORDS(pass->items->rows) + 1) * sizeof(uint64),
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

static void
read_novelty(Pass *pass)
{
	TagrecScan	scan = tagrec_scan_all(pass->call->tables.items);
	int32		rows = pass->items->rows;
	double		users = Max(pass->call->version->users, 1);

	pass->novelty = MemoryContextAllocExtended(CurrentMemoryContext, ((Size) rows + 1) * sizeof(double),
											   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	while (tagrec_scan_next(&scan))
	{
		int32		posts = tagrec_get_int(&scan, Item_posts, PG_INT32_MAX);

		CHECK_FOR_INTERRUPTS();
		pass->novelty[tagrec_get_int(&scan, Item_position, rows)] = fmax(log2(users / Max(posts, 1)), 0);
	}
	tagrec_scan_end(&scan);
}

static void
find_candidates(Pass *pass, ArrayType *candidates)
{
	int			n;
	int32	   *position = tagrec_find_positions(pass->items, candidates, &n);

	pass->out = no_items(pass);
	for (int32 row = 0; row < pass->items->rows; row++)
		tr_bit_set(pass->out, row);
	for (int i = 0; i < n; i++)
		pass->out[position[i] >> 6] &= ~(UINT64CONST(1) << (position[i] & 63));
	pass->candidates = n;
}

/* The unit part of a list's place, of length 1 or 0. */
static void
set_unit(Pass *pass, int place, int32 row)
{
	const TagrecMatrix *m = pass->items;
	float		norm = m->unit_norm[row];

	for (int i = 0; i < m->unit_width; i++)
		pass->unit[place * m->stride + i] = norm > 0 ? tagrec_matrix_row(m, row)[i] / norm : 0;
}

/* A list of a user: what its first k items are like, for all k. */
static void
measure_list(Pass *pass, const TrTopN *top, double *novelty, double *diversity)
{
	const TagrecMatrix *m = pass->items;
	double		sum = 0;
	double		apart = 0;
	int			next = 0;

	for (int i = 0; i < top->count; i++)
	{
		int32		row = top->best[i].index;

		CHECK_FOR_INTERRUPTS();
		sum += pass->novelty[row];
		set_unit(pass, i, row);
		for (int other = 0; other < i && m->unit_width > 0; other++)
			apart += 1 - tr_dot(pass->unit + i * m->stride, pass->unit + other * m->stride, m->stride);
		for (int j = next; j < pass->lists->n_k; j++)
			tr_bit_set(pass->listed[j], row);
		if (i + 1 < pass->k[next] && i + 1 < top->count)
			continue;
		/* a list that ends before k is the list of all greater k, too */
		for (; next < pass->lists->n_k && (i + 1 == pass->k[next] || i + 1 == top->count); next++)
		{
			novelty[next] = sum / (i + 1);
			if (m->unit_width > 0 && i > 0)
				diversity[next] = apart / (i * (i + 1.0) / 2);
		}
		if (next == pass->lists->n_k)
			return;
	}
}

static void
measure_user(Pass *pass, TagrecScorer *scorer, const TagrecRow *user, int32 group)
{
	TagrecLists *lists = pass->lists;
	TagrecSearch search = {.scorer = scorer, .out = pass->out, .n = pass->k[lists->n_k - 1]};
	TrTopN		top;

	scorer->users = 0;
	tagrec_scorer_add(scorer, user->embedding, &user->sparse);
	search.skip = tagrec_row_out(user, pass->exclude_seen, &search.n_skip);
	top = tagrec_search(&search);
	measure_list(pass, &top, lists->novelty + (Size) group * lists->n_k, lists->diversity + (Size) group * lists->n_k);
}

static void
measure_users(Pass *pass, const TagrecTest *test, const bool *measured)
{
	MemoryContext one = AllocSetContextCreate(CurrentMemoryContext, "tagrec list", ALLOCSET_DEFAULT_SIZES);
	TagrecScorer *scorer = tagrec_scorer(pass->call, 1);
	TagrecKeyInput input;

	tagrec_key_input(&input, pass->call->tables.users->key_type);
	for (int32 group = 0; group < test->groups; group++)
	{
		MemoryContext before = MemoryContextSwitchTo(one);
		TagrecRow	row;

		CHECK_FOR_INTERRUPTS();
		if (measured[group] && tagrec_find_user_key(pass->call, tagrec_key_read(&input, test->users.text[group]), &row))
			measure_user(pass, scorer, &row, group);
		MemoryContextSwitchTo(before);
		MemoryContextReset(one);
	}
}

static int32
size_of(const uint64 *set, int32 rows)
{
	int32		size = 0;

	for (int32 row = 0; row < rows; row++)
		size += tr_bit_test(set, row);
	return size;
}

TagrecLists *
tagrec_make_lists(const TagrecVersion *version, const TagrecTest *test, const bool *measured, bool exclude_seen,
				  const int *k, int n_k)
{
	TagrecLists *lists = palloc0(sizeof(TagrecLists));
	Pass		pass = {.lists = lists, .k = k, .exclude_seen = exclude_seen};

	lists->n_k = n_k;
	lists->novelty = no_values(test->groups, n_k);
	lists->diversity = no_values(test->groups, n_k);
	lists->coverage = palloc0(n_k * sizeof(double));
	pass.call = tagrec_call_begin_version(version->model, version->version);
	pass.items = tagrec_call_items(pass.call);
	pass.candidates = pass.items->rows;
	read_novelty(&pass);
	if (test->candidates)
		find_candidates(&pass, test->candidates);
	pass.listed = palloc(n_k * sizeof(uint64 *));
	for (int i = 0; i < n_k; i++)
		pass.listed[i] = no_items(&pass);
	pass.unit = tagrec_padded_vectors(Min(k[n_k - 1], pass.items->rows), pass.items->width);
	measure_users(&pass, test, measured);
	for (int i = 0; i < n_k; i++)
		lists->coverage[i] = pass.candidates > 0 ? (double) size_of(pass.listed[i], pass.items->rows) / pass.candidates : NAN;
	tagrec_call_end(pass.call);
	return lists;
}
