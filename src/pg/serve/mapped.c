/*
 * Files that sessions share. See mapped.h.
 *
 * base/pgsql_tmp/pgsql_tmp.tagrec.<database>.<relation>.<file>: a header, and the pieces, each on a boundary of 64 bytes,
 * or, if it is a large one, of 2 MB, so that the kernel can map it by large pages.
 *
 * A file is written as <name>.new, under a lock of the file system, which goes when its holder goes; read back and compared
 * with its checksum; and then renamed. Whoever maps it looks at the checksum of the header, which says how long the file
 * is, its inode, and a time of modification that lies in the past: one that was cut short, copied or written to since has
 * others. So the pieces need not be read first. What else changes bytes, on the disk, would change those of a table as
 * easily; tagrec_warm() looks at all of them.
 */
#include "pg/serve/mapped.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/xact.h"
#include "common/file_perm.h"
#include "core/codes.h"
#include "miscadmin.h"
#include "pg/base/tagrec.h"
#include "pg/serve/mapped_files.h"
#include "port/pg_crc32c.h"
#include "storage/bufmgr.h"
#include "storage/fd.h"
#include "utils/rel.h"

/* Smaller partitions are read faster than files are made. */
#define LEAST_BYTES ((Size) 256 * 1024)

#define BOUNDARY 64
#define LARGE_BOUNDARY ((uint64) 2 * 1024 * 1024)
#define LARGE (2 * LARGE_BOUNDARY)

/* 2001-09-09, when seconds had ten digits */
#define STAMP ((time_t) 1000000000)
#define MAGIC UINT64CONST(0x74616772656d6170)
#define LAYOUT 2				/* changes when the meaning of a piece does */

/* What a file is of; compared as bytes, so it is zeroed before it is filled. */
typedef struct Identity
{
	uint64		magic;
	uint32		layout;
	uint32		server;
	uint32		pointer_size;
	uint32		codes_size;
	Oid			database;
	Oid			relation;
	Oid			file;
	BlockNumber blocks;
	int32		which;
	int32		model_id;
	int32		version;
	int32		width;
	int32		unit_width;
	int32		features;
	int32		users;
	int32		items;
	Oid			key_type;
	Oid			collation;
	char		release[16];
} Identity;

typedef struct Header
{
	Identity	identity;
	uint64		bytes;			/* of the file, like the next two */
	uint64		inode;
	int64		modified;
	uint64		start[TAGREC_MOST_PIECES];
	uint64		size[TAGREC_MOST_PIECES];
	pg_crc32c	body;			/* of the pieces */
	pg_crc32c	sum;			/* of all above */
} Header;

/* ------------------------------------------------------------------ what a file is of */

static void
identify(Identity *id, const TagrecTable *table)
{
	const TagrecVersion *version = table->version;

	memset(id, 0, sizeof(*id));
	id->magic = MAGIC;
	id->layout = LAYOUT;
	id->server = PG_VERSION_NUM;
	id->pointer_size = sizeof(Datum);
	id->codes_size = sizeof(TrCodes);
	id->database = MyDatabaseId;
	id->relation = RelationGetRelid(table->relation);
	id->file = table->relation->rd_rel->relfilenode;
	id->blocks = RelationGetNumberOfBlocks(table->relation);
	id->which = table->which;
	id->model_id = version->model_id;
	id->version = version->version;
	id->width = version->width;
	id->unit_width = version->unit_width;
	id->features = version->features;
	id->users = version->users;
	id->items = version->items;
	id->key_type = table->key_type;
	id->collation = table->collation;
	strlcpy(id->release, TAGREC_VERSION, sizeof(id->release));
}

static void
path_of(char *path, const TagrecTable *table)
{
	tagrec_mapped_path(path, MyDatabaseId, RelationGetRelid(table->relation), table->relation->rd_rel->relfilenode);
}

/* Of transactions that have written nothing: what they see, everybody sees. */
static bool
is_to_be_shared(const TagrecTable *table, Size bytes)
{
	return bytes >= LEAST_BYTES && bytes / (1024 * 1024) < (Size) tagrec_mapped_size &&
		table->relation->rd_rel->relpersistence != RELPERSISTENCE_TEMP &&
		!TransactionIdIsValid(GetTopTransactionIdIfAny());
}

/* ------------------------------------------------------------------ mapping */

static pg_crc32c
checksum(pg_crc32c sum, const void *data, Size bytes)
{
	COMP_CRC32C(sum, data, bytes);
	return sum;
}

static pg_crc32c
header_sum(const Header *header)
{
	pg_crc32c	sum;

	INIT_CRC32C(sum);
	return checksum(sum, header, offsetof(Header, sum));
}

static bool
pieces_fit(const Header *header, Size bytes)
{
	for (int i = 0; i < TAGREC_MOST_PIECES; i++)
		if (header->start[i] % BOUNDARY != 0 || header->start[i] > bytes || header->size[i] > bytes - header->start[i])
			return false;
	return true;
}

static bool
body_is_right(const Header *header, const char *base)
{
	pg_crc32c	sum;

	INIT_CRC32C(sum);
	for (int i = 0; i < TAGREC_MOST_PIECES; i++)
		sum = checksum(sum, base + header->start[i], header->size[i]);
	return EQ_CRC32C(sum, header->body);
}

static bool
is_right(const TagrecTable *table, const Header *header, const struct stat *st)
{
	Identity	id;

	identify(&id, table);
	return EQ_CRC32C(header->sum, header_sum(header)) && header->bytes == (uint64) st->st_size &&
		header->inode == (uint64) st->st_ino && header->modified == (int64) st->st_mtime &&
		memcmp(&header->identity, &id, sizeof(id)) == 0 && pieces_fit(header, header->bytes);
}

static void
find_pieces(TagrecMapping *mapping)
{
	const Header *header = mapping->base;

	for (int i = 0; i < TAGREC_MOST_PIECES; i++)
		mapping->piece[i] = (TagrecPiece) {(const char *) mapping->base + header->start[i], header->size[i]};
}

static void
unmap(void *argument)
{
	TagrecMapping *mapping = argument;

	if (mapping->base)
		(void) munmap(mapping->base, mapping->bytes);
	mapping->base = NULL;
}

void
tagrec_unmap_with(MemoryContext context, TagrecMapping *mapping)
{
	MemoryContextCallback *callback = MemoryContextAlloc(context, sizeof(MemoryContextCallback));

	callback->func = unmap;
	callback->arg = mapping;
	MemoryContextRegisterResetCallback(context, callback);
}

/* False, and nothing mapped, when the file is not what it should be. */
static bool
map_file(TagrecMapping *mapping, const TagrecTable *table, int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (Size) st.st_size < sizeof(Header))
		return false;
	mapping->bytes = st.st_size;
	mapping->base = mmap(NULL, mapping->bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (mapping->base == MAP_FAILED)
	{
		mapping->base = NULL;
		return false;
	}
	if (is_right(table, mapping->base, &st))
		return true;
	ereport(DEBUG1, (errmsg_internal("file \"%s\" is not used: it is not what it should be", mapping->path)));
	unmap(mapping);
	return false;
}

static bool
map_partition(TagrecMapping *mapping, const TagrecTable *table)
{
	int			fd;
	bool		mapped;

	memset(mapping, 0, sizeof(*mapping));
	path_of(mapping->path, table);
	fd = OpenTransientFile(mapping->path, O_RDONLY | PG_BINARY);
	if (fd < 0)
		return false;
	mapped = map_file(mapping, table, fd);
	CloseTransientFile(fd);
	if (!mapped)
		return false;
	find_pieces(mapping);
	tagrec_mapped_used(mapping->path);
	return true;
}

bool
tagrec_mapping_is_right(const TagrecMapping *mapping)
{
	return !mapping->base || body_is_right(mapping->base, mapping->base);
}

bool
tagrec_mapping_gone(const TagrecMapping *mapping)
{
	return mapping->base && access(mapping->path, F_OK) != 0;
}

/* ------------------------------------------------------------------ making */

static void
new_path_of(char *path, const TagrecTable *table)
{
	path_of(path, table);
	strlcat(path, TAGREC_MAPPED_NEW, MAXPGPATH);
}

/* The file that was locked may have got its name, or gone, while we waited for it. */
static bool
still_named(int fd, const char *path)
{
	struct stat ours;
	struct stat named;

	return fstat(fd, &ours) == 0 && stat(path, &named) == 0 && ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

/*
 * Waits until nobody else is making the file; -1 when it cannot be made. Somebody else may have made it meanwhile. An error
 * closes the file, which lets the next one in.
 */
static int
lock_new_file(const TagrecTable *table)
{
	char		path[MAXPGPATH];

	new_path_of(path, table);
	(void) MakePGDirectory(TAGREC_MAPPED_DIRECTORY);
	for (;;)
	{
		int			fd = OpenTransientFilePerm(path, O_RDWR | O_CREAT | PG_BINARY, S_IRUSR | S_IWUSR);

		if (fd < 0)
		{
			ereport(DEBUG1, (errcode_for_file_access(), errmsg_internal("could not create file \"%s\": %m", path)));
			return -1;
		}
		while (flock(fd, LOCK_EX | LOCK_NB) != 0)
		{
			if (errno != EWOULDBLOCK && errno != EINTR)
			{
				CloseTransientFile(fd);
				return -1;
			}
			CHECK_FOR_INTERRUPTS();
			pg_usleep(TAGREC_MAPPED_WAIT);
		}
		if (still_named(fd, path))
			return fd;
		CloseTransientFile(fd);
	}
}

static void
unlock_unused(int lock, const TagrecTable *table)
{
	char		path[MAXPGPATH];

	new_path_of(path, table);
	(void) unlink(path);
	CloseTransientFile(lock);
}

static uint64
place(uint64 end, Size bytes)
{
	return bytes < LARGE ? TYPEALIGN64(BOUNDARY, end) : TYPEALIGN64(LARGE_BOUNDARY, end);
}

/* Places the pieces one behind the other. What says which file it is comes when there is one. */
static void
fill_header(Header *header, const TagrecTable *table, const TagrecPiece *piece)
{
	uint64		end = sizeof(Header);

	memset(header, 0, sizeof(*header));
	identify(&header->identity, table);
	INIT_CRC32C(header->body);
	for (int i = 0; i < TAGREC_MOST_PIECES; i++)
	{
		header->start[i] = place(end, piece[i].bytes);
		header->size[i] = piece[i].bytes;
		header->body = checksum(header->body, piece[i].data, piece[i].bytes);
		end = header->start[i] + piece[i].bytes;
	}
	header->bytes = TYPEALIGN64(BOUNDARY, end);
}

static bool
write_all(int fd, const char *data, Size bytes, uint64 where)
{
	while (bytes > 0)
	{
		ssize_t		written = pwrite(fd, data, Min(bytes, (Size) 1 << 24), (off_t) where);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
		{
			if (written == 0)
				errno = ENOSPC;
			return false;
		}
		data += written;
		bytes -= written;
		where += written;
	}
	return true;
}

/* So that a full disk is known before anything is written. */
static bool
reserve(int fd, uint64 bytes)
{
	if (ftruncate(fd, 0) != 0)	/* what somebody left who was stopped: nobody has mapped it */
		return false;
	errno = posix_fallocate(fd, 0, (off_t) bytes);
	if (errno == ENOSPC || errno == EFBIG || errno == EDQUOT)
		return false;
	return ftruncate(fd, (off_t) bytes) == 0;
}

/* The space of a file that fits beside the others, as nobody else takes any meanwhile. False with errno. */
static bool
take_room(int fd, uint64 bytes)
{
	int			lock = tagrec_mapped_lock();
	bool		taken = false;

	if (lock < 0)
		return false;
	tagrec_mapped_sweep();
	if (tagrec_mapped_make_room(bytes))
		taken = reserve(fd, bytes);
	else
	{
		ereport(DEBUG1, (errmsg_internal("a file of " UINT64_FORMAT " bytes would be beyond tagrec.mapped_size", bytes)));
		errno = ENOSPC;
	}
	CloseTransientFile(lock);
	return taken;
}

static bool
write_header(int fd, Header *header)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_sec = STAMP}};
	struct stat st;

	if (fstat(fd, &st) != 0)
		return false;
	header->inode = (uint64) st.st_ino;
	header->modified = (int64) STAMP;
	header->sum = header_sum(header);
	return write_all(fd, (const char *) header, sizeof(*header), 0) && futimens(fd, times) == 0;
}

/* What was written is what is read. */
static bool
reads_back(int fd, const Header *header)
{
	void	   *base = mmap(NULL, header->bytes, PROT_READ, MAP_SHARED, fd, 0);
	bool		right;

	if (base == MAP_FAILED)
		return false;
	right = memcmp(base, header, sizeof(*header)) == 0 && body_is_right(header, base);
	(void) munmap(base, header->bytes);
	if (!right)
		errno = EIO;
	return right;
}

static bool
write_file(int fd, Header *header, const TagrecPiece *piece)
{
	if (!take_room(fd, header->bytes))
		return false;
	for (int i = 0; i < TAGREC_MOST_PIECES; i++)
		if (!write_all(fd, piece[i].data, piece[i].bytes, header->start[i]))
			return false;
	return write_header(fd, header) && reads_back(fd, header);
}

/* Makes the file, as far as that goes; unlocks. */
static void
make_file(int lock, const TagrecTable *table, const TagrecPiece *piece)
{
	char		path[MAXPGPATH];
	char		new_path[MAXPGPATH];
	Header		header;

	path_of(path, table);
	new_path_of(new_path, table);
	fill_header(&header, table, piece);
	if (!write_file(lock, &header, piece) || rename(new_path, path) != 0)
		ereport(DEBUG1, (errcode_for_file_access(), errmsg_internal("could not write file \"%s\": %m", new_path)));
	else
	{
		CloseTransientFile(lock);
		return;
	}
	unlock_unused(lock, table);
}

/* ------------------------------------------------------------------ what others see */

static void *
attached(const TagrecShareable *kind, const TagrecTable *table)
{
	TagrecMapping mapping;
	void	   *part;

	if (!map_partition(&mapping, table))
		return NULL;
	part = kind->attach(table, &mapping);
	if (!part)
		unmap(&mapping);
	return part;
}

/* Loads, makes the file, and takes what is in there in place of what was loaded. */
static void *
load_and_share(const TagrecShareable *kind, TagrecTable *table, int lock)
{
	void	   *own = kind->load(table);
	TagrecPiece piece[TAGREC_MOST_PIECES] = {{NULL}};
	void	   *part;

	kind->pieces(own, piece);
	make_file(lock, table, piece);
	part = attached(kind, table);
	if (!part)
		return own;
	kind->free(own);
	return part;
}

void *
tagrec_shared(const TagrecShareable *kind, TagrecTable *table, Size bytes)
{
	void	   *part;
	int			lock;

	if (!is_to_be_shared(table, bytes))
		return kind->load(table);
	part = attached(kind, table);
	if (part)
		return part;
	lock = lock_new_file(table);
	if (lock < 0)
		return kind->load(table);
	part = attached(kind, table);
	if (!part)
		return load_and_share(kind, table, lock);
	unlock_unused(lock, table);
	return part;
}
