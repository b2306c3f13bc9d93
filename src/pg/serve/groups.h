/*
 * Groups of items, such as categories and brands, of which a list has at most a number of items each.
 */
#ifndef TAGREC_GROUPS_H
#define TAGREC_GROUPS_H

#include "postgres.h"

#include "core/topn.h"
#include "pg/serve/rules.h"

/*
 * Fills the members of the choice from the relation that its rules name, in the current memory context: of the rows of a
 * list (NULL = of all rows) at least.
 */
extern void tagrec_find_groups(TagrecChoice *choice, const TrTopN *list);

/* Takes out of a sorted list every row that comes after the most of one of its groups. A row without a group stays. */
extern void tagrec_cap_groups(const TagrecChoice *choice, TrTopN *top);

#endif
