/*
 * What sessions share: the rows of a partition in a file that each of them maps read-only, so that the kernel keeps one
 * copy for the server.
 *
 * The first session that wants a partition reads it, writes the file, and maps it like those that follow. Whatever is in
 * the way (no permission, a full disk, the limit of tagrec.mapped_size, a file that is not as it should be) leaves the
 * session with the copy that it has read; it is no error. Nothing of a model is in these files that is not in its tables.
 *
 * The files are temporary files by name and place: the server removes them when it starts, and base backups leave them
 * out. So none of them is older than the server, and none need be synced: what a crash of the machine leaves torn is
 * removed before anybody maps it. A file gets its name when it is complete, and is never changed nor made shorter
 * afterwards, only unlinked; who has mapped it keeps it.
 *
 * The name says database, relation, and the relation's file: another content is in another file, as a version's rows never
 * change. A file is made in transactions alone that have written nothing, of rows that all see. Who may read what is
 * decided before anybody comes here (call.h).
 */
#ifndef TAGREC_MAPPED_H
#define TAGREC_MAPPED_H

#include "postgres.h"

#include "pg/store/read.h"

#define TAGREC_MOST_PIECES 6

/* A run of bytes in a file; in memory on a boundary of 64. */
typedef struct TagrecPiece
{
	const void *data;
	Size		bytes;
} TagrecPiece;

typedef struct TagrecMapping
{
	void	   *base;			/* NULL = nothing is mapped */
	Size		bytes;
	TagrecPiece piece[TAGREC_MOST_PIECES];
	char		path[MAXPGPATH];
} TagrecMapping;

/* What can be shared: a matrix, weights between neighbours. */
typedef struct TagrecShareable
{
	/* Reads it, into memory of its own. */
	void	   *(*load) (TagrecTable *table);

	/* piece (TAGREC_MOST_PIECES, zeroed) = what is to be in the file, in memory of its own */
	void		(*pieces) (void *part, TagrecPiece *piece);

	/* The same thing on what is mapped, which it takes over; NULL when the pieces are not as they should be. */
	void	   *(*attach) (const TagrecTable *table, TagrecMapping *mapping);
	void		(*free) (void *part);
} TagrecShareable;

/* The partition's, mapped if that is possible, else loaded; it takes about so many bytes. */
extern void *tagrec_shared(const TagrecShareable *kind, TagrecTable *table, Size bytes);

/* Unmaps when the memory context goes. The mapping lies in it. */
extern void tagrec_unmap_with(MemoryContext context, TagrecMapping *mapping);

/* Is every byte as it was written? Reads the whole file. */
extern bool tagrec_mapping_is_right(const TagrecMapping *mapping);

/* Was the file unlinked that this maps? Then the partition is gone, or room was needed. */
extern bool tagrec_mapping_gone(const TagrecMapping *mapping);

#endif
