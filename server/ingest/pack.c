/*
 * pack.c - reads the elements of the arrays found and writes the packed file, a block at a time. Called by ingest.c.
 *
 * Claims end here: an array that holds fewer or more elements than its header said is refused.
 */
#include "ingest/run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

enum { BLOCK = 1 << 20 };

/* One array on its way into the file. */
struct copying {
	struct run *r;
	const struct found *f;
	struct source source;
	int64_t rows, row; /* entries in all; elements of an entry */
	int64_t block;     /* entries that go at once */
	uint8_t *raw;
	void *out, *turned; /* a block as stored; in CHW order */
};

static bool write_fully(struct run *r, const void *data, size_t size, int64_t at)
{
	const uint8_t *p = data;
	while (size > 0) {
		ssize_t n = IO_TRY(pwrite(r->fd, p, size, at));
		if (n <= 0)
			return run_trouble(r, n < 0 ? errno : EIO);
		p += n;
		size -= (size_t)n;
		at += n;
	}
	return true;
}

static bool refuse(const struct copying *c, const char *why, int64_t index)
{
	return run_problem(c->r, c->f->file, c->f->label, "%s (index %" PRId64 ").", why, index);
}

static bool begin(struct copying *c, struct run *r, int role)
{
	const char *why = "";
	struct array_header again = {0};
	*c = (struct copying){.r = r, .f = &r->found[role], .row = 1, .source.fd = -1};
	c->rows = c->f->header.dim[0];
	for (int i = 1; i < c->f->header.ndim; i++)
		c->row *= c->f->header.dim[i];
	int64_t bytes = c->row * 8;
	c->block = bytes < BLOCK ? BLOCK / bytes : 1;
	c->block = c->block < c->rows ? c->block : c->rows;
	c->raw = malloc((size_t)(c->block * bytes));
	c->out = malloc((size_t)(c->block * bytes));
	c->turned = r->to_chw ? malloc((size_t)(c->block * bytes)) : NULL;
	if (!c->raw || !c->out || (r->to_chw && !c->turned)) {
		problems_add(r->problems, ERR_UNAVAILABLE, "", "There is no memory to read the data set.");
		return false;
	}
	if (!source_open(&c->source, c->f->file))
		return run_problem(r, c->f->file, "", "is damaged or truncated.");
	int status = 1;
	while (status > 0 && c->source.member < c->f->member)
		status = source_next(&c->source);
	if (status <= 0 || !c->f->importer->header(&c->source, &again, &why))
		return run_problem(r, c->f->file, c->f->label, "is damaged.");
	return true;
}

static void end(struct copying *c)
{
	if (c->source.error)
		c->r->error = c->source.error;
	source_close(&c->source);
	free(c->raw);
	free(c->out);
	free(c->turned);
}

/* Reads entries [first, first + n) into raw. */
static bool read_block(struct copying *c, int64_t first, int64_t n)
{
	int64_t entry = c->row * element_size(c->f->header.element);
	size_t want = (size_t)(n * entry), have = source_read(&c->source, c->raw, want);
	if (have == want)
		return true;
	return run_problem(c->r, c->f->file, c->f->label,
		"%s: its header declares %" PRId64 " entries of %" PRId64 " bytes, but only %" PRId64 " are there.",
		c->source.damaged ? "is damaged or truncated" : "is too short", c->rows, entry,
		first + (int64_t)have / entry);
}

/* Nothing may follow; reading on also lets the archive compare its checksum. */
static bool check_end(struct copying *c)
{
	uint8_t byte;
	size_t more = source_read(&c->source, &byte, 1);
	if (c->source.damaged)
		return run_problem(c->r, c->f->file, c->f->label, "is damaged: its checksum does not match.");
	if (more == 0)
		return true;
	return run_problem(c->r, c->f->file, c->f->label,
		"is too long: bytes follow the %" PRId64 " entries that its header declares.", c->rows);
}

/* (height, width, channels) -> (channels, height, width), n samples of elements of the given size. */
static void turn(const struct copying *c, int64_t n, size_t size)
{
	const struct bp_shape *s = &c->r->numbers.shape;
	int64_t channels = s->dim[0], plane = s->dim[1] * s->dim[2];
	const uint8_t *in = c->out;
	uint8_t *out = c->turned;
	for (int64_t i = 0; i < n; i++, out += (size_t)c->row * size)
		for (int64_t p = 0; p < plane; p++)
			for (int64_t k = 0; k < channels; k++, in += size)
				memcpy(out + (size_t)(k * plane + p) * size, in, size);
}

static bool copy_samples(struct copying *c, int split)
{
	struct run *r = c->r;
	size_t size = r->numbers.dtype == BP_U8 ? 1 : 4;
	int64_t at = r->layout.samples[split], bad = 0;
	for (int64_t first = 0; first < c->rows; first += c->block) {
		int64_t n = c->rows - first < c->block ? c->rows - first : c->block;
		if (!read_block(c, first, n))
			return false;
		if (size == 1)
			memcpy(c->out, c->raw, (size_t)(n * c->row));
		else if (!element_floats(&c->f->header, c->raw, n * c->row, c->out, &bad))
			return refuse(c, "has a value that is not a finite number in single precision in sample",
				first + bad / c->row);
		if (r->to_chw)
			turn(c, n, size);
		const void *block = r->to_chw ? c->turned : c->out;
		stats_range(&r->stats, block, n);
		if (split == SPLIT_TRAIN)
			stats_add(&r->stats, block, n);
		size_t bytes = (size_t)(n * c->row) * size;
		if (!write_fully(r, block, bytes, at))
			return false;
		at += (int64_t)bytes;
	}
	return check_end(c);
}

static bool keep_labels(struct copying *c, int split, int64_t first, int64_t n)
{
	struct run *r = c->r;
	const int64_t *labels = c->out;
	int32_t *kept = (int32_t *)(void *)c->raw;
	for (int64_t i = 0; i < n; i++) {
		if (labels[i] < 0 || labels[i] >= PACKED_MAX_CLASSES)
			return run_problem(r, c->f->file, c->f->label,
				"has the label %" PRId64 " for sample %" PRId64 "; labels are from 0 to %d.", labels[i],
				first + i, PACKED_MAX_CLASSES - 1);
		kept[i] = (int32_t)labels[i];
		r->class_counts[split][kept[i]]++;
		if (kept[i] > r->max_label)
			r->max_label = kept[i];
	}
	return write_fully(r, kept, (size_t)n * sizeof(*kept), r->layout.answers[split] + first * 4);
}

static bool copy_answers(struct copying *c, int split)
{
	struct run *r = c->r;
	int64_t bad = 0;
	for (int64_t first = 0; first < c->rows; first += c->block) {
		int64_t n = c->rows - first < c->block ? c->rows - first : c->block;
		if (!read_block(c, first, n))
			return false;
		if (r->numbers.ntargets == 0) {
			element_integers(&c->f->header, c->raw, n, c->out);
			if (!keep_labels(c, split, first, n))
				return false;
			continue;
		}
		if (!element_floats(&c->f->header, c->raw, n * c->row, c->out, &bad))
			return refuse(c, "has a target that is not a finite number in single precision for sample",
				first + bad / c->row);
		if (!write_fully(r, c->out, (size_t)(n * c->row) * 4, r->layout.answers[split] + first * c->row * 4))
			return false;
	}
	return check_end(c);
}

/* The classes are what the labels need, or as many as were named. */
static bool settle_classes(struct run *r)
{
	if (r->numbers.ntargets > 0)
		return !r->class_names ||
		       run_problem(r, r->class_names_file, "", "names classes, but the targets are numbers.");
	int named = (int)json_array_size(r->class_names);
	r->numbers.classes = r->max_label + 1;
	if (r->class_names && named < r->numbers.classes)
		return run_problem(r, r->class_names_file, "", "names %d classes, but the labels go up to %d.", named,
			r->max_label);
	if (r->class_names)
		r->numbers.classes = named;
	return true;
}

/* Written last: until then the file is none. */
static bool write_head(struct run *r)
{
	uint8_t header[PACKED_HEADER];
	int64_t channels = r->numbers.shape.dim[0];
	float *mean = calloc((size_t)channels, sizeof(*mean)), *std = calloc((size_t)channels, sizeof(*std));
	bool ok = mean && std;
	if (!ok)
		problems_add(r->problems, ERR_UNAVAILABLE, "", "There is no memory to read the data set.");
	if (ok) {
		stats_get(&r->stats, mean, std);
		for (int64_t c = r->stats.channels; c < channels; c++) {
			mean[c] = mean[0];
			std[c] = std[0];
		}
		packed_encode(&r->numbers, &r->layout, header);
		size_t size = (size_t)channels * sizeof(*mean);
		ok = write_fully(r, mean, size, r->layout.mean) && write_fully(r, std, size, r->layout.std) &&
		     write_fully(r, header, sizeof(header), 0);
	}
	free(mean);
	free(std);
	return ok;
}

bool run_pack(struct run *r)
{
	int rc = IO_TRY(ftruncate(r->fd, r->layout.size));
	if (rc != 0 || !stats_init(&r->stats, &r->numbers.shape, r->numbers.dtype))
		return run_trouble(r, rc != 0 ? errno : ENOMEM);
	bool ok = true;
	for (int role = 0; role < ROLE_COUNT; role++) {
		if (!r->found[role].file)
			continue;
		struct copying c;
		bool copied = begin(&c, r, role) &&
			      (role % 2 == SAMPLES ? copy_samples(&c, role / 2) : copy_answers(&c, role / 2));
		end(&c);
		ok = copied && ok;
	}
	return ok && settle_classes(r) && write_head(r);
}
