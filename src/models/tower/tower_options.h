/*
 * The choices the DSPR paper leaves open, each an option. The defaults are the best measured recipe; the preset "paper" is
 * the literal reading. A field that an algorithm does not offer stays 0, which is always the plain meaning.
 */
#ifndef TOWER_OPTIONS_H
#define TOWER_OPTIONS_H

#include "core/options.h"

typedef enum TowerNegatives
{
	TOWER_FULL,					/* every item (Eq. 8) */
	TOWER_IN_BATCH,				/* the other targets of the batch */
	TOWER_UNIFORM,				/* `samples` items, shared by the batch */
	TOWER_POPULAR,				/* the same, drawn with probability ~ users^negatives_power */
	TOWER_EACH					/* `samples` items for each target by itself (Eq. 14) */
} TowerNegatives;

typedef enum TowerOptimizer
{
	TOWER_SGD,
	TOWER_MOMENTUM,
	TOWER_ADAM
} TowerOptimizer;

typedef enum TowerDecay
{
	TOWER_CONSTANT,
	TOWER_LINEAR				/* from learning_rate in the first epoch towards 0 in the last one planned */
} TowerDecay;

typedef enum TowerLossScale
{
	TOWER_LOSS_SUM,				/* of the batch's pairs: the paper */
	TOWER_LOSS_MEAN
} TowerLossScale;

typedef enum TowerReconstructionLoss
{
	TOWER_NORM,					/* |x' - x|: the paper */
	TOWER_SQUARED
} TowerReconstructionLoss;

typedef enum TowerInit
{
	TOWER_GLOROT,
	TOWER_NORMAL
} TowerInit;

typedef enum TowerBatchBy
{
	TOWER_BY_PAIRS,
	TOWER_BY_USERS
} TowerBatchBy;

typedef struct TowerOptions
{
	TrIntList	layers;
	int			weighting;
	int			norm;
	double		bm25_k1;
	double		bm25_b;
	bool		own_tags;
	bool		popularity;
	double		keep;
	double		user_dropout;
	double		item_dropout;
	double		temperature;
	int			negatives;
	int			samples;
	double		negatives_power;
	bool		mask_seen;
	bool		logq;
	bool		positive_in_denominator;
	double		reconstruction;
	int			reconstruction_loss;
	double		regularization;
	int			optimizer;
	double		learning_rate;
	int			decay;
	double		momentum;
	int			loss;
	int			init;
	double		init_std;
	double		first_layer_gain;
	int			batch;
	int			batch_by;
	int			max_targets;
	double		user_balance;
	uint64_t	seed;
	int			profile_tags;
} TowerOptions;

extern const char *const tower_weighting_names[];
extern const char *const tower_norm_names[];
extern const char *const tower_negatives_names[];
extern const char *const tower_reconstruction_names[];
extern const char *const tower_optimizer_names[];
extern const char *const tower_decay_names[];
extern const char *const tower_loss_names[];
extern const char *const tower_init_names[];
extern const char *const tower_batch_by_names[];

/* Are there columns that are no negatives of some rows? */
static inline bool
tower_skips(const TowerOptions *o)
{
	return o->mask_seen || o->negatives == TOWER_EACH;
}

extern TrStatus tower_check_options(const void *values, TrError *err);

#define TOWER_FIELD(field) offsetof(TowerOptions, field)

/* Rows for the option table of each algorithm of the family; _WITH leaves some defaults to it. */
#define TOWER_COMMON_OPTIONS TOWER_OPTIONS_WITH("0.3", "0.5", 0, "")

#define TOWER_OPTIONS_WITH(user_dropout_default, item_dropout_default, least_dropout, dropout_note) \
	{"layers", TR_OPTION_INTS, TOWER_FIELD(layers), "128", 1, 65536, NULL, \
	"sizes of the tower's layers; the last one is the embedding size"}, \
	{"weighting", TR_OPTION_ENUM, TOWER_FIELD(weighting), "log_tfidf", 0, 0, tower_weighting_names, \
	"weighting of tag counts in profiles"}, \
	{"norm", TR_OPTION_ENUM, TOWER_FIELD(norm), "l2", 0, 0, tower_norm_names, \
	"normalization of profiles"}, \
	{"bm25_k1", TR_OPTION_REAL, TOWER_FIELD(bm25_k1), "1.2", 0, 1000, NULL, \
	"with weighting bm25: saturation k1"}, \
	{"bm25_b", TR_OPTION_REAL, TOWER_FIELD(bm25_b), "0.75", 0, 1, NULL, \
	"with weighting bm25: length normalization b"}, \
	{"own_tags", TR_OPTION_BOOL, TOWER_FIELD(own_tags), "false", 0, 0, NULL, \
	"keep the user's own tags in the profile of a target item; false removes them if other users tagged the item"}, \
	{"popularity", TR_OPTION_BOOL, TOWER_FIELD(popularity), "true", 0, 0, NULL, \
	"add ln(1 + users of the item) to the score, with a learned weight"}, \
	{"keep", TR_OPTION_REAL, TOWER_FIELD(keep), "0.5", 0.01, 1, NULL, \
	"share of a user's posts used as the profile in a training step; the others are targets; 1 = all posts are both"}, \
	{"user_dropout", TR_OPTION_REAL, TOWER_FIELD(user_dropout), user_dropout_default, least_dropout, 0.99, NULL, \
	"dropout rate of the tags in user profiles" dropout_note}, \
	{"item_dropout", TR_OPTION_REAL, TOWER_FIELD(item_dropout), item_dropout_default, least_dropout, 0.99, NULL, \
	"dropout rate of the tags in item profiles" dropout_note}, \
	{"temperature", TR_OPTION_REAL, TOWER_FIELD(temperature), "0", 0, 1000, NULL, \
	"softmax temperature, which divides the cosine; 0 = chosen on held-out pairs of the training data"}, \
	{"regularization", TR_OPTION_REAL, TOWER_FIELD(regularization), "0", 0, 1, NULL, \
	"L2 strength: weight of the squared parameters in the loss (lambda theta in the paper)"}, \
	{"optimizer", TR_OPTION_ENUM, TOWER_FIELD(optimizer), "adam", 0, 0, tower_optimizer_names, \
	"optimizer"}, \
	{"learning_rate", TR_OPTION_REAL, TOWER_FIELD(learning_rate), "0.006", 1e-9, 10, NULL, \
	"learning rate"}, \
	{"learning_rate_decay", TR_OPTION_ENUM, TOWER_FIELD(decay), "linear", 0, 0, tower_decay_names, \
	"learning rate schedule: constant (none), or linear decay to 0 at the last epoch"}, \
	{"momentum", TR_OPTION_REAL, TOWER_FIELD(momentum), "0.9", 0, 0.9999, NULL, \
	"with optimizer momentum: its momentum"}, \
	{"loss", TR_OPTION_ENUM, TOWER_FIELD(loss), "mean", 0, 0, tower_loss_names, \
	"loss of a mini-batch: sum or mean over its pairs"}, \
	{"init", TR_OPTION_ENUM, TOWER_FIELD(init), "glorot", 0, 0, tower_init_names, \
	"initialization: standard deviation sqrt(2 / (inputs + outputs)), or init_std"}, \
	{"init_std", TR_OPTION_REAL, TOWER_FIELD(init_std), "0.05", 1e-6, 10, NULL, \
	"with init normal: standard deviation of the initial weights"}, \
	{"first_layer_gain", TR_OPTION_REAL, TOWER_FIELD(first_layer_gain), "3", 0.001, 1000, NULL, \
	"factor of the first layer's initial weights"}, \
	{"batch", TR_OPTION_INT, TOWER_FIELD(batch), "0", 0, 10000000, NULL, \
	"mini-batch size, in users or pairs; 0 = chosen on held-out pairs of the training data"}, \
	{"batch_by", TR_OPTION_ENUM, TOWER_FIELD(batch_by), "users", 0, 0, tower_batch_by_names, \
	"unit of mini-batches: users with their targets, or single (user, item) pairs"}, \
	{"max_targets", TR_OPTION_INT, TOWER_FIELD(max_targets), "50", 1, 10000000, NULL, \
	"with batch_by users: maximum number of targets per user in a mini-batch"}, \
	{"user_balance", TR_OPTION_REAL, TOWER_FIELD(user_balance), "0.5", 0, 1, NULL, \
	"weight of a pair is (targets of its user in the mini-batch) ^ -user_balance"}, \
	{"seed", TR_OPTION_SEED, TOWER_FIELD(seed), "1", 0, 0, NULL, \
	"random seed; the same seed gives the same model"}

#define TOWER_SAMPLING_OPTIONS TOWER_SAMPLING_WITH("batch", "127")

#define TOWER_SAMPLING_WITH(negatives_default, samples_default) \
	{"negatives", TR_OPTION_ENUM, TOWER_FIELD(negatives), negatives_default, 0, 0, tower_negatives_names, \
	"negatives of a target: all items, the other targets of the mini-batch, a sample shared by the mini-batch, or one of " \
	"its own (each, with batch_by pairs)"}, \
	{"samples", TR_OPTION_INT, TOWER_FIELD(samples), samples_default, 1, 10000000, NULL, \
	"with negatives uniform, popularity or each: number of sampled items"}, \
	{"negatives_power", TR_OPTION_REAL, TOWER_FIELD(negatives_power), "0.75", 0, 2, NULL, \
	"with negatives popularity: sampling probability is proportional to (users of the item) ^ negatives_power"}, \
	{"logq", TR_OPTION_BOOL, TOWER_FIELD(logq), "true", 0, 0, NULL, \
	"correct for sampling: divide each negative by its sampling probability, to estimate the sum over all items"}, \
	{"positive_in_denominator", TR_OPTION_BOOL, TOWER_FIELD(positive_in_denominator), "true", 0, 0, NULL, \
	"include the target in the softmax denominator (Eq. 8); false is exactly Eq. 14"}

#define TOWER_PROFILE_TAGS_OPTION \
	{"profile_tags", TR_OPTION_INT, TOWER_FIELD(profile_tags), "0", 0, 1e9, NULL, \
	"maximum number of tags of an item's profile that training reads, those of the largest weights; 0 = all if there are " \
	"at most 20,000 tags, else 64"}

#define TOWER_MASK_OPTION \
	{"mask_seen", TR_OPTION_BOOL, TOWER_FIELD(mask_seen), "true", 0, 0, NULL, \
	"exclude the user's other known items from the negatives"}

#define TOWER_HYBRID_OPTIONS \
	{"reconstruction", TR_OPTION_REAL, TOWER_FIELD(reconstruction), "0", 0, 0.99, NULL, \
	"weight of the reconstruction error (lambda e in the paper); 0 = no decoder"}, \
	{"reconstruction_loss", TR_OPTION_ENUM, TOWER_FIELD(reconstruction_loss), "norm", 0, 0, tower_reconstruction_names, \
	"reconstruction error: |x' - x| as in Eq. 13, or its square"}

/* The paper's reading, shared by the family; rows of a TrSetting list. */
#define TOWER_PAPER_SETTINGS \
	{"layers", "2000,300,128"}, {"weighting", "count"}, {"norm", "none"}, {"own_tags", "true"}, \
	{"popularity", "false"}, {"keep", "1"}, {"user_dropout", "0"}, {"item_dropout", "0"}, {"temperature", "1"}, \
	{"regularization", "0.01"}, {"optimizer", "sgd"}, {"learning_rate", "0.005"}, \
	{"learning_rate_decay", "none"}, {"loss", "sum"}, \
	{"first_layer_gain", "1"}, {"batch", "128"}, {"batch_by", "pairs"}, {"user_balance", "0"}, \
	{"mask_seen", "false"}, {"profile_tags", "1000000000"}, {"epochs", "80"}, {"validation_every", "10"}, \
	{"metric", "mrr_pair"}

#endif
