/* sweep.c - see sweep.h. What the store cannot answer for is left alone. */
#include "work/sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

struct sweep {
	struct store *store;
	char dir[PATH_MAX];          /* being looked at */
	struct checkpoint_row *rows; /* of the job whose directory it is */
	int nrows, removed;
};

/* Asks keep for each name in s->dir and removes those that it answers false for. */
static void each_file(struct sweep *s, bool (*keep)(struct sweep *s, const char *name))
{
	DIR *d = opendir(s->dir);
	if (!d) {
		log_line(LOG_WARNING, "cannot sweep %s: %s", s->dir, strerror(errno));
		return;
	}
	const struct dirent *e;
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || keep(s, e->d_name))
			continue;
		if (unlinkat(dirfd(d), e->d_name, 0) == 0 ||
			(errno == EISDIR && unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR) == 0))
			s->removed++;
		else
			log_line(LOG_WARNING, "cannot remove %s/%s: %s", s->dir, e->d_name, strerror(errno));
	}
	closedir(d);
}

static bool keep_upload(struct sweep *s, const char *name)
{
	return store_dataset_has_upload(s->store, name);
}

static bool keep_dataset(struct sweep *s, const char *name)
{
	return store_dataset_has_sha256(s->store, name);
}

static bool keep_checkpoint(struct sweep *s, const char *name)
{
	for (int i = 0; i < s->nrows; i++)
		if (strcmp(s->rows[i].file, name) == 0)
			return true;
	return false;
}

/* A job's directory: its files without a row go; it goes itself when there is no such job. */
static bool keep_job(struct sweep *s, const char *name)
{
	struct job_row job;
	struct stat st;
	struct sweep inner = {.store = s->store};
	int n = snprintf(inner.dir, sizeof(inner.dir), "%s/%s", s->dir, name);
	if (n < 0 || n >= (int)sizeof(inner.dir) || lstat(inner.dir, &st) != 0)
		return true;
	if (!S_ISDIR(st.st_mode))
		return false;
	enum store_status found = store_job_get(s->store, name, &job);
	if (found == STORE_OK)
		job_row_done(&job);
	if ((found != STORE_OK && found != STORE_NOT_FOUND) ||
		store_checkpoint_list(s->store, name, &inner.rows, &inner.nrows) != STORE_OK)
		return true;
	each_file(&inner, keep_checkpoint);
	for (int i = 0; i < inner.nrows; i++)
		checkpoint_row_done(&inner.rows[i]);
	free(inner.rows);
	s->removed += inner.removed;
	return found == STORE_OK;
}

void sweep_state(struct store *store, const char *state_dir)
{
	static const struct {
		const char *room;
		bool (*keep)(struct sweep *s, const char *name);
	} rooms[] = {{"uploads", keep_upload}, {"datasets", keep_dataset}, {"checkpoints", keep_job}};
	int removed = 0;
	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		struct sweep s = {.store = store};
		snprintf(s.dir, sizeof(s.dir), "%s/%s", state_dir, rooms[i].room);
		each_file(&s, rooms[i].keep);
		removed += s.removed;
	}
	if (removed > 0)
		log_line(LOG_NOTICE, "removed %d file(s) left over from an interrupted run", removed);
}
