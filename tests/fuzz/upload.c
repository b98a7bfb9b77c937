/* upload.c - see upload.h. The packed file is one in memory, made once and emptied for each input. */
#include "fuzz/upload.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "ingest/run.h"

enum { PACKED_BYTES = 1 << 14, SAMPLES_MAX = 1000 };

/* What lives from input to input: making it anew would take most of the time. */
struct place {
	int fd;
	int64_t *counts[SPLIT_COUNT]; /* zero between inputs */
	_Alignas(64) uint8_t packed[PACKED_BYTES];
};

static struct place *place(void)
{
	static struct place p = {.fd = -1};
	if (p.fd >= 0)
		return &p;
	p.fd = memfd_create("packed", MFD_CLOEXEC);
	must(p.fd >= 0, "there is a file in memory");
	for (int i = 0; i < SPLIT_COUNT; i++) {
		p.counts[i] = calloc(PACKED_MAX_CLASSES, sizeof(int64_t));
		must(p.counts[i] != NULL, "there is memory");
	}
	return &p;
}

struct bp_shape upload_shape(uint8_t choice)
{
	static const struct bp_shape shapes[] = {{1, {4}}, {2, {2, 2}}, {3, {1, 2, 2}}, {3, {3, 2, 2}}, {1, {1}}};
	size_t n = sizeof(shapes) / sizeof(shapes[0]);
	return choice % 16 < n ? shapes[choice % 16] : (struct bp_shape){0};
}

/* Every sample has its answer, and every class its samples. */
static void check_split(const struct run *r, const struct packed *p, int split)
{
	const struct bp_data *d = &p->split[split];
	int64_t sum = 0;
	must(d->count == r->numbers.count[split], "the samples are those of the array");
	for (int64_t i = 0; d->labels && i < d->count; i++)
		must(d->labels[i] >= 0 && d->labels[i] < p->classes, "a label is a class");
	for (int64_t i = 0; d->targets && i < d->count * d->ntargets; i++)
		must(isfinite(d->targets[i]), "a target is a number");
	for (int c = 0; c < p->classes; c++)
		sum += r->class_counts[split][c];
	must(p->classes == 0 || sum == d->count, "the classes' counts add up");
	for (int64_t i = 0; d->dtype == BP_F32 && i < d->count * bp_shape_size(&d->shape); i++) {
		float v = ((const float *)d->samples)[i];
		must(v >= r->stats.min && v <= r->stats.max, "a sample is within the range");
	}
}

static void check_packed(const struct run *r, struct place *at)
{
	struct packed packed;
	must(r->layout.size <= PACKED_BYTES, "a data set is within its limit");
	must(pread(at->fd, at->packed, PACKED_BYTES, 0) == r->layout.size, "it is as long as planned");
	must(packed_view(at->packed, (size_t)r->layout.size, &packed), "what was packed can be opened");
	must((packed.classes > 0) != (packed.split[SPLIT_TRAIN].ntargets > 0), "it has classes or targets");
	must(!r->class_names || (int)json_array_size(r->class_names) == packed.classes, "each class has its name");
	for (int i = 0; i < SPLIT_COUNT; i++)
		check_split(r, &packed, i);
}

void upload_check(const struct ingest_file *files, int n, const struct bp_shape *shape)
{
	struct place *at = place();
	struct problems problems = {0};
	const struct ingest_limits limits = {.max_bytes = PACKED_BYTES, .max_samples = SAMPLES_MAX, .shape = *shape};
	struct run r = {.files = files,
		.nfiles = n,
		.limits = &limits,
		.problems = &problems,
		.budget = 4 * PACKED_BYTES,
		.ignored = json_array(),
		.fd = at->fd,
		.class_counts = {at->counts[0], at->counts[1]}};
	bool planned = run_scan(&r) && run_plan(&r);
	must(!planned || ftruncate(at->fd, 0) == 0, "the file can be emptied");
	bool ok = planned && run_pack(&r);
	must(ok == !problems_any(&problems), "an upload is a data set or has problems");
	if (ok)
		check_packed(&r, at);
	must_tell(&problems);
	for (int i = 0; planned && i < SPLIT_COUNT; i++)
		memset(at->counts[i], 0, (size_t)(r.max_label + 1) * sizeof(int64_t));
	stats_done(&r.stats);
	json_decref(r.ignored);
	json_decref(r.class_names);
}
