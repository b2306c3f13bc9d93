/*
 * The columns of a relation of interactions, by their names: what a model is trained on, what is held out of it.
 */
#ifndef TAGREC_SOURCE_COLUMNS_H
#define TAGREC_SOURCE_COLUMNS_H

/* NULL = there is none, or it is not read. */
typedef struct TagrecColumns
{
	const char *user,
			   *item,
			   *tag,
			   *weight;
} TagrecColumns;

#endif
