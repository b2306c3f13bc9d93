/*
 * What an algorithm's create() asks for: memory that goes with the model, and tensors, which are then saved, restored and
 * loaded by themselves.
 */
#ifndef TR_BASE_H
#define TR_BASE_H

#include "core/tensors.h"
#include "core/topn.h"
#include "models/algorithms.h"

/*
 * Zeroed memory of the model, one element longer than asked for so that none is empty; NULL is remembered, and
 * tr_enough_memory() says so, which is to be asked before any of it is used.
 */
extern void *tr_new(TrModel *model, size_t count, size_t size);
#define TR_NEW(model, type, count) ((type *) tr_new(model, (size_t) (count), sizeof(type)))

/* Threads whose work space an algorithm's estimate counts: a shape does not tell how many there will be. */
#define TR_ESTIMATED_THREADS 16

/* Backend memory likewise, but not zeroed. tr_device_free() is for what goes before the model does. */
extern void *tr_device_new(TrModel *model, size_t bytes);
extern void tr_device_free(TrModel *model, void *memory);
extern float *tr_device_floats(TrModel *model, size_t count);
extern float *tr_device_zeros(TrModel *model, size_t count);
/* with a copy of these bytes */
extern void *tr_to_device(TrModel *model, const void *source, size_t bytes);

/* TR_OK, or TR_NO_MEMORY: "out of memory for <what>", where nothing is what of */
__attribute__((format(printf, 3, 4)))
extern TrStatus tr_enough_memory(TrModel *model, TrError *err, const char *what, ...);

/* Memory for a while, taken as a model's is: what is left of it goes at the end. */
extern void tr_start_work(TrModel *work, const TrModel *model);
extern void tr_end_work(TrModel *work);

/*
 * The model has a tensor of this name. Its numbers are at *value, which becomes zeros of the model's memory where it is
 * NULL. In a model that is being loaded they are the stored ones from here on, and whatever is wrong with these is
 * TR_BAD_DATA before there is memory for them.
 */
extern TrStatus tr_tensor(TrModel *model, const char *name, int32_t rows, int32_t cols, TrRange range, float **value,
						  TrError *err);

/* The same of one that is not stored; a model that is being loaded does not have it, and *value stays what it was. */
extern TrStatus tr_training_tensor(TrModel *model, const char *name, int32_t rows, int32_t cols, float **value,
								   TrError *err);

/* One whose numbers saving() and restored() see to: value NULL, and perhaps TR_ANY rows and columns. Returns its place. */
extern TrStatus tr_own_tensor(TrModel *model, const char *name, int32_t rows, int32_t cols, TrRange range, int *place,
							  TrError *err);

/* Its numbers are here from now on; those that are being loaded are copied. */
extern void tr_place_tensor(TrModel *model, int place, float *value);

/* The n numbers on the host are those in the backend, from where save() brings them, and where restore() puts them. */
extern TrStatus tr_mirror(TrModel *model, float *host, float *device, size_t n, TrError *err);

/* The tensor of this name that is being loaded or restored; never NULL once it was checked. */
extern const TrTensor *tr_stored(const TrModel *model, const char *name);

/* value (n) = normal numbers of this stream of initial values, times std */
extern void tr_normals(float *value, int64_t n, double std, uint64_t seed, uint64_t stream);

/* Adam, or plain gradient descent, as all models here use them. */
extern TrOptimizer tr_optimizer(int kind, double rate, int64_t step, double decay);

/* TR_BAD_DATA: the tags are more than the option max_tags; why says what there would be of them. */
extern TrStatus tr_check_max_tags(const TrDataset *dataset, int max_tags, const char *why, TrError *err);

/* train_epoch() of an algorithm that create() has counted all of. The loss is left at 0. */
extern TrStatus tr_no_training(TrModel *model, int epoch, const TrPoll *poll, TrEpochStats *stats, TrError *err);

/* embed() of model->rows; of encode() */
extern TrStatus tr_embed_rows(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n, float *out,
							  TrError *err);
extern TrStatus tr_embed_profiles(TrModel *model, TrSide side, const TrDataset *dataset, int32_t first, int32_t n,
								  float *out, TrError *err);

/* fold_in() of those whose features are the user's items, as often as he has them */
extern TrStatus tr_fold_in_items(TrModel *model, const TrHistory *history, const TrCatalogue *catalogue, float *array,
								 TrSparse *features, TrError *err);

/* features() of those whose sparse part is over one kind. */
extern int	tr_item_features(const TrModel *model);
extern int	tr_user_features(const TrModel *model);

/* The profiles of entities first..first+n-1 of a side. */
extern TrProfiles tr_profiles_of(const TrDataset *dataset, TrSide side, int32_t first, int32_t n);

/* A table of rows as an algorithm's options, and whatever else there is to say of them: .presets = ..., .check = ... */
#define TR_OPTION_SET(rows, type, ...) \
	{.options = (rows), .count = sizeof(rows) / sizeof((rows)[0]), .size = sizeof(type), __VA_ARGS__}

/* Integers, and scores by their indices; ascending */
extern void tr_sort_ints(int32_t *value, size_t n);
extern void tr_sort_by_index(TrScored *value, size_t n);

/* In the order of TrWeighting, but for bm25, and of TrOptimizerKind: values of options. */
extern const char *const tr_weighting_names[];
extern const char *const tr_optimizer_names[];

#endif
