/*
 * The Gibbs sampler of fm (Freudenthaler, Schmidt-Thieme & Rendle, "Bayesian Factorization Machines", 2011, Algorithm 1):
 * a sweep draws the precision of the ratings, the distributions that weights and factors come from, and every weight and
 * number of a factor in turn, each from what it is distributed like given all the rest.
 *
 * With x the value of a feature and h = d prediction / d parameter, a parameter's distribution is normal with
 *     precision = alpha sum of h^2 + prior precision
 *     mean = (alpha sum of h (residual + h parameter) + prior precision * prior mean) / precision
 * For a factor, h = x (Q + own), where Q is the other side's sum, and own this side's without the feature: hence the sums
 * e, eq, q, qq of FmSide. They stay right while features are drawn, and the residuals are put right at the end.
 */
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "models/fm/fm.h"

/* Of what precisions are drawn from, and means: hardly any knowledge (libFM's values). */
#define SHAPE 1.0
#define RATE 1.0
#define MEAN_WEIGHT 1.0

/* ------------------------------------------------------------------ random numbers */

static double
normal(Fm *m)
{
	return tr_normal(m->options.seed, TR_STREAM_INIT, 16 + (uint64_t) m->sweep, m->draws++);
}

static double
uniform(Fm *m)
{
	return tr_uniform(m->options.seed, TR_STREAM_INIT, 16 + (uint64_t) m->sweep, (uint64_t) 1 << 62 | m->draws++)
		+ 0.5 / 16777216;
}

/* shape >= 1 (Marsaglia & Tsang 2000) */
static double
gamma_drawn(Fm *m, double shape, double rate)
{
	double		d = shape - 1.0 / 3;
	double		c = 1 / sqrt(9 * d);

	for (;;)
	{
		double		x = normal(m);
		double		v = (1 + c * x) * (1 + c * x) * (1 + c * x);

		if (v > 0 && log(uniform(m)) < 0.5 * x * x + d - d * v + d * log(v))
			return d * v / rate;
	}
}

/* ------------------------------------------------------------------ distributions */

static void
draw_prior(Fm *m, FmPrior *prior, const float *value, int32_t n)
{
	double		squares = 0;
	double		sum = 0;

	if (n == 0)
		return;
	for (int32_t i = 0; i < n; i++)
		squares += (value[i] - prior->mean) * (value[i] - prior->mean);
	prior->precision = gamma_drawn(m, (SHAPE + n + 1) / 2,
								   (RATE + MEAN_WEIGHT * prior->mean * prior->mean + squares) / 2);
	for (int32_t i = 0; i < n; i++)
		sum += value[i];
	prior->mean = sum / (n + MEAN_WEIGHT) + normal(m) / sqrt((n + MEAN_WEIGHT) * prior->precision);
}

/* Of the numbers of factor k, or of the weights, k = D. */
static FmPrior *
draw_priors(Fm *m, FmSide *s, int k, const float *value)
{
	FmPrior    *prior = s->prior + (size_t) k * (size_t) s->G;

	for (int g = 0; g < s->G; g++)
		draw_prior(m, &prior[g], value + s->group[g], s->group[g + 1] - s->group[g]);
	return prior;
}

/* From sum of h^2 and of h * residual, and the value so far */
static double
draw_value(Fm *m, const FmPrior *prior, double hh, double he, double value)
{
	double		precision = m->alpha * hh + prior->precision;

	return (m->alpha * (he + hh * value) + prior->precision * prior->mean) / precision + normal(m) / sqrt(precision);
}

/* ------------------------------------------------------------------ ratings */

/* e, and with a factor k >= 0 the sums of the other side's */
static void
add_up(Fm *m, TrSide side, int k)
{
	const TrDataset *d = m->model.dataset;
	FmSide	   *s = &m->side[side];
	const FmSide *other = &m->side[side == TR_USER ? TR_ITEM : TR_USER];
	const int32_t *own = side == TR_USER ? d->post_user : d->post_item;
	const int32_t *others = side == TR_USER ? d->post_item : d->post_user;
	const float *Q = other->sum + (size_t) (k < 0 ? 0 : k) * (size_t) other->n;

	for (double *const *sums = (double *const[]) {s->e, s->eq, s->q, s->qq, NULL}; *sums; sums++)
		memset(*sums, 0, (size_t) s->n * sizeof(double));
	memset(s->moved, 0, (size_t) s->n * sizeof(float));
	memset(s->shifted, 0, (size_t) s->n * sizeof(float));
	for (int32_t p = 0; p < d->n_posts; p++)
	{
		double		e = m->residual[p];
		double		q = k < 0 ? 0 : Q[others[p]];
		int32_t		r = own[p];

		s->e[r] += e;
		s->eq[r] += e * q;
		s->q[r] += q;
		s->qq[r] += q * q;
	}
}

/* The residuals, after the features of a side have changed. */
static void
put_right(Fm *m, TrSide side, int k)
{
	const TrDataset *d = m->model.dataset;
	const FmSide *s = &m->side[side];
	const FmSide *other = &m->side[side == TR_USER ? TR_ITEM : TR_USER];
	const int32_t *own = side == TR_USER ? d->post_user : d->post_item;
	const int32_t *others = side == TR_USER ? d->post_item : d->post_user;
	const float *Q = other->sum + (size_t) (k < 0 ? 0 : k) * (size_t) other->n;

	for (int32_t p = 0; p < d->n_posts; p++)
		m->residual[p] -= s->shifted[own[p]] + (k < 0 ? 0 : s->moved[own[p]] * Q[others[p]]);
}

/* ------------------------------------------------------------------ features */

static void
draw_weight(Fm *m, FmSide *s, const FmPrior *prior, int32_t f)
{
	const FmRows *x = &s->entities;
	double		hh = 0;
	double		he = 0;
	double		change;

	for (int64_t i = x->ptr[f]; i < x->ptr[f + 1]; i++)
	{
		hh += (double) x->val[i] * x->val[i] * s->ratings[x->col[i]];
		he += x->val[i] * s->e[x->col[i]];
	}
	change = draw_value(m, prior, hh, he, s->w[f]) - s->w[f];
	s->w[f] = (float) (s->w[f] + change);
	for (int64_t i = x->ptr[f]; i < x->ptr[f + 1]; i++)
	{
		s->e[x->col[i]] -= x->val[i] * change * s->ratings[x->col[i]];
		s->shifted[x->col[i]] += (float) (x->val[i] * change);
	}
}

static void
draw_factor(Fm *m, FmSide *s, const FmPrior *prior, float *v, float *sum, int32_t f)
{
	const FmRows *x = &s->entities;
	double		hh = 0;
	double		he = 0;
	double		change;

	for (int64_t i = x->ptr[f]; i < x->ptr[f + 1]; i++)
	{
		int32_t		r = x->col[i];
		double		own = sum[r] - x->val[i] * v[f];

		hh += (double) x->val[i] * x->val[i] * (s->qq[r] + 2 * own * s->q[r] + own * own * s->ratings[r]);
		he += x->val[i] * (s->eq[r] + own * s->e[r]);
	}
	change = draw_value(m, prior, hh, he, v[f]) - v[f];
	for (int64_t i = x->ptr[f]; i < x->ptr[f + 1]; i++)
	{
		int32_t		r = x->col[i];
		double		own = sum[r] - x->val[i] * v[f];
		double		step = x->val[i] * change;

		s->eq[r] -= step * (s->qq[r] + own * s->q[r]);
		s->e[r] -= step * (s->q[r] + own * s->ratings[r]);
		s->shifted[r] += (float) (step * own);
		s->moved[r] += (float) step;
		sum[r] += (float) step;
	}
	v[f] = (float) (v[f] + change);
}

/* All weights of a side, k < 0, or all its numbers of a factor. */
static void
draw_side(Fm *m, TrSide side, int k)
{
	FmSide	   *s = &m->side[side];
	float	   *v = s->v + (size_t) (k < 0 ? 0 : k) * (size_t) s->F;
	float	   *sum = s->sum + (size_t) (k < 0 ? 0 : k) * (size_t) s->n;
	const FmPrior *prior = k < 0 ? draw_priors(m, s, m->options.factors, s->w) : draw_priors(m, s, k, v);

	add_up(m, side, k);
	for (int g = 0; g < s->G; g++)
		for (int32_t f = s->group[g]; f < s->group[g + 1]; f++)
			if (k < 0)
				draw_weight(m, s, &prior[g], f);
			else
				draw_factor(m, s, &prior[g], v, sum, f);
	put_right(m, side, k);
}

/* ------------------------------------------------------------------ sweeps */

static void
draw_w0(Fm *m)
{
	int32_t		P = m->model.dataset->n_posts;
	double		sum = 0;
	double		change;

	for (int32_t p = 0; p < P; p++)
		sum += m->residual[p];
	change = sum / P + normal(m) / sqrt(m->alpha * P);
	m->w0 += change;
	for (int32_t p = 0; p < P; p++)
		m->residual[p] -= (float) change;
}

double
tr_fm_loss(const Fm *m)
{
	double		squares = 0;

	for (int32_t p = 0; p < m->model.dataset->n_posts; p++)
		squares += (double) m->residual[p] * m->residual[p];
	return squares / m->model.dataset->n_posts;
}

TrStatus
tr_fm_sweep(Fm *m, const TrPoll *poll)
{
	double		P = m->model.dataset->n_posts;

	m->sweep++;
	m->draws = 0;
	m->alpha = gamma_drawn(m, (SHAPE + P) / 2, (RATE + P * tr_fm_loss(m)) / 2);
	draw_w0(m);
	for (int k = -1; k < m->options.factors; k++)
		for (int side = TR_USER; side <= TR_ITEM; side++)
		{
			if (tr_poll(poll))
				return TR_CANCELLED;
			draw_side(m, (TrSide) side, k);
		}
	return TR_OK;
}

/* The mean and the standard deviation of the ratings. */
static void
standardize(Fm *m)
{
	const TrDataset *d = m->model.dataset;
	double		squares = 0;

	m->mean = tr_dataset_values(d).mean;
	for (int32_t p = 0; p < d->n_posts; p++)
		squares += (d->post_value[p] - m->mean) * (d->post_value[p] - m->mean);
	m->scale = sqrt(squares / d->n_posts);
}

/* No weights; factors at random; the residuals are then what the interactions leave. */
void
tr_fm_start(Fm *m)
{
	const TrDataset *d = m->model.dataset;

	standardize(m);
	for (int side = TR_USER; side <= TR_ITEM; side++)
	{
		FmSide	   *s = &m->side[side];
		const int32_t *from = side == TR_USER ? d->user_ptr : d->item_ptr;

		tr_normals(s->v, (int64_t) m->options.factors * s->F, m->options.init_std, m->options.seed, (uint64_t) side);
		for (int i = 0; i < (m->options.factors + 1) * s->G; i++)
			s->prior[i].precision = 1;
		for (int32_t e = 0; e < s->n; e++)
		{
			s->ratings[e] = from[e + 1] - from[e];
			for (int64_t i = s->features.ptr[e]; i < s->features.ptr[e + 1] && s->ratings[e] > 0; i++)
				s->used[s->features.col[i]] = true;
			for (int k = 0; k < m->options.factors; k++)
				for (int64_t i = s->features.ptr[e]; i < s->features.ptr[e + 1]; i++)
					s->sum[(size_t) k * (size_t) s->n + (size_t) e]
						+= s->features.val[i] * s->v[(size_t) k * (size_t) s->F + (size_t) s->features.col[i]];
		}
	}
	for (int32_t p = 0; p < d->n_posts; p++)
	{
		double		predicted = tr_fm_bias(m, TR_USER, d->post_user[p]) + tr_fm_bias(m, TR_ITEM, d->post_item[p]);

		for (int k = 0; k < m->options.factors; k++)
			predicted += (double) m->side[TR_USER].sum[(size_t) k * (size_t) d->n_users + (size_t) d->post_user[p]]
				* m->side[TR_ITEM].sum[(size_t) k * (size_t) d->n_items + (size_t) d->post_item[p]];
		m->residual[p] = (float) ((m->scale > 0 ? (d->post_value[p] - m->mean) / m->scale : 0) - predicted);
	}
}

/* ------------------------------------------------------------------ what a sample says */

/* The own feature of one without ratings tells nothing: its mean is put in its place. */
static double
own_value(const FmSide *s, int k, int32_t e, const float *value)
{
	return e < 0 || s->ratings[e] == 0 ? s->prior[(size_t) k * (size_t) s->G].mean : value[e];
}

/* x_f times the value of an entity's i-th feature; nothing where nobody with ratings has it */
static double
term(const FmSide *s, int64_t i, const float *value)
{
	int32_t		f = s->features.col[i];

	return s->used[f] ? (double) s->features.val[i] * value[f] : 0;
}

double
tr_fm_sum(const Fm *m, TrSide side, int32_t e, int k)
{
	const FmSide *s = &m->side[side];
	const float *v = s->v + (size_t) k * (size_t) s->F;
	double		sum = own_value(s, k, e, v);

	for (int64_t i = e < 0 ? 0 : s->features.ptr[e] + 1; e >= 0 && i < s->features.ptr[e + 1]; i++)
		sum += term(s, i, v);
	return sum;
}

double
tr_fm_bias(const Fm *m, TrSide side, int32_t e)
{
	const FmSide *s = &m->side[side];
	double		bias = own_value(s, m->options.factors, e, s->w);

	for (int64_t i = e < 0 ? 0 : s->features.ptr[e] + 1; e >= 0 && i < s->features.ptr[e + 1]; i++)
		bias += term(s, i, s->w);
	for (int k = 0; k < m->options.factors; k++)
	{
		const float *v = s->v + (size_t) k * (size_t) s->F;
		double		own = own_value(s, k, e, v);
		double		sum = own;
		double		squares = own * own;

		for (int64_t i = e < 0 ? 0 : s->features.ptr[e] + 1; e >= 0 && i < s->features.ptr[e + 1]; i++)
		{
			double		t = term(s, i, v);

			sum += t;
			squares += t * t;
		}
		bias += (sum * sum - squares) / 2;
	}
	return bias;
}
