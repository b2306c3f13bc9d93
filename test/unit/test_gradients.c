/*
 * The gradient of every layer and of the reconstruction against central finite differences, and what NaN does to a loss.
 * A layer is tested by its loss, the inner product of its output with random numbers.
 */
#include "backends.h"
#include "gradients.h"

#define R 6
#define I 5
#define O 4
#define T 9
#define WIDE (O + 2)			/* rows of embeddings with two extra columns */
#define MOST 64					/* floats in any tensor */
#define STEP 0.01f

/* Inputs of every check, in backend memory. */
typedef struct Inputs
{
	TrBackend  *b;
	float	   *in[3];			/* the tensors that have a gradient */
	float	   *grad[3];
	float	   *out;
	float	   *dout;			/* what the output is multiplied with */
	float	   *scratch;
	float	   *feature;		/* (R) */
	float	   *norm;			/* (R) */
	int32_t    *row;			/* (R) ascending */
	TrCsr		x;				/* (R,T) */
	TrCsr		targets;		/* (R,T) with columns left out */
	TrCsr		part;			/* (R,T) */
	double	   *loss;
} Inputs;

/* Leaves the output in out, or, for a loss, its value in *loss. */
typedef void (*Forward) (Inputs *p);
typedef void (*Backward) (Inputs *p);

typedef struct Check
{
	const char *name;
	Forward		forward;
	Backward	backward;
	int			outputs;		/* 0 = forward leaves a loss */
	int			size[3];
} Check;

static void
sparse_forward(Inputs *p)
{
	p->b->ops->sparse_forward(p->b, p->out, &p->x, p->in[0], p->in[1], O, TR_TANH);
}

static void
sparse_backward(Inputs *p)
{
	p->b->ops->activation_backward(p->b, p->scratch, p->grad[1], p->dout, p->out, R, O, TR_TANH);
	p->b->ops->sparse_backward(p->b, p->grad[0], &p->x, p->scratch, O);
}

static void
dense(Inputs *p, TrLayout layout)
{
	p->b->ops->dense_forward(p->b, p->out, p->in[0], p->in[1], p->in[2], R, I, O, layout, TR_TANH);
}

static void
dense_back(Inputs *p, TrLayout layout)
{
	p->b->ops->activation_backward(p->b, p->scratch, p->grad[2], p->dout, p->out, R, O, TR_TANH);
	p->b->ops->dense_backward(p->b, p->grad[0], p->grad[1], p->scratch, p->in[0], p->in[1], R, I, O, layout);
}

static void
dense_io(Inputs *p)
{
	dense(p, TR_STORED_IO);
}

static void
dense_io_back(Inputs *p)
{
	dense_back(p, TR_STORED_IO);
}

static void
dense_oi(Inputs *p)
{
	dense(p, TR_STORED_OI);
}

static void
dense_oi_back(Inputs *p)
{
	dense_back(p, TR_STORED_OI);
}

/* Rows of WIDE: a scaled unit vector, weight * feature, feature alone */
static void
embedding(Inputs *p)
{
	const TrBackendOps *ops = p->b->ops;

	ops->normalize(p->b, p->out, WIDE, p->norm, p->in[0], R, O, 2.5f);
	ops->fill_column(p->b, p->out + O, WIDE, p->in[1], p->feature, R);
	ops->fill_column(p->b, p->out + O + 1, WIDE, p->in[2], NULL, R);
}

static void
embedding_back(Inputs *p)
{
	const TrBackendOps *ops = p->b->ops;

	ops->normalize_backward(p->b, p->grad[0], p->dout, p->out, WIDE, p->norm, R, O, 2.5f);
	ops->fill_column_backward(p->b, p->grad[1], p->dout + O, WIDE, p->feature, R);
	ops->fill_column_backward(p->b, p->grad[2], p->dout + O + 1, WIDE, NULL, R);
}

static void
pairs(Inputs *p)
{
	p->b->ops->pair_scores(p->b, p->out, p->in[0], p->in[1], p->row, R, O);
}

static void
pairs_back(Inputs *p)
{
	p->b->ops->pair_scores_backward(p->b, p->grad[0], p->grad[1], p->dout, p->in[0], p->in[1], p->row, R, O);
}

/* in: queries (R,O), the table (T,O), which is what is asked and what is mixed; scratch: the weights */
static void
attention(Inputs *p)
{
	TrCsr		mixed = p->x;

	mixed.val = p->scratch;
	p->b->ops->attention_weights(p->b, p->scratch, &p->x, p->in[0], p->in[1], O, 0.7f);
	p->b->ops->sparse_forward(p->b, p->out, &mixed, p->in[1], NULL, O, TR_LINEAR);
}

static void
attention_back(Inputs *p)
{
	TrCsr		mixed = p->x;

	mixed.val = p->scratch;
	p->b->ops->zero(p->b, p->grad[1], sizeof(float) * T * O);
	p->b->ops->sparse_backward(p->b, p->grad[1], &mixed, p->dout, O);
	p->b->ops->attention_backward(p->b, p->grad[2], &p->x, p->scratch, p->dout, p->in[1], O, 0.7f);
	mixed.val = p->grad[2];
	p->b->ops->sparse_forward(p->b, p->grad[0], &mixed, p->in[1], NULL, O, TR_LINEAR);
	p->b->ops->sparse_backward(p->b, p->grad[1], &mixed, p->in[0], O);
}

/* Two parts of O / 2 */
static void
gaussian(Inputs *p)
{
	p->b->ops->gaussian_scores(p->b, p->out, p->in[0], p->in[1], p->row, R, 2, O / 2, 0.6f, 2.5f);
}

static void
gaussian_back(Inputs *p)
{
	p->b->ops->gaussian_scores_backward(p->b, p->grad[0], p->grad[1], p->dout, p->in[0], p->in[1], p->row, R, 2, O / 2, 0.6f,
										2.5f);
}

/* Rows 1 … R-1, on a copy of the input, which becomes its gradient */
static void
reconstruction(Inputs *p, bool squared)
{
	float		host[MOST];

	p->b->ops->download(p->b, host, p->in[0], sizeof(float) * (R - 1) * T);
	p->b->ops->upload(p->b, p->grad[0], host, sizeof(float) * (R - 1) * T);
	p->b->ops->zero(p->b, p->grad[1], sizeof(float) * T);
	p->b->ops->zero(p->b, p->loss, sizeof(double));
	p->b->ops->reconstruction_loss(p->b, p->grad[0], p->in[1], p->grad[1], &p->x, 1, R - 1, p->feature, squared, 0.4f,
								   p->loss);
}

static void
reconstruction_norm(Inputs *p)
{
	reconstruction(p, false);
}

static void
reconstruction_squared(Inputs *p)
{
	reconstruction(p, true);
}

/* An activation of a layer: sigmoid or ReLU; the input keeps away from the kink. */
static void
activated(Inputs *p, TrActivation act)
{
	p->b->ops->dense_forward(p->b, p->out, p->in[0], p->in[1], p->in[2], R, I, O, TR_STORED_IO, act);
}

static void
activated_back(Inputs *p, TrActivation act)
{
	p->b->ops->activation_backward(p->b, p->scratch, p->grad[2], p->dout, p->out, R, O, act);
	p->b->ops->dense_backward(p->b, p->grad[0], p->grad[1], p->scratch, p->in[0], p->in[1], R, I, O, TR_STORED_IO);
}

static void
sigmoid(Inputs *p)
{
	activated(p, TR_SIGMOID);
}

static void
sigmoid_back(Inputs *p)
{
	activated_back(p, TR_SIGMOID);
}

static void
relu(Inputs *p)
{
	activated(p, TR_RELU);
}

static void
relu_back(Inputs *p)
{
	activated_back(p, TR_RELU);
}

static void
selu(Inputs *p)
{
	activated(p, TR_SELU);
}

static void
selu_back(Inputs *p)
{
	activated_back(p, TR_SELU);
}

static void
dropout(Inputs *p)
{
	p->b->ops->dropout(p->b, p->out, p->in[0], R * O, 0.3f, 1, 2);
}

static void
dropout_back(Inputs *p)
{
	p->b->ops->dropout(p->b, p->grad[0], p->dout, R * O, 0.3f, 1, 2);
}

/* in: logits (R,T), bias (T), weights of two parts; the gradient of the logits replaces a copy of them */
static void
tag_loss(Inputs *p, bool softmax)
{
	float		host[MOST];
	TrTagLoss	t = {
		.softmax = softmax, .logits = p->grad[0], .targets = &p->targets, .bias = p->in[1], .dbias = p->grad[1],
		.parts = 2, .part = {p->x, p->part}, .part_weight = p->in[2], .dpart_weight = p->grad[2], .scale = 0.4f,
		.loss = p->loss
	};

	p->b->ops->download(p->b, host, p->in[0], sizeof(float) * R * T);
	p->b->ops->upload(p->b, p->grad[0], host, sizeof(float) * R * T);
	p->b->ops->zero(p->b, p->grad[1], sizeof(float) * T);
	p->b->ops->zero(p->b, p->grad[2], sizeof(float) * 2);
	p->b->ops->zero(p->b, p->loss, sizeof(double));
	p->b->ops->tag_loss(p->b, &t);
}

static void
cross_entropy(Inputs *p)
{
	tag_loss(p, false);
}

static void
softmax(Inputs *p)
{
	tag_loss(p, true);
}

static void
squares(Inputs *p)
{
	float		host[MOST];

	p->b->ops->download(p->b, host, p->in[0], sizeof(float) * R * T);
	p->b->ops->upload(p->b, p->grad[0], host, sizeof(float) * R * T);
	p->b->ops->zero(p->b, p->loss, sizeof(double));
	p->b->ops->squared_loss(p->b, p->grad[0], &p->targets, 0.5f, p->loss);
}

/* in: means and logarithms of variances (R,2 O/2); the loss has the divergence, and what is drawn times dout */
static void
latent(Inputs *p)
{
	const TrBackendOps *ops = p->b->ops;
	double		loss;
	float		z[MOST];
	float		dz[MOST];

	ops->zero(p->b, p->loss, sizeof(double));
	ops->latent(p->b, p->out, p->in[0], R, O / 2, 3, 5);
	ops->latent_backward(p->b, p->grad[0], p->dout, p->in[0], R, O / 2, 3, 5, 0.7f, p->loss);
	ops->download(p->b, z, p->out, sizeof(z));
	ops->download(p->b, dz, p->dout, sizeof(dz));
	ops->download(p->b, &loss, p->loss, sizeof(loss));
	for (int i = 0; i < R * O / 2; i++)
		loss += (double) z[i] * dz[i];
	ops->upload(p->b, p->loss, &loss, sizeof(loss));
}

static const Check checks[] = {
	{"sparse layer", sparse_forward, sparse_backward, R * O, {T * O, O}},
	{"dense layer (I,O)", dense_io, dense_io_back, R * O, {R * I, I * O, O}},
	{"dense layer (O,I)", dense_oi, dense_oi_back, R * O, {R * I, I * O, O}},
	{"normalize and fill_column", embedding, embedding_back, R * WIDE, {R * O, 1, 1}},
	{"pair_scores", pairs, pairs_back, R, {R * O, R * O}},
	{"gaussian_scores", gaussian, gaussian_back, R, {R * O, R * O}},
	{"attention", attention, attention_back, R * O, {R * O, T * O}},
	{"reconstruction_loss, norm", reconstruction_norm, reconstruction_norm, 0, {(R - 1) * T, T}},
	{"reconstruction_loss, squared", reconstruction_squared, reconstruction_squared, 0, {(R - 1) * T, T}},
	{"sigmoid", sigmoid, sigmoid_back, R * O, {R * I, I * O, O}},
	{"relu", relu, relu_back, R * O, {R * I, I * O, O}},
	{"selu", selu, selu_back, R * O, {R * I, I * O, O}},
	{"dropout", dropout, dropout_back, R * O, {R * O}},
	{"tag_loss, cross-entropy", cross_entropy, cross_entropy, 0, {R * T, T, 2}},
	{"tag_loss, softmax", softmax, softmax, 0, {R * T, T, 2}},
	{"latent", latent, latent, 0, {R * O}},
	{"squared_loss", squares, squares, 0, {R * T}},
};

static Inputs
draw_inputs(const TrBackendOps *ops)
{
	static const int32_t row[R] = {0, 0, 2, 3, 3, 3};
	TrBackend  *b = open_backend(ops, 2);
	Draw		draw = {.seed = 9};
	Inputs		p = {.b = b, .x = random_csr(b, &draw, R, T, 2, 0.1f, 1.5f)};

	for (int i = 0; i < 3; i++)
	{
		p.in[i] = random_floats(b, &draw, MOST, -1, 1);
		p.grad[i] = random_floats(b, &draw, MOST, 0, 0);
	}
	p.out = random_floats(b, &draw, MOST, 0, 0);
	p.scratch = random_floats(b, &draw, MOST, 0, 0);
	p.dout = random_floats(b, &draw, MOST, -1, 1);
	p.feature = random_floats(b, &draw, R, 0.5f, 3);
	p.norm = random_floats(b, &draw, R, 0, 0);
	p.row = to_backend(b, row, sizeof(row));
	p.targets = random_csr(b, &draw, R, T, 3, 0, 2);
	p.part = random_csr(b, &draw, R, T, 2, -1, 1);
	p.loss = to_backend(b, &(double) {0}, sizeof(double));
	return p;
}

static double
loss_of(const Check *check, Inputs *p)
{
	float		out[MOST];
	float		dout[MOST];
	double		loss = 0;

	check->forward(p);
	if (check->outputs == 0)
		p->b->ops->download(p->b, &loss, p->loss, sizeof(double));
	p->b->ops->download(p->b, out, p->out, sizeof(out));
	p->b->ops->download(p->b, dout, p->dout, sizeof(dout));
	for (int i = 0; i < check->outputs; i++)
		loss += (double) out[i] * dout[i];
	return loss;
}

/* One of the inputs, on the host while it is moved. */
typedef struct Place
{
	const Check *check;
	Inputs	   *p;
	int			tensor;
	float		values[MOST];
} Place;

static double
loss_there(void *argument)
{
	Place	   *place = argument;
	Inputs	   *p = place->p;

	p->b->ops->upload(p->b, p->in[place->tensor], place->values, sizeof(place->values));
	return loss_of(place->check, p);
}

/* d loss / d in[tensor][i], by central differences */
static double
difference(const Check *check, Inputs *p, int tensor, int i)
{
	Place		place = {.check = check, .p = p, .tensor = tensor};
	double		slope;

	p->b->ops->download(p->b, place.values, p->in[tensor], sizeof(place.values));
	slope = gradient_difference(loss_there, &place, &place.values[i], STEP, false);
	p->b->ops->upload(p->b, p->in[tensor], place.values, sizeof(place.values));
	return slope;
}

static void
test_gradient(const TrBackendOps *ops, const Check *check)
{
	Inputs		p = draw_inputs(ops);
	float		grad[3][MOST];
	double		most = 0;
	double		largest = 0;

	loss_of(check, &p);
	check->backward(&p);
	for (int t = 0; t < 3; t++)
		ops->download(p.b, grad[t], p.grad[t], sizeof(grad[t]));
	for (int t = 0; t < 3; t++)
		for (int i = 0; i < check->size[t]; i++)
		{
			most = fmax(most, fabs(grad[t][i] - difference(check, &p, t, i)));
			largest = fmax(largest, fabs(grad[t][i]));
		}
	CHECK(largest > 0.1, "%s: %s has a gradient", ops->name, check->name);
	CHECK_NEAR(most, 0, 2e-3, "%s: gradient of %s", ops->name, check->name);
	ops->close(p.b);
}

/* A NaN at an entry of the row and at a zero of it; and in the parameters. */
static void
test_nan(const TrBackendOps *ops)
{
	float		nan = NAN;

	for (int at = 0; at < T; at++)
	{
		Inputs		p = draw_inputs(ops);
		double		loss = 0;

		ops->upload(p.b, p.in[0] + at, &nan, sizeof(nan));
		reconstruction(&p, at % 2);
		ops->download(p.b, &loss, p.loss, sizeof(loss));
		CHECK(isnan(loss), "%s: reconstruction_loss with NaN in column %d", ops->name, at);
		tag_loss(&p, at % 2);
		ops->download(p.b, &loss, p.loss, sizeof(loss));
		CHECK(isnan(loss), "%s: tag_loss with NaN in column %d", ops->name, at);
		ops->zero(p.b, p.loss, sizeof(double));
		ops->sum_squares(p.b, p.loss, p.in[0], MOST, 0.1f);
		ops->download(p.b, &loss, p.loss, sizeof(loss));
		CHECK(isnan(loss), "%s: sum_squares with NaN at %d", ops->name, at);
		ops->normalize(p.b, p.out, O, p.norm, p.in[0], R, O, 1);
		ops->download(p.b, &nan, p.norm + at / O, sizeof(nan));
		CHECK(isnan(nan), "%s: normalize with NaN at %d", ops->name, at);
		ops->close(p.b);
	}
}

int
main(void)
{
	const TrBackendOps *last = NULL;

	for (int i = -1; i < N_CANDIDATES; i++)
	{
		const TrBackendOps *ops = i < 0 ? &tr_plain_ops : candidates[i].ops();

		if (ops == last)
			continue;
		for (size_t c = 0; c < sizeof(checks) / sizeof(checks[0]); c++)
			test_gradient(ops, &checks[c]);
		test_nan(ops);
		last = ops;
	}
	return check_done();
}
