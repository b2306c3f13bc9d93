/*
 * ials: implicit alternating least squares (Hu, Koren & Volinsky 2008) as Rendle, Krichene, Zhang & Koren found it to work:
 * "Revisiting the Performance of iALS on Item Recommendation Benchmarks" (2021). It looks at who has what, and at no tag.
 *
 *     loss = sum over pairs (u,i) of (1 - w_u . h_i)^2 + alpha sum over all users and items of (w_u . h_i)^2
 *          + sum over users of r_u |w_u|^2 + sum over items of r_i |h_i|^2
 *     r_u = regularization (items of u + alpha items)^nu, and r_i likewise with its users
 *
 * A sweep is an epoch: the best users for these items, then the best items for these users.
 * Legend: U users, I items, D factors, P pairs; "side" is what is being solved for, the other one is held fixed.
 */
#include <math.h>
#include <string.h>

#include "core/model.h"
#include "core/rng.h"
#include "models/tensors.h"

typedef struct IalsOptions
{
	int			epochs;
	int			factors;
	double		alpha;
	double		regularization;
	double		nu;
	double		init_std;
	uint64_t	seed;
} IalsOptions;

#define OPTION(field) offsetof(IalsOptions, field)

static const TrOption option_rows[] = {
	{"factors", TR_OPTION_INT, OPTION(factors), "64", 1, 1024, NULL,
	"width of the embeddings"},
	{"alpha", TR_OPTION_REAL, OPTION(alpha), "0.1", 0, 1000, NULL,
	"weight of the squared score of every user and item, next to 1 for a pair that was seen"},
	{"regularization", TR_OPTION_REAL, OPTION(regularization), "0.01", 1e-9, 1e9, NULL,
	"weight of a squared embedding, times (pairs of the user + alpha items) ^ nu; for items likewise"},
	{"nu", TR_OPTION_REAL, OPTION(nu), "1", 0, 2, NULL,
	"how much more the embedding of somebody with many pairs is regularized; 0 = not at all"},
	{"init_std", TR_OPTION_REAL, OPTION(init_std), "0.1", 1e-6, 1000, NULL,
	"size of the initial embeddings: standard deviation of a factor, times the root of factors"},
	{"seed", TR_OPTION_SEED, OPTION(seed), "1", 0, 0, NULL,
	"start of every random number; the same seed gives the same model"},
	{"epochs", TR_OPTION_INT, OPTION(epochs), "10", 1, 100000, NULL,
	"sweeps over users and items, at most"},
};

static const TrOptionSet options = {
	.options = option_rows,
	.count = sizeof(option_rows) / sizeof(option_rows[0]),
	.size = sizeof(IalsOptions)
};

/* What is solved for, and from what; pointers are backend memory. */
typedef struct IalsSide
{
	TrCsr		pairs;			/* (n, n of the other side), all 1 */
	float	   *ridge;			/* (n) */
	float	   *factors;		/* (n,D) */
	int			step;			/* rows solved between two polls */
} IalsSide;

typedef struct Ials
{
	TrModel		model;
	IalsOptions options;
	const TrDataset *dataset;
	IalsSide	side[2];		/* by TrSide */
	float	   *gram;			/* (D,D) backend memory */
	double	   *loss;			/* backend memory */
	float	   *host_ridge;		/* (U) of the users */
	TrTensor	tensors[2];		/* by TrSide; "users" (U,D), "items" (I,D) */
} Ials;

static size_t
estimate(const TrShape *shape, const void *values)
{
	const IalsOptions *o = values;
	double		D = o->factors;
	double		rows = (double) shape->n_users + shape->n_items;

	/* in the backend, saved, and the best ones kept; the pairs both ways; a backend's equations, for some rows at once */
	return (size_t) (sizeof(float) * (3 * rows * D + 4 * rows + 4.0 * shape->n_posts + 34 * (D * D + 65 * D)));
}

/* ------------------------------------------------------------------ life */

static void
destroy(TrModel *model)
{
	Ials	   *m = (Ials *) model;
	TrBackend  *b = model->backend;

	for (int side = TR_USER; side <= TR_ITEM; side++)
	{
		b->ops->release(b, m->side[side].pairs.ptr);
		b->ops->release(b, m->side[side].pairs.col);
		b->ops->release(b, m->side[side].pairs.val);
		b->ops->release(b, m->side[side].ridge);
		b->ops->release(b, m->side[side].factors);
		tr_free(model->memory, m->tensors[side].value);
	}
	b->ops->release(b, m->gram);
	b->ops->release(b, m->loss);
	tr_free(model->memory, m->host_ridge);
	tr_free(model->memory, m);
}

static TrStatus
out_of_memory(TrError *err)
{
	return tr_fail(err, TR_NO_MEMORY, "out of memory for the factors of users and items");
}

static bool
to_backend(TrBackend *b, void **target, const void *source, size_t bytes)
{
	*target = b->ops->alloc(b, bytes + 64);
	if (*target)
		b->ops->upload(b, *target, source, bytes);
	return *target != NULL;
}

/* The pairs of every user, or item, as sparse rows of ones. */
static bool
upload_pairs(Ials *m, TrSide side, int64_t *ptr, int32_t *col, float *val)
{
	const TrDataset *d = m->dataset;
	TrBackend  *b = m->model.backend;
	TrCsr	   *pairs = &m->side[side].pairs;
	const int32_t *from = side == TR_USER ? d->user_ptr : d->item_ptr;

	pairs->rows = side == TR_USER ? d->n_users : d->n_items;
	pairs->cols = side == TR_USER ? d->n_items : d->n_users;
	pairs->capacity = d->n_posts;
	for (int32_t r = 0; r <= pairs->rows; r++)
		ptr[r] = from[r];
	for (int32_t p = 0; p < d->n_posts; p++)
	{
		col[p] = side == TR_USER ? d->post_item[p] : d->post_user[d->item_post[p]];
		val[p] = 1;
	}
	return to_backend(b, (void **) &pairs->ptr, ptr, ((size_t) pairs->rows + 1) * sizeof(int64_t))
		&& to_backend(b, (void **) &pairs->col, col, (size_t) d->n_posts * sizeof(int32_t))
		&& to_backend(b, (void **) &pairs->val, val, (size_t) d->n_posts * sizeof(float));
}

/* ridge (n) = regularization (pairs + alpha n of the other side) ^ nu */
static bool
upload_ridge(Ials *m, TrSide side, float *ridge)
{
	const IalsOptions *o = &m->options;
	const TrCsr *pairs = &m->side[side].pairs;
	const int32_t *from = side == TR_USER ? m->dataset->user_ptr : m->dataset->item_ptr;

	for (int32_t r = 0; r < pairs->rows; r++)
		ridge[r] = (float) (o->regularization * pow(from[r + 1] - from[r] + o->alpha * pairs->cols, o->nu));
	if (side == TR_USER)
		memcpy(m->host_ridge, ridge, (size_t) pairs->rows * sizeof(float));
	return to_backend(m->model.backend, (void **) &m->side[side].ridge, ridge, (size_t) pairs->rows * sizeof(float));
}

/* The items at random; the users follow from them. */
static bool
upload_factors(Ials *m, TrSide side, float *factors)
{
	const IalsOptions *o = &m->options;
	int64_t		n = (int64_t) m->side[side].pairs.rows * o->factors;
	double		std = o->init_std / sqrt(o->factors);

	for (int64_t i = 0; i < n; i++)
		factors[i] = side == TR_USER ? 0 : (float) (std * tr_normal(o->seed, TR_STREAM_INIT, TR_ITEM, (uint64_t) i));
	return to_backend(m->model.backend, (void **) &m->side[side].factors, factors, (size_t) n * sizeof(float));
}

static TrStatus
fill_side(Ials *m, TrSide side, TrError *err)
{
	const TrDataset *d = m->dataset;
	TrMemory   *memory = m->model.memory;
	double		D = m->options.factors;
	size_t		n = (size_t) (side == TR_USER ? d->n_users : d->n_items);
	int64_t    *ptr = tr_alloc(memory, (n + 1) * sizeof(int64_t));
	int32_t    *col = tr_alloc(memory, (size_t) d->n_posts * sizeof(int32_t));
	float	   *val = tr_alloc(memory, ((size_t) d->n_posts + n) * sizeof(float));
	float	   *factors = tr_alloc(memory, n * (size_t) m->options.factors * sizeof(float));
	bool		done = ptr && col && val && factors && upload_pairs(m, side, ptr, col, val)
		&& upload_ridge(m, side, val + d->n_posts) && upload_factors(m, side, factors);
	double		row_work = D * D * (D / 3 + (double) d->n_posts / (double) n);

	m->side[side].step = (int) fmax(1, fmin((double) n, tr_step_work(m->model.backend) / row_work));
	tr_free(memory, ptr);
	tr_free(memory, col);
	tr_free(memory, val);
	tr_free(memory, factors);
	return done ? TR_OK : out_of_memory(err);
}

static TrStatus
fill(Ials *m, TrError *err)
{
	TrBackend  *b = m->model.backend;
	size_t		D = (size_t) m->options.factors;

	m->gram = b->ops->alloc(b, D * D * sizeof(float));
	m->loss = b->ops->alloc(b, sizeof(double));
	m->host_ridge = tr_alloc(m->model.memory, (size_t) m->dataset->n_users * sizeof(float));
	if (!m->gram || !m->loss || !m->host_ridge)
		return out_of_memory(err);
	TR_TRY(fill_side(m, TR_USER, err));
	TR_TRY(fill_side(m, TR_ITEM, err));
	return b->ops->finish(b, err);
}

static TrStatus
create(TrModel **model, TrMemory *memory, TrBackend *backend, const TrDataset *dataset, const void *values, TrError *err)
{
	Ials	   *m;
	TrStatus	status;

	if (!backend->ops->regress_rows)
	{
		tr_fail(err, TR_UNSUPPORTED, "algorithm \"ials\" cannot be trained on the device %s", backend->ops->name);
		if (err)
			snprintf(err->hint, sizeof(err->hint), "Train it on the CPU, with device => 'cpu'.");
		return TR_UNSUPPORTED;
	}
	m = tr_calloc(memory, 1, sizeof(*m));
	if (!m)
		return out_of_memory(err);
	m->model.backend = backend;
	m->model.memory = memory;
	m->options = *(const IalsOptions *) values;
	m->dataset = dataset;
	status = fill(m, err);
	if (status != TR_OK)
		destroy(&m->model);
	else
		*model = &m->model;
	return status;
}

/* ------------------------------------------------------------------ training */

/* side (n,D) = the best embeddings for those of the other side */
static TrStatus
solve(Ials *m, TrSide side, const TrPoll *poll, TrError *err)
{
	TrBackend  *b = m->model.backend;
	IalsSide   *solved = &m->side[side];
	const float *fixed = m->side[side == TR_USER ? TR_ITEM : TR_USER].factors;
	int			D = m->options.factors;

	b->ops->gemm(b, m->gram, D, fixed, D, true, fixed, D, false, D, D, solved->pairs.cols, (float) m->options.alpha, 0);
	for (int first = 0; first < solved->pairs.rows; first += solved->step)
	{
		TrCsr		rows = solved->pairs;

		if (tr_poll(poll))
			return TR_CANCELLED;
		rows.rows = solved->pairs.rows - first < solved->step ? solved->pairs.rows - first : solved->step;
		rows.ptr += first;
		b->ops->regress_rows(b, solved->factors + (size_t) first * D, &rows, fixed, m->gram, solved->ridge + first, D,
							 m->loss);
	}
	return b->ops->finish(b, err);
}

static TrStatus
save_side(Ials *m, TrSide side, TrError *err)
{
	TrBackend  *b = m->model.backend;
	TrTensor   *tensor = &m->tensors[side];
	size_t		n = (size_t) m->side[side].pairs.rows * (size_t) m->options.factors;

	strcpy(tensor->name, side == TR_USER ? "users" : "items");
	tensor->rows = m->side[side].pairs.rows;
	tensor->cols = m->options.factors;
	tensor->training = true;
	if (!tensor->value && !(tensor->value = tr_alloc(m->model.memory, n * sizeof(float))))
		return out_of_memory(err);
	b->ops->download(b, tensor->value, m->side[side].factors, n * sizeof(float));
	return b->ops->finish(b, err);
}

/* The users' part of the loss that solving for the items leaves out: sum of r_u |w_u|^2 */
static double
users_penalty(const Ials *m)
{
	const float *users = m->tensors[TR_USER].value;
	int			D = m->options.factors;
	double		total = 0;

	for (int32_t u = 0; u < m->dataset->n_users; u++)
	{
		double		squares = 0;

		for (int j = 0; j < D; j++)
			squares += (double) users[(size_t) u * D + j] * users[(size_t) u * D + j];
		total += m->host_ridge[u] * squares;
	}
	return total;
}

static TrStatus
train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Ials	   *m = (Ials *) model;
	TrBackend  *b = model->backend;
	double		loss;

	(void) epoch;
	TR_TRY(solve(m, TR_USER, poll, err));
	b->ops->zero(b, m->loss, sizeof(double));
	TR_TRY(solve(m, TR_ITEM, poll, err));
	b->ops->download(b, &loss, m->loss, sizeof(double));
	TR_TRY(save_side(m, TR_USER, err));
	stats->pairs = m->dataset->n_posts;
	stats->loss = (loss + users_penalty(m)) / m->dataset->n_posts;
	return TR_OK;
}

/* ------------------------------------------------------------------ result */

static TrStatus
save(TrModel *model, TrTensor **tensors, int *count, TrError *err)
{
	Ials	   *m = (Ials *) model;

	TR_TRY(save_side(m, TR_USER, err));
	TR_TRY(save_side(m, TR_ITEM, err));
	*tensors = m->tensors;
	*count = 2;
	return TR_OK;
}

static TrStatus
restore(TrModel *model, const TrTensor *tensors, int count, TrError *err)
{
	Ials	   *m = (Ials *) model;
	TrBackend  *b = model->backend;
	TrTensor	wanted[] = {
		{.name = "users", .rows = m->side[TR_USER].pairs.rows, .cols = m->options.factors},
		{.name = "items", .rows = m->side[TR_ITEM].pairs.rows, .cols = m->options.factors}
	};

	TR_TRY(tr_tensors_check(wanted, NULL, 2, tensors, count, err));
	for (int side = TR_USER; side <= TR_ITEM; side++)
		b->ops->upload(b, m->side[side].factors, tr_tensor_find(wanted[side].name, tensors, count)->value,
					   (size_t) wanted[side].rows * (size_t) wanted[side].cols * sizeof(float));
	return b->ops->finish(b, err);
}

/* Similar users and items are those whose embeddings point the same way. */
static int
width(const TrModel *model, int *unit)
{
	const Ials *m = (const Ials *) model;

	if (unit)
		*unit = m->options.factors;
	return m->options.factors;
}

static TrStatus
embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out, TrError *err)
{
	Ials	   *m = (Ials *) model;
	TrBackend  *b = model->backend;
	size_t		D = (size_t) m->options.factors;

	(void) dataset;
	b->ops->download(b, out, m->side[side].factors + (size_t) first * D, (size_t) n * D * sizeof(float));
	return b->ops->finish(b, err);
}

const TrAlgorithm tr_algorithm_ials = {
	.name = "ials",
	.summary = "Matrix factorisation of who has what by alternating least squares; it does not look at tags.",
	.source = "Hu, Koren & Volinsky (ICDM 2008); Rendle et al., Revisiting the Performance of iALS (RecSys 2022)",
	.task = TR_TASK_ITEM,
	.options = &options,
	.estimate = estimate,
	.create = create,
	.train_epoch = train_epoch,
	.save = save,
	.restore = restore,
	.width = width,
	.embed = embed,
	.destroy = destroy,
};
