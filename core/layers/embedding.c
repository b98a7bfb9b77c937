/*
 * embedding.c - the Embedding layer: the net's input is whole numbers, and each is a row of the weight. Called by net.c
 * and exec.c (layers/layer.h).
 *
 * Its output is (length, embedding_dim) as in PyTorch; inside, where dimensions but the first come before it, that is
 * embedding_dim rows of length numbers.
 */
#include "base/shape.h"
#include "base/status.h"
#include "layers/blocks.h"
#include "layers/layer.h"

#include <string.h>

enum { NUM_EMBEDDINGS, EMBEDDING_DIM, PADDING_IDX };
static const struct bp_arg args[] = {
	{"num_embeddings", BP_ARG_INT, true, {0}, 1, BP_MAX_INDEX, NULL, "How many different numbers there are."},
	{"embedding_dim", BP_ARG_INT, true, {0}, 1, 65536, NULL, "Length of the vector that each stands for."},
	{"padding_idx", BP_ARG_INT, false, {BP_UNSET}, 0, BP_MAX_INDEX - 1, NULL,
		"A number whose vector starts as zeros and is not trained."},
};

/* Columns of the weight that one block of backward sums: a line of the cache in single precision. */
enum { COLUMNS = 16, TILE = 16 };

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	char text[BP_SHAPE_TEXT];
	if (node->inputs[0] != BP_INPUT)
		return bp_fail(err, BP_EINVAL, -1, "inputs",
			"Embedding takes the whole numbers of the net's input, and not what another layer makes");
	if (node->in[0].ndim != 1)
		return bp_fail(err, BP_EINVAL, -1, "inputs",
			"Embedding needs samples of one dimension (length), not %s", bp_shape_text(&node->in[0], text));
	if (bp_item_int(&node->item, PADDING_IDX) >= bp_item_int(&node->item, NUM_EMBEDDINGS))
		return bp_fail(err, BP_EINVAL, -1, "padding_idx", "padding_idx must be below num_embeddings");
	node->out = (struct bp_shape){2, {node->in[0].dim[0], bp_item_int(&node->item, EMBEDDING_DIM)}};
	return BP_OK;
}

static int64_t indices(const struct bp_node *node)
{
	return bp_item_int(&node->item, NUM_EMBEDDINGS);
}

/* PyTorch's: drawn from N(0, 1), zeros for the padding. */
static int params(const struct bp_node *node, struct bp_param ret[BP_LAYER_PARAMS])
{
	int64_t padding = bp_item_int(&node->item, PADDING_IDX), dim = bp_item_int(&node->item, EMBEDDING_DIM);
	ret[0] = (struct bp_param){
		.name = "weight", .trainable = true, .ndim = 2, .dim = {indices(node), dim}, .init_deviation = 1};
	if (padding >= 0) {
		ret[0].zeros_at = padding * dim;
		ret[0].zeros = dim;
	}
	return 1;
}

/* The row of x, or -1: data are checked before they come here, and this is the last wall before memory. */
static int64_t row_of(const struct bp_node *node, bp_real x)
{
	return x >= 0 && x < (bp_real)indices(node) ? (int64_t)x : -1;
}

static void forward_sample(const void *arg, int64_t sample)
{
	const struct bp_layer_call *c = arg;
	int64_t length = c->node->out.dim[0], dim = c->node->out.dim[1];
	const bp_real *x = c->x[0] + sample * length;
	bp_real *y = c->y + sample * length * dim;
	for (int64_t l0 = 0; l0 < length; l0 += TILE) {
		int n = length - l0 < TILE ? (int)(length - l0) : TILE;
		const bp_real *rows[TILE];
		for (int l = 0; l < n; l++) {
			int64_t row = row_of(c->node, x[l0 + l]);
			rows[l] = row < 0 ? NULL : c->param[0] + row * dim;
		}
		for (int64_t e = 0; e < dim; e++)
			for (int l = 0; l < n; l++)
				y[e * length + l0 + l] = rows[l] ? rows[l][e] : 0;
	}
}

/* The gradient of some columns, summed over samples and places in their order, whatever the threads: each block has
 * columns of its own. */
static void backward_columns(const void *arg, int64_t block)
{
	const struct bp_layer_call *c = arg;
	int64_t length = c->node->out.dim[0], dim = c->node->out.dim[1], first = block * COLUMNS;
	int64_t columns = bp_block_length(dim, COLUMNS, block), padding = bp_item_int(&c->node->item, PADDING_IDX);
	for (int64_t row = 0; row < indices(c->node); row++)
		memset(c->grad[0] + row * dim + first, 0, (size_t)columns * sizeof(bp_real));
	for (int64_t i = 0; i < c->pass->n * length; i++) {
		int64_t row = row_of(c->node, c->x[0][i]);
		if (row < 0 || row == padding)
			continue;
		const bp_real *dy = c->dy + i / length * length * dim + first * length + i % length;
		bp_real *grad = c->grad[0] + row * dim + first;
		for (int64_t e = 0; e < columns; e++)
			grad[e] += dy[e * length];
	}
}

static void forward(const struct bp_layer_call *c)
{
	bp_blocks_run(c->ctx, c->pass->n, bp_shape_size(&c->node->out) * c->pass->n, forward_sample, c);
}

static void backward(const struct bp_layer_call *c)
{
	int64_t dim = c->node->out.dim[1], work = bp_shape_size(&c->node->out) * c->pass->n + indices(c->node) * dim;
	bp_blocks_run(c->ctx, bp_blocks_count(dim, COLUMNS), work, backward_columns, c);
	/* Whole numbers have no gradient. */
	if (c->dx[0] && !c->accumulate[0])
		memset(c->dx[0], 0, (size_t)(c->node->out.dim[0] * c->pass->n) * sizeof(bp_real));
}

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	(void)s, (void)err;
	ret->keeps_x = true;
	return BP_OK;
}

const struct bp_layer_ops bp_layer_embedding = {
	.info = {"Embedding", "A trained vector for each whole number of the net's input.", args, BP_ARG_COUNT(args), 1,
		1},
	.shape = shape,
	.params = params,
	.indices = indices,
	.plan = plan,
	.forward = forward,
	.backward = backward,
};
