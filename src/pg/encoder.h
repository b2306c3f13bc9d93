/*
 * The trained network of a version, loaded to encode tag profiles on the plain backend: no thread, no library.
 */
#ifndef TAGREC_ENCODER_H
#define TAGREC_ENCODER_H

#include "postgres.h"

#include "core/model.h"
#include "store.h"

typedef struct TagrecEncoder TagrecEncoder;

/* Inside SPI, as the model's owner. ERROR when the algorithm does not read tags. Below CacheMemoryContext. */
extern TagrecEncoder *tagrec_encoder_load(const TagrecVersion *version);
extern void tagrec_encoder_free(TagrecEncoder *encoder);
extern Size tagrec_encoder_bytes(const TagrecEncoder *encoder);

/* The vocabulary: position of a tag, -1 when it was not in the training data; and the way back. */
extern int32 tagrec_encoder_find(const TagrecEncoder *encoder, const char *tag);
extern const char *tagrec_encoder_tag(const TagrecEncoder *encoder, int32 position);
extern int32 tagrec_encoder_tags(const TagrecEncoder *encoder);

/* out (rows,width) = the arrays of these profiles. */
extern void tagrec_encode(TagrecEncoder *encoder, TrSide side, const TrProfiles *profiles, float *out);

#endif
