/*
 * What autorec, cdae and multvae share: an autoencoder over the rows of a matrix of users and items. It is encoded by
 * layers of given sizes, and decoded by the same backwards; the last layer has a score for every column, so that
 *
 *     the array of a row = (what the last hidden layer makes of it, 1), the array of a column = (its weights, its bias)
 *
 * Legend: N rows, T columns, L layers, H sizes of layers, R rows of a batch.
 */
#ifndef TR_AUTO_H
#define TR_AUTO_H

#include "models/nn/parameters.h"
#include "models/nn/rows.h"

typedef enum AutoLoss
{
	AUTO_SQUARES,				/* at the entries of a row */
	AUTO_CROSS_ENTROPY,			/* of every column, from logits */
	AUTO_SOFTMAX				/* over all columns, for each entry */
} AutoLoss;

/* The options of all of them, and what they make of it; what an algorithm lacks is 0. */
typedef struct AutoOptions
{
	TrIntList	layers;
	int			activation;		/* of tr_auto_activations */
	int			rows;			/* TrSide */
	bool		latent;			/* the narrowest layer has means and logarithms of variances, and is drawn from these */
	double		least_value;	/* what has a lower value is no entry */
	double		dropout;		/* of the input's entries */
	double		divergence;		/* weight of the latent distributions' divergence from the standard normal one, */
	double		warm_up;		/* which grows to it over so many epochs */
	double		regularization;
	int			optimizer;
	double		learning_rate;
	int			batch;
	uint64_t	seed;
	int			epochs;
	int			metric;

	/* no options */
	AutoLoss	loss;
	bool		own;			/* every row has a column of the input for itself */
	bool		unit;			/* the input's rows have length 1 */
} AutoOptions;

typedef struct Auto
{
	TrModel		model;
	AutoOptions s;
	TrActivation activation;
	int32_t		N,
				T;
	int			L;
	int			H[TR_MAX_INTS + 1]; /* H[0] = columns of the input */
	int			in[2 * TR_MAX_INTS + 1];	/* 1..2L: sizes of what a layer reads, */
	int			out[2 * TR_MAX_INTS + 1];	/* and gives */
	int64_t		weight[2 * TR_MAX_INTS + 1];	/* 1..L encoder (I,O), L+1..2L-1 decoder (I,O), 2L: (T,H[1]) */
	int64_t		bias[2 * TR_MAX_INTS + 1];
	TrParameters p;
	float		mean;			/* of the values, which is taken away from them */
	int32_t    *order;			/* (N) rows with entries, shuffled */
	int32_t		n_order;
	TrRows		input,
				target;
	TrUpload	upload;
	TrCsr		x,
				y;
	TrBuffer	layer[2 * TR_MAX_INTS + 1]; /* 1..2L; of a latent layer, twice as wide */
	TrBuffer	gradient[2 * TR_MAX_INTS + 1];
	TrBuffer	drawn,			/* (R,H[L]) of the latent distributions */
				ddrawn;
	float	   *arrays[2];		/* by TrSide, (n,width) as of the last epoch */
} Auto;

#define AUTO_TANH 1				/* of these */
extern const char *const tr_auto_activations[];
extern size_t tr_auto_estimate(const TrShape *shape, const void *options);
/* m->s is set; the model may be one to be loaded where the algorithm has weights to be stored of its own */
extern TrStatus tr_auto_create(Auto *m, TrError *err);
extern TrStatus tr_auto_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err);
extern TrStatus tr_auto_restored(TrModel *model, TrError *err);
extern TrStatus tr_auto_embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out,
							  TrError *err);

#define AUTO_OPTION(field) offsetof(AutoOptions, field)

/* Options that all have. */
#define AUTO_OPTIONS(learning, batch_size, passes) \
	{"optimizer", TR_OPTION_ENUM, AUTO_OPTION(optimizer), "adam", 0, 0, tr_optimizer_names, \
	"optimizer"}, \
	{"learning_rate", TR_OPTION_REAL, AUTO_OPTION(learning_rate), learning, 1e-9, 1000, NULL, \
	"learning rate; gradients are averaged over the rows of a mini-batch"}, \
	{"seed", TR_OPTION_SEED, AUTO_OPTION(seed), "1", 0, 0, NULL, \
	"random seed; the same seed gives the same model"}, \
	{"batch", TR_OPTION_INT, AUTO_OPTION(batch), batch_size, 1, 1000000, NULL, \
	"mini-batch size, in rows: users, or items"}, \
	{"epochs", TR_OPTION_INT, AUTO_OPTION(epochs), passes, 1, 100000, NULL, \
	"maximum number of passes over the rows"}

#endif
