/*
 * Differences between PostgreSQL 15 and 19, all of them here.
 */
#ifndef TAGREC_COMPAT_H
#define TAGREC_COMPAT_H

#include "postgres.h"

#include "catalog/pg_class.h"
#include "commands/extension.h"
#include "postmaster/bgworker.h"
#include "utils/acl.h"

#if PG_VERSION_NUM < 150000
#error "tagrec needs PostgreSQL 15 or newer"
#endif

/* 18 has the keyword pg_noreturn before a declaration instead of a macro after it. */
#ifndef pg_noreturn
#define pg_noreturn __attribute__((noreturn))
#endif

#if PG_VERSION_NUM < 160000
#define tagrec_owns_relation(relation, role) pg_class_ownercheck(relation, role)
#define tagrec_namespace_aclcheck(schema, role, mode) pg_namespace_aclcheck(schema, role, mode)
#define tagrec_database_aclcheck(database, role, mode) pg_database_aclcheck(database, role, mode)
#define tagrec_owns_database(database, role) pg_database_ownercheck(database, role)
#else
#include "catalog/pg_database.h"
#include "catalog/pg_namespace.h"
#define tagrec_database_aclcheck(database, role, mode) object_aclcheck(DatabaseRelationId, database, role, mode)
#define tagrec_owns_database(database, role) object_ownercheck(DatabaseRelationId, database, role)
#define tagrec_owns_relation(relation, role) object_ownercheck(RelationRelationId, relation, role)
#define tagrec_namespace_aclcheck(schema, role, mode) object_aclcheck(NamespaceRelationId, schema, role, mode)
#endif

/* 16 moved the macros of variable-length values out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 17 lets a background worker run as a role without LOGIN. */
#ifdef BGWORKER_BYPASS_ROLELOGINCHECK
#define TAGREC_WORKER_FLAGS BGWORKER_BYPASS_ROLELOGINCHECK
#define TAGREC_NEEDS_LOGIN 0
#else
#define TAGREC_WORKER_FLAGS 0
#define TAGREC_NEEDS_LOGIN 1
#endif

/* 18 moved wait event sets out of storage/latch.h. */
#if PG_VERSION_NUM >= 180000
#include "storage/waiteventset.h"
#endif

/* 16 keeps privileges apart from the range table. */
#if PG_VERSION_NUM < 160000
#define tagrec_check_privileges(statement) ExecCheckRTPerms((statement)->rtable, true)
#else
#define tagrec_check_privileges(statement) ExecCheckPermissions((statement)->rtable, (statement)->permInfos, true)
#endif

/* Before 17, rows that a snapshot may see could be removed after a time. */
#if PG_VERSION_NUM < 170000
#define tagrec_snapshots_grow_old() OldSnapshotThresholdActive()
#else
#define tagrec_snapshots_grow_old() false
#endif

/* 19 wants to be told when a row's description is complete. */
#if PG_VERSION_NUM < 190000
#define TupleDescFinalize(desc) ((void) (desc))
#endif

/* As libpq/libpq.h has it, which cannot be included where GSSAPI's headers are missing. */
extern bool pq_check_connection(void);

#endif
