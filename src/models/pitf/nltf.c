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
#include "models/pitf/pitf.h"

static const TrOption option_rows[] = {
	PITF_FACTORS_OPTION,
	{"sigma", TR_OPTION_REAL, PITF_FIELD(sigma), "1.5", 0.001, 1000, NULL,
	"width of the kernels: the distance at which one falls to exp(-1/2)"},
	{"scale", TR_OPTION_REAL, PITF_FIELD(scale), "10", 0.001, 1e6, NULL,
	"what the kernels are multiplied by; 1 in the paper"},
	PITF_OPTIONS_WITH("0.3"),
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
	float		gamma = pitf_gamma(&m->options);
	float		scale = (float) m->options.scale;

	(void) err;
	memset(out, 0, (size_t) n * (size_t) model->n_tags * sizeof(float));
	for (int32_t p = 0; p < n; p++)
	{
		float	   *score = out + (size_t) p * (size_t) model->n_tags;

		add_kernels(score, posts[p].user ? posts[p].user : m->means, m->tags, model->n_tags, m->D, gamma, scale);
		add_kernels(score, posts[p].item ? posts[p].item : m->means + D, m->tags + D, model->n_tags, m->D, gamma, scale);
	}
	return TR_OK;
}

const TrAlgorithm tr_algorithm_nltf = {
	.name = "nltf",
	.summary = "pitf with a Gaussian kernel of the distance in place of each inner product.",
	.source = "Fang et al., Personalized Tag Recommendation through Nonlinear Tensor Factorization Using Gaussian Kernel "
		"(AAAI 2015)",
	PITF_SLOTS,
	.options = &options,
	.score_tags = score_tags,
};
