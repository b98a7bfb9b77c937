/* statedir.c - see statedir.h. flock(2) goes with the process, so a lock never outlives a crash. */
#include "base/statedir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/log.h"

static const char *const rooms[] = {"uploads", "datasets", "checkpoints"};

bool statedir_is_remote(long type)
{
	switch ((uint32_t)type) { /* the word is signed on some machines */
	case NFS_SUPER_MAGIC:
	case SMB_SUPER_MAGIC:
	case CIFS_SUPER_MAGIC:
	case SMB2_SUPER_MAGIC:
	case AFS_SUPER_MAGIC:
	case CODA_SUPER_MAGIC:
		return true;
	}
	return false;
}

static bool directory_make(const char *path)
{
	struct stat st;
	if (mkdir(path, 0700) == 0)
		return true;
	if (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return true;
	log_line(LOG_ERROR, "cannot make the directory %s: %s", path, strerror(errno == EEXIST ? ENOTDIR : errno));
	return false;
}

static bool directory_is_ours(const char *path)
{
	struct stat st;
	struct statfs fs;
	if (stat(path, &st) != 0 || statfs(path, &fs) != 0) {
		log_line(LOG_ERROR, "cannot look at %s: %s", path, strerror(errno));
		return false;
	}
	if (statedir_is_remote((long)fs.f_type)) {
		log_line(LOG_ERROR, "%s is on a network file system; the database needs a local one", path);
		return false;
	}
	if (st.st_uid == geteuid() && (st.st_mode & 077) && chmod(path, st.st_mode & 0700) == 0)
		log_line(LOG_NOTICE, "%s was open to others; it is not any more", path);
	return true;
}

static int lock_take(const char *dir)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/lock", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		log_line(LOG_ERROR, "cannot open %s: %s", path, strerror(errno));
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno == EWOULDBLOCK)
			log_line(LOG_ERROR, "another backpropd is using %s", dir);
		else
			log_line(LOG_ERROR, "cannot lock %s: %s", path, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

int statedir_open(const char *path)
{
	if (!directory_make(path) || !directory_is_ours(path))
		return -1;
	int fd = lock_take(path);
	if (fd < 0)
		return -1;
	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		char room[PATH_MAX];
		snprintf(room, sizeof(room), "%s/%s", path, rooms[i]);
		if (!directory_make(room)) {
			close(fd);
			return -1;
		}
	}
	return fd;
}
