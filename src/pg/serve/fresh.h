/*
 * What the source of a version holds of one user now: his interactions, read as the caller, whose privileges and row
 * security apply, with the statement's snapshot, through an index on the user column if there is one. The statement that
 * does so is planned once in a session.
 *
 * It is a query like any that the caller could write himself, so the functions that the source runs when it is read, as a
 * view or a policy may, run with his privileges.
 */
#ifndef TAGREC_FRESH_H
#define TAGREC_FRESH_H

#include "postgres.h"

#include "pg/serve/history.h"

/*
 * The user as the source has him, folded in; false when the version knows nothing of what it holds of him. ERROR when the
 * version's algorithm cannot fold in, or the caller may not read the source.
 */
extern bool tagrec_fresh_user(TagrecCall *call, const TagrecId *id, TagrecRow *user);

#endif
