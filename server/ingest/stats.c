/* stats.c - see stats.h. Called by pack.c. */
#include "ingest/stats.h"

#include <math.h>
#include <stdlib.h>

bool stats_init(struct stats *s, const struct bp_shape *shape, enum bp_dtype dtype)
{
	*s = (struct stats){.dtype = dtype,
		.channels = 1,
		.plane = bp_shape_size(shape),
		.min = INFINITY,
		.max = -INFINITY,
		.whole = true};
	if (shape->dim[0] <= STATS_MAX_CHANNELS) {
		s->channels = (int)shape->dim[0];
		s->plane /= shape->dim[0];
	}
	size_t n = (size_t)s->channels;
	if (dtype == BP_U8) {
		s->histogram = calloc(n, sizeof(*s->histogram));
		return s->histogram != NULL;
	}
	s->shift = calloc(n, sizeof(double));
	s->sum = calloc(n, sizeof(double));
	s->square = calloc(n, sizeof(double));
	return s->shift && s->sum && s->square;
}

void stats_done(struct stats *s)
{
	free(s->histogram);
	free(s->shift);
	free(s->sum);
	free(s->square);
	*s = (struct stats){0};
}

static void add_u8(struct stats *s, const uint8_t *x, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		for (int c = 0; c < s->channels; c++, x += s->plane)
			for (int64_t k = 0; k < s->plane; k++)
				s->histogram[c][x[k]]++;
}

/* The first value of a channel is subtracted from all, so that a large mean does not drown the deviation. */
static void add_f32(struct stats *s, const float *x, int64_t n)
{
	for (int c = 0; c < s->channels && s->samples == 0; c++)
		s->shift[c] = (double)x[c * s->plane];
	for (int64_t i = 0; i < n; i++)
		for (int c = 0; c < s->channels; c++, x += s->plane)
			for (int64_t k = 0; k < s->plane; k++) {
				double d = (double)x[k] - s->shift[c];
				s->sum[c] += d;
				s->square[c] += d * d;
			}
}

void stats_add(struct stats *s, const void *samples, int64_t n)
{
	if (n < 1)
		return;
	if (s->dtype == BP_U8)
		add_u8(s, samples, n);
	else
		add_f32(s, samples, n);
	s->samples += n;
}

static void range_f32(struct stats *s, const float *x, int64_t n)
{
	float min = s->min, max = s->max;
	for (int64_t i = 0; i < n; i++) {
		min = x[i] < min ? x[i] : min;
		max = x[i] > max ? x[i] : max;
	}
	for (int64_t i = 0; i < n && s->whole; i++)
		s->whole = x[i] == floorf(x[i]);
	s->min = min;
	s->max = max;
}

void stats_range(struct stats *s, const void *samples, int64_t n)
{
	int64_t values = n * s->channels * s->plane;
	if (s->dtype == BP_F32) {
		range_f32(s, samples, values);
		return;
	}
	const uint8_t *x = samples;
	int min = 255, max = 0;
	for (int64_t i = 0; i < values; i++) {
		min = x[i] < min ? x[i] : min;
		max = x[i] > max ? x[i] : max;
	}
	s->min = values > 0 && (float)min < s->min ? (float)min : s->min;
	s->max = values > 0 && (float)max > s->max ? (float)max : s->max;
}

void stats_get(const struct stats *s, float *ret_mean, float *ret_std)
{
	double n = (double)s->samples * (double)s->plane;
	for (int c = 0; c < s->channels; c++) {
		double shift = 0, sum = 0, square = 0, scale = 1;
		if (s->dtype == BP_U8) {
			scale = 255;
			for (int v = 0; v < 256; v++) {
				sum += (double)s->histogram[c][v] * v;
				square += (double)s->histogram[c][v] * v * v;
			}
		} else {
			shift = s->shift[c];
			sum = s->sum[c];
			square = s->square[c];
		}
		double variance = (square - sum * sum / n) / n;
		double std = variance > 0 ? sqrt(variance) / scale : 0;
		ret_mean[c] = (float)((shift + sum / n) / scale);
		ret_std[c] = std >= 1e-6 && isfinite((float)std) ? (float)std : 1;
	}
}
