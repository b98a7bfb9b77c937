/*
 * update.c - see update.h.
 *
 * Blocks of the flat vectors are moved after backward, or, where nothing is clipped, by layers during it. A gradient's
 * statistics are taken as the optimizer reads it. Clipping needs them before: by value a block at a time,
 * while it is in the first cache, and clip_grad_norm needs the whole norm, and with it a sweep of its own.
 */
#include "train/update.h"

#include <math.h>
#include <string.h>

#include "base/panels.h"
#include "base/parallel.h"

enum {
	BLOCK = 4096,      /* elements: 16 KiB of gradient, half a first cache */
	PARALLEL = 1 << 16 /* weights; below, starting threads costs more than they save */
};

/* Tensors of one layer that lie side by side in the flat vectors, moved as one: a small layer's bias costs as much as
 * its weight otherwise, and took a tenth of the step of a 4-16-3 perceptron. */
struct stretch {
	int64_t offset, size;
	int layer;
	const struct bp_param *panels; /* a tensor that lies in such, which is alone; or NULL */
};

/* The stretch that begins with tensor *i or later; *i moves past it. False when there is none. */
static bool next_stretch(const struct bp_net *net, int *i, struct stretch *ret)
{
	while (*i < net->nparams && !bp_param_learns(net, &net->params[*i]))
		(*i)++;
	if (*i == net->nparams)
		return false;
	const struct bp_param *p = &net->params[*i];
	*ret = (struct stretch){.offset = p->offset, .layer = p->layer};
	if (p->order == BP_ORDER_PANELS) {
		ret->panels = p;
		ret->size = p->size;
		(*i)++;
		return true;
	}
	for (; *i < net->nparams && p->order != BP_ORDER_PANELS; (*i)++, p++) {
		if (!bp_param_learns(net, p) || p->layer != ret->layer || p->offset != ret->offset + ret->size)
			break;
		ret->size += p->size;
	}
	return true;
}

/* How long the block is that begins at `at` of a stretch: of panels, what backward moves at a time. */
static int32_t block_length(const struct stretch *s, int64_t at)
{
	int64_t left = s->size - at, most = BLOCK;
	if (s->panels) {
		const int64_t out = s->panels->dim[0], in = s->panels->dim[1], panel = at / (in * BP_PANEL) * BP_PANEL;
		const int64_t width = bp_panel_width(out, panel);
		left = (panel + width) * in - at;
		most = bp_panel_rows(in) * width;
	}
	return (int32_t)(left < most ? left : most);
}

int64_t bp_updater_blocks(const struct bp_net *net)
{
	struct stretch s;
	int64_t blocks = 0;
	for (int i = 0; next_stretch(net, &i, &s);)
		for (int64_t at = 0; at < s.size; at += block_length(&s, at))
			blocks++;
	return blocks;
}

/* Trainable tensors come in layer order, so a layer's are neighbours. */
int bp_updater_slots(const struct bp_net *net)
{
	int slots = 0, last = -1;
	for (int i = 0; i < net->nparams; i++) {
		if (bp_param_learns(net, &net->params[i]) && net->params[i].layer != last) {
			last = net->params[i].layer;
			slots++;
		}
	}
	return slots;
}

/* Puts slot into the group of its layer's options, a new one when there is none like it. */
static void group_add(struct bp_updater *u, const struct bp_layer_options *o, int slot)
{
	double scale = o->has_lr_scale ? o->lr_scale : 1, decay = o->has_weight_decay ? o->weight_decay : BP_UNSET;
	int g = 0;
	while (g < u->ngroups && (u->groups[g].lr_scale != scale || u->groups[g].weight_decay != decay))
		g++;
	if (g == u->ngroups)
		u->groups[u->ngroups++] = (struct bp_update_group){.lr_scale = scale, .weight_decay = decay};
	u->group_of[slot] = g;
}

void bp_updater_init(struct bp_updater *u, const struct bp_net *net)
{
	const struct bp_item *item = &u->params->optimizer;
	const struct bp_value *arg = bp_item_arg(BP_OPTIMIZER, item, "weight_decay");
	u->decay_arg = arg ? (int)(arg - item->args) : -1;
	struct bp_update_block *b = u->blocks;
	struct stretch s;
	int slot = -1;
	for (int i = 0; next_stretch(net, &i, &s);) {
		if (slot < 0 || u->layers[slot] != s.layer) {
			u->layers[++slot] = s.layer;
			group_add(u, &net->nodes[s.layer].options, slot);
		}
		for (int64_t at = 0; at < s.size; at += b->n, b++)
			*b = (struct bp_update_block){s.offset + at, block_length(&s, at), slot};
	}
}

static bool clips(const struct bp_updater *u)
{
	return u->params->clip_grad_norm > 0 || u->params->clip_grad_value > 0;
}

static void read_block(const struct bp_updater *u, int64_t i)
{
	const struct bp_update_block *b = &u->blocks[i];
	const struct bp_kernels *k = u->k;
	struct bp_block_sums *sums = &u->sums[i];
	bp_real *g = u->vectors->grads + b->offset;
	k->grad_stats(g, b->n, &sums->grad);
	sums->squares_clipped = sums->grad.squares;
	if (u->params->clip_grad_value > 0 && sums->grad.max_abs > u->params->clip_grad_value) {
		struct bp_grad_sums clipped;
		k->grad_clamp(g, b->n, (bp_real)u->params->clip_grad_value);
		k->grad_stats(g, b->n, &clipped);
		sums->squares_clipped = clipped.squares;
	}
}

static void move_block(const struct bp_updater *u, int64_t i, bp_real *grads)
{
	const struct bp_update_block *b = &u->blocks[i];
	const struct bp_vectors *v = u->vectors;
	struct bp_block_sums *sums = &u->sums[i];
	struct bp_update up = {
		.n = b->n, .w = v->weights + b->offset, .g = grads, .coef = &u->groups[u->group_of[b->slot]].coef};
	if (u->params->statistics) {
		up.ret_sums = &sums->update;
		up.ret_grad = clips(u) ? NULL : &sums->grad; /* it has been read then */
	}
	for (int state = 0; state < BP_UPDATE_STATES; state++)
		up.state[state] = v->state[state] ? v->state[state] + b->offset : NULL;
	bp_optim_at(u->params->optimizer.type)->update(u->k, &up);
	if (up.ret_grad)
		sums->squares_clipped = sums->grad.squares;
}

/* Of one layer's blocks, in their order. */
struct layer_sums {
	struct bp_grad_sums grad;
	double squares_clipped;
	struct bp_update_sums update;
};

/* Those of the layer whose blocks begin at *i, which moves past them. */
static struct layer_sums sum_layer(const struct bp_updater *u, int64_t *i)
{
	const int slot = u->blocks[*i].slot;
	struct layer_sums l = {.squares_clipped = 0};
	do {
		const struct bp_block_sums *b = &u->sums[*i];
		l.grad.squares += b->grad.squares;
		l.grad.max_abs = b->grad.max_abs > l.grad.max_abs ? b->grad.max_abs : l.grad.max_abs;
		l.grad.nonfinite += b->grad.nonfinite;
		l.squares_clipped += b->squares_clipped;
		l.update.update_squares += b->update.update_squares;
		l.update.weight_squares += b->update.weight_squares;
	} while (++*i < u->nblocks && u->blocks[*i].slot == slot);
	return l;
}

/* PyTorch's clip_grad_norm_, min(1, limit / (norm + 1e-6)), by the gradients that have been read; NaN stays. */
static double clip_factor(const struct bp_updater *u)
{
	double squares = 0;
	for (int64_t i = 0; i < u->nblocks;)
		squares += sum_layer(u, &i).squares_clipped;
	const double factor = u->params->clip_grad_norm / (sqrt(squares) + 1e-6);
	return factor > 1 ? 1 : factor;
}

static void read_piece(const void *arg, int64_t i)
{
	read_block(arg, i);
}

/* Unless it was moved early. */
static void move_piece(const void *arg, int64_t i)
{
	const struct bp_updater *u = arg;
	if (!u->sums[i].moved)
		move_block(u, i, u->vectors->grads + u->blocks[i].offset);
	u->sums[i].moved = false;
}

static void read_and_move_piece(const void *arg, int64_t i)
{
	read_piece(arg, i);
	move_piece(arg, i);
}

/* As the groups of PyTorch's optimizers: each has its own rate and weight decay. */
static void prepare_groups(struct bp_updater *u, int64_t step, double lr)
{
	const struct bp_item *common = &u->params->optimizer;
	for (int i = 0; i < u->ngroups; i++) {
		struct bp_update_group *g = &u->groups[i];
		struct bp_item own;
		if (g->weight_decay != BP_UNSET) {
			own = *common;
			own.args[u->decay_arg].v[0] = g->weight_decay;
		}
		g->coef = (struct bp_update_coef){.scale = 1};
		bp_optim_at(common->type)
			->prepare(g->weight_decay != BP_UNSET ? &own : common, step, lr * g->lr_scale, &g->coef);
	}
}

void bp_updater_begin(
	struct bp_updater *u, const struct bp_kernels *k, const struct bp_vectors *v, int64_t step, double lr)
{
	u->k = k;
	u->vectors = v;
	prepare_groups(u, step, lr);
}

bool bp_updater_moves_early(const struct bp_updater *u)
{
	return !clips(u) && !u->params->keep_gradients;
}

/* The first block from `offset` on. */
static int64_t block_from(const struct bp_updater *u, int64_t offset)
{
	int64_t low = 0, high = u->nblocks; /* all before low begin earlier, all from high on do not */
	while (low < high) {
		const int64_t middle = low + (high - low) / 2;
		if (u->blocks[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The weights, then one state after the other. */
const void *bp_updater_ahead(void *updater, const bp_real *w, size_t n, size_t at)
{
	const struct bp_vectors *v = ((const struct bp_updater *)updater)->vectors;
	const bp_real *from = v->weights;
	for (int state = 0; from && at >= n * sizeof(bp_real); at -= n * sizeof(bp_real), state++)
		from = state < BP_UPDATE_STATES ? v->state[state] : NULL;
	return from ? (const char *)(from + (w - v->weights)) + at : NULL;
}

/* Leaves the gradients from `offset` on to the step's end. */
static void leave(const struct bp_updater *u, int64_t offset, int64_t n, const bp_real *grads)
{
	bp_real *to = u->vectors->grads + offset;
	if (grads != to)
		memcpy(to, grads, (size_t)n * sizeof(*to));
}

/* Whole blocks, for a block has one sum. */
void bp_updater_move(void *updater, const bp_real *w, size_t n, bp_real *grads)
{
	struct bp_updater *u = updater;
	const int64_t first = w - u->vectors->weights, end = first + (int64_t)n;
	int64_t i = block_from(u, first);
	int64_t at = i < u->nblocks && u->blocks[i].offset < end ? u->blocks[i].offset : end;
	leave(u, first, at - first, grads);
	for (; i < u->nblocks && at + u->blocks[i].n <= end; i++) {
		move_block(u, i, grads + (at - first));
		u->sums[i].moved = true;
		at += u->blocks[i].n;
	}
	leave(u, at, end - at, grads + (at - first));
}

void bp_updater_end(struct bp_updater *u, int threads)
{
	const bool by_norm = u->params->clip_grad_norm > 0, by_value = u->params->clip_grad_value > 0;
	u->factor = 1;
	threads = u->vectors->n < PARALLEL ? 1 : threads;
	if (by_norm) {
		bp_parallel_for(threads, u->nblocks, read_piece, u);
		u->factor = clip_factor(u);
		for (int i = 0; i < u->ngroups; i++)
			u->groups[i].coef.scale = (bp_real)u->factor;
	}
	bp_parallel_for(threads, u->nblocks, by_value && !by_norm ? read_and_move_piece : move_piece, u);
}

/* Each root is taken once: they are a fifth of what the statistics of a 4-16-3 perceptron cost. */
void bp_updater_see(struct bp_updater *u)
{
	const bool by_value = u->params->clip_grad_value > 0;
	double squares = 0, squares_clipped = 0;
	struct bp_health *h = u->health;
	for (int64_t i = 0; i < u->nblocks; h++) {
		const struct layer_sums l = sum_layer(u, &i);
		const double norm = sqrt(l.grad.squares), weight = l.update.weight_squares;
		*h = (struct bp_health){.grad_norm = norm,
			.grad_norm_clipped = u->factor * (by_value ? sqrt(l.squares_clipped) : norm),
			.update_ratio = weight == 0 ? 0 : sqrt(l.update.update_squares / weight),
			.weight_squares = weight,
			.grad_max_abs = l.grad.max_abs,
			.nonfinite = l.grad.nonfinite};
		squares += l.grad.squares;
		squares_clipped += l.squares_clipped;
	}
	u->grad_norm = sqrt(squares);
	u->grad_norm_clipped = u->factor * (by_value ? sqrt(squares_clipped) : u->grad_norm);
}

/* fmax would be a call, which took a fifth of what the statistics of a 4-16-3 perceptron cost. */
void bp_health_add(struct bp_health *sum, const struct bp_health *step)
{
	sum->grad_norm += step->grad_norm;
	sum->grad_norm_clipped += step->grad_norm_clipped;
	sum->update_ratio += step->update_ratio;
	sum->weight_squares = step->weight_squares;
	sum->grad_max_abs = step->grad_max_abs > sum->grad_max_abs ? step->grad_max_abs : sum->grad_max_abs;
	sum->nonfinite += step->nonfinite;
}
