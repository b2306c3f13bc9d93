/*
 * Sparse rows by column, for products with what is as wide as the rows are many.
 */
#ifndef TR_CPU_COLUMNS_H
#define TR_CPU_COLUMNS_H

#include "cpu/cpu.h"

typedef struct TrColumnEntry
{
	int32_t		row;
	float		val;
} TrColumnEntry;

typedef struct TrColumns
{
	int32_t    *ptr;			/* (T+1) */
	TrColumnEntry *entry;		/* (entries) rows ascending within a column */
} TrColumns;

/*
 * The columns of n groups of rows, which count on from group to group; in the operation's scratch. False = out of memory.
 */
extern bool tr_cpu_columns(TrBackend *b, TrColumns *columns, const TrCsr *groups, int n);

#endif
