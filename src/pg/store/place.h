/*
 * Where a new version goes, and the lock on its model.
 */
#ifndef TAGREC_PLACE_H
#define TAGREC_PLACE_H

#include "pg/store/write.h"

/*
 * Locks the model's row, or makes it and the model's relations, if it may; fills place with what the new version is called.
 * ereport(ERROR) unless the current user owns the model, and its relations hold keys of the source's types. Returns the
 * owner of the relations, who writes the version.
 */
extern Oid	tagrec_place_prepare(const char *model, const char *schema, const TagrecSource *source, bool may_make,
								 TagrecPlace *place);

/* Bytes of a version's relations, with their indexes. */
extern int64 tagrec_place_bytes(const TagrecPlace *place);

#endif
