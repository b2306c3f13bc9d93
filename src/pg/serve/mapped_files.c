/*
 * The directory of shared files. See mapped_files.h.
 */
#include "pg/serve/mapped_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "pg/base/tagrec.h"
#include "utils/syscache.h"

#define LOCK_FILE TAGREC_MAPPED_DIRECTORY "/" PG_TEMP_FILE_PREFIX ".tagrec_lock"
#define PREFIX PG_TEMP_FILE_PREFIX ".tagrec."

void
tagrec_mapped_path(char *path, Oid database, Oid relation, Oid file)
{
	snprintf(path, MAXPGPATH, "%s/%s%u.%u.%u", TAGREC_MAPPED_DIRECTORY, PREFIX, database, relation, file);
}

/* False when the name is not one of ours. */
static bool
read_name(TagrecMappedFile *file, const char *name)
{
	struct stat st;
	int			end = 0;

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0 ||
		sscanf(name + strlen(PREFIX), "%u.%u.%u%n", &file->database, &file->relation, &file->file, &end) != 3)
		return false;
	name += strlen(PREFIX) + end;
	file->complete = *name == '\0';
	if (!file->complete && strcmp(name, TAGREC_MAPPED_NEW) != 0)
		return false;
	tagrec_mapped_path(file->path, file->database, file->relation, file->file);
	strlcat(file->path, name, MAXPGPATH);
	if (stat(file->path, &st) != 0 || !S_ISREG(st.st_mode))
		return false;
	file->bytes = st.st_size;
	file->used = st.st_atime;
	return true;
}

void
tagrec_mapped_used(const char *path)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};

	(void) utimensat(AT_FDCWD, path, times, 0);
}

int
tagrec_mapped_lock(void)
{
	int			fd = OpenTransientFilePerm(LOCK_FILE, O_RDWR | O_CREAT | PG_BINARY, S_IRUSR | S_IWUSR);

	while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0)
	{
		if (errno != EWOULDBLOCK && errno != EINTR)
		{
			CloseTransientFile(fd);
			return -1;
		}
		CHECK_FOR_INTERRUPTS();
		pg_usleep(TAGREC_MAPPED_WAIT);
	}
	return fd;
}

TagrecMappedFile *
tagrec_mapped_files(int *n)
{
	int			room = 16;
	TagrecMappedFile *files = palloc(room * sizeof(TagrecMappedFile));
	DIR		   *directory = AllocateDir(TAGREC_MAPPED_DIRECTORY);
	struct dirent *entry;

	*n = 0;
	while (directory && (entry = ReadDirExtended(directory, TAGREC_MAPPED_DIRECTORY, DEBUG1)) != NULL)
	{
		if (*n == room)
			files = repalloc(files, (room *= 2) * sizeof(TagrecMappedFile));
		if (read_name(&files[*n], entry->d_name))
			++*n;
	}
	if (directory)
		FreeDir(directory);
	return files;
}

static bool
relation_has_file(Oid relation, Oid file)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	bool		has = HeapTupleIsValid(tuple) && ((Form_pg_class) GETSTRUCT(tuple))->relfilenode == file;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return has;
}

static bool
is_of_use(const TagrecMappedFile *file)
{
	if (file->database == MyDatabaseId)
		return relation_has_file(file->relation, file->file);
	return SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(file->database));
}

/* Nobody has the lock of who makes it. The lock comes before the name, so that no new maker's file goes. */
static bool
is_left_half_made(const TagrecMappedFile *file)
{
	int			fd;
	bool		left;

	if (file->complete)
		return false;
	fd = OpenTransientFile(file->path, O_RDWR | PG_BINARY);
	if (fd < 0)
		return false;
	left = flock(fd, LOCK_EX | LOCK_NB) == 0;
	if (left)
		(void) unlink(file->path);
	CloseTransientFile(fd);
	return left;
}

void
tagrec_mapped_sweep(void)
{
	int			n;
	TagrecMappedFile *files = tagrec_mapped_files(&n);

	for (int i = 0; i < n; i++)
		if (!is_left_half_made(&files[i]) && !is_of_use(&files[i]))
			(void) unlink(files[i].path);
	pfree(files);
}

static int
longest_ago_first(const void *a, const void *b)
{
	const TagrecMappedFile *x = a;
	const TagrecMappedFile *y = b;

	return (x->used > y->used) - (x->used < y->used);
}

/* Files that are being made are counted, but theirs who makes them to unlink. */
bool
tagrec_mapped_make_room(uint64 bytes)
{
	uint64		limit = (uint64) tagrec_mapped_size * 1024 * 1024;
	uint64		total = bytes;
	int			n;
	TagrecMappedFile *files = tagrec_mapped_files(&n);

	qsort(files, n, sizeof(TagrecMappedFile), longest_ago_first);
	for (int i = 0; i < n; i++)
		total += files[i].bytes;
	for (int i = 0; i < n && total > limit && bytes <= limit; i++)
		if (files[i].complete && unlink(files[i].path) == 0)
			total -= files[i].bytes;
	pfree(files);
	return total <= limit;
}
