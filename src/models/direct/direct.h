/*
 * What the networks that predict a rating from both sides share: nrp and neumf, accm, the autoencoders. Each side has
 * sources: its ratings, and each of its profiles. A source is encoded by layers of its own, and these are summed up:
 *
 *     sum_u = sum over the user's sources s of encoded_s J_s, sum_i likewise
 *
 * nrp and neumf: with a vector e_u of the user as one more source, the sums are the input of joint layers, the last of
 * which has one number; beside that there are an inner product of vectors, and biases:
 *
 *     a_u = sum_u + e_u E
 *     h_1 = act(a_u + a_i + c_1), h_2 = act(h_1 C_2 + c_2), …
 *     prediction = mean + b_u + b_i + p_u . q_i + h_last . C + c
 *
 * The others have an inner product alone:
 *
 *     g_u = act(sum_u + c_u),  prediction = mean + b_u + b_i + a_u . a_i
 *
 * where a_u is g_u; or a vector e_u of the user, which is held near g_u; or a mixture of both, by attention; or how much of
 * each group the user is, times the groups' vectors. Autoencoders
 * decode g_u, too, into the sources. With injection, the attributes are an input of every layer, and no source beside.
 *
 * array of a user = (a_u, p_u, b_u, 1), of an item = (a_i, q_i, 1, mean + b_i).
 * Legend: S sources, J width of a_u, D factors, n entities of a batch on a side, P its ratings, T columns of ratings, X
 * those of all the attributes of a side.
 */
#ifndef TR_DIRECT_H
#define TR_DIRECT_H

#include "models/factors/factors.h"
#include "models/nn/parameters.h"
#include "models/nn/rows.h"
#include "models/rating/ratings.h"

#define DIRECT_SOURCES 4		/* of a side, beside itself */
#define DIRECT_LAYERS (TR_MAX_INTS + 1)
#define DIRECT_BLOCK 1024		/* entities whose arrays are made at once */

/* The options of all of them; what an algorithm lacks is 0. */
typedef struct DirectOptions
{
	TrIntList	encoder;		/* sizes of the layers of a source */
	TrIntList	layers;			/* sizes of the joint layers but the last */
	int			activation;		/* of DIRECT_ACTIVATIONS */
	bool		attributes;
	bool		own_rating;		/* whether a rating is part of what it is predicted from, in training */
	int			size;			/* J, where there are no joint layers */
	int			identity;		/* size of the vector that each user and item has as a source; 0 = none */
	int			factors;		/* D of the inner product beside joint layers; 0 = none */
	int			attention;		/* size of the layer that weighs vectors against attributes */
	bool		biases;
	double		dropout;		/* of the joint layers */
	double		input_dropout;	/* of the ratings that are a source */
	double		vector_dropout;	/* of the vectors in a mixture, where there are attributes */
	double		reconstruction;	/* weight of the errors of what is decoded, */
	double		coupling;		/* and of the distance between vectors and what the sources are encoded as */
	int			groups;			/* attributes of a side that are groups of users or items */
	double		hierarchy;		/* weight of the distance between a group and the mean of its members, */
	double		flat;			/* and between what vectors and the attributes themselves say of attributes */
	double		regularization;
	int			optimizer;
	double		learning_rate;
	bool		decay;
	int			batch;
	uint64_t	seed;
	int			epochs;
	int			metric;
} DirectOptions;

/* What of all this an algorithm is. */
typedef struct DirectKind
{
	bool		ratings;		/* are a source */
	bool		injected;		/* the attributes are an input of every layer */
	bool		product;		/* an inner product in place of joint layers, of g_u and g_i unless */
	bool		coupled;		/* it is of vectors that are near to these, */
	bool		mixed;			/* or of mixtures of vectors and these; */
	bool		grouped;		/* or of vectors of memberships, times the vectors of groups */
	bool		decoded;
} DirectKind;

/* A layer of an encoder or a decoder: act(x W + attributes V + bias). */
typedef struct DirectLayer
{
	int			in,
				out;
	int64_t		weight;			/* (in,out) */
	int64_t		injected;		/* V (X,out) */
	int64_t		bias;
	TrBuffer	value;			/* (n,out) */
	TrBuffer	gradient;		/* work space of the way there */
} DirectLayer;

typedef struct DirectSource
{
	const TrProfileTable *table;	/* NULL = ratings, and the attributes behind them where these are injected */
	int32_t		F;				/* columns */
	DirectLayer layer[DIRECT_LAYERS];	/* 1.. */
	int64_t		join;			/* (last layer,J) */
	TrRows		list;
	TrCsr		x;				/* (n,F) */
} DirectSource;

/* Decoding: layers back from g_u, and what the last one gives. */
typedef struct DirectOutput
{
	int32_t		F;
	int64_t		weight;			/* (F,layer[1]) */
	int64_t		bias;
	const TrCsr *target;		/* (n,F) */
	bool		ratings;		/* the errors count at these alone */
	TrBuffer	z;				/* (n,F) */
} DirectOutput;

typedef struct DirectPath
{
	DirectLayer layer[DIRECT_LAYERS];	/* L.., down to 1 */
	int			n_outputs;
	DirectOutput output[2];
} DirectPath;

typedef struct DirectSide
{
	int32_t		n_all;
	int			n_profiles;
	const TrProfileTable *profile[DIRECT_SOURCES];
	int32_t		features[DIRECT_SOURCES];
	int			S;
	DirectSource source[DIRECT_SOURCES];
	TrFactors	identity;		/* (n_all, its size) */
	TrFactors	vector;			/* (n_all, D+2) */
	float	   *saved[2];		/* tensors of the two */
	int64_t		join;			/* of identity */
	int			n;
	int32_t    *entity;			/* (n) of the batch, ascending */
	int32_t    *place;			/* (n_all) of an entity in it */
	int32_t    *batch_entity;
	float	   *arrays;			/* (n_all,width) as of the last epoch */

	/* an inner product in place of joint layers */
	DirectLayer joined;			/* g (n,J); no weight */
	float	   *a;				/* (n,J) and its gradient */
	float	   *da;
	int32_t		X;				/* injected: */
	TrRows		injected_list;
	TrCsr		injected;		/* (n,X) */
	TrBuffer	apart;			/* (n,J) work space */

	/* decoding */
	int			n_paths;
	DirectPath	path[DIRECT_SOURCES];
	TrRows		ratings_list;	/* all ratings, as a target */
	TrCsr		ratings;		/* (n,T) */

	/* groups */
	int32_t		n_groups;		/* at most I; those behind have no attribute */
	int32_t    *group_of;		/* (attributes) -1 = not one of them */
	int64_t		groups;			/* U (I,J) */
	int64_t		filter;			/* W (I,I) */
	int64_t		project;		/* S (J,I) */
	int32_t    *members;		/* (I) of the batch */
	TrRows		group_list,
				noisy_list,
				mean_list,
				dense_list;
	TrCsr		group,			/* (n,I) 1 where an entity is in a group; */
				noisy,			/* the same with some left out; */
				mean,			/* over the number of the group's members; */
				dense;			/* with the zeros */
	TrBuffer	of_group,		/* (I,J) work space */
				said,			/* (n,I) work space */
				filtered;		/* (n,I) work space */

	/* attention */
	int64_t		attention;		/* (J,A) */
	int64_t		attention_bias; /* (A) */
	int64_t		query;			/* (A) */
	TrRows		mixture_list;
	TrCsr		mixture;		/* (n,2n) which of the vectors, then of the g, there are */
	TrBuffer	stacked,		/* (2n,J) the vectors, then the g */
				dstacked,
				key,			/* (2n,A) */
				dkey,
				queries,		/* (n,A) */
				dqueries,
				weight,			/* (2n) */
				dscore,
				mixed,			/* (n,J) */
				dmixed;
} DirectSide;

typedef struct Direct
{
	TrModel		model;
	DirectOptions s;
	DirectKind	kind;
	TrActivation activation;
	TrParameters p;
	int			L;				/* layers of a source */
	int			I;				/* size of identity */
	int			K;				/* joint layers, with the last; 0 = an inner product */
	int64_t		weight[DIRECT_LAYERS + 1];	/* 2..K */
	int64_t		bias[DIRECT_LAYERS + 1];	/* 1..K */
	int			size[DIRECT_LAYERS + 1];	/* 1..K; size[1] = J */
	DirectSide	side[2];		/* by TrSide */
	float	   *mean;			/* (1) */
	float	   *nobody;			/* tensor "nobody" (2,width), by TrSide */
	float	   *hidden[2];		/* (largest size) of score_items */
	int			B;
	int32_t    *order;			/* (ratings) shuffled */
	uint8_t    *hidden_post;	/* (posts) is the rating one of the batch? */

	/* a batch */
	int			P;
	int32_t    *row[2];			/* by TrSide: (P) of a rating: place of its user, of its item */
	int64_t    *pair_ptr;		/* (P+1) 0, 2, 4, … */
	int32_t    *pair_col;		/* (2P) place of the user, n users + place of the item */
	float	   *ones;			/* (2P) */
	int64_t    *count;			/* (P+1) */
	int32_t    *zeros;			/* (P) */
	float	   *residual;		/* (P) */
	uint64_t   *sort;			/* (P) ratings by item */
	int32_t    *by_item[2];		/* (P) place of the item, ascending, and the rating */
	TrUpload	upload;
	int32_t    *batch_row[2];
	int32_t    *batch_by_item[2];
	TrCsr		pairs;			/* (P, n users + n items) */
	TrCsr		target;			/* (P,1) */
	TrCsr		unit;			/* the unit matrix of as many rows as may be wanted; its columns are 0, 1, 2, … */
	int32_t    *same;			/* (as many) 0 */
	TrBuffer	joined,			/* (n users + n items,J) and its gradient */
				djoined;
	TrBuffer	layer[DIRECT_LAYERS + 1];	/* 1..K (P,size) */
	TrBuffer	dlayer[DIRECT_LAYERS + 1];
	TrBuffer	dropped[DIRECT_LAYERS + 1];	/* layers after the dropout, if there is one */
	TrBuffer	taken,			/* (P,D+2) the items' vectors, and their gradient; (P,J) likewise */
				dtaken,
				dot,			/* (P) */
				out;			/* (P) what is predicted, where there are no joint layers */
	float	   *nothing;		/* (1) 0 */
	double		rate;
} Direct;

/* direct.c */
extern const char *const tr_direct_activations[];
extern size_t tr_direct_estimate(const TrShape *shape, const void *options);
extern TrStatus tr_direct_create(TrModel *model, const DirectKind *kind, TrError *err);
extern TrStatus tr_direct_restored(TrModel *model, TrError *err);
extern TrStatus tr_direct_embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out,
								TrError *err);
extern TrStatus tr_direct_unknown(TrModel *model, TrSide side, float *out, TrError *err);
extern TrStatus tr_direct_score(TrModel *model, const float *user, const float *items, size_t stride, int32_t n, float *out,
								TrError *err);

/* direct_layout.c: the sources of both sides, and all parameters */
extern void tr_direct_lay_out(Direct *m);

/* direct_batch.c: which ratings, and the rows of their users' and items' sources */
extern TrStatus tr_direct_create_rows(Direct *m, DirectSide *s, TrError *err);
extern TrStatus tr_direct_list(Direct *m, int epoch, int32_t first, int n, TrError *err);
extern TrStatus tr_direct_list_all(Direct *m, TrSide side, int32_t first, int n, TrError *err);

/* direct_encode.c: the sums of the sources (n,J), and back from their gradient; g from them, and back from its gradient */
extern void tr_direct_activate(Direct *m, float *out, const float *z, int64_t bias, int n, int width);
extern TrStatus tr_direct_reserve_layer(Direct *m, DirectLayer *layer, int n, TrError *err);
extern void tr_direct_layer(Direct *m, DirectLayer *layer, const float *x, const TrCsr *sparse, const TrCsr *injected,
							int n);
extern void tr_direct_layer_backward(Direct *m, DirectLayer *layer, const float *x, float *dx, const TrCsr *sparse,
									 const TrCsr *injected, int n);
extern TrStatus tr_direct_sum(Direct *m, TrSide side, float *sum, TrError *err);
extern void tr_direct_sum_backward(Direct *m, TrSide side, const float *dsum);
extern TrStatus tr_direct_represent(Direct *m, TrSide side, TrError *err);
extern void tr_direct_represent_backward(Direct *m, TrSide side);

/* direct_decode.c: from g into the sources; the gradient of g is added to */
extern TrStatus tr_direct_decode(Direct *m, TrSide side, TrError *err);
/* vectors and g are held near to each other: the gradient of g is set, that of the vectors added to */
extern void tr_direct_couple(Direct *m, TrSide side);

/* direct_group.c: memberships times the vectors of groups */
extern void tr_direct_lay_out_groups(Direct *m, DirectSide *s, const char *of, uint64_t *stream);
extern TrStatus tr_direct_create_groups(Direct *m, TrSide side, TrError *err);
extern bool tr_direct_list_groups(Direct *m, TrSide side, int epoch);
extern int	tr_direct_group_pieces(Direct *m, DirectSide *s, TrPiece *piece);
extern TrStatus tr_direct_group(Direct *m, TrSide side, TrError *err);
extern void tr_direct_group_backward(Direct *m, TrSide side);

/* direct_mix.c: mixtures of vectors and g by attention */
extern TrStatus tr_direct_mix(Direct *m, TrSide side, TrError *err);
extern void tr_direct_mix_backward(Direct *m, TrSide side);

/* direct_train.c */
extern TrStatus tr_direct_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err);
extern TrStatus tr_direct_fill_arrays(Direct *m, const TrPoll *poll, TrError *err);

static inline float *
tr_add(const TrBuffer *buffer, int64_t floats)
{
	return (float *) buffer->data + floats;
}

/* attributes as an input of every layer, or NULL */
static inline const TrCsr *
tr_direct_injected(const DirectSide *s)
{
	return s->X > 0 ? &s->injected : NULL;
}

#define DIRECT_OPTION(field) offsetof(DirectOptions, field)

/* Options that all have. */
#define DIRECT_OPTIONS(penalty, learning, batch_size, passes) \
	{"biases", TR_OPTION_BOOL, DIRECT_OPTION(biases), "true", 0, 0, NULL, \
	"whether users and items have biases, which are added"}, \
	{"regularization", TR_OPTION_REAL, DIRECT_OPTION(regularization), penalty, 0, 1000, NULL, \
	"L2 strength for the weights"}, \
	{"optimizer", TR_OPTION_ENUM, DIRECT_OPTION(optimizer), "adam", 0, 0, tr_optimizer_names, \
	"optimizer"}, \
	{"learning_rate", TR_OPTION_REAL, DIRECT_OPTION(learning_rate), learning, 1e-9, 1000, NULL, \
	"learning rate; gradients are averaged over the ratings of a mini-batch"}, \
	{"decay", TR_OPTION_BOOL, DIRECT_OPTION(decay), "true", 0, 0, NULL, \
	"whether the learning rate falls linearly, down to 0 after the last of the epochs"}, \
	{"batch", TR_OPTION_INT, DIRECT_OPTION(batch), batch_size, 1, 1000000, NULL, \
	"mini-batch size, in ratings"}, \
	{"seed", TR_OPTION_SEED, DIRECT_OPTION(seed), "1", 0, 0, NULL, \
	"random seed; the same seed gives the same model"}, \
	{"epochs", TR_OPTION_INT, DIRECT_OPTION(epochs), passes, 1, 100000, NULL, \
	"maximum number of passes over the ratings"}, \
	TR_RATING_METRIC(DIRECT_OPTION(metric))

#define DIRECT_FUNCTIONS \
	.task = TR_TASK_RATING, .pairs_alone = true, .loads = true, .size = sizeof(Direct), .estimate = tr_direct_estimate, \
	.train_epoch = tr_direct_epoch, .restored = tr_direct_restored, .embed = tr_direct_embed, .unknown = tr_direct_unknown

#endif
