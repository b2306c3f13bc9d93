/*
 * tagrec_explain(): which tags a score rests on. A tag's contribution is what the score loses when the tag is taken out of
 * the profiles of both the user and the item, and both are encoded again. What does not come from tags stays as it is, and
 * so plays no part.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "core/topn.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "options.h"
#include "scorer.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(tagrec_explain);

/* Variants of a profile that are encoded at a time. */
#define BLOCK_VARIANTS 64

/* One side of the pair: its array as it is, and without each of its tags. */
typedef struct Side
{
	const TagrecRow *row;
	float	   *array;			/* (1 + tags, width): row 0 whole, row 1 + i without the profile's tag i; padded */
	float	   *sparse;			/* (1 + tags) a user: the sparse part of the item's score, likewise; NULL = none */
} Side;

/* What a sparse part is computed with. */
typedef struct Sparse
{
	const TagrecNeighbours *neighbours;
	int32		item;
	const TagrecVersion *version;
} Sparse;

/*
 * Variants first..first+n-1 of a profile: 0 is all of it, 1 + i leaves out entry i. With `with`, which is for a user,
 * sparse (n) is set, too.
 */
static void
encode_variants(TagrecEncoder *encoder, TrSide side, const TagrecRow *row, int first, int n, float *out, const Sparse *with,
				float *sparse)
{
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
			if (i == first + v - 1)
				continue;
			tag[entries] = row->tag[i];
			count[entries++] = row->count[i];
		}
	}
	ptr[n] = entries;
	if (side == TR_USER)
		profiles.posts = NULL;
	tagrec_encode(encoder, side, &profiles, out);
	for (int v = 0; v < n && with; v++)
	{
		TrSparse	features = tagrec_encode_features(encoder, &profiles, v);

		tagrec_check_features(&features, with->version);
		sparse[v] = tagrec_neighbours_pair(with->neighbours, &features, with->item);
	}
	pfree(tag);
	pfree(count);
}

static void
encode_side(Side *encoded, TagrecEncoder *encoder, TrSide side, const TagrecRow *row, int width, const Sparse *with)
{
	int			variants = 1 + row->n_tags;
	size_t		stride = tr_dot_stride(width);
	float	   *out = palloc((BLOCK_VARIANTS * width + 1) * sizeof(float));

	encoded->row = row;
	encoded->array = tagrec_padded_vectors(variants, width);
	encoded->sparse = with ? palloc(variants * sizeof(float)) : NULL;
	for (int first = 0; first < variants; first += BLOCK_VARIANTS)
	{
		int			n = Min(BLOCK_VARIANTS, variants - first);

		CHECK_FOR_INTERRUPTS();
		encode_variants(encoder, side, row, first, n, out, with, with ? encoded->sparse + first : NULL);
		for (int v = 0; v < n; v++)
			memcpy(encoded->array + (first + v) * stride, out + v * width, width * sizeof(float));
	}
}

/* A tag of either profile, with its place in both; -1 = not there. */
typedef struct SharedTag
{
	int32		tag;
	int			in_user;
	int			in_item;
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
		tags[n].in_user = from_user ? u++ : -1;
		tags[n].in_item = from_item ? i++ : -1;
		n++;
	}
	return n;
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

/* The score of the user without tag entry u and the item without entry i; -1 = whole. */
static float
variant_score(TagrecEncoder *network, const Side *user, const Side *item, int u, int i, int width)
{
	size_t		stride = tr_dot_stride(width);
	float		score = tagrec_score_arrays(network, user->array + (1 + u) * stride, item->array + (1 + i) * stride, width);

	return user->sparse ? score + user->sparse[1 + u] : score;
}

static void
explain(ReturnSetInfo *result, TagrecCall *call, TagrecEncoder *encoder, const TagrecRow *user, const TagrecRow *item,
		int n)
{
	int			width = call->version->width;
	TagrecEncoder *network = tagrec_scoring_network(call);
	SharedTag  *tags = palloc_extended(((Size) user->n_tags + item->n_tags + 1) * sizeof(SharedTag), MCXT_ALLOC_HUGE);
	int			n_tags = union_of_tags(user, item, tags);
	Sparse		sparse = {
		.item = item->position,
		.version = call->version
	};
	TrTopN		top;
	Side		u;
	Side		i;
	float		whole;

	if (call->version->features)
		sparse.neighbours = tagrec_call_neighbours(call);
	encode_side(&u, encoder, TR_USER, user, width, sparse.neighbours ? &sparse : NULL);
	encode_side(&i, encoder, TR_ITEM, item, width, NULL);
	whole = variant_score(network, &u, &i, -1, -1, width);
	n = Min(n, n_tags);
	tr_topn_init(&top, palloc_extended(Max(n, 1) * sizeof(TrScored), MCXT_ALLOC_HUGE), n);
	for (int t = 0; t < n_tags; t++)
		tr_topn_offer(&top, whole - variant_score(network, &u, &i, tags[t].in_user, tags[t].in_item, width), t);
	tr_topn_sort(&top);
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

	if (algorithm->load && (algorithm->encode || algorithm->encode_features))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("the scores of model \"%s\" do not rest on tags", version->model),
			 errdetail("Its algorithm, %s, does not read tags.", version->algorithm),
			 version->features & TR_FEATURES_ITEMS
			 ? errhint("%s.%s shows what having one item adds to the score of another.", quote_identifier(version->schema),
					   quote_identifier(tagrec_view_relname(version->model, TAGREC_NEIGHBOURS))) : 0));
}

Datum
tagrec_explain(PG_FUNCTION_ARGS)
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
