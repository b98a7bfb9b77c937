/*
 * batch.c - the gather of samples into the net's input, and the score of its outputs. Called by the trainer and the
 * predictor on their own thread; each sample is one thread's.
 *
 * A data set lies as its owner packed it, channels first and often as bytes; the net reads channels-last bp_real. A
 * byte has 256 possible values, so a map of bytes is normalised by looking each up in its channel's table. Floats that
 * the net reads as they are and in their order (validation, predictions, trainings that do not shuffle) are not copied:
 * a 784-512-256-10 perceptron trains 2 to 3 % faster for it.
 */
#include "train/batch.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"

enum {
	PARALLEL = 32768,        /* elements of a batch; below, starting threads costs more than they save */
	PARALLEL_CHANGED = 4096, /* the same where augmentations make each cost more */
	TURNED = 8,              /* channels of floats, from which on they are turned by tiles */
	ASKED = 32 << 10,        /* bytes of the next batch's samples, a line of each at least */
	PIECE = 4096             /* elements that are worth a call: short samples are gathered several at a time */
};

int64_t bp_feed_table(const struct bp_shape *shape)
{
	return shape->ndim > 1 ? shape->dim[0] * 256 : 0;
}

void bp_feed_init(struct bp_feed *feed, const struct bp_data *data, const struct bp_net *net, bp_real *table)
{
	feed->data = *data;
	feed->channels = data->shape.dim[0];
	feed->size = bp_shape_size(&data->shape);
	feed->area = feed->size / feed->channels;
	feed->indices = bp_net_input_indices(net) > 0;
	if (feed->indices)
		feed->data.mean = feed->data.std = NULL;
	feed->table = NULL;
	feed->chain = NULL;
	if (data->dtype != BP_U8 || data->shape.ndim == 1)
		return;
	feed->table = table;
	for (int64_t c = 0; c < feed->channels; c++)
		for (int u = 0; u < 256; u++)
			table[c * 256 + u] = bp_normal((bp_real)u / 255, data->mean, data->std, c);
}

/* Place of entry i of the pick in the data set. */
static int64_t place(const struct bp_feed *f, const struct bp_pick *pick, int i)
{
	int64_t entry = pick->first + i;
	if (pick->order)
		entry = pick->order[entry];
	return f->data.index ? f->data.index[entry] : entry;
}

static void gather_bytes(const struct bp_feed *f, const uint8_t *from, bp_real *restrict to)
{
	if (!f->table) {
		for (int64_t i = 0; i < f->size; i++)
			to[i] = f->indices ? (bp_real)from[i]
					   : bp_normal((bp_real)from[i] / 255, f->data.mean, f->data.std, i);
		return;
	}
	for (int64_t c = 0; c < f->channels; c++, from += f->area)
		for (int64_t p = 0; p < f->area; p++)
			to[p * f->channels + c] = f->table[c * 256 + from[p]];
}

/* A sweep for each channel; many channels are turned by tiles and then normalised as they lie: with 64 it takes a
 * quarter of the time. */
static void gather_floats(const struct bp_feed *f, const struct bp_kernels *k, const float *from, bp_real *restrict to)
{
	const int64_t channels = f->channels;
	const float *mean = f->data.mean, *std = f->data.std;
	if (f->area == 1) {
		for (int64_t c = 0; c < channels; c++)
			to[c] = bp_normal((bp_real)from[c], mean, std, c);
		return;
	}
	if (channels < TURNED || sizeof(*to) != sizeof(*from)) {
		for (int64_t c = 0; c < channels; c++, from += f->area)
			for (int64_t p = 0; p < f->area; p++)
				to[p * channels + c] = bp_normal((bp_real)from[p], mean, std, c);
		return;
	}
	k->transpose((size_t)channels, (size_t)f->area, (const bp_real *)from, false, to);
	for (int64_t p = 0; p < f->area && (mean || std); p++, to += channels)
		for (int64_t c = 0; c < channels; c++)
			to[c] = bp_normal(to[c], mean, std, c);
}

/* Whether the net reads samples as they are in the data set. */
static bool as_it_lies(const struct bp_feed *f)
{
	return f->data.dtype == BP_F32 && (f->area == 1 || f->channels == 1) && !f->data.mean && !f->data.std &&
	       !f->chain && sizeof(bp_real) == sizeof(float);
}

struct gather {
	const struct bp_feed *feed;
	const struct bp_pick *pick;
	const struct bp_kernels *k;
	bp_real *x;
};

static void gather_samples(const struct gather *g, int first, int end, int thread)
{
	const struct bp_feed *f = g->feed;
	const bool bytes = f->data.dtype == BP_U8;
	const int64_t size = f->size;
	bp_real *to = g->x + first * size;
	if (f->chain) {
		for (int i = first; i < end; i++, to += size)
			bp_chain_gather(f->chain, thread, g->pick->epoch, place(f, g->pick, i), to);
		return;
	}
	if (as_it_lies(f)) {
		const struct bp_pick pick = *g->pick; /* a copy, which no store can change */
		const float *samples = f->data.samples;
		const bool apart = pick.order || f->data.index;
		const int each = apart ? 1 : end - first; /* samples that lie side by side */
		for (int i = first; i < end; i += each, to += each * size)
			memcpy(to, samples + place(f, &pick, i) * size, (size_t)(each * size) * sizeof(*to));
		return;
	}
	for (int i = first; i < end; i++, to += size) {
		int64_t from = place(f, g->pick, i) * size;
		if (bytes)
			gather_bytes(f, (const uint8_t *)f->data.samples + from, to);
		else
			gather_floats(f, g->k, (const float *)f->data.samples + from, to);
	}
}

/* Asks for what the batch after this one begins with, where samples lie anywhere: a line of each at least. On 200,000
 * samples a 4-16-3 perceptron trains half as fast again, on two million more than twice as fast. Inline, for gcc takes
 * a function that only asks for one that does nothing. */
static inline __attribute__((always_inline)) void ask_next(const struct bp_feed *f, const struct bp_pick *pick)
{
	const int64_t left = f->data.count - pick->first - pick->n, n = left < pick->n ? left : pick->n;
	if (n <= 0 || !(pick->order || f->data.index))
		return;
	const size_t bytes = (size_t)f->size * (f->data.dtype == BP_U8 ? 1 : sizeof(float)),
		     fit = ASKED / (size_t)n + 1;
	const size_t asked = bytes < fit ? bytes : fit;
	for (int i = pick->n; i < pick->n + (int)n; i++) {
		const int64_t at = place(f, pick, i);
		const char *from = (const char *)f->data.samples + (size_t)at * bytes, *end = from + asked;
		for (const char *line = from - (uintptr_t)from % BP_ALIGN; line < end; line += BP_ALIGN)
			__builtin_prefetch(line, 0, 2);
		if (f->data.labels)
			__builtin_prefetch(f->data.labels + at, 0, 2);
	}
}

static void gather_piece(const void *arg, int64_t i, int thread)
{
	const struct gather *g = arg;
	const int each = PIECE / g->feed->size > 1 ? (int)(PIECE / g->feed->size) : 1, first = (int)i * each;
	gather_samples(g, first, first + each < g->pick->n ? first + each : g->pick->n, thread);
}

/* Where the samples lie side by side as the net reads them, and where its own memory would be no better for its
 * vectors; NULL when they do not. */
static const bp_real *lies_ready(const struct bp_feed *f, const struct bp_pick *pick)
{
	if (!as_it_lies(f) || pick->order || f->data.index)
		return NULL;
	const float *at = (const float *)f->data.samples + pick->first * f->size;
	return (uintptr_t)at % BP_ALIGN == 0 ? (const bp_real *)(const void *)at : NULL;
}

void bp_batcher_gather(struct bp_batcher *b, const struct bp_feed *feed, const struct bp_pick *pick)
{
	const bp_real *ready = lies_ready(feed, pick);
	bp_exec_read_from(b->exec, ready);
	if (ready)
		return;
	const struct gather g = {feed, pick, b->ctx.k, bp_exec_input(b->exec)};
	const int64_t each = PIECE / feed->size > 1 ? PIECE / feed->size : 1;
	if (pick->n * feed->size < (feed->chain ? PARALLEL_CHANGED : PARALLEL))
		gather_samples(&g, 0, pick->n, 0);
	else
		bp_parallel_for_threads(b->ctx.threads, (pick->n + each - 1) / each, gather_piece, &g);
	ask_next(feed, pick);
}

const bp_real *bp_batcher_forward(
	struct bp_batcher *b, const struct bp_feed *feed, const struct bp_pick *pick, const struct bp_pass *pass)
{
	bp_batcher_gather(b, feed, pick);
	return bp_exec_forward(b->exec, &b->ctx, pass);
}

/* Target values come in PyTorch's order, the net's output is channels-last. Without any, labels 0 and 1 are the targets
 * of the one output. */
static void gather_targets(const struct bp_batcher *b, const struct bp_feed *feed, const struct bp_pick *pick)
{
	int64_t channels = b->out.dim[0], area = b->out_size / channels;
	for (int i = 0; i < pick->n && !feed->data.targets; i++)
		b->targets[i] = (bp_real)b->labels[i];
	for (int i = 0; i < pick->n && feed->data.targets; i++) {
		const float *from = feed->data.targets + place(feed, pick, i) * b->out_size;
		bp_real *to = b->targets + i * b->out_size;
		for (int64_t c = 0; c < channels; c++)
			for (int64_t p = 0; p < area; p++)
				to[p * channels + c] = (bp_real)from[c * area + p];
	}
}

/* Every output is on the side of 0 on which its target is of 1/2; never when it is NaN. */
static bool sides_correct(const bp_real *out, const bp_real *target, int64_t size)
{
	for (int64_t j = 0; j < size; j++)
		if (isnan(out[j]) || (out[j] > 0) != (target[j] > (bp_real)0.5))
			return false;
	return true;
}

bool bp_batcher_judged(const struct bp_batcher *b, const struct bp_feed *feed, const struct bp_item *loss)
{
	bool shares = bp_loss_at(loss->type)->info.target == BP_TARGET_SHARES;
	return (shares || feed->data.labels) && b->out.ndim == 1;
}

static void gather_labels(const struct bp_feed *feed, const struct bp_pick *pick, int32_t *restrict ret)
{
	const int n = pick->n;
	for (int i = 0; i < n; i++)
		ret[i] = feed->data.labels[place(feed, pick, i)];
}

/* Samples of the batch that are right, its labels and targets being gathered. */
static int64_t count_correct(const struct bp_batcher *b, enum bp_target_kind kind, int n, const bp_real *out)
{
	if (kind != BP_TARGET_SHARES)
		return (int64_t)b->ctx.k->hits((size_t)n, (size_t)b->out_size, out, b->labels);
	int64_t correct = 0;
	for (int i = 0; i < n; i++, out += b->out_size)
		correct += sides_correct(out, b->targets + i * b->out_size, b->out_size);
	return correct;
}

double bp_batcher_score(struct bp_batcher *b, const struct bp_feed *feed, const struct bp_pick *pick,
	const struct bp_item *loss, const bp_real *out, bool gradient, struct bp_score *score)
{
	enum bp_target_kind kind = bp_loss_at(loss->type)->info.target;
	struct bp_loss_batch lb = {.n = pick->n,
		.size = b->out_size,
		.out = out,
		.labels = b->labels,
		.targets = b->targets,
		.ret_rows = b->rows,
		.ret_gradient = gradient ? bp_exec_output_gradient(b->exec) : NULL};
	if (feed->data.labels)
		gather_labels(feed, pick, b->labels);
	if (kind != BP_TARGET_LABEL)
		gather_targets(b, feed, pick);
	bool weighted = kind == BP_TARGET_LABEL && loss->list;
	lb.weight = weighted ? 0 : pick->n;
	for (int i = 0; i < pick->n && weighted; i++)
		lb.weight += bp_loss_weight(loss, b->labels[i]);
	bp_loss_run(loss, &b->ctx, &lb);
	double sum = 0;
	for (int i = 0; i < pick->n; i++)
		sum += b->rows[i];
	score->loss_sum += sum;
	score->weight += lb.weight;
	score->samples += pick->n;
	if (bp_batcher_judged(b, feed, loss))
		score->correct += count_correct(b, kind, pick->n, out);
	return sum * bp_loss_scale(&lb);
}

void bp_batcher_evaluate(struct bp_batcher *b, const struct bp_feed *feed, const struct bp_item *loss, int max_batch,
	const struct bp_between *between, struct bp_evaluation *ret)
{
	int64_t batches = (feed->data.count + max_batch - 1) / max_batch;
	struct bp_score score = {0};
	for (int64_t first = 0; first < feed->data.count; first += max_batch) {
		int64_t left = feed->data.count - first;
		struct bp_pick pick = {.first = first, .n = left < max_batch ? (int)left : max_batch};
		struct bp_pass pass = {.n = pick.n};
		const bp_real *out = bp_batcher_forward(b, feed, &pick, &pass);
		bp_batcher_score(b, feed, &pick, loss, out, false, &score);
		if (between && left > max_batch)
			between->fn(between->user, first / max_batch + 1, batches);
	}
	ret->loss = score.loss_sum / score.weight;
	ret->accuracy = bp_batcher_judged(b, feed, loss) ? (double)score.correct / (double)score.samples : NAN;
	ret->weight = score.weight;
}
