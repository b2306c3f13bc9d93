/*
 * Acting as somebody else. Whatever of a role's own might run (functions behind an index, a policy, a view, a domain, a
 * default) runs as that role, and nothing that it sets outlives it:
 *
 *   - the user is the role, in a security-restricted operation: no SET ROLE, no temporary table, no LISTEN, no PREPARE, no
 *     deferred trigger, which would run later, as somebody else;
 *   - settings have a level of their own, which is undone on the way out, set_config(..., false) included;
 *   - search_path is pg_catalog, pg_temp, and names mean what they say.
 *
 * After an ERROR the end of the (sub)transaction undoes all of it. Acts nest, and end in the opposite order.
 */
#ifndef TAGREC_IDENTITY_H
#define TAGREC_IDENTITY_H

#include "postgres.h"

typedef struct TagrecActing
{
	Oid			user;			/* who it was before */
	int			security_context;
	int			settings;		/* level of the settings */
} TagrecActing;

extern TagrecActing tagrec_act_as(Oid role);

/* As the current user, unrestricted; but its code's settings end with the act as well. search_path stays. */
extern TagrecActing tagrec_act_aside(void);

extern void tagrec_act_again(TagrecActing before);

/*
 * The user alone, for statements of our own on the registry's tables, which name everything in full and run nobody's code:
 * this is on the way of every query, and another search_path would have each planned again.
 */
typedef struct TagrecIdentity
{
	Oid			user;
	int			security_context;
} TagrecIdentity;

extern TagrecIdentity tagrec_become(Oid role);
extern void tagrec_become_again(TagrecIdentity identity);

#endif
