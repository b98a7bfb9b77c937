/* stats.h - mean and standard deviation of samples by channel, and their range, while they stream by. For the files of
 * ingest/ alone. */
#ifndef INGEST_STATS_H
#define INGEST_STATS_H

#include "backprop.h"

/* A data set with more channels (features, when flat) has one mean and one deviation for all. */
enum { STATS_MAX_CHANNELS = 4096 };

struct stats {
	enum bp_dtype dtype;
	int channels;
	int64_t plane; /* elements of a channel of one sample */
	int64_t samples;
	uint64_t (*histogram)[256];   /* BP_U8: exact */
	double *shift, *sum, *square; /* BP_F32: of x - shift */
	float min, max;               /* of all samples, as uploaded: 0 to 255 for BP_U8 */
	bool whole;                   /* all are whole numbers */
};

bool stats_init(struct stats *s, const struct bp_shape *shape, enum bp_dtype dtype); /* false: no memory */
void stats_done(struct stats *s);
void stats_add(struct stats *s, const void *samples, int64_t n);
/* Sees to min, max and whole alone, which also hold for samples that mean and deviation do not count. */
void stats_range(struct stats *s, const void *samples, int64_t n);
/* channels values each, of u/255 for BP_U8; a deviation below 1e-6 becomes 1. */
void stats_get(const struct stats *s, float *ret_mean, float *ret_std);

#endif
