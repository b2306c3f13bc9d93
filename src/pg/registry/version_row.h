/*
 * A version's rows in the registry, read by index and without SQL: every query does that, and the first one of a session
 * would spend most of its time on a plan. For version.c.
 */
#ifndef TAGREC_VERSION_ROW_H
#define TAGREC_VERSION_ROW_H

#include "pg/registry/version.h"

/*
 * What the rows say; number NULL = of the deployed one. NULL when there is no such version. The members that go by the
 * relations, owner and item_relation, are not filled in. In the current memory context, by the active snapshot.
 */
extern TagrecVersion *tagrec_version_row(const char *model, const int32 *number, int *format);

#endif
