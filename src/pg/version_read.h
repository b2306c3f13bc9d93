/*
 * What a version stores beside users and items: its vocabulary and the network's weights. Read as a role that may, inside a
 * transaction with an active snapshot; ereport(ERROR) when it is not what was stored.
 */
#ifndef TAGREC_VERSION_READ_H
#define TAGREC_VERSION_READ_H

#include "postgres.h"

#include "core/model.h"
#include "store.h"

/* Calls take for every tag, in the order of the positions 0, 1, … */
extern void tagrec_read_tags(const TagrecVersion *version, void (*take) (void *argument, const char *tag), void *argument);

/* The weights and how many there are, in memory, where tagrec_free_weights() takes them away. */
extern TrTensor *tagrec_read_weights(const TagrecVersion *version, TrMemory *memory, int *count);
extern void tagrec_free_weights(TrMemory *memory, TrTensor *tensors, int count);

/* The error: what is stored is not what was. */
pg_noreturn extern void tagrec_version_corrupted(const TagrecVersion *version, const char *what);

#endif
