/* exec.c - see exec.h: allocates what plan.c planned, and runs the passes over it. */
#include "net/exec.h"

#include "base/mem.h"
#include "base/shape.h"
#include "base/status.h"
#include "net/plan.h"

#include <stdlib.h>
#include <string.h>

struct bp_exec {
	struct bp_net *net;
	struct bp_plan plan;
	struct bp_layer_call *calls; /* one for each node, all but the pass's own fields filled in */
	char *arena, *workspace;
	bp_real *input; /* what the passes read as the block plan.input, and leave as it is */
	int64_t allocated;
	bp_real *grads,
		*ret_dx; /* where backward was told to put gradients last time; grads is NULL before the first */
};

static bp_real *block_at(const struct bp_exec *ex, int block)
{
	if (block == ex->plan.input)
		return ex->input;
	return block < 0 ? NULL : (bp_real *)(ex->arena + ex->plan.blocks[block].offset);
}

static enum bp_status make_plan(
	const struct bp_net *net, const struct bp_layer_setup *s, struct bp_plan *ret, struct bp_error *err)
{
	if (s->max_batch < 1 || s->max_batch > BP_MAX_BATCH)
		return bp_fail(err, BP_ELIMIT, -1, "batch_size", "a batch has 1 to %d samples, not %d", BP_MAX_BATCH,
			s->max_batch);
	if (s->max_threads < 1 || s->max_threads > BP_MAX_THREADS)
		return bp_fail(err, BP_ELIMIT, -1, "threads", "there can be 1 to %d threads, not %d", BP_MAX_THREADS,
			s->max_threads);
	return bp_plan_init(ret, net, s, err);
}

enum bp_status bp_exec_memory(const struct bp_net *net, const struct bp_kernels *k, int max_batch, int max_threads,
	bool training, int64_t *ret_activations, int64_t *ret_workspace, struct bp_error *err)
{
	struct bp_layer_setup s = {.k = k, .max_batch = max_batch, .max_threads = max_threads, .training = training};
	struct bp_plan plan;
	enum bp_status st = make_plan(net, &s, &plan, err);
	if (st)
		return st;
	*ret_activations = plan.bytes;
	*ret_workspace = plan.workspace;
	bp_plan_done(&plan);
	return BP_OK;
}

static void fill_call(struct bp_exec *ex, int at)
{
	struct bp_net *net = ex->net;
	const struct bp_node *node = &net->nodes[at];
	const struct bp_step *step = &ex->plan.steps[at];
	struct bp_layer_call *c = &ex->calls[at];
	c->node = node;
	c->index = at;
	c->own = step->layer.own;
	c->act = step->act;
	c->relu_taken = step->relu_taken;
	c->takes_relu = step->takes_relu;
	for (int in = 0; in < node->ninputs; in++) {
		c->x[in] = block_at(ex, step->x[in]);
		c->accumulate[in] = step->accumulate[in];
	}
	c->y = block_at(ex, step->y);
	c->dy = ex->plan.output_gradient < 0 ? NULL : block_at(ex, step->dy);
	for (int i = 0; i < node->nparams; i++)
		c->param[i] = net->weights + net->params[node->first_param + i].offset;
	for (int i = 0; i < node->nbuffers; i++)
		c->param[node->nparams + i] = net->buffers + net->params[node->first_buffer + i].offset;
	c->saved = block_at(ex, step->saved);
	c->workspace = ex->workspace;
}

/* What a batch norm and the convolutions beside it must know of each other. */
static void fill_norm(struct bp_exec *ex, int at)
{
	const struct bp_step *step = &ex->plan.steps[at];
	const struct bp_node *node = &ex->net->nodes[at];
	struct bp_layer_call *c = &ex->calls[at];
	struct bp_norm_side side = {.on = true};
	if (!node->ops->norm_side || (step->before < 0 && step->after < 0))
		return;
	node->ops->norm_side(node, step->act, c->saved, &side);
	if (step->after >= 0) {
		struct bp_norm_side before = side;
		before.x = step->applied ? NULL : &c->x[0];
		ex->calls[step->after].before = before;
		c->help.sums = ex->calls[step->after].own;
		c->help.applied = step->applied;
	}
	if (step->before >= 0) {
		side.grad = c->help.grad = step->grad;
		ex->calls[step->before].after = side;
		c->help.stats = ex->calls[step->before].own;
	}
}

enum bp_status bp_exec_new(struct bp_net *net, const struct bp_kernels *k, int max_batch, int max_threads,
	bool training, struct bp_exec **ret, struct bp_error *err)
{
	struct bp_layer_setup s = {.k = k, .max_batch = max_batch, .max_threads = max_threads, .training = training};
	struct bp_exec *ex = calloc(1, sizeof(*ex));
	if (!ex)
		return bp_fail(err, BP_ENOMEM, -1, "", "out of memory");
	enum bp_status st = make_plan(net, &s, &ex->plan, err);
	if (st) {
		free(ex);
		return st;
	}
	ex->net = net;
	ex->calls = calloc((size_t)net->nnodes, sizeof(*ex->calls));
	ex->arena = bp_mem_new((size_t)ex->plan.bytes);
	ex->workspace = bp_mem_new((size_t)ex->plan.workspace);
	ex->allocated = ex->plan.bytes + ex->plan.workspace;
	if (!ex->calls || !ex->arena || !ex->workspace) {
		st = bp_fail(
			err, BP_ENOMEM, -1, "", "no memory for %lld bytes of activations", (long long)ex->allocated);
		bp_exec_free(ex);
		return st;
	}
	ex->input = bp_exec_input(ex);
	for (int i = 0; i < net->nnodes; i++)
		if (!ex->plan.steps[i].absorbed)
			fill_call(ex, i);
	for (int i = 0; i < net->nnodes; i++)
		if (!ex->plan.steps[i].absorbed)
			fill_norm(ex, i);
	*ret = ex;
	return BP_OK;
}

void bp_exec_free(struct bp_exec *ex)
{
	if (!ex)
		return;
	bp_mem_free(ex->workspace);
	bp_mem_free(ex->arena);
	free(ex->calls);
	bp_plan_done(&ex->plan);
	free(ex);
}

int64_t bp_exec_allocated(const struct bp_exec *ex)
{
	return ex->allocated;
}

bp_real *bp_exec_input(struct bp_exec *ex)
{
	return (bp_real *)(ex->arena + ex->plan.blocks[ex->plan.input].offset);
}

/* An output in the input's place is none that is written: see place_values of plan.c. */
void bp_exec_read_from(struct bp_exec *ex, const bp_real *x)
{
	bp_real *input = x ? (bp_real *)x : bp_exec_input(ex);
	if (input == ex->input)
		return;
	ex->input = input;
	for (int i = 0; i < ex->net->nnodes; i++) {
		const struct bp_step *step = &ex->plan.steps[i];
		if (step->absorbed)
			continue;
		for (int in = 0; in < ex->net->nodes[i].ninputs; in++)
			if (step->x[in] == ex->plan.input)
				ex->calls[i].x[in] = input;
		if (step->y == ex->plan.input)
			ex->calls[i].y = input;
	}
}

bp_real *bp_exec_output_gradient(struct bp_exec *ex)
{
	return block_at(ex, ex->plan.output_gradient);
}

static void forward_node(struct bp_exec *ex, int at, const struct bp_ctx *ctx, const struct bp_pass *pass)
{
	struct bp_layer_call *c = &ex->calls[at];
	if (ex->plan.steps[at].absorbed)
		return;
	c->ctx = ctx;
	c->pass = pass;
	c->node->ops->forward(c);
}

const bp_real *bp_exec_forward(struct bp_exec *ex, const struct bp_ctx *ctx, const struct bp_pass *pass)
{
	for (int i = 0; i < ex->net->nnodes; i++)
		forward_node(ex, i, ctx, pass);
	return block_at(ex, ex->plan.output);
}

/* The output of a node that has just been passed. It lies where that of the node lies which absorbed it; behind a batch
 * norm that the convolution after it applies there is the norm's input, and the output is made row by row. */
static void show(struct bp_exec *ex, int at, int n, bp_look look, void *user)
{
	const struct bp_node *node = &ex->net->nodes[at];
	int64_t units = bp_shape_c(&node->out), rows = n * (bp_shape_size(&node->out) / units);
	int from = at;
	while (from >= 0 && ex->plan.steps[from].absorbed)
		from = ex->net->nodes[from].inputs[0];
	const bp_real *y = from < 0 ? ex->input : ex->calls[from].y;
	struct bp_norm_side side = {.on = false};
	bp_real *made = (bp_real *)ex->workspace;
	if (from >= 0 && ex->calls[from].help.applied) {
		side.on = true;
		ex->net->nodes[from].ops->norm_side(
			&ex->net->nodes[from], ex->plan.steps[from].act, ex->calls[from].saved, &side);
		side.norm.rows = 1;
	}
	for (int64_t r = 0; r < rows; r++, y += units) {
		if (side.on)
			ex->calls[from].ctx->k->norm_apply(&side.norm, y, made);
		look(user, at, side.on ? made : y, units);
	}
}

void bp_exec_look(struct bp_exec *ex, const struct bp_ctx *ctx, const struct bp_pass *pass, const bool *wanted,
	bp_look look, void *user)
{
	for (int i = 0; i < ex->net->nnodes; i++) {
		forward_node(ex, i, ctx, pass);
		if (wanted[i])
			show(ex, i, pass->n, look, user);
	}
}

/* Whether backward has to give the gradient of node's input in. */
static bool wants_dx(const struct bp_exec *ex, const struct bp_node *node, int in, bool input_wanted)
{
	return input_wanted || (node->inputs[in] != BP_INPUT && ex->net->nodes[node->inputs[in]].learns);
}

/* Points a node's call to where its gradients go. */
static void aim_node(struct bp_exec *ex, int at, bp_real *grads, bp_real *ret_dx)
{
	struct bp_layer_call *c = &ex->calls[at];
	const struct bp_node *node = &ex->net->nodes[at];
	const struct bp_step *step = &ex->plan.steps[at];
	for (int in = 0; in < node->ninputs; in++) {
		c->dx[in] = NULL;
		if (wants_dx(ex, node, in, ret_dx != NULL))
			c->dx[in] = step->dx[in] == BP_BLOCK_INPUT_GRADIENT ? ret_dx : block_at(ex, step->dx[in]);
	}
	for (int i = 0; i < node->nparams; i++)
		c->grad[i] = grads + ex->net->params[node->first_param + i].offset;
}

/* For all nodes; a training gives the same places each time, and looking them up takes a while in a small net's step.
 */
static void aim(struct bp_exec *ex, bp_real *grads, bp_real *ret_dx)
{
	if (ex->grads && grads == ex->grads && ret_dx == ex->ret_dx)
		return;
	for (int i = 0; i < ex->net->nnodes; i++)
		if (!ex->plan.steps[i].absorbed)
			aim_node(ex, i, grads, ret_dx);
	ex->grads = grads;
	ex->ret_dx = ret_dx;
}

void bp_exec_backward(
	struct bp_exec *ex, const struct bp_ctx *ctx, const struct bp_pass *pass, bp_real *grads, bp_real *ret_dx)
{
	if (ex->plan.copies_gradient && ret_dx)
		memcpy(ret_dx, bp_exec_output_gradient(ex),
			(size_t)bp_shape_size(&ex->net->input) * (size_t)pass->n * sizeof(bp_real));
	aim(ex, grads, ret_dx);
	for (int i = ex->net->nnodes - 1; i >= 0; i--) {
		struct bp_layer_call *c = &ex->calls[i];
		if (ex->plan.steps[i].absorbed || (!ex->net->nodes[i].learns && !ret_dx))
			continue;
		c->ctx = ctx;
		c->pass = pass;
		c->node->ops->backward(c);
	}
}
