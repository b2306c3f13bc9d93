/*
 * The files that sessions share, as a whole: their names, their total size, and which are of no use any more.
 */
#ifndef TAGREC_MAPPED_FILES_H
#define TAGREC_MAPPED_FILES_H

#include "postgres.h"

#include "common/file_utils.h"	/* where PG_TEMP_FILES_DIR has moved from storage/fd.h */
#include "storage/fd.h"

#define TAGREC_MAPPED_DIRECTORY "base/" PG_TEMP_FILES_DIR
#define TAGREC_MAPPED_NEW ".new"

/* Microseconds between two looks at a lock of the file system */
#define TAGREC_MAPPED_WAIT 2000

/* path (MAXPGPATH) = a file's name, below the data directory */
extern void tagrec_mapped_path(char *path, Oid database, Oid relation, Oid file);

/* One of them. */
typedef struct TagrecMappedFile
{
	char		path[MAXPGPATH];
	Oid			database;
	Oid			relation;
	Oid			file;
	bool		complete;
	uint64		bytes;
	time_t		used;
} TagrecMappedFile;

/* All of them, in the current memory context; *n. */
extern TagrecMappedFile *tagrec_mapped_files(int *n);

/* That it is used now. Its time of modification is left alone (mapped.c). */
extern void tagrec_mapped_used(const char *path);

/* Until the file is closed (CloseTransientFile), nobody else takes room; -1 when that cannot be. */
extern int	tagrec_mapped_lock(void);

/* Unlinks those of relations and databases that are gone, and what somebody who was stopped has left half made. */
extern void tagrec_mapped_sweep(void);

/* Unlinks those used longest ago until so many bytes fit into tagrec.mapped_size; false when they never do. */
extern bool tagrec_mapped_make_room(uint64 bytes);

#endif
