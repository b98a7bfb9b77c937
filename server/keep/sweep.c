/* sweep.c - see sweep.h. What the store cannot answer for is left alone. */
#include "keep/sweep.h"

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
	if (!d && errno != ENOENT)
		log_line(LOG_WARNING, "cannot sweep %s: %s", s->dir, strerror(errno));
	if (!d)
		return;
	const struct dirent *e;
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || keep(s, e->d_name))
			continue;
		if (unlinkat(dirfd(d), e->d_name, 0) == 0 ||
			(errno == EISDIR && unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR) == 0))
			s->removed++;
		else if (errno != ENOENT)
			log_line(LOG_WARNING, "cannot remove %s/%s: %s", s->dir, e->d_name, strerror(errno));
	}
	closedir(d);
}

static void tell(int removed)
{
	if (removed > 0)
		log_line(LOG_NOTICE, "removed %d file(s) left over from an interrupted run", removed);
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

void sweep_job_files(struct store *store, const char *state_dir, const char *job_id)
{
	struct sweep s = {.store = store};
	int n = snprintf(s.dir, sizeof(s.dir), "%s/checkpoints/%s", state_dir, job_id);
	if (n < 0 || n >= (int)sizeof(s.dir) || store_checkpoint_list(store, job_id, &s.rows, &s.nrows) != STORE_OK)
		return;
	each_file(&s, keep_checkpoint);
	for (int i = 0; i < s.nrows; i++)
		checkpoint_row_done(&s.rows[i]);
	free(s.rows);
	tell(s.removed);
}

/* ---- the jobs' directories ---------------------------------------------------------------------------- */

struct folders {
	char **names; /* heap, as each name is */
	enum job_known *known;
	int n;
};

static void folders_free(struct folders *f)
{
	for (int i = 0; i < f->n; i++)
		free(f->names[i]);
	free(f->names);
	free(f->known);
}

static bool folders_add(struct folders *f, const char *name)
{
	if ((f->n & (f->n - 1)) == 0) { /* 0, 1, 2, 4, 8 ...: full */
		char **names = reallocarray(f->names, f->n ? (size_t)f->n * 2 : 1, sizeof(*names));
		if (!names)
			return false;
		f->names = names;
	}
	f->names[f->n] = strdup(name);
	return f->names[f->n] && ++f->n;
}

/* What there is below checkpoints/, and what the store knows of it. False: not known, to be left alone. */
static bool folders_read(struct store *store, const char *state_dir, struct folders *ret)
{
	char path[PATH_MAX];
	*ret = (struct folders){0};
	snprintf(path, sizeof(path), "%s/checkpoints", state_dir);
	DIR *d = opendir(path);
	if (!d) {
		log_line(LOG_WARNING, "cannot sweep %s: %s", path, strerror(errno));
		return false;
	}
	bool ok = true;
	const struct dirent *e;
	while (ok && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			ok = folders_add(ret, e->d_name);
	closedir(d);
	ret->known = calloc((size_t)ret->n + 1, sizeof(*ret->known));
	if (ok && ret->known && store_job_known(store, (const char *const *)ret->names, ret->n, ret->known) == STORE_OK)
		return true;
	folders_free(ret);
	return false;
}

/* A folder of no job. */
static void remove_folder(struct store *store, const char *state_dir, const char *name)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/checkpoints/%s", state_dir, name);
	if (n < 0 || n >= (int)sizeof(path) || unlink(path) == 0)
		return;
	sweep_job_files(store, state_dir, name);
	if (rmdir(path) != 0)
		log_line(LOG_WARNING, "cannot remove %s: %s", path, strerror(errno));
}

void sweep_ended(struct store *store, const char *state_dir, const atomic_bool *stop)
{
	struct folders f;
	if (!folders_read(store, state_dir, &f))
		return;
	for (int i = 0; i < f.n && !atomic_load(stop); i++)
		if (f.known[i] == JOB_ENDED)
			sweep_job_files(store, state_dir, f.names[i]);
	folders_free(&f);
}

void sweep_state(struct store *store, const char *state_dir)
{
	static const struct {
		const char *room;
		bool (*keep)(struct sweep *s, const char *name);
	} rooms[] = {{"uploads", keep_upload}, {"datasets", keep_dataset}};
	struct folders f;
	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		struct sweep s = {.store = store};
		snprintf(s.dir, sizeof(s.dir), "%s/%s", state_dir, rooms[i].room);
		each_file(&s, rooms[i].keep);
		tell(s.removed);
	}
	if (!folders_read(store, state_dir, &f))
		return;
	for (int i = 0; i < f.n; i++)
		if (f.known[i] == JOB_UNFINISHED)
			sweep_job_files(store, state_dir, f.names[i]);
		else if (f.known[i] == JOB_UNKNOWN)
			remove_folder(store, state_dir, f.names[i]);
	folders_free(&f);
}
