/*
 * tagrec_feature_tags(): the tags that move a dimension of the embedding. tagrec_topics(): directions that tags share.
 *
 * The dimensions mean nothing by themselves: training may turn the axes as it likes. Topics are axes that are turned so
 * that each tag lies along few of them: the leading principal axes of the tags' directions, rotated by varimax (Kaiser
 * 1958).
 *
 * Legend: T tags, W width of the unit part, K topics.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "core/orthonormal.h"
#include "core/topn.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pg/serve/call.h"
#include "pg/serve/encoder.h"
#include "pg/serve/rules.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(tagrec_feature_tags_2);
PG_FUNCTION_INFO_V1(tagrec_topics);

/* Tags encoded at a time. */
#define BLOCK_TAGS 64

#define MOST_TOPICS 64

/* Steps towards the principal axes, and turns of all pairs of them. */
#define AXIS_STEPS 50
#define MOST_TURNS 50
#define LEAST_ANGLE 1e-4

/* array (tags, width) = the array of each tag, the tag alone being the profile of a user */
static float *
arrays_of_tags(TagrecCall *call, TagrecEncoder *encoder)
{
	int32		n_tags = tagrec_encoder_tags(encoder);
	int			width = call->version->width;
	float	   *array = MemoryContextAllocHuge(CurrentMemoryContext, Max((Size) n_tags, 1) * width * sizeof(float));
	int64		ptr[BLOCK_TAGS + 1];
	int32		tag[BLOCK_TAGS];
	float		count[BLOCK_TAGS];
	TrProfiles	profiles = {.ptr = ptr, .tag = tag, .count = count};

	for (int32 first = 0; first < n_tags; first += BLOCK_TAGS)
	{
		CHECK_FOR_INTERRUPTS();
		profiles.rows = Min(BLOCK_TAGS, n_tags - first);
		for (int i = 0; i < profiles.rows; i++)
		{
			ptr[i] = i;
			tag[i] = first + i;
			count[i] = 1;
		}
		ptr[profiles.rows] = profiles.rows;
		tagrec_encode(encoder, TR_USER, &profiles, array + (Size) first * width);
	}
	return array;
}

/* ------------------------------------------------------------------ dimensions */

static void
check_feature(const TagrecVersion *version, int feature)
{
	if (feature < 1 || feature > version->unit_width)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("feature %d does not exist", feature),
				 errdetail("Model \"%s\" has features 1 to %d.", version->model, version->unit_width)));
}

Datum
tagrec_feature_tags_2(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *model = tagrec_model_argument(fcinfo, 0);
	int			n = tagrec_limit_argument(fcinfo, 2);
	int32		version = tagrec_version_argument(fcinfo, 3);
	TagrecCall *call;
	TagrecEncoder *encoder;
	const float *array;			/* of tag 0: the feature, and those of further tags `width` behind each other */
	int			width;
	TrTopN		top;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("feature must not be null")));
	InitMaterializedSRF(fcinfo, 0);
	call = tagrec_call_begin_at(model, version, TAGREC_ASKS_ITEMS);
	tagrec_check_embeddings(call->version);
	encoder = tagrec_call_encoder(call);
	check_feature(call->version, PG_GETARG_INT32(1));
	width = call->version->width;
	array = arrays_of_tags(call, encoder) + PG_GETARG_INT32(1) - 1;

	n = Min(n, tagrec_encoder_tags(encoder));
	tr_topn_init(&top, palloc_extended(Max(n, 1) * sizeof(TrScored), MCXT_ALLOC_HUGE), n);
	for (int32 tag = 0; tag < tagrec_encoder_tags(encoder); tag++)
		tr_topn_offer(&top, fabsf(array[(Size) tag * width]), tag);
	tr_topn_sort(&top);
	for (int i = 0; i < top.count; i++)
	{
		int32		tag = top.best[i].index;
		Datum		values[3] = {
			Int32GetDatum(i + 1),
			CStringGetTextDatum(tagrec_encoder_tag(encoder, tag)),
			Float4GetDatum(array[(Size) tag * width])
		};
		bool		nulls[3] = {false, false, false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	tagrec_call_end(call);
	return (Datum) 0;
}

/* ------------------------------------------------------------------ topics */

typedef struct Topics
{
	int32		tags;
	int			width;
	int			topics;
	double	   *direction;		/* (T,W) of length 1, or 0 */
	double	   *axis;			/* (K,W) orthonormal */
	double	   *loading;		/* (K,T) of each tag along each axis */
} Topics;

static double *
doubles(Size n)
{
	return MemoryContextAllocExtended(CurrentMemoryContext, Max(n, 1) * sizeof(double), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

static void
normalize(double *x, int n)
{
	double		length = sqrt(tr_product(x, x, n));

	for (int i = 0; i < n; i++)
		x[i] = length > 1e-9 ? x[i] / length : 0;
}

/* Away from what all tags have in common */
static void
find_directions(Topics *t, const float *array, int stride)
{
	double	   *mean = doubles(t->width);

	t->direction = doubles((Size) t->tags * t->width);
	for (int32 tag = 0; tag < t->tags; tag++)
		for (int k = 0; k < t->width; k++)
			mean[k] += (double) array[(Size) tag * stride + k] / t->tags;
	for (int32 tag = 0; tag < t->tags; tag++)
	{
		double	   *x = t->direction + (Size) tag * t->width;

		for (int k = 0; k < t->width; k++)
			x[k] = array[(Size) tag * stride + k] - mean[k];
		normalize(x, t->width);
	}
}

/* loading = directions * axes */
static void
load_tags(Topics *t)
{
	for (int a = 0; a < t->topics; a++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int32 tag = 0; tag < t->tags; tag++)
			t->loading[(Size) a * t->tags + tag] = tr_product(t->direction + (Size) tag * t->width,
															  t->axis + a * t->width, t->width);
	}
}

/* The leading axes, by subspace iteration from a start that is the same each time */
static void
find_axes(Topics *t)
{
	t->axis = doubles((Size) t->topics * t->width);
	t->loading = doubles((Size) t->topics * t->tags);
	for (int i = 0; i < t->topics * t->width; i++)
		t->axis[i] = cos(i * (double) (i % 7 + 1));
	tr_orthonormalize(t->axis, t->topics, t->width);
	for (int step = 0; step < AXIS_STEPS; step++)
	{
		load_tags(t);
		memset(t->axis, 0, t->topics * t->width * sizeof(double));
		for (int a = 0; a < t->topics; a++)
			for (int32 tag = 0; tag < t->tags; tag++)
				tr_add_times(t->axis + a * t->width, t->direction + (Size) tag * t->width,
							 t->loading[(Size) a * t->tags + tag], t->width);
		tr_orthonormalize(t->axis, t->topics, t->width);
	}
	load_tags(t);
}

/* The angle by which two axes are to be turned, so that the variance of the squared loadings is largest */
static double
best_angle(const double *x, const double *y, int32 n)
{
	double		u_sum = 0;
	double		v_sum = 0;
	double		difference = 0;
	double		both = 0;

	for (int32 i = 0; i < n; i++)
	{
		double		u = x[i] * x[i] - y[i] * y[i];
		double		v = 2 * x[i] * y[i];

		u_sum += u;
		v_sum += v;
		difference += u * u - v * v;
		both += 2 * u * v;
	}
	return atan2(both - 2 * u_sum * v_sum / n, difference - (u_sum * u_sum - v_sum * v_sum) / n) / 4;
}

static void
turn(double *x, double *y, int32 n, double angle)
{
	double		c = cos(angle);
	double		s = sin(angle);

	for (int32 i = 0; i < n; i++)
	{
		double		old = x[i];

		x[i] = c * old + s * y[i];
		y[i] = c * y[i] - s * old;
	}
}

static void
varimax(Topics *t)
{
	double		largest = 1;

	for (int turns = 0; turns < MOST_TURNS && largest > LEAST_ANGLE; turns++)
	{
		largest = 0;
		for (int a = 0; a < t->topics; a++)
			for (int b = a + 1; b < t->topics; b++)
			{
				double	   *x = t->loading + (Size) a * t->tags;
				double	   *y = t->loading + (Size) b * t->tags;
				double		angle = best_angle(x, y, t->tags);

				CHECK_FOR_INTERRUPTS();
				turn(x, y, t->tags, angle);
				largest = Max(largest, fabs(angle));
			}
	}
}

/* A topic's tags, those that lie along it most first. Of its two ends, the one that has the sharper tags. */
static TrTopN
tags_of(const Topics *t, int topic, int n)
{
	const double *loading = t->loading + (Size) topic * t->tags;
	double		skew = 0;
	TrTopN		top;

	for (int32 tag = 0; tag < t->tags; tag++)
		skew += loading[tag] * loading[tag] * loading[tag];
	tr_topn_init(&top, palloc(Max(n, 1) * sizeof(TrScored)), n);
	for (int32 tag = 0; tag < t->tags; tag++)
		tr_topn_offer(&top, (float) (skew < 0 ? -loading[tag] : loading[tag]), tag);
	tr_topn_sort(&top);
	return top;
}

/* The mean cosine of its tags; 0 for one tag */
static double
sharpness_of(const Topics *t, const TrTopN *top)
{
	double		sum = 0;

	for (int i = 0; i < top->count; i++)
		for (int j = 0; j < i; j++)
			sum += tr_product(t->direction + (Size) top->best[i].index * t->width,
							  t->direction + (Size) top->best[j].index * t->width, t->width);
	return top->count < 2 ? 0 : sum / (top->count * (top->count - 1) / 2);
}

static void
return_topic(ReturnSetInfo *result, const TagrecEncoder *encoder, int number, float sharpness, const TrTopN *top)
{
	Datum	   *tag = palloc(Max(top->count, 1) * sizeof(Datum));
	Datum		values[3];
	bool		nulls[3] = {false, false, false};

	for (int i = 0; i < top->count; i++)
		tag[i] = CStringGetTextDatum(tagrec_encoder_tag(encoder, top->best[i].index));
	values[0] = Int32GetDatum(number);
	values[1] = Float4GetDatum(sharpness);
	values[2] = PointerGetDatum(construct_array(tag, top->count, TEXTOID, -1, false, TYPALIGN_INT));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
return_topics(ReturnSetInfo *result, const TagrecEncoder *encoder, const Topics *t, int n)
{
	TrTopN	   *top = palloc(t->topics * sizeof(TrTopN));
	TrTopN		order;

	tr_topn_init(&order, palloc(t->topics * sizeof(TrScored)), t->topics);
	for (int a = 0; a < t->topics; a++)
	{
		top[a] = tags_of(t, a, n);
		tr_topn_offer(&order, (float) sharpness_of(t, &top[a]), a);
	}
	tr_topn_sort(&order);
	for (int i = 0; i < order.count; i++)
		return_topic(result, encoder, i + 1, order.best[i].score, &top[order.best[i].index]);
}

static int
topics_argument(FunctionCallInfo fcinfo, int argument)
{
	int			topics;

	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("topics must not be null")));
	topics = PG_GETARG_INT32(argument);
	if (topics < 1 || topics > MOST_TOPICS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("topics must be between 1 and %d: %d", MOST_TOPICS, topics)));
	return topics;
}

Datum
tagrec_topics(PG_FUNCTION_ARGS)
{
	char	   *model = tagrec_model_argument(fcinfo, 0);
	int			topics = topics_argument(fcinfo, 1);
	int			n = tagrec_limit_argument(fcinfo, 2);
	int32		version = tagrec_version_argument(fcinfo, 3);
	Topics		t = {0};
	TagrecCall *call;
	TagrecEncoder *encoder;

	InitMaterializedSRF(fcinfo, 0);
	call = tagrec_call_begin_at(model, version, TAGREC_ASKS_ITEMS);
	tagrec_check_embeddings(call->version);
	encoder = tagrec_call_encoder(call);
	t.tags = tagrec_encoder_tags(encoder);
	t.width = call->version->unit_width;
	t.topics = Min(topics, Min(t.width, t.tags));
	if (t.topics > 0)
	{
		find_directions(&t, arrays_of_tags(call, encoder), call->version->width);
		find_axes(&t);
		varimax(&t);
		return_topics((ReturnSetInfo *) fcinfo->resultinfo, encoder, &t, Min(n, t.tags));
	}
	tagrec_call_end(call);
	return (Datum) 0;
}
