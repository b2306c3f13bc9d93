/*
 * Finding and locking a version's partitions.
 */
#include "pg/store/store.h"

#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

char *
tagrec_partition_name(const TagrecVersion *version, TagrecRelation relation)
{
	char	   *name = tagrec_partition_relname(version->model, relation, version->version);

	return quote_qualified_identifier(version->schema, name);
}

static Oid
find_partition(const TagrecVersion *version, TagrecRelation relation)
{
	return tagrec_model_relation(version->schema, tagrec_partition_relname(version->model, relation, version->version));
}

/*
 * It is found by its name and read as the model's owner: a relation of another role under that name, or a view, would run
 * functions with the owner's privileges.
 */
static void
check_partition(const TagrecVersion *version, TagrecRelation relation, Oid found)
{
	if (tagrec_relation_owner(found) == version->owner && get_rel_relkind(found) == RELKIND_RELATION)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("relation %s is not a table owned by the owner of model \"%s\"",
					tagrec_partition_name(version, relation), version->model),
			 errdetail("The model's views belong to \"%s\".", GetUserNameFromId(version->owner, true)),
			 errhint("Undo the change, or drop the model with tagrec_drop() and train it again.")));
}

Oid
tagrec_partition(const TagrecVersion *version, TagrecRelation relation)
{
	Oid			found = find_partition(version, relation);

	if (!OidIsValid(found))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation %s of model \"%s\" does not exist", tagrec_partition_name(version, relation),
						version->model),
				 errdetail("It was dropped, renamed or moved after the model was trained."),
				 errhint("Drop the model with tagrec_drop() and train it again.")));
	check_partition(version, relation, found);
	return found;
}

bool
tagrec_lock_partition(const TagrecVersion *version, TagrecRelation relation)
{
	Oid			found = find_partition(version, relation);

	while (OidIsValid(found))
	{
		Oid			before = found;

		/* which accepts invalidation messages, so that drops and renames are seen */
		LockRelationOid(found, AccessShareLock);
		found = find_partition(version, relation);
		if (found == before)
			return true;
		UnlockRelationOid(before, AccessShareLock);
	}
	return false;
}
