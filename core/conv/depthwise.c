/*
 * depthwise.c - forward and backward-data of a depthwise convolution (one input and one output channel a group). Called
 * by conv.c on the trainer's thread; its tasks run on any. The weight gradient is in weights.c.
 *
 * The weights of a tap lie as the kernel wants them, along channels: nothing is packed. A task is a block of points.
 */
#include "conv/plan.h"

#include "base/mem.h"
#include "kernels/depthwise.h"

#include <string.h>

struct job {
	const struct bp_conv *cv;
	const struct side *sd;
	struct gemm_call call;
	bp_real *zeros;
};

static size_t block_tasks(const struct job *j, const struct lattice *l)
{
	return divide_up(j->call.n * lattice_points(l), j->sd->block);
}

static void block_task(const void *job, size_t i, void *scratch)
{
	const struct job *j = job;
	const struct side *sd = j->sd;
	const struct lattice *l = sd->lattices;
	for (; i >= block_tasks(j, l); l++)
		i -= block_tasks(j, l);
	const size_t block = sd->block, first = i * block, left = j->call.n * lattice_points(l) - first;
	const size_t taps = lattice_taps(l), channels = sd->out_c;
	const bp_real **a = scratch, **w = a + taps * block;
	bp_real **c = (bp_real **)(w + taps);
	struct bp_depthwise d = {
		.points = left < block ? left : block,
		.channels = channels,
		.taps = taps,
		.a = a,
		.a_stride = block,
		.w = w,
		.c = c,
		.bias = j->call.bias,
		.acc = j->call.acc,
		.relu = j->call.relu,
	};
	struct rows r = {j->call.in, j->zeros, j->call.out, a, c, block};
	bp_lattice_rows(sd, l, first, d.points, &r);
	for (size_t t = 0; t < taps; t++)
		w[t] = j->call.w + lattice_kernel_tap(j->cv, l, t) * channels;
	j->cv->k->depthwise(&d);
}

void bp_depthwise_plan(struct side *sd, size_t max_points)
{
	enum { BLOCK_POINTS = 256, TABLE_BYTES = 24 << 10 };
	size_t taps = 1;
	sd->patches = false; /* one channel a group, but all channels are read together */
	for (int i = 0; i < sd->nlattices; i++)
		taps = lattice_taps(&sd->lattices[i]) > taps ? lattice_taps(&sd->lattices[i]) : taps;
	size_t block = TABLE_BYTES / sizeof(void *) / taps;
	block = block < 8 ? 8 : block > BLOCK_POINTS ? BLOCK_POINTS : block;
	sd->block = (int)(block < max_points ? block : max_points);
	sd->scratch = round_up((taps * (sd->block + 1) + sd->block) * sizeof(void *), BP_ALIGN);
}

size_t bp_depthwise_workspace(const struct side *sd, int threads)
{
	return round_up(sd->in_c * sizeof(bp_real), BP_ALIGN) + (size_t)threads * sd->scratch;
}

void bp_depthwise_run(const struct bp_conv *cv, const struct side *sd, const struct bp_ctx *ctx,
	const struct gemm_call *call, void *ws)
{
	struct job j = {cv, sd, *call, ws};
	size_t blocks = 0, work = 0;
	memset(j.zeros, 0, sd->in_c * sizeof(bp_real));
	for (int i = 0; i < sd->nlattices; i++) {
		const struct lattice *l = &sd->lattices[i];
		blocks += block_tasks(&j, l);
		work += call->n * lattice_points(l) * lattice_taps(l) * sd->out_c;
	}
	const struct phase phase = {blocks, block_task};
	struct work w = {&j, &phase, 1, (char *)ws + round_up(sd->in_c * sizeof(bp_real), BP_ALIGN), sd->scratch};
	bp_work_run(ctx, work, &w);
}
