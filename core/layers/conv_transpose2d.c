/*
 * conv_transpose2d.c - the ConvTranspose2d layer: the data gradient of a convolution as a forward pass. Called by net.c
 * and exec.c (layers/layer.h).
 *
 * That convolution reads this layer's output and writes its input, so its backward-data is forward here, its forward
 * the data gradient, and its weight gradient the same with x and dy in each other's place (Dumoulin and Visin, 2016).
 * Its weights in PyTorch's order, (in, out / groups, rows, columns), are the transposed layer's.
 */
#include "base/mem.h"
#include "base/shape.h"
#include "base/status.h"
#include "kernels/norm.h"
#include "layers/blocks.h"
#include "layers/conv_map.h"
#include "layers/each.h"

enum { OUT_CHANNELS, KERNEL_SIZE, STRIDE, PADDING, OUTPUT_PADDING, GROUPS, BIAS_ARG, DILATION };
static const struct bp_arg args[] = {
	{"out_channels", BP_ARG_INT, true, .min = 1, .max = 65536, .help = "Number of output maps."},
	{"kernel_size", BP_ARG_PAIR, true, .min = 1, .max = 4096, .help = "Height and width of the kernel."},
	{"stride", BP_ARG_PAIR, false, {1, 1}, 1, 65536, NULL,
		"Distance in the output between neighbours of the input."},
	{"padding", BP_ARG_PAIR, false, {0, 0}, 0, 65536, NULL, "Rows and columns cut off on each side of the output."},
	{"output_padding", BP_ARG_PAIR, false, {0, 0}, 0, 65536, NULL,
		"Rows and columns added below and at the right; less than stride or dilation."},
	{"groups", BP_ARG_INT, false, {1}, 1, 65536, NULL, "Parts of the channels that are convolved apart."},
	{"bias", BP_ARG_BOOL, false, {1}, 0, 1, NULL, "Whether a learned bias is added to each map."},
	{"dilation", BP_ARG_PAIR, false, {1, 1}, 1, 65536, NULL, "Distance between the places a kernel writes."},
};

enum { WEIGHT, BIAS };
enum {
	BIAS_ROWS = 64,      /* of a partial sum of the bias's gradient, at least: partial sums stay small */
	DX_BYTES = 256 << 10 /* of the samples whose dx is made apart when it is to be added */
};

static struct bp_conv_args read_args(const struct bp_node *node)
{
	const struct bp_value *v = node->item.args;
	struct bp_conv_args a = {
		.axes = 2,
		.out_channels = bp_item_int(&node->item, OUT_CHANNELS),
		.groups = bp_item_int(&node->item, GROUPS),
		.bias = bp_item_bool(&node->item, BIAS_ARG),
	};
	for (int i = 0; i < 2; i++) {
		a.kernel[i] = (int64_t)v[KERNEL_SIZE].v[i];
		a.stride[i] = (int64_t)v[STRIDE].v[i];
		a.padding[i] = (int64_t)v[PADDING].v[i];
		a.dilation[i] = (int64_t)v[DILATION].v[i];
	}
	return a;
}

/* Places of the output along an axis. */
static enum bp_status axis_size(
	const struct bp_node *node, const struct bp_conv_args *a, int axis, int64_t *ret, struct bp_error *err)
{
	int64_t more = (int64_t)node->item.args[OUTPUT_PADDING].v[axis], in = node->in[0].dim[1 + axis];
	if (more >= a->stride[axis] && more >= a->dilation[axis])
		return bp_fail(err, BP_EINVAL, -1, "output_padding",
			"output_padding %lld must be less than stride or dilation", (long long)more);
	int64_t whole = (in - 1) * a->stride[axis] + bp_conv_reach(a, axis) + more;
	*ret = whole - 2 * a->padding[axis];
	if (*ret < 1)
		return bp_fail(err, BP_EINVAL, -1, "padding", "padding cuts off all of the %lld %s of the output",
			(long long)whole, axis ? "columns" : "rows");
	if (whole > INT32_MAX)
		return bp_fail(err, BP_ELIMIT, -1, "stride", "the output has more than 2^31 - 1 %s",
			axis ? "columns" : "rows");
	return BP_OK;
}

/* The argument to which the longer axis of the output owes most of its places. */
static const char *grown_by(const struct bp_node *node, const struct bp_conv_args *a)
{
	int axis = node->out.dim[1] < node->out.dim[2];
	if ((node->in[0].dim[1 + axis] - 1) * a->stride[axis] >= bp_conv_reach(a, axis))
		return "stride";
	return a->dilation[axis] > a->kernel[axis] ? "dilation" : "kernel_size";
}

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	struct bp_conv_args a = read_args(node);
	int64_t rows = 1, columns = 1;
	enum bp_status st = bp_conv_args_check(node, &a, err);
	if (!st)
		st = axis_size(node, &a, 0, &rows, err);
	if (!st)
		st = axis_size(node, &a, 1, &columns, err);
	if (!st)
		st = bp_conv_stride_check(&a, rows, columns, err);
	if (st)
		return st;
	node->out = bp_conv_out(&a, a.out_channels, rows, columns);
	int64_t work = 2 * a.kernel[0] * a.kernel[1] * (a.out_channels / a.groups);
	if (bp_shape_size(&node->out) < 0 || __builtin_mul_overflow(bp_shape_size(&node->in[0]), work, &node->flops))
		return bp_conv_too_large(node, grown_by(node, &a), err);
	return BP_OK;
}

/* PyTorch takes the fan-in from the weight's second dimension, which here is that of the outputs. */
static int params(const struct bp_node *node, struct bp_param ret[BP_LAYER_PARAMS])
{
	struct bp_conv_args a = read_args(node);
	int64_t out = a.out_channels / a.groups;
	struct bp_param weight = bp_conv_weight(&a, node->in[0].dim[0], out);
	return bp_convolve_params(&weight, out * a.kernel[0] * a.kernel[1], a.bias ? a.out_channels : 0, ret);
}

static int64_t bias_rows(int64_t channels)
{
	int64_t rows = BP_BLOCK_ELEMENTS / channels;
	return rows < BIAS_ROWS ? BIAS_ROWS : rows;
}

static int64_t output_rows(const struct bp_node *node, int64_t n)
{
	return n * bp_shape_h(&node->out) * bp_shape_w(&node->out);
}

static int64_t apart_samples(const struct bp_node *node)
{
	int64_t n = DX_BYTES / (int64_t)sizeof(bp_real) / bp_shape_size(&node->in[0]);
	return n < 1 ? 1 : n;
}

/* What follows the convolution's own scratch: its part for that many threads, then this layer's. */
static bp_real *scratch_at(void *workspace, size_t conv)
{
	return (bp_real *)((char *)workspace + (conv + BP_ALIGN - 1) / BP_ALIGN * BP_ALIGN);
}

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	const struct bp_node *node = s->node;
	struct bp_conv_args a = read_args(node);
	struct bp_conv_shape cs = {
		.h = (int)node->out.dim[1],
		.w = (int)node->out.dim[2],
		.c = (int)node->out.dim[0],
		.oh = (int)node->in[0].dim[1],
		.ow = (int)node->in[0].dim[2],
		.oc = (int)node->in[0].dim[0],
		.kh = (int)a.kernel[0],
		.kw = (int)a.kernel[1],
		.sh = (int)a.stride[0],
		.sw = (int)a.stride[1],
		.pt = (int)a.padding[0],
		.pl = (int)a.padding[1],
		.dh = (int)a.dilation[0],
		.dw = (int)a.dilation[1],
		.groups = (int)a.groups,
	};
	enum bp_status st = bp_convolve_plan_alone(s, &cs, ret, err); /* its passes are the other way round */
	if (st)
		return st;
	int64_t channels = node->out.dim[0], rows = output_rows(node, s->max_batch);
	int64_t sums = bp_blocks_count(rows, bias_rows(channels)) * channels;
	int64_t apart = apart_samples(node) * bp_shape_size(&node->in[0]), vectors = 3 * channels;
	int64_t own = !s->training ? vectors : vectors > sums ? vectors : sums;
	own = s->training && apart > own ? apart : own;
	ret->workspace += BP_ALIGN + own * (int64_t)sizeof(bp_real);
	return BP_OK;
}

/* A sweep over the rows (pixels) of the output in blocks. */
struct sweep {
	const struct bp_layer_call *call;
	int64_t rows, per_block;
	bp_real *sums;       /* of each block */
	struct bp_norm bias; /* y = (y - 0) * 1 + bias, then ReLU */
};

static void bias_block(const void *arg, int64_t block)
{
	const struct sweep *w = arg;
	struct bp_norm p = w->bias;
	bp_real *y = w->call->y + block * w->per_block * (int64_t)p.c;
	p.rows = (size_t)bp_block_length(w->rows, w->per_block, block);
	w->call->ctx->k->norm_apply(&p, y, y);
}

static void sums_block(const void *arg, int64_t block)
{
	const struct sweep *w = arg;
	const size_t c = w->bias.c;
	const bp_real *dy = w->call->dy + block * w->per_block * (int64_t)c;
	size_t rows = (size_t)bp_block_length(w->rows, w->per_block, block);
	w->call->ctx->k->column_sums(rows, c, dy, c, false, w->sums + block * (int64_t)c);
}

static struct sweep sweep_of(const struct bp_layer_call *c)
{
	int64_t channels = c->node->out.dim[0];
	return (struct sweep){.call = c,
		.rows = output_rows(c->node, c->pass->n),
		.per_block = bias_rows(channels),
		.sums = scratch_at(c->workspace, bp_conv_workspace(c->own, c->ctx->threads)),
		.bias = {.c = (size_t)channels, .act = c->act}};
}

static void sweep_run(const struct sweep *w, bp_block_fn fn)
{
	int64_t blocks = bp_blocks_count(w->rows, w->per_block);
	bp_blocks_run(w->call->ctx, blocks, w->rows * (int64_t)w->bias.c, fn, w);
}

static void forward(const struct bp_layer_call *c)
{
	bp_conv_backward_data(c->own, c->ctx, c->pass->n, c->x[0], c->param[WEIGHT], false, c->y, c->workspace);
	if (!c->param[BIAS] && c->act == BP_ACT_NONE)
		return;
	struct sweep w = sweep_of(c);
	const size_t n = w.bias.c;
	bp_real *one = w.sums, *zero = one + n, *shift = zero + n;
	for (size_t j = 0; j < n; j++) {
		one[j] = 1;
		zero[j] = 0;
		shift[j] = c->param[BIAS] ? c->param[BIAS][j] : 0;
	}
	w.bias.scale = one;
	w.bias.mean = zero;
	w.bias.shift = shift;
	sweep_run(&w, bias_block);
}

/* dx += through a buffer of a few samples, because the convolution's forward overwrites. */
static void add_dx(const struct bp_layer_call *c)
{
	const int64_t in = bp_shape_size(&c->node->in[0]), out = bp_shape_size(&c->node->out);
	const int most = (int)apart_samples(c->node);
	bp_real *apart = scratch_at(c->workspace, bp_conv_workspace(c->own, c->ctx->threads));
	for (int at = 0; at < c->pass->n; at += most) {
		int n = c->pass->n - at < most ? c->pass->n - at : most;
		bp_real *dx = c->dx[0] + at * in;
		bp_conv_forward(
			c->own, c->ctx, n, c->dy + at * out, c->param[WEIGHT], NULL, BP_ACT_NONE, apart, c->workspace);
		c->ctx->k->sum((size_t)(n * in), 2, (const bp_real *const[]){dx, apart}, false, dx);
	}
}

static void backward(const struct bp_layer_call *c)
{
	if (c->act == BP_ACT_RELU && !c->relu_taken)
		bp_relu_undo(c);
	bool learns = !c->node->options.frozen;
	if (learns)
		bp_conv_backward_weights(
			c->own, c->ctx, c->pass->n, c->dy, c->x[0], c->grad[WEIGHT], NULL, c->workspace);
	if (learns && c->grad[BIAS]) {
		struct sweep w = sweep_of(c);
		size_t blocks = (size_t)bp_blocks_count(w.rows, w.per_block);
		sweep_run(&w, sums_block);
		c->ctx->k->column_sums(blocks, w.bias.c, w.sums, w.bias.c, false, c->grad[BIAS]);
	}
	if (c->dx[0] && c->accumulate[0])
		add_dx(c);
	else if (c->dx[0])
		bp_conv_forward(
			c->own, c->ctx, c->pass->n, c->dy, c->param[WEIGHT], NULL, BP_ACT_NONE, c->dx[0], c->workspace);
}

const struct bp_layer_ops bp_layer_conv_transpose2d = {
	.info = {"ConvTranspose2d", "Transposed convolution of maps: the way back of a Conv2d, to larger maps.", args,
		BP_ARG_COUNT(args), 1, 1},
	.fuses_relu = true,
	.shape = shape,
	.params = params,
	.plan = plan,
	.plan_free = bp_convolve_free,
	.forward = forward,
	.backward = backward,
};
