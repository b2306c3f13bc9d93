/*
 * One epoch of the DSPR family: plan a step, put the profiles together, forward, losses, backward, update.
 *
 * A step minimises its share of Eq. 13 (or 8, or 14):
 *     lambda_theta (P / N) (sum W^2 + sum b^2) + lambda_e sum(multiplicity |x' - x|) + (1 - lambda_theta - lambda_e)
 *     sum(ranking)
 * with P of the epoch's N training pairs, so that the steps of an epoch add up to it; loss "mean" divides that by P.
 */
#include "models/tower/tower.h"

/* ------------------------------------------------------------------ upload */

/* d = the arrays of h, in backend memory */
static TrStatus
upload_batch(Tower *t, const TowerBatch *h, TowerBatch *d, TrError *err)
{
	size_t		U = (size_t) h->users;
	size_t		C = (size_t) h->columns;
	size_t		P = (size_t) h->pairs;
	bool		skips = tower_skips(&t->options);
	size_t		S = skips ? (size_t) h->skip_ptr[h->users] : 0;
	TrPiece		pieces[] = {		/* elements of 4 bytes */
		{(void **) &d->user, h->user, 4 * U},
		{(void **) &d->column, h->column, 4 * C},
		{(void **) &d->pair_ptr, h->pair_ptr, 4 * (U + 1)},
		{(void **) &d->pair_row, h->pair_row, 4 * P},
		{(void **) &d->pair_column, h->pair_column, 4 * P},
		{(void **) &d->pair_without, h->pair_without, 4 * P},
		{(void **) &d->pair_item, h->pair_item, 4 * P},
		{(void **) &d->skip_ptr, h->skip_ptr, 4 * (skips ? U + 1 : 0)},
		{(void **) &d->skip_column, h->skip_column, 4 * S},
		{(void **) &d->column_offset, h->column_offset, 4 * C},
		{(void **) &d->pair_weight, h->pair_weight, 4 * P},
		{(void **) &d->multiplicity, h->multiplicity, 4 * (U + (size_t) h->targets)},
		{(void **) &d->item_feature, h->item_feature, 4 * (C + P)},
	};

	return tr_upload(&t->model, &t->upload, pieces, sizeof(pieces) / sizeof(pieces[0]), err);
}

/* ------------------------------------------------------------------ profiles */

/* csr = profiles of n entities of a side; its memory is the group's */
static TrStatus
profile_group(Tower *t, int group, TrSide side, const int32_t *entity, const int32_t *without_post, int n,
			  int64_t entries, const TowerBatch *h, TrCsr *csr, TrError *err)
{
	TrProfileWeights weights = tower_profile_weights(t, side);
	TrProfileRule rule = {
		.keep = side == TR_USER ? (float) t->options.keep : 1.0f,
		.tag_dropout = (float) (side == TR_USER ? t->options.user_dropout : t->options.item_dropout),
		/* KEEP is drawn with the plain seed, as the plan draws it; the groups' dropout masks differ */
		.seed = t->options.seed + (group == TOWER_POSITIVES ? 1 : 0),
		.step = h->step
	};

	TR_TRY(tower_reserve_rows(t, group, n, entries, csr, err));
	t->model.backend->ops->profile_rows(t->model.backend, csr, &t->side[side], entity, without_post, n, &weights,
										&rule);
	return TR_OK;
}

static TrStatus
profile_batch(Tower *t, const TowerBatch *h, const TowerBatch *d, TrCsr *groups, int *n_groups, TrError *err)
{
	TR_TRY(profile_group(t, TOWER_USERS, TR_USER, d->user, NULL, h->users, h->entries[TOWER_USERS], h,
						 &groups[TOWER_USERS], err));
	TR_TRY(profile_group(t, TOWER_CANDIDATES, TR_ITEM, d->column, NULL, h->columns, h->entries[TOWER_CANDIDATES], h,
						 &groups[TOWER_CANDIDATES], err));
	*n_groups = 2;
	if (t->options.own_tags)
		return TR_OK;
	*n_groups = 3;
	return profile_group(t, TOWER_POSITIVES, TR_ITEM, d->pair_item, d->pair_without, h->pairs,
						 h->entries[TOWER_POSITIVES], h, &groups[TOWER_POSITIVES], err);
}

/* ------------------------------------------------------------------ losses */

static float *
embedding_row(const TrBuffer *buffer, const Tower *t, int row)
{
	return (float *) buffer->data + (size_t) row * (size_t) t->model.width;
}

/* Adds the ranking loss; embedding_grad (R,width) = scale times its gradient */
static TrStatus
ranking_loss(Tower *t, const TowerBatch *h, const TowerBatch *d, int R, float scale, TrError *err)
{
	TrBackend  *b = t->model.backend;
	int			width = t->model.width;
	int			U = h->users;
	int			C = h->columns;
	bool		separate = !t->options.own_tags;
	float	   *logits;
	TrSoftmax	softmax;

	TR_TRY(tr_reserve(&t->model, &t->logits, (size_t) U * C * sizeof(float), err));
	TR_TRY(tr_reserve(&t->model, &t->pair_logit, ((size_t) h->pairs + 16) * sizeof(float), err));
	TR_TRY(tr_reserve(&t->model, &t->pair_grad, ((size_t) h->pairs + 16) * sizeof(float), err));
	TR_TRY(tr_reserve(&t->model, &t->embedding_grad, (size_t) R * width * sizeof(float), err));
	logits = t->logits.data;

	const float *users = embedding_row(&t->embedding, t, 0);
	const float *columns = embedding_row(&t->embedding, t, U);
	const float *positives = embedding_row(&t->embedding, t, U + C);
	float	   *users_grad = embedding_row(&t->embedding_grad, t, 0);
	float	   *columns_grad = embedding_row(&t->embedding_grad, t, U);
	float	   *positives_grad = embedding_row(&t->embedding_grad, t, U + C);

	b->ops->gemm(b, logits, C, users, width, false, columns, width, true, U, C, width, 1.0f, 0.0f);
	if (separate)
		b->ops->pair_scores(b, t->pair_logit.data, users, positives, d->pair_row, h->pairs, width);
	softmax = (TrSoftmax) {
		.users = U, .columns = C, .logits = logits,
		.column_offset = t->options.negatives == TOWER_FULL ? NULL : d->column_offset,
		.pair_ptr = d->pair_ptr, .pair_column = d->pair_column, .pair_weight = d->pair_weight,
		.pair_logit = separate ? t->pair_logit.data : NULL, .pair_dlogit = separate ? t->pair_grad.data : NULL,
		.skip_ptr = tower_skips(&t->options) ? d->skip_ptr : NULL, .skip_column = d->skip_column,
		.include_positive = t->options.negatives == TOWER_FULL || t->options.positive_in_denominator,
		.mask_pairs = t->options.mask_seen, .scale = scale, .loss = t->p.loss
	};
	b->ops->softmax_loss(b, &softmax);
	b->ops->gemm(b, users_grad, width, logits, C, false, columns, width, false, U, width, C, 1.0f, 0.0f);
	b->ops->gemm(b, columns_grad, width, logits, C, true, users, width, false, C, width, U, 1.0f, 0.0f);
	if (separate)
		b->ops->pair_scores_backward(b, users_grad, positives_grad, t->pair_grad.data, users, positives, d->pair_row,
									 h->pairs, width);
	return TR_OK;
}

/* ------------------------------------------------------------------ step */

/* A gradient of zeros, but for that of W1 where it is not needed */
static void
start_step(Tower *t)
{
	if (tower_first_apart(t))
		tr_parameters_start_step_but(&t->p, t->model.backend, 0, tr_stack_first_size(&t->stack));
	else
		tr_parameters_start_step(&t->p, t->model.backend);
}

static void
update(Tower *t, const TrCsr *groups, int n_groups, double decay)
{
	const TowerOptions *o = &t->options;
	TrOptimizer optimizer = tr_optimizer(o->optimizer == TOWER_ADAM ? TR_ADAM : TR_SGD, t->rate, t->p.steps, decay);

	optimizer.momentum = o->optimizer == TOWER_MOMENTUM ? (float) o->momentum : 0;
	if (tower_first_apart(t))
	{
		tr_stack_update_first(&t->stack, &t->p, t->model.backend, &optimizer, groups, n_groups);
		tr_parameters_update_but(&t->p, t->model.backend, optimizer, 0, tr_stack_first_size(&t->stack));
	}
	else
		tr_parameters_update(&t->p, t->model.backend, optimizer);
}

/* Between the parts of a step as well, as one over all items of a large catalogue takes a while. */
static TrStatus
not_cancelled(const TrPoll *poll)
{
	return tr_poll(poll) ? TR_CANCELLED : TR_OK;
}

static TrStatus
train_step(Tower *t, const TowerBatch *h, const TrPoll *poll, TrError *err)
{
	const TowerOptions *o = &t->options;
	TowerBatch	d;
	TrCsr		groups[TOWER_GROUPS];
	int			n_groups;
	bool		mean = o->loss == TOWER_LOSS_MEAN;
	double		ranking = (1 - o->regularization - o->reconstruction) / (mean ? h->pair_weight_sum : 1);
	double		reconstruction = o->reconstruction / (mean ? h->pairs : 1);
	double		decay = o->regularization * (mean ? 1 : h->pairs) / t->dataset->n_posts;
	float		item_scale = (float) (1 / o->temperature);
	int			R = h->users + h->columns + (o->own_tags ? 0 : h->pairs);

	TR_TRY(upload_batch(t, h, &d, err));
	TR_TRY(profile_batch(t, h, &d, groups, &n_groups, err));
	TR_TRY(not_cancelled(poll));
	TR_TRY(tower_forward(t, groups, n_groups, h->users, item_scale, d.item_feature, err));
	TR_TRY(not_cancelled(poll));
	start_step(t);
	TR_TRY(ranking_loss(t, h, &d, R, (float) ranking, err));
	if (o->reconstruction > 0)
		TR_TRY(tower_reconstruct(t, &groups[TOWER_USERS], &groups[TOWER_CANDIDATES], h->targets, d.multiplicity,
								 (float) reconstruction, err));
	TR_TRY(not_cancelled(poll));
	TR_TRY(tower_backward(t, groups, n_groups, h->users, item_scale, d.item_feature,
						  o->reconstruction > 0 ? h->users + h->targets : 0, err));
	update(t, groups, n_groups, decay);
	return TR_OK;
}

/* Eq. 13 over the epoch, divided by its pairs; the penalty is that of the parameters the epoch began with. */
static double
epoch_loss(const Tower *t, const double sums[2], const TrEpochStats *stats, int64_t batches)
{
	double		count = t->options.loss == TOWER_LOSS_MEAN ? (double) batches : (double) stats->pairs;

	return (count > 0 ? sums[0] / count : 0) + t->options.regularization * sums[1] / t->dataset->n_posts;
}

TrStatus
tower_train_epoch(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err)
{
	Tower	   *t = (Tower *) model;
	TrBackend  *b = model->backend;
	TowerBatch	batch;
	double		sums[2];
	int64_t		batches = 0;

	tr_parameters_start_epoch(&t->p, b);
	t->rate = tr_epoch_rate(model, t->options.learning_rate, t->options.decay == TOWER_LINEAR, epoch);
	tower_plan_epoch(t, epoch);
	while (tower_plan_step(t, &batch))
	{
		if (tr_poll_at(poll, "pairs", stats->pairs, t->dataset->n_posts))
			return TR_CANCELLED;
		if (batch.pairs == 0)
			continue;
		tr_begin_step(b);
		TR_TRY(train_step(t, &batch, poll, err));
		tr_end_step(b);
		stats->pairs += batch.pairs;
		batches++;
	}
	TR_TRY(tr_parameters_end_epoch(&t->p, b, sums, err));
	stats->loss = epoch_loss(t, sums, stats, batches);
	return TR_OK;
}
