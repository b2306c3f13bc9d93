/*
 * tagrec_explain(): which tags a score rests on. A tag's contribution is what the score loses when the tag is taken out of
 * the profiles of both the user and the item, and both are encoded again.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "score.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(tagrec_explain);

/* Variants of a profile that are encoded at a time. */
#define BLOCK_VARIANTS 64

/* One side of the pair: its array as it is, and without each of its tags. */
typedef struct Side
{
	const TagrecRow *row;
	float	   *array;			/* (1 + tags, width): row 0 whole, row 1 + i without the profile's tag i; padded */
} Side;

/* Variants first..first+n-1 of a profile: 0 is all of it, 1 + i leaves out entry i. */
static void
encode_variants(TagrecEncoder *encoder, TrSide side, const TagrecRow *row, int first, int n, float *out)
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
	pfree(tag);
	pfree(count);
}

static void
encode_side(Side *encoded, TagrecEncoder *encoder, TrSide side, const TagrecRow *row, int width)
{
	int			variants = 1 + row->n_tags;
	size_t		stride = tr_dot_stride(width);
	float	   *out = palloc(BLOCK_VARIANTS * width * sizeof(float));

	encoded->row = row;
	encoded->array = tagrec_padded_vectors(variants, width);
	for (int first = 0; first < variants; first += BLOCK_VARIANTS)
	{
		int			n = Min(BLOCK_VARIANTS, variants - first);

		CHECK_FOR_INTERRUPTS();
		encode_variants(encoder, side, row, first, n, out);
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

static void
explain(ReturnSetInfo *result, TagrecCall *call, TagrecEncoder *encoder, const TagrecRow *user, const TagrecRow *item,
		int n)
{
	int			width = call->version->width;
	size_t		stride = tr_dot_stride(width);
	SharedTag  *tags = palloc_extended(((Size) user->n_tags + item->n_tags + 1) * sizeof(SharedTag), MCXT_ALLOC_HUGE);
	int			n_tags = union_of_tags(user, item, tags);
	TrTopN		top;
	Side		u;
	Side		i;
	float		whole;

	encode_side(&u, encoder, TR_USER, user, width);
	encode_side(&i, encoder, TR_ITEM, item, width);
	whole = tr_dot(u.array, i.array, stride);
	n = Min(n, n_tags);
	tr_topn_init(&top, palloc_extended(Max(n, 1) * sizeof(TrScored), MCXT_ALLOC_HUGE), n);
	for (int t = 0; t < n_tags; t++)
		tr_topn_offer(&top, whole - tr_dot(u.array + (1 + tags[t].in_user) * stride,
										   i.array + (1 + tags[t].in_item) * stride, stride), t);
	tr_topn_sort(&top);
	for (int r = 0; r < top.count; r++)
	{
		const SharedTag *tag = &tags[top.best[r].index];

		return_tag(result, r + 1, tagrec_encoder_tag(encoder, tag->tag), top.best[r].score, tag, user, item);
	}
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
	encoder = tagrec_served_encoder(call->served, call->version);
	if (tagrec_id_argument(fcinfo, 1, &user_id) && tagrec_id_argument(fcinfo, 2, &item_id) &&
		tagrec_find_user(call, &user_id, &user) && tagrec_find_item(call, &item_id, &item))
		explain((ReturnSetInfo *) fcinfo->resultinfo, call, encoder, &user, &item, n);
	tagrec_call_end(call);
	return (Datum) 0;
}
