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

/* Unlinks those of relations and databases that are gone. */
extern void tagrec_mapped_sweep(void);

/* Unlinks those used longest ago until so many bytes fit into tagrec.mapped_size; false when they never do. */
extern bool tagrec_mapped_make_room(uint64 bytes);

#endif
