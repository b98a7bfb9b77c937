/*
 * window.h - windows of pooling layers along an axis, and their passes over a batch. Called by max_pool.c and by the
 * files of the layers, outside parallel regions. A sequence is a map of one row.
 */
#ifndef BP_LAYERS_WINDOW_H
#define BP_LAYERS_WINDOW_H

#include "kernels/pool.h"
#include "layers/layer.h"

/* A sliding window; or, with stride 0, out windows that cover the axis evenly. */
struct bp_window {
	int64_t in, out;
	int64_t kernel, stride, padding, dilation;
	bool counts_padding; /* an average divides by the places in the padding too */
};

/* Makes the plan of a pooling layer from its two axes (rows, columns); to be released by bp_pool_free. */
enum bp_status bp_pool_new(const struct bp_window w[2], int64_t c, struct bp_pool **ret, struct bp_error *err);
void bp_pool_free(void *pool);

/* The rows of a sequence. */
extern const struct bp_window bp_window_row;

/* Windows that cover an axis evenly. kernel is what none of them exceeds. */
struct bp_window bp_window_even(int64_t in, int64_t out);

/* Whether the input is a sequence (1 axis) or a map (2). */
enum bp_status bp_pool_axes(const struct bp_node *node, int axes, struct bp_error *err);
/* Sets the output's shape of a sliding pooling layer over 1 or 2 axes; the windows' out need not be set. */
enum bp_status bp_pool_shape(
	struct bp_node *node, const struct bp_window w[2], int axes, bool ceil_mode, struct bp_error *err);

/* Elements that one row of output reads and writes, as a measure of work. */
int64_t bp_pool_row_work(const struct bp_pool *p);

/* Runs fn(c, sample, row) for each sample and each of its rows, each row_elements elements of work. */
typedef void (*bp_row_fn)(const struct bp_layer_call *c, int64_t sample, int row);
void bp_rows_run(const struct bp_layer_call *c, int rows, int64_t row_elements, bp_row_fn fn);

/* The plan and passes of layers that average. */
enum bp_status bp_avg_pool_plan(
	const struct bp_layer_setup *s, const struct bp_window w[2], struct bp_layer_plan *ret, struct bp_error *err);
void bp_avg_pool_forward(const struct bp_layer_call *c);
void bp_avg_pool_backward(const struct bp_layer_call *c);

#endif
