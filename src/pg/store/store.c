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
 * It is found by its name and read as the model's owner: what somebody else has put there under that name, or a view, would
 * run its functions with the owner's rights.
 */
static void
check_partition(const TagrecVersion *version, TagrecRelation relation, Oid found)
{
	if (tagrec_relation_owner(found) == version->owner && get_rel_relkind(found) == RELKIND_RELATION)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("relation %s is not a table of the owner of model \"%s\"", tagrec_partition_name(version, relation),
					version->model),
			 errdetail("The model's views belong to \"%s\".", GetUserNameFromId(version->owner, true)),
			 errhint("Undo what has changed it, or remove the model with tagrec_drop() and train it again.")));
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
				 errhint("Remove what is left of the model with tagrec_drop(), and train it again.")));
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

		/* which makes us see what others have dropped or renamed */
		LockRelationOid(found, AccessShareLock);
		found = find_partition(version, relation);
		if (found == before)
			return true;
		UnlockRelationOid(before, AccessShareLock);
	}
	return false;
}
