/*
 * ingest.c - from uploaded files to a packed data set. Called by api on its slow threads.
 *
 * The file is written under a temporary name and gets its own (the hash of its content) once it is complete and on the
 * disk, so that a name that exists is always a whole data set, and equal uploads are one file.
 */
#include "ingest/ingest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "ingest/run.h"

enum { PATH_BYTES = 1024 };

bool run_problem(struct run *r, const struct ingest_file *file, const char *label, const char *fmt, ...)
{
	char text[200], where[SOURCE_LABEL + 4] = "";
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (label[0])
		snprintf(where, sizeof(where), "\"%s\" ", label);
	problems_add(r->problems, ERR_INVALID_DATA, file->name, "%s%s", label[0] ? where : "The file ", text);
	return false;
}

bool run_trouble(struct run *r, int error)
{
	if (error == ENOSPC || error == EDQUOT) {
		problems_add(r->problems, ERR_STORAGE_FULL, "", "There is no space for the data set.");
	} else if (error == ENOMEM) {
		problems_add(r->problems, ERR_UNAVAILABLE, "", "There is no memory to read the data set.");
	} else {
		log_line(LOG_ERROR, "a data set cannot be packed: %s", strerror(error));
		problems_add(r->problems, ERR_INTERNAL, "", "The data set could not be read or written.");
	}
	return false;
}

static bool sync_fd(struct run *r, int fd)
{
	bool ok = fsync(fd) == 0;
	r->unsynced |= !ok;
	return ok;
}

/* Hashes, makes durable and renames the file at temporary. */
static bool publish(struct run *r, const char *dir, const char *temporary, struct ingest_result *ret)
{
	char path[PATH_BYTES];
	if (!packed_sha256(r->fd, ret->sha256))
		return run_trouble(r, errno);
	ret->bytes = r->layout.size;
	snprintf(path, sizeof(path), "%s/%s", dir, ret->sha256);
	if (fchmod(r->fd, S_IRUSR | S_IRGRP) != 0 || !sync_fd(r, r->fd) || rename(temporary, path) != 0)
		return run_trouble(r, errno);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && sync_fd(r, fd);
	int error = errno;
	if (fd >= 0)
		close(fd);
	return ok || run_trouble(r, error);
}

static json_t *counts_json(const int64_t *counts, int n)
{
	json_t *ret = json_array();
	for (int i = 0; i < n; i++)
		json_array_append_new(ret, json_integer(counts[i]));
	return ret;
}

/* An .npy in an archive came as .npz. */
static const char *format_name(const struct found *f)
{
	return f->label[0] && strcmp(f->importer->name, "npy") == 0 ? "npz" : f->importer->name;
}

static json_t *info_json(const struct run *r)
{
	const struct packed_numbers *n = &r->numbers;
	float mean[STATS_MAX_CHANNELS], std[STATS_MAX_CHANNELS];
	stats_get(&r->stats, mean, std);
	json_t *shape = json_array(), *means = json_array(), *stds = json_array();
	for (int i = 0; i < n->shape.ndim; i++)
		json_array_append_new(shape, json_integer(n->shape.dim[i]));
	for (int c = 0; c < r->stats.channels; c++) {
		json_array_append_new(means, json_real((double)mean[c]));
		json_array_append_new(stds, json_real((double)std[c]));
	}
	json_t *counts = json_null();
	if (n->classes > 0)
		counts = json_pack("{s:o, s:o}", "train", counts_json(r->class_counts[SPLIT_TRAIN], n->classes), "test",
			counts_json(r->class_counts[SPLIT_TEST], n->count[SPLIT_TEST] > 0 ? n->classes : 0));
	json_t *ret = json_pack("{s:s, s:s, s:o, s:s, s:I, s:I, s:i, s:i, s:o, s:o, s:o, s:O}", "format",
		format_name(&r->found[0]), "layout", r->to_chw ? "NHWC converted" : "as uploaded", "shape", shape,
		"dtype", n->dtype == BP_U8 ? "u8" : "f32", "train", (json_int_t)n->count[SPLIT_TRAIN], "test",
		(json_int_t)n->count[SPLIT_TEST], "classes", n->classes, "targets", n->ntargets, "mean", means, "std",
		stds, "class_counts", counts, "ignored", r->ignored);
	json_object_set_new(ret, "range", json_pack("[f, f]", (double)r->stats.min, (double)r->stats.max));
	json_object_set_new(ret, "whole", json_boolean(r->stats.whole));
	json_object_set_new(ret, "class_names", r->class_names ? json_incref(r->class_names) : json_null());
	return ret;
}

static bool write_packed(struct run *r, const char *dir, struct ingest_result *ret)
{
	char temporary[PATH_BYTES];
	snprintf(temporary, sizeof(temporary), "%s/.ingest-XXXXXX", dir);
	r->fd = mkostemp(temporary, O_CLOEXEC);
	if (r->fd < 0)
		return run_trouble(r, errno);
	bool ok = run_pack(r) && publish(r, dir, temporary, ret);
	if (!ok)
		unlink(temporary);
	close(r->fd);
	return ok;
}

bool ingest_run(const struct ingest_file *files, int n, const char *dir, const struct ingest_limits *limits,
	struct problems *problems, struct ingest_result *ret)
{
	struct run r = {.files = files, .nfiles = n, .limits = limits, .problems = problems, .fd = -1};
	int before = problems->count;
	*ret = (struct ingest_result){0};
	/* Doubles become floats, and an archive may hold other members. */
	r.budget = limits->max_bytes < INT64_MAX / 4 ? 2 * limits->max_bytes + (16 << 20) : INT64_MAX / 2;
	r.ignored = json_array();
	bool memory = r.ignored != NULL;
	for (int i = 0; i < SPLIT_COUNT; i++) {
		r.class_counts[i] = calloc(PACKED_MAX_CLASSES, sizeof(int64_t));
		memory = memory && r.class_counts[i];
	}
	if (!memory)
		problems_add(problems, ERR_UNAVAILABLE, "", "There is no memory to read the data set.");
	if (memory && run_scan(&r) && run_plan(&r) && write_packed(&r, dir, ret))
		ret->info = info_json(&r);
	if (!ret->info && r.error)
		problems->count = before;
	if (!ret->info && problems->count == before)
		run_trouble(
			&r, r.error ? r.error : ENOMEM); /* what else was not told is a description without memory */
	ret->unsynced = r.unsynced;
	stats_done(&r.stats);
	json_decref(r.ignored);
	json_decref(r.class_names);
	for (int i = 0; i < SPLIT_COUNT; i++)
		free(r.class_counts[i]);
	return ret->info != NULL;
}
