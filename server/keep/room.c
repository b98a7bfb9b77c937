/* room.c - see room.h. */
#include "keep/room.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool room_for(const char *state_dir, int64_t bytes)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof path, "%s/checkpoints/.room-XXXXXX", state_dir);
	if (n < 0 || n >= (int)sizeof path)
		return false;
	int fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return false;
	unlink(path);
	bool fits = posix_fallocate(fd, 0, bytes) == 0;
	close(fd);
	return fits;
}
