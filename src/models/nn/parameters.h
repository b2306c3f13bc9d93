/*
 * The parameters of a network: a table of matrices that lie one behind the other in one array of floats, so that the
 * optimizer's step is one operation. What they are before the first step, how they are saved, restored and loaded, and
 * which of them are regularized, follows from the table.
 *
 * A table of vectors (users, items, tags) may stand in front of all: a step then moves the rows alone that it touches.
 */
#ifndef TR_PARAMETERS_H
#define TR_PARAMETERS_H

#include "models/base.h"

typedef struct TrParameter
{
	char		name[24];
	int32_t		rows,
				cols;
	int64_t		at;				/* in the array */
	double		std;			/* of the initial values; 0 = zeros */
	uint64_t	stream;			/* they are drawn from; one that several in a row share goes on from one to the next */
	bool		training;		/* it is not stored */
} TrParameter;

#define TR_MOST_PARAMETERS (80 * TR_MAX_INTS + 8)

typedef struct TrParameters
{
	int			count;
	TrParameter table[TR_MOST_PARAMETERS];
	int64_t		size;			/* floats in all */
	int64_t		dense;			/* those in front of it are the table of vectors */
	int64_t		regularized;	/* the penalty is that of those in front of it: all, unless it is set back */

	float	   *host;			/* (size) what was last saved, restored or loaded */
	float	   *value;			/* (size) backend memory from here on */
	float	   *gradient;		/* (size - dense); NULL in a model that was loaded, as what follows */
	float	   *moment1;		/* (size) */
	float	   *moment2;
	double	   *loss;			/* (2) sum of the steps' losses, and of the squared parameters an epoch began with */
	int64_t		steps;
} TrParameters;

/* One more matrix; without rows, none. name is a format. Returns where it starts. */
__attribute__((format(printf, 6, 7)))
extern int64_t tr_parameter(TrParameters *p, int32_t rows, int32_t cols, double std, uint64_t stream, const char *name,
							...);

/* One that is not stored, but with each user's or item's row. */
extern int64_t tr_training_parameter(TrParameters *p, int32_t rows, int32_t cols, double std, uint64_t stream,
									 const char *name);

/* What comes next is no part of the table of vectors. */
extern void tr_parameters_begin_dense(TrParameters *p);

/*
 * Tensors of the model, and memory with their values: in training the initial ones, which may be changed on the host while
 * the model is being created, and that of an optimizer's moments. A loaded model has them in the backend when it wants to.
 */
extern TrStatus tr_parameters_create(TrParameters *p, TrModel *model, int moments, uint64_t seed, bool loaded,
									 TrError *err);

static inline float *
tr_gradient(const TrParameters *p, int64_t at)
{
	return p->gradient + (at - p->dense);
}

/* A step starts with a gradient of zeros, and ends with an update. */
extern void tr_parameters_start_step(TrParameters *p, TrBackend *b);
extern void tr_parameters_update(TrParameters *p, TrBackend *b, TrOptimizer optimizer);
/*
 * The same of all but those from..end-1, which are no part of the table of vectors; their rows are updated by themselves.
 */
extern void tr_parameters_start_step_but(TrParameters *p, TrBackend *b, int64_t from, int64_t end);
extern void tr_parameters_update_but(TrParameters *p, TrBackend *b, TrOptimizer optimizer, int64_t from, int64_t end);
/* The touched ones of the table's rows of this width; or of others, which start at a multiple of it. */
extern void tr_parameters_update_rows(TrParameters *p, TrBackend *b, const TrOptimizer *optimizer, const float *gradient,
									  const int32_t *touched, int n, int width);

extern void tr_parameters_start_epoch(TrParameters *p, TrBackend *b);
extern TrStatus tr_parameters_end_epoch(TrParameters *p, TrBackend *b, double sums[2], TrError *err);

/* The learning rate of an epoch: the same for all, or linear, down to 0 at the last one. */
extern double tr_epoch_rate(const TrModel *model, double rate, bool linear, int epoch);

#endif
