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
	TOWER_POPULAR				/* the same, drawn with probability ~ users^negatives_power */
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

extern TrStatus tower_check_options(const void *values, TrError *err);

#define TOWER_FIELD(field) offsetof(TowerOptions, field)

/* Rows for the option table of each algorithm of the family; _WITH leaves some defaults to it. */
#define TOWER_COMMON_OPTIONS TOWER_OPTIONS_WITH("0.3", "0.05")

#define TOWER_OPTIONS_WITH(user_dropout_default, temperature_default) \
	{"layers", TR_OPTION_INTS, TOWER_FIELD(layers), "128", 1, 65536, NULL, \
	"width of each layer of the tower; the last one is the width of the embeddings"}, \
	{"weighting", TR_OPTION_ENUM, TOWER_FIELD(weighting), "log_tfidf", 0, 0, tower_weighting_names, \
	"how often a tag was given becomes its weight in a profile"}, \
	{"norm", TR_OPTION_ENUM, TOWER_FIELD(norm), "l2", 0, 0, tower_norm_names, \
	"what a profile is divided by"}, \
	{"bm25_k1", TR_OPTION_REAL, TOWER_FIELD(bm25_k1), "1.2", 0, 1000, NULL, \
	"saturation of the weighting bm25"}, \
	{"bm25_b", TR_OPTION_REAL, TOWER_FIELD(bm25_b), "0.75", 0, 1, NULL, \
	"length normalisation of the weighting bm25"}, \
	{"own_tags", TR_OPTION_BOOL, TOWER_FIELD(own_tags), "false", 0, 0, NULL, \
	"keep the tags a user gave an item in its profile while the pair is the target; false leaves them out wherever " \
	"others tagged it"}, \
	{"popularity", TR_OPTION_BOOL, TOWER_FIELD(popularity), "true", 0, 0, NULL, \
	"add a learned weight times ln(1 + users of the item) to the score"}, \
	{"keep", TR_OPTION_REAL, TOWER_FIELD(keep), "0.5", 0.01, 1, NULL, \
	"share of a user's posts that make up the profile in a step; the others are its targets; 1 = all are both"}, \
	{"user_dropout", TR_OPTION_REAL, TOWER_FIELD(user_dropout), user_dropout_default, 0, 0.99, NULL, \
	"share of a user profile's tags left out at random in a step"}, \
	{"item_dropout", TR_OPTION_REAL, TOWER_FIELD(item_dropout), "0.5", 0, 0.99, NULL, \
	"share of an item profile's tags left out at random in a step"}, \
	{"temperature", TR_OPTION_REAL, TOWER_FIELD(temperature), temperature_default, 0.001, 1000, NULL, \
	"what the cosine is divided by in the softmax"}, \
	{"regularization", TR_OPTION_REAL, TOWER_FIELD(regularization), "0", 0, 1, NULL, \
	"weight of the squared parameters in the loss (the paper's lambda theta)"}, \
	{"optimizer", TR_OPTION_ENUM, TOWER_FIELD(optimizer), "adam", 0, 0, tower_optimizer_names, \
	"how a gradient becomes a step"}, \
	{"learning_rate", TR_OPTION_REAL, TOWER_FIELD(learning_rate), "0.006", 1e-9, 10, NULL, \
	"size of a step"}, \
	{"learning_rate_decay", TR_OPTION_ENUM, TOWER_FIELD(decay), "linear", 0, 0, tower_decay_names, \
	"what the learning rate does over the epochs: none, or linear, down to 0 at the last one"}, \
	{"momentum", TR_OPTION_REAL, TOWER_FIELD(momentum), "0.9", 0, 0.9999, NULL, \
	"momentum of the optimizer momentum"}, \
	{"loss", TR_OPTION_ENUM, TOWER_FIELD(loss), "mean", 0, 0, tower_loss_names, \
	"gradient of a batch: the sum over its pairs, or the mean"}, \
	{"init", TR_OPTION_ENUM, TOWER_FIELD(init), "glorot", 0, 0, tower_init_names, \
	"standard deviation of the initial weights: sqrt(2 / (inputs + outputs)), or init_std"}, \
	{"init_std", TR_OPTION_REAL, TOWER_FIELD(init_std), "0.05", 1e-6, 10, NULL, \
	"standard deviation of the initial weights with init normal"}, \
	{"first_layer_gain", TR_OPTION_REAL, TOWER_FIELD(first_layer_gain), "3", 0.001, 1000, NULL, \
	"the first layer's initial weights are so many times larger"}, \
	{"batch", TR_OPTION_INT, TOWER_FIELD(batch), "128", 1, 10000000, NULL, \
	"users, or pairs, of a step"}, \
	{"batch_by", TR_OPTION_ENUM, TOWER_FIELD(batch_by), "users", 0, 0, tower_batch_by_names, \
	"what a batch is drawn from: users with their targets, or single (user, item) pairs"}, \
	{"max_targets", TR_OPTION_INT, TOWER_FIELD(max_targets), "50", 1, 10000000, NULL, \
	"targets of a user in a step, at most, when batches are drawn from users"}, \
	{"user_balance", TR_OPTION_REAL, TOWER_FIELD(user_balance), "0.5", 0, 1, NULL, \
	"a pair weighs (targets of its user in the step) ^ -user_balance"}, \
	{"seed", TR_OPTION_SEED, TOWER_FIELD(seed), "1", 0, 0, NULL, \
	"start of every random number; the same seed gives the same model"}

#define TOWER_SAMPLING_OPTIONS TOWER_SAMPLING_WITH("batch", "127")

#define TOWER_SAMPLING_WITH(negatives_default, samples_default) \
	{"negatives", TR_OPTION_ENUM, TOWER_FIELD(negatives), negatives_default, 0, 0, tower_negatives_names, \
	"which items a target is told apart from: all, the batch's other targets, or a sample shared by the batch"}, \
	{"samples", TR_OPTION_INT, TOWER_FIELD(samples), samples_default, 1, 10000000, NULL, \
	"items drawn for negatives uniform or popularity"}, \
	{"negatives_power", TR_OPTION_REAL, TOWER_FIELD(negatives_power), "0.75", 0, 2, NULL, \
	"negatives popularity draws an item with probability ~ (its users) ^ negatives_power"}, \
	{"logq", TR_OPTION_BOOL, TOWER_FIELD(logq), "true", 0, 0, NULL, \
	"divide a negative by the probability of being in the sample, which makes the sum an estimate of that over all " \
	"items"}, \
	{"positive_in_denominator", TR_OPTION_BOOL, TOWER_FIELD(positive_in_denominator), "true", 0, 0, NULL, \
	"sum over the target too (Eq. 8); false is Eq. 14 to the letter"}

#define TOWER_MASK_OPTION \
	{"mask_seen", TR_OPTION_BOOL, TOWER_FIELD(mask_seen), "true", 0, 0, NULL, \
	"leave the user's other known items out of the negatives"}

#define TOWER_HYBRID_OPTIONS \
	{"reconstruction", TR_OPTION_REAL, TOWER_FIELD(reconstruction), "0", 0, 0.99, NULL, \
	"weight of the reconstruction error (the paper's lambda e); 0 = no decoder"}, \
	{"reconstruction_loss", TR_OPTION_ENUM, TOWER_FIELD(reconstruction_loss), "norm", 0, 0, tower_reconstruction_names, \
	"|x' - x| as in Eq. 13, or its square"}

/* The paper's reading, shared by the family; rows of a TrSetting list. */
#define TOWER_PAPER_SETTINGS \
	{"layers", "2000,300,128"}, {"weighting", "count"}, {"norm", "none"}, {"own_tags", "true"}, \
	{"popularity", "false"}, {"keep", "1"}, {"user_dropout", "0"}, {"item_dropout", "0"}, {"temperature", "1"}, \
	{"regularization", "0.01"}, {"optimizer", "sgd"}, {"learning_rate", "0.005"}, \
	{"learning_rate_decay", "none"}, {"loss", "sum"}, \
	{"first_layer_gain", "1"}, {"batch", "128"}, {"batch_by", "pairs"}, {"user_balance", "0"}, \
	{"mask_seen", "false"}, {"epochs", "80"}, {"validation_every", "10"}, {"metric", "mrr_pair"}

#endif
