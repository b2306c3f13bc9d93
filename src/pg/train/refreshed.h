/*
 * What a refresh writes: the arrays of the source's present users and items, from the weights of a version.
 *
 * Items that the version has keep their arrays and their neighbours' weights, unless these follow from tags, and who has
 * them, alone; new ones are encoded by their tags, where the algorithm can. Users are folded in, unless they follow from
 * what the weights know of them, as those of a tower whom the version has do.
 */
#ifndef TAGREC_REFRESHED_H
#define TAGREC_REFRESHED_H

#include "pg/registry/version.h"
#include "pg/train/job_training.h"

/* Does a version of the algorithm keep its items? Otherwise a refresh encodes all of them by their tags. */
extern bool tagrec_refresh_keeps_items(const TrAlgorithm *algorithm);

/* Can a refresh add items to a version? */
extern bool tagrec_refresh_adds_items(const TagrecVersion *version);

/* From the version's positions to those of training->data: (items of the data) -1 = not in the version; marks new items. */
extern int32 *tagrec_refresh_positions(TagrecTraining *training, const TagrecVersion *version);

/* Sets training->written, of training->model, which was loaded. */
extern void tagrec_refresh_compose(TagrecTraining *training, const TagrecVersion *version);

#endif
