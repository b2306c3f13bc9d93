/*
 * nltf: non-linear tensor factorisation (Fang et al., AAAI 2015): pitf, with a Gaussian kernel for each inner product:
 *
 *     y(u,i,t) = scale (exp(-|w_u - a_t|^2 / (2 sigma^2)) + exp(-|h_i - b_t|^2 / (2 sigma^2)))
 *
 * A kernel is 1 at most, so that without a scale two scores are never further apart than 2, and the loss of a pair that is
 * ranked right never gets small. All else is pitf's.
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "core/simd.h"
#include "models/pitf.h"

static const char *const samplings[] = {"uniform", "popularity", NULL};
static const char *const optimizers[] = {"sgd", "adam", NULL};

#define OPTION(field) offsetof(PitfOptions, field)

static const TrOption option_rows[] = {
	{"factors", TR_OPTION_INT, OPTION(factors), "64", 1, 1024, NULL,
	"width of the vectors of users and items; tags have one for either"},
	{"sigma", TR_OPTION_REAL, OPTION(sigma), "1.5", 0.001, 1000, NULL,
	"width of the kernels: the distance at which one falls to exp(-1/2)"},
	{"scale", TR_OPTION_REAL, OPTION(scale), "10", 0.001, 1e6, NULL,
	"what the kernels are multiplied by; 1 in the paper"},
	{"negatives", TR_OPTION_INT, OPTION(negatives), "8", 1, 1000, NULL,
	"tags drawn for every tag of a post, from those the post lacks; 1 is the loss of the paper, more are told apart by a "
	"softmax"},
	{"sampling", TR_OPTION_ENUM, OPTION(sampling), "uniform", 0, 0, samplings,
	"how they are drawn: each alike, or by how often they are used"},
	{"regularization", TR_OPTION_REAL, OPTION(regularization), "0.001", 0, 1000, NULL,
	"weight of the squared vectors of a batch's posts and tags"},
	{"optimizer", TR_OPTION_ENUM, OPTION(optimizer), "adam", 0, 0, optimizers,
	"how a gradient becomes a step"},
	{"learning_rate", TR_OPTION_REAL, OPTION(learning_rate), "0.003", 1e-9, 1000, NULL,
	"size of a step; the gradient is summed over a batch"},
	{"batch", TR_OPTION_INT, OPTION(batch), "512", 1, 1000000, NULL,
	"assignments of a step"},
	{"init_std", TR_OPTION_REAL, OPTION(init_std), "0.3", 1e-6, 1000, NULL,
	"size of the initial vectors: standard deviation of a factor, times the root of factors"},
	{"seed", TR_OPTION_SEED, OPTION(seed), "1", 0, 0, NULL,
	"start of every random number; the same seed gives the same model"},
	{"epochs", TR_OPTION_INT, OPTION(epochs), "30", 1, 100000, NULL,
	"passes over the assignments, at most"},
};

/* The reading that is closest to the paper. */
static const TrSetting paper[] = {
	{"sigma", "1"}, {"scale", "1"}, {"negatives", "1"}, {"init_std", "1"}, {NULL, NULL}
};

static const TrPreset presets[] = {{"paper", paper}, {NULL, NULL}};

static const TrOptionSet options = {
	.options = option_rows,
	.count = sizeof(option_rows) / sizeof(option_rows[0]),
	.presets = presets,
	.size = sizeof(PitfOptions)
};

/* out (T) += the kernels of x (D) with the tags' vectors that start at `at` of their rows */
TR_CLONES static void
add_kernels(float *out, const float *x, const float *tags, int32_t T, int D, float gamma, float scale)
{
	for (int32_t t = 0; t < T; t++)
	{
		const float *y = tags + (size_t) t * 2 * (size_t) D;
		float		sum = 0;

		for (int j = 0; j < D; j++)
			sum += (x[j] - y[j]) * (x[j] - y[j]);
		out[t] += scale * expf(-gamma * sum);
	}
}

/* An unknown user, or item, is the mean of all. */
static TrStatus
score_tags(TrModel *model, const TrPost *posts, int32_t n, float *out, TrError *err)
{
	const Pitf *m = (const Pitf *) model;
	size_t		D = (size_t) m->D;
	const float *tags = m->tensors[PITF_TENSOR_TAGS].value;
	const float *means = m->tensors[PITF_TENSOR_MEANS].value;
	float		gamma = pitf_gamma(&m->options);
	float		scale = (float) m->options.scale;

	(void) err;
	memset(out, 0, (size_t) n * (size_t) m->n_tags * sizeof(float));
	for (int32_t p = 0; p < n; p++)
	{
		float	   *score = out + (size_t) p * (size_t) m->n_tags;

		add_kernels(score, posts[p].user ? posts[p].user : means, tags, m->n_tags, m->D, gamma, scale);
		add_kernels(score, posts[p].item ? posts[p].item : means + D, tags + D, m->n_tags, m->D, gamma, scale);
	}
	return TR_OK;
}

const TrAlgorithm tr_algorithm_nltf = {
	.name = "nltf",
	.summary = "pitf with a Gaussian kernel of the distance in place of each inner product.",
	.source = "Fang et al., Personalized Tag Recommendation through Nonlinear Tensor Factorization Using Gaussian Kernel "
		"(AAAI 2015)",
	.task = TR_TASK_TAG,
	.options = &options,
	.estimate = pitf_estimate,
	.create = pitf_create,
	.train_epoch = pitf_train_epoch,
	.save = pitf_save,
	.restore = pitf_restore,
	.load = pitf_load,
	.width = pitf_width,
	.embed = pitf_embed,
	.score_tags = score_tags,
	.destroy = pitf_destroy,
};
