/*
 * The trained network of a version, loaded to encode tag profiles or histories, or to score items or the tags of posts, on
 * the reference backend: no thread, no library.
 */
#ifndef TAGREC_ENCODER_H
#define TAGREC_ENCODER_H

#include "postgres.h"

#include "core/model.h"
#include "pg/store/store.h"

typedef struct TagrecEncoder TagrecEncoder;

/* ERROR unless the version's algorithm encodes tag profiles, or, for the task tag, scores tags. */
extern void tagrec_check_encodes(const TagrecVersion *version);

/* Of an algorithm that loads or folds in. Allocated below CacheMemoryContext. */
extern TagrecEncoder *tagrec_encoder_load(const TagrecVersion *version);
extern void tagrec_encoder_free(TagrecEncoder *encoder);
extern Size tagrec_encoder_bytes(const TagrecEncoder *encoder);

/* The vocabulary: position of a tag, -1 when it was not in the training data; and the way back. */
extern int32 tagrec_encoder_find(const TagrecEncoder *encoder, const char *tag);
extern const char *tagrec_encoder_tag(const TagrecEncoder *encoder, int32 position);
extern int32 tagrec_encoder_tags(const TagrecEncoder *encoder);

/* NOTICE: the model does not know n of the caller's `of` tags. */
extern void tagrec_report_unknown_tags(const char *model, char **unknown, int n, int of);

/* out (rows,width) = the arrays of these profiles; zeros for an algorithm that encodes tags as features alone. */
extern void tagrec_encode(TagrecEncoder *encoder, TrSide side, const TrProfiles *profiles, float *out);

/*
 * The features of a user with the profile in that row, good until the next call; none for an algorithm that encodes tags as
 * arrays alone.
 */
extern TrSparse tagrec_encode_features(TagrecEncoder *encoder, const TrProfiles *profiles, int32 row);

/* array (width) and the features of a user with this history, likewise */
extern TrSparse tagrec_encode_history(TagrecEncoder *encoder, const TrHistory *history, const TrCatalogue *catalogue,
									  float *array);

/* out (items of the history) = what each adds to the score of an item; of an algorithm that has contributions() */
extern void tagrec_contributions(TagrecEncoder *encoder, const TrHistory *history, const TrCatalogue *catalogue, int32 item,
								 float *out);

/* out (n) = the network's scores of a user's array with the arrays of n items, stride floats apart. */
extern void tagrec_score_items(TagrecEncoder *encoder, const float *user, const float *items, size_t stride, int32 n,
							   float *out);

/* Task rating. out (width) = the array of a user, or an item, that the version does not know. */
extern void tagrec_unknown_array(TagrecEncoder *encoder, TrSide side, float *out);

/* Task tag. out (n,T) = the score of every tag for each of these posts. */
extern void tagrec_score_tags(TagrecEncoder *encoder, const TrPost *posts, int32 n, float *out);

#endif
