/*
 * A version's vocabulary and its network's weights. ereport(ERROR) if they are corrupted.
 */
#ifndef TAGREC_VERSION_READ_H
#define TAGREC_VERSION_READ_H

#include "postgres.h"

#include "core/model.h"
#include "pg/store/read.h"

/* Calls take for each row of a partition, in the order of its key, in a memory context that is emptied after each. */
extern void tagrec_each_row(const TagrecVersion *version, TagrecRelation which,
							void (*take) (void *argument, const TagrecScan *scan), void *argument);

/* Calls take for every tag, in the order of the positions 0, 1, … */
extern void tagrec_read_tags(const TagrecVersion *version, void (*take) (void *argument, const char *tag), void *argument);

/* The weights and how many there are, in memory, where tagrec_free_weights() takes them away. */
extern TrTensor *tagrec_read_weights(const TagrecVersion *version, TrMemory *memory, int *count);
extern void tagrec_free_weights(TrMemory *memory, TrTensor *tensors, int count);

#endif
