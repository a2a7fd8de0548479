/*
 * What dmctl is measured against: the calls of Device Mapper and nothing beside them, one after the other.
 *
 *     ioctls create COUNT OFFSET    makes d0, d1, ..: 8 sectors of /dev/ram0 each, from sector OFFSET on
 *     ioctls reload COUNT OFFSET    gives them tables that begin at another sector
 *     ioctls remove COUNT
 *     ioctls shift NAME OFFSET      gives one of them another table
 */

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define LENGTH 8

static int control;

static union {
	struct dm_ioctl header;
	char room[1024];
} request;

static void call(unsigned long command, const char *name)
{
	strcpy(request.header.name, name);
	if (ioctl(control, command, &request) < 0) {
		perror(name);
		exit(1);
	}
}

static void begin(void)
{
	memset(&request, 0, sizeof request);
	request.header.version[0] = DM_VERSION_MAJOR;
	request.header.data_size = sizeof request;
	request.header.data_start = sizeof request.header;
}

static void load(const char *name, long offset)
{
	struct dm_target_spec *row = (void *)(request.room + sizeof request.header);

	begin();
	request.header.target_count = 1;
	row->length = LENGTH;
	strcpy(row->target_type, "linear");
	sprintf((char *)(row + 1), "1:0 %ld", offset);
	row->next = (sizeof *row + strlen((char *)(row + 1)) + 8) & ~7u;
	call(DM_TABLE_LOAD, name);
}

static void resume(const char *name)
{
	begin();
	call(DM_DEV_SUSPEND, name);
}

static void create(const char *name)
{
	begin();
	sprintf(request.header.uuid, "BENCH-%s", name);
	call(DM_DEV_CREATE, name);
}

static void removed(const char *name)
{
	begin();
	call(DM_DEV_REMOVE, name);
}

int main(int count, char **words)
{
	const char *what = count > 2 ? words[1] : "";
	long offset = count > 3 ? atol(words[3]) : 0;

	control = open("/dev/mapper/control", O_RDWR);
	if (control < 0) {
		perror("/dev/mapper/control");
		return 1;
	}
	if (!strcmp(what, "shift")) {
		load(words[2], offset);
		resume(words[2]);
		return 0;
	}
	for (long index = 0; count > 2 && index < atol(words[2]); index++) {
		char name[32];

		sprintf(name, "d%ld", index);
		if (!strcmp(what, "remove")) {
			removed(name);
			continue;
		}
		if (!strcmp(what, "create"))
			create(name);
		load(name, offset + index * LENGTH);
		resume(name);
	}
	return 0;
}
