/* predictor.c - forward passes in evaluation mode: outputs, and loss and accuracy over a data set. Runs on its caller's
 * thread. */
#include <stdlib.h>

#include "base/fpu.h"
#include "base/mem.h"
#include "base/status.h"
#include "train/batch.h"
#include "train/params.h"

struct bp_predictor {
	const struct bp_net *net;
	int max_batch, max_threads;
	struct bp_batcher batcher;
	bp_real *table; /* of the data set at hand */
};

static void *array(int64_t n, size_t size)
{
	size_t bytes;
	return bp_size_mul((size_t)n, size, &bytes) ? bp_mem_new(bytes) : NULL;
}

enum bp_status bp_predictor_new(
	const struct bp_net *net, int max_batch, int threads, struct bp_predictor **ret, struct bp_error *err)
{
	if (max_batch < 1 || max_batch > BP_MAX_BATCH)
		return bp_fail(err, BP_EINVAL, -1, "max_batch", "max_batch must be between 1 and %d", BP_MAX_BATCH);
	if (threads < 1 || threads > BP_MAX_THREADS)
		return bp_fail(err, BP_EINVAL, -1, "threads", "threads must be between 1 and %d", BP_MAX_THREADS);
	struct bp_predictor *p = calloc(1, sizeof(*p));
	if (!p)
		return bp_fail(err, BP_ENOMEM, -1, "", "there is no memory for the prediction");
	struct bp_batcher *b = &p->batcher;
	struct bp_shape in = bp_net_input_shape(net);
	p->net = net;
	p->max_batch = max_batch;
	p->max_threads = threads;
	b->ctx = (struct bp_ctx){.k = bp_kernels_choose(BP_ISA_ALL), .threads = threads};
	b->out = bp_net_output_shape(net);
	b->out_size = bp_shape_size(&b->out);
	/* The executor moves a net's buffers in training passes alone, and there are none here. */
	enum bp_status st = bp_exec_new((struct bp_net *)net, b->ctx.k, max_batch, threads, false, &b->exec, err);
	if (!st) {
		b->labels = array(max_batch, sizeof(*b->labels));
		b->targets = array(max_batch * b->out_size, sizeof(*b->targets));
		b->rows = array(max_batch, sizeof(*b->rows));
		p->table = array(bp_feed_table(&in), sizeof(*p->table));
		if (!b->labels || !b->targets || !b->rows || !p->table)
			st = bp_fail(err, BP_ENOMEM, -1, "", "there is no memory for the prediction");
	}
	if (st) {
		bp_predictor_free(p);
		return st;
	}
	*ret = p;
	return BP_OK;
}

void bp_predictor_free(struct bp_predictor *p)
{
	if (!p)
		return;
	bp_exec_free(p->batcher.exec);
	bp_mem_free(p->batcher.labels);
	bp_mem_free(p->batcher.targets);
	bp_mem_free(p->batcher.rows);
	bp_mem_free(p->table);
	free(p);
}

void bp_predictor_set_threads(struct bp_predictor *p, int threads)
{
	p->batcher.ctx.threads = threads < 1 ? 1 : threads > p->max_threads ? p->max_threads : threads;
}

/* n samples of a batch from channels-last to PyTorch's order. */
static void outputs_copy(const struct bp_batcher *b, int n, const bp_real *out, bp_real *ret)
{
	int64_t channels = b->out.dim[0], area = b->out_size / channels;
	for (int i = 0; i < n; i++, out += b->out_size, ret += b->out_size)
		for (int64_t c = 0; c < channels; c++)
			for (int64_t p = 0; p < area; p++)
				ret[c * area + p] = out[p * channels + c];
}

enum bp_status bp_predictor_run(struct bp_predictor *p, const struct bp_data *data, int64_t first, int64_t n,
	bp_real *ret_out, struct bp_error *err)
{
	struct bp_feed feed;
	enum bp_status st = bp_data_check(data, p->net, NULL, err);
	if (st)
		return st;
	if (first < 0 || n < 0 || first > data->count - n)
		return bp_fail(err, BP_EINVAL, -1, "first",
			"%lld samples from %lld on were asked for, and there are %lld", (long long)n, (long long)first,
			(long long)data->count);
	st = bp_indices_check(data, p->net, first, n, err);
	if (st)
		return st;
	uint64_t mode = bp_fpu_enter(p->batcher.ctx.threads);
	bp_feed_init(&feed, data, p->net, p->table);
	for (int64_t done = 0; done < n;) {
		int64_t left = n - done;
		struct bp_pick pick = {.first = first + done, .n = left < p->max_batch ? (int)left : p->max_batch};
		struct bp_pass pass = {.n = pick.n};
		const bp_real *out = bp_batcher_forward(&p->batcher, &feed, &pick, &pass);
		outputs_copy(&p->batcher, pick.n, out, ret_out + done * p->batcher.out_size);
		done += pick.n;
	}
	bp_fpu_leave(mode);
	return BP_OK;
}

enum bp_status bp_predictor_evaluate(struct bp_predictor *p, const struct bp_data *data, const struct bp_item *loss,
	struct bp_evaluation *ret, struct bp_error *err)
{
	struct bp_feed feed;
	enum bp_status st = bp_loss_check(loss, p->net, err);
	if (!st)
		st = bp_data_check(data, p->net, loss, err);
	if (!st)
		st = bp_indices_check(data, p->net, 0, data->count, err);
	if (st)
		return st;
	uint64_t mode = bp_fpu_enter(p->batcher.ctx.threads);
	bp_feed_init(&feed, data, p->net, p->table);
	bp_batcher_evaluate(&p->batcher, &feed, loss, p->max_batch, NULL, ret);
	bp_fpu_leave(mode);
	return BP_OK;
}
