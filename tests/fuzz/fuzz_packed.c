/*
 * fuzz_packed.c - whatever bytes lie where a packed data set should be, with its checksum taken for granted: they are
 * refused, or all that the view shows lies within them and is what a training may use.
 */
#include "fuzz/fuzz.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/packed.h"

static void check_inside(const void *bytes, size_t size, const void *part, int64_t part_size)
{
	const uint8_t *from = bytes, *p = part;
	must(p >= from && part_size >= 0 && (size_t)(p - from) <= size &&
			(size_t)part_size <= size - (size_t)(p - from),
		"a section lies in the file");
	must((size_t)(p - from) % PACKED_ALIGN == 0, "a section is aligned");
}

static void check_split(const void *bytes, size_t size, const struct packed *p, int split)
{
	const struct bp_data *d = &p->split[split];
	int64_t sample = bp_shape_size(&d->shape) * (d->dtype == BP_U8 ? 1 : 4);
	must(d->count >= 0 && sample > 0, "sizes are sizes");
	check_inside(bytes, size, d->samples, d->count * sample);
	must((p->classes > 0) == (d->labels != NULL) && (d->ntargets > 0) == (d->targets != NULL) &&
			!d->labels == (p->classes == 0) && (d->labels || d->targets),
		"there are labels or targets");
	if (d->labels)
		check_inside(bytes, size, d->labels, d->count * 4);
	else
		check_inside(bytes, size, d->targets, d->count * 4 * d->ntargets);
	check_inside(bytes, size, d->mean, d->shape.dim[0] * 4);
	check_inside(bytes, size, d->std, d->shape.dim[0] * 4);
	for (int64_t c = 0; c < d->shape.dim[0]; c++)
		must(isfinite(d->mean[c]) && isfinite(d->std[c]) && d->std[c] > 0, "samples can be normalised");
}

/* Sample i as a training would read it. */
static void check_balance(const struct packed *p)
{
	double weights[64];
	if (p->classes == 0 || p->classes > 64)
		return;
	bp_balanced_weights(&p->split[SPLIT_TRAIN], p->classes, weights);
	for (int c = 0; c < p->classes; c++)
		must(isfinite(weights[c]) && weights[c] > 0, "a class has its weight");
}

void fuzz_packed(const uint8_t *data, size_t size)
{
	struct packed p;
	/* Of its own size to the byte, and aligned as a mapping is. */
	uint8_t *bytes = NULL;
	must(posix_memalign((void **)&bytes, PACKED_ALIGN, size ? size : 1) == 0, "there is memory");
	memcpy(bytes, data, size);
	if (packed_view(bytes, size, &p)) {
		must(p.split[SPLIT_TRAIN].count > 0, "there are samples to train on");
		for (int i = 0; i < SPLIT_COUNT; i++)
			check_split(bytes, size, &p, i);
		check_balance(&p);
	}
	free(bytes);
}
