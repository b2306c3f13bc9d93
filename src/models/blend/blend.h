/*
 * blend: several algorithms trained together and served as one model; private to src/models/blend*.c.
 *
 *     score(u,i) = sum over members m of w_m z_m(u,i),   z_m(u,i) = s_m(u,i) / d_m(u)
 *
 * with s_m what the member itself would score, and d_m(u) the standard deviation of that over all items - of
 * large data, over a sample of them: a member's scores
 * count by how far an item stands out among the user's others, not by their unit. (What z-scores subtract is the same for
 * all items of a user, so nothing is subtracted.) Everything of a member's score is linear in what belongs to the user,
 * which is where w / d goes: arrays lie side by side, and so do features. So a network cannot be the one to say a member's
 * scores.
 *
 * Features of one kind have one row of weights, so members that have neighbours among items share theirs: with these, a
 * user's items count 1 each. What they share cannot be divided by a user's d for each member: in their place stands, with
 * t_m the mean of d_m over the users, t_m e(u), e(u) being the mean of d_m(u) / t_m over those members. Tags and users as
 * features are of one member.
 *
 * Members that get no weight are dropped, from what is stored, too.
 *
 * blend_members.c reads the options, blend_scores.c scores for one member, blend_weights.c finds d, blend_choose.c w,
 * blend_serve.c answers, blend.c does the rest. Legend: M members, U users, N items.
 */
#ifndef BLEND_H
#define BLEND_H

#include "models/base.h"

#define BLEND_MOST 8			/* members */

typedef struct BlendOptions
{
	TrText		members;
	TrText		weights;
	uint64_t	seed;
	int			epochs;			/* of a member, at most */
	double		validation;
	int			metric;			/* TrMetric */
	int			metric_k;
} BlendOptions;

typedef struct BlendMember
{
	const TrAlgorithm *algorithm;
	void	   *options;		/* its own */
	int			epochs;			/* planned at most; 0 = the usual ones, until the first begins */
	double		weight;			/* w */
	TrModel    *model;			/* NULL when it was dropped, or loaded and can neither encode nor fold in */
	int			width;			/* of its arrays */
	int			features;		/* TrFeatures */
	float	   *deviation;		/* (U) d; NULL when loaded */
	float		typical;		/* mean of d */
	float		encoded;		/* the same of users known by their tags alone; 0 = it cannot encode tags */
} BlendMember;

typedef struct Blend
{
	TrModel		model;
	BlendOptions options;
	int			n_members;
	BlendMember member[BLEND_MOST];
	const TrPairs *held_out;	/* NULL = none */
	int32_t		n_items;
	int			current;		/* member in training, and its epochs so far */
	int			epoch;
	int32_t		room;			/* of the features of a user, and of those being merged */
	TrSparse	found;
	int32_t    *index;
	float	   *value;
	int32_t    *merged_index;
	float	   *merged_value;
	float	   *row;			/* (N) of a feature that members share; zeros between calls */
	uint64_t   *row_items;		/* those that are in it */
	int32_t    *row_index;		/* (N) the answer */
	float	   *row_value;
	float	   *array;			/* (array_room) arrays of one member */
	size_t		array_room;
	TrTensor   *saved;			/* tensors of the last save() */
	float	   *summary;		/* (M,5) of the members, as they are saved */
	float	   *items;			/* (1) n_items */
} Blend;

/* blend_members.c: fills member and n_members from the options, in memory; errors name the member. */
extern TrStatus blend_read_members(BlendMember *members, int *n, const BlendOptions *options, TrMemory *memory,
								   TrError *err);
/* weight (n) from the option weights; *given = false when it is empty. */
extern TrStatus blend_read_weights(double *weight, int n, const BlendOptions *options, bool *given, TrError *err);

/* blend_weights.c: deviations of all members; lists (NULL = none) get the items they put first. */
struct BlendLists;
extern TrStatus blend_measure(Blend *m, struct BlendLists *lists, const TrPoll *poll, TrError *err);

/* blend_serve.c: what the member's scores of a user of the training are multiplied by when it weighs 1 */
extern float blend_unit_scale(const Blend *m, const BlendMember *member, int32_t user);

/* blend_serve.c: functions of the TrAlgorithm. */
/* blend_serve.c: the model is as wide as its members together */
extern void blend_set_width(Blend *m);
extern TrStatus blend_embed(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out,
							TrError *err);
extern TrStatus blend_encode(TrModel *model, TrSide side, const TrProfiles *profiles, float *out, TrError *err);
extern int	blend_features(const TrModel *model);
extern TrStatus blend_user_features(TrModel *model, const TrDataset *dataset, int32_t user, TrSparse *out, TrError *err);
extern TrStatus blend_encode_features(TrModel *model, const TrProfiles *profiles, int32_t row, TrSparse *out, TrError *err);
extern TrStatus blend_fold_in(TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, float *array,
							  TrSparse *features, TrError *err);
extern TrStatus blend_contributions(TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, int32_t item,
									float *out, TrError *err);
extern TrStatus blend_feature_weights(TrModel *model, int32_t feature, TrSparse *out, TrError *err);

#endif
