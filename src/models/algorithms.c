/*
 * The algorithms of algorithms.h as a table.
 */
#include <string.h>

#include "models/algorithms.h"

#define REFER(name) &tr_algorithm_##name,

const TrAlgorithm *const tr_algorithms[] = {ALGORITHMS(REFER) NULL};

const TrAlgorithm *
tr_algorithm_find(const char *name)
{
	for (const TrAlgorithm *const *a = tr_algorithms; *a; a++)
		if (strcmp((*a)->name, name) == 0)
			return *a;
	return NULL;
}
