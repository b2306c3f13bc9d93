/*
 * tagrec_explain(): which tags a score depends on. A tag's contribution is how much lower the score is if the tag is
 * removed from the profiles of both the user and the item, and both are encoded again. Parts of the score that do not come
 * from tags stay the same and do not matter.
 *
 * Each tag considered costs an encoding of all the others. In profiles of many thousand tags, only the most frequent ones
 * are considered, as many as keep the total within MOST_ENTRIES.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "core/topn.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pg/base/options.h"
#include "pg/serve/scorer.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(tagrec_explain_2);

/* Variants of a profile that are encoded at a time, and entries of theirs. */
#define BLOCK_VARIANTS 64
#define BLOCK_ENTRIES 262144

/* Entries of all variants of both profiles. */
#define MOST_ENTRIES 25000000

/* One side of the pair: its array as it is, and without each of some tags. */
typedef struct Side
{
	const TagrecRow *row;
	int		   *left_out;		/* (1 + n) the entry that a variant is without; -1 = none, the first one */
	int			n;				/* tags that are left out */
	float	   *array;			/* (1 + n, width) padded */
	float	   *sparse;			/* (1 + n) of a user: the sparse part of the item's score, likewise; NULL = none */
} Side;

/* What a sparse part is computed with. */
typedef struct Sparse
{
	const TagrecNeighbours *neighbours;
	int32		item;
	const TagrecVersion *version;
} Sparse;

/* Variants first..first+n-1 of a profile. With `with`, which is for a user, their sparse parts are set, too. */
static void
encode_variants(TagrecEncoder *encoder, TrSide which, const Side *side, int first, int n, float *out, const Sparse *with)
{
	const TagrecRow *row = side->row;
	int64		ptr[BLOCK_VARIANTS + 1];
	int32		posts[BLOCK_VARIANTS];
	int32	   *tag = palloc_extended((Size) n * Max(row->n_tags, 1) * sizeof(int32), MCXT_ALLOC_HUGE);
	float	   *count = palloc_extended((Size) n * Max(row->n_tags, 1) * sizeof(float), MCXT_ALLOC_HUGE);
	TrProfiles	profiles = {.rows = n, .ptr = ptr, .tag = tag, .count = count, .posts = posts};
	int64		entries = 0;

	for (int v = 0; v < n; v++)
	{
		ptr[v] = entries;
		posts[v] = row->posts;
		for (int i = 0; i < row->n_tags; i++)
		{
			if (i == side->left_out[first + v])
				continue;
			tag[entries] = row->tag[i];
			count[entries++] = row->count[i];
		}
	}
	ptr[n] = entries;
	if (which == TR_USER)
		profiles.posts = NULL;
	tagrec_encode(encoder, which, &profiles, out);
	for (int v = 0; v < n && with; v++)
	{
		TrSparse	features = tagrec_encode_features(encoder, &profiles, v);

		tagrec_check_features(&features, with->version);
		side->sparse[first + v] = tagrec_neighbours_pair(with->neighbours, &features, with->item);
	}
	pfree(tag);
	pfree(count);
}

static void
encode_side(Side *side, TagrecEncoder *encoder, TrSide which, int width, const Sparse *with)
{
	int			variants = 1 + side->n;
	int			block = Max(1, Min(BLOCK_VARIANTS, BLOCK_ENTRIES / Max(side->row->n_tags, 1)));
	size_t		stride = tr_dot_stride(width);
	float	   *out = palloc_extended(((Size) block * width + 1) * sizeof(float), MCXT_ALLOC_HUGE);

	side->array = tagrec_padded_vectors(variants, width);
	side->sparse = with ? palloc_extended(variants * sizeof(float), MCXT_ALLOC_HUGE) : NULL;
	for (int first = 0; first < variants; first += block)
	{
		int			n = Min(block, variants - first);

		CHECK_FOR_INTERRUPTS();
		encode_variants(encoder, which, side, first, n, out, with);
		for (int v = 0; v < n; v++)
			memcpy(side->array + (first + v) * stride, out + (Size) v * width, width * sizeof(float));
	}
	pfree(out);
}

/* A tag of either profile, with its place in both; -1 = not there. */
typedef struct SharedTag
{
	int32		tag;
	int			in_user,
				in_item;
	float		count;			/* in both together */
	int			user_variant,	/* of the side, without the tag; 0 = it does not have it */
				item_variant;
} SharedTag;

/* The union of two ascending lists. */
static int
union_of_tags(const TagrecRow *user, const TagrecRow *item, SharedTag *tags)
{
	int			u = 0;
	int			i = 0;
	int			n = 0;

	while (u < user->n_tags || i < item->n_tags)
	{
		bool		from_user = i == item->n_tags || (u < user->n_tags && user->tag[u] <= item->tag[i]);
		bool		from_item = u == user->n_tags || (i < item->n_tags && item->tag[i] <= user->tag[u]);

		tags[n].tag = from_user ? user->tag[u] : item->tag[i];
		tags[n].count = (from_user ? user->count[u] : 0) + (from_item ? item->count[i] : 0);
		tags[n].in_user = from_user ? u++ : -1;
		tags[n].in_item = from_item ? i++ : -1;
		n++;
	}
	return n;
}

/* The most frequent ones first, else in their order. */
static int
compare_counts(const void *a, const void *b)
{
	const SharedTag *x = a;
	const SharedTag *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return (x->tag > y->tag) - (x->tag < y->tag);
}

static int
compare_tags(const void *a, const void *b)
{
	const SharedTag *x = a;
	const SharedTag *y = b;

	return (x->tag > y->tag) - (x->tag < y->tag);
}

/* Moves the tags that are looked at to the front; their number. */
static int
choose_tags(SharedTag *tags, int n, int entries)
{
	int			most = Max(BLOCK_VARIANTS, MOST_ENTRIES / Max(entries, 1));

	if (n <= most)
		return n;
	ereport(NOTICE,
			(errmsg("the profiles have %d tags; only the %d most frequent are considered", n, most)));
	qsort(tags, n, sizeof(SharedTag), compare_counts);
	qsort(tags, most, sizeof(SharedTag), compare_tags);
	return most;
}

/* Numbers the variants that the tags need. */
static void
plan_variants(SharedTag *tags, int n, Side *user, Side *item)
{
	user->left_out = palloc_extended((1 + (Size) n) * sizeof(int), MCXT_ALLOC_HUGE);
	item->left_out = palloc_extended((1 + (Size) n) * sizeof(int), MCXT_ALLOC_HUGE);
	user->left_out[0] = item->left_out[0] = -1;
	for (int t = 0; t < n; t++)
	{
		tags[t].user_variant = tags[t].in_user < 0 ? 0 : ++user->n;
		tags[t].item_variant = tags[t].in_item < 0 ? 0 : ++item->n;
		if (tags[t].in_user >= 0)
			user->left_out[user->n] = tags[t].in_user;
		if (tags[t].in_item >= 0)
			item->left_out[item->n] = tags[t].in_item;
	}
}

static void
return_tag(ReturnSetInfo *result, int rank, const char *name, float contribution, const SharedTag *tag,
		   const TagrecRow *user, const TagrecRow *item)
{
	Datum		values[5] = {
		Int32GetDatum(rank),
		CStringGetTextDatum(name),
		Float4GetDatum(contribution),
		Float4GetDatum(tag->in_user < 0 ? 0 : user->count[tag->in_user]),
		Float4GetDatum(tag->in_item < 0 ? 0 : item->count[tag->in_item])
	};
	bool		nulls[5] = {false, false, false, false, false};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* The score of variant u of the user and i of the item. */
static float
variant_score(TagrecEncoder *network, const Side *user, const Side *item, int u, int i, int width)
{
	size_t		stride = tr_dot_stride(width);
	float		score = tagrec_score_arrays(network, user->array + u * stride, item->array + i * stride, width);

	return user->sparse ? score + user->sparse[u] : score;
}

/* The n tags with the largest contributions, as positions in `tags`; n_tags of these are considered. */
static void
rank_tags(TrTopN *top, TagrecEncoder *network, const SharedTag *tags, int n_tags, const Side *user, const Side *item, int n,
		  int width)
{
	float		whole = variant_score(network, user, item, 0, 0, width);

	n = Min(n, n_tags);
	tr_topn_init(top, palloc_extended(Max(n, 1) * sizeof(TrScored), MCXT_ALLOC_HUGE), n);
	for (int t = 0; t < n_tags; t++)
		tr_topn_offer(top, whole - variant_score(network, user, item, tags[t].user_variant, tags[t].item_variant, width),
					  t);
	tr_topn_sort(top);
}

static void
explain(ReturnSetInfo *result, TagrecCall *call, TagrecEncoder *encoder, const TagrecRow *user, const TagrecRow *item,
		int n)
{
	int			width = call->version->width;
	TagrecEncoder *network = tagrec_call_network(call);
	Size		entries = (Size) user->n_tags + item->n_tags;
	SharedTag  *tags = palloc_extended((entries + 1) * sizeof(SharedTag), MCXT_ALLOC_HUGE);
	int			n_tags = choose_tags(tags, union_of_tags(user, item, tags), (int) Min(entries, MOST_ENTRIES));
	Side		u = {.row = user};
	Side		i = {.row = item};
	Sparse		sparse = {
		.item = item->position,
		.version = call->version
	};
	TrTopN		top;

	if (call->version->features)
		sparse.neighbours = tagrec_call_neighbours(call);
	plan_variants(tags, n_tags, &u, &i);
	encode_side(&u, encoder, TR_USER, width, sparse.neighbours ? &sparse : NULL);
	encode_side(&i, encoder, TR_ITEM, width, NULL);
	rank_tags(&top, network, tags, n_tags, &u, &i, n, width);
	for (int r = 0; r < top.count; r++)
	{
		const SharedTag *tag = &tags[top.best[r].index];

		return_tag(result, r + 1, tagrec_encoder_tag(encoder, tag->tag), top.best[r].score, tag, user, item);
	}
}

static void
check_tags_read(const TagrecVersion *version)
{
	const TrAlgorithm *algorithm = tagrec_algorithm(version->algorithm);

	if (algorithm->loads && (algorithm->encode || algorithm->encode_features))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("scores of model \"%s\" do not depend on tags", version->model),
			 errdetail("Its algorithm, %s, does not use tags.", version->algorithm),
			 version->features & TR_FEATURES_ITEMS
			 ? errhint("%s.%s shows what having one item adds to the score of another.", quote_identifier(version->schema),
					   quote_identifier(tagrec_view_relname(version->model, TAGREC_NEIGHBOURS))) : 0));
}

Datum
tagrec_explain_2(PG_FUNCTION_ARGS)
{
	char	   *model = tagrec_model_argument(fcinfo, 0);
	int			n = tagrec_limit_argument(fcinfo, 3);
	TagrecId	user_id;
	TagrecId	item_id;
	TagrecRow	user;
	TagrecRow	item;
	TagrecCall *call;
	TagrecEncoder *encoder;

	InitMaterializedSRF(fcinfo, 0);
	call = tagrec_call_begin(model);
	check_tags_read(call->version);
	encoder = tagrec_call_encoder(call);
	if (tagrec_id_argument(fcinfo, 1, &user_id) && tagrec_id_argument(fcinfo, 2, &item_id) &&
		tagrec_find_user(call, &user_id, &user) && tagrec_find_item(call, &item_id, &item))
		explain((ReturnSetInfo *) fcinfo->resultinfo, call, encoder, &user, &item, n);
	tagrec_call_end(call);
	return (Datum) 0;
}
