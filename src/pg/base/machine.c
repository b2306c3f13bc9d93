/*
 * The memory of this machine, or of the control group that the server runs in, whichever is less.
 */
#include "pg/base/tagrec.h"

#include <limits.h>
#include <unistd.h>

#define LINE 4096

/* A file's first line, without its end; false when there is none. */
static bool
read_line(const char *path, char *line)
{
	FILE	   *file = fopen(path, "r");
	bool		found = file && fgets(line, LINE, file);

	if (file)
		fclose(file);
	if (found)
		line[strcspn(line, "\n")] = '\0';
	return found;
}

/* "max", and what version 1 has for it, are no limit. */
static uint64
limit_in(const char *directory, const char *file)
{
	char		path[LINE * 2];
	char		line[LINE];
	uint64		limit;

	snprintf(path, sizeof(path), "%s/%s", directory, file);
	if (!read_line(path, line))
		return PG_UINT64_MAX;
	limit = strtoull(line, NULL, 10);
	return limit > 0 ? limit : PG_UINT64_MAX;
}

/* Of a group and of all above it, as far as they can be seen from here. */
static uint64
limit_of_group(const char *mount, const char *group, const char *file)
{
	char		directory[LINE * 2];
	uint64		limit;

	snprintf(directory, sizeof(directory), "%s%s", mount, group);
	limit = limit_in(directory, file);
	while (strlen(directory) > strlen(mount))
	{
		*strrchr(directory, '/') = '\0';
		limit = Min(limit, limit_in(directory, file));
	}
	return limit;
}

/* A line of /proc/self/cgroup is number:controllers:group; version 2 has 0 and no controllers. */
static uint64
limit_of_groups(void)
{
	FILE	   *file = fopen("/proc/self/cgroup", "r");
	uint64		limit = PG_UINT64_MAX;
	char		line[LINE];

	while (file && fgets(line, sizeof(line), file))
	{
		char	   *controllers = strchr(line, ':');
		char	   *group = controllers ? strchr(controllers + 1, ':') : NULL;

		if (!group || group[1] != '/')
			continue;
		*group++ = '\0';
		group[strcspn(group, "\n")] = '\0';
		if (strncmp(line, "0:", 2) == 0)
			limit = Min(limit, limit_of_group("/sys/fs/cgroup", group, "memory.max"));
		else if (strstr(controllers, "memory"))
			limit = Min(limit, limit_of_group("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
	}
	if (file)
		fclose(file);
	return limit;
}

int
tagrec_memory_limit(void)
{
	long		pages = sysconf(_SC_PHYS_PAGES);
	uint64		memory = pages > 0 ? (uint64) pages * (uint64) sysconf(_SC_PAGESIZE) : 0;

	if (tagrec_max_memory >= 0)
		return tagrec_max_memory;
	/* 0, which is no limit, where the system does not tell */
	memory = Min(memory, limit_of_groups()) / 2 >> 20;
	return (int) Min(memory, INT_MAX);
}
