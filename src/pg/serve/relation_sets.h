/*
 * Sets of rows that the keys in a caller's relation name. A session remembers the last ones, until the relation changes.
 */
#ifndef TAGREC_RELATION_SETS_H
#define TAGREC_RELATION_SETS_H

#include "postgres.h"

#include "pg/serve/ids.h"

/*
 * The rows of a matrix, which was read from `from`, whose keys are in the relation now. model_column: of the keys in the
 * source of the model. Not to be changed, and good until the next call.
 */
extern const uint64 *tagrec_relation_set(const TagrecMatrix *matrix, const TagrecStored *from, Oid relation, const char *argument,
										 const char *model_column);

#endif
