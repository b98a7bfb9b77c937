/*
 * memory.c - what a training allocates, planned before it is: one block of the trainer's own beside the executor's.
 * Called by bp_trainer_new, and by bp_net_memory for those who want to know before they queue; any thread.
 */
#include "train/trainer.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "kernels/kernels.h"
#include "train/params.h"

/* Reserves n elements; false when sizes do not fit. */
static bool reserve(size_t *total, int64_t n, size_t size, size_t *ret_offset)
{
	size_t bytes;
	*ret_offset = *total;
	return !__builtin_mul_overflow((size_t)n, size, &bytes) && bp_size_align(bytes, &bytes) &&
	       bp_size_add(*total, bytes, total);
}

enum bp_status bp_layout_make(
	const struct bp_net *net, const struct bp_train_params *p, struct bp_layout *ret, struct bp_error *err)
{
	struct bp_shape out = bp_net_output_shape(net);
	bool values = bp_loss_at(p->loss.type)->info.target != BP_TARGET_LABEL;
	int64_t batch = p->batch_size;
	struct bp_layout l = {.states = bp_optim_at(p->optimizer.type)->states(&p->optimizer),
		.nblocks = bp_updater_blocks(net),
		.nslots = bp_updater_slots(net)};
	bool fits = reserve(&l.total, net->nweights, sizeof(bp_real), &l.grads) &&
		    reserve(&l.total, p->accumulate_steps > 1 ? net->nweights : 0, sizeof(bp_real), &l.sum);
	for (int s = 0; s < BP_UPDATE_STATES; s++)
		fits = fits && reserve(&l.total, s < l.states ? net->nweights : 0, sizeof(bp_real), &l.state[s]);
	fits = fits && reserve(&l.total, p->ema_decay > 0 ? net->nweights : 0, sizeof(bp_real), &l.average) &&
	       reserve(&l.total, batch, sizeof(int32_t), &l.labels) &&
	       reserve(&l.total, values ? batch * bp_shape_size(&out) : 0, sizeof(bp_real), &l.targets) &&
	       reserve(&l.total, batch, sizeof(double), &l.rows) &&
	       reserve(&l.total, bp_feed_table(&net->input), sizeof(bp_real), &l.tables[0]) &&
	       reserve(&l.total, bp_feed_table(&net->input), sizeof(bp_real), &l.tables[1]) &&
	       reserve(&l.total, p->max_threads, bp_chain_scratch(p->augment, p->naugment, &net->input), &l.augment) &&
	       reserve(&l.total, l.nblocks, sizeof(struct bp_update_block), &l.blocks) &&
	       reserve(&l.total, l.nblocks, sizeof(struct bp_block_sums), &l.sums) &&
	       reserve(&l.total, l.nslots, sizeof(int), &l.layers) &&
	       reserve(&l.total, l.nslots, sizeof(struct bp_update_group), &l.groups) &&
	       reserve(&l.total, l.nslots, sizeof(int), &l.group_of) &&
	       reserve(&l.total, l.nslots, sizeof(struct bp_health), &l.health) &&
	       reserve(&l.total, l.nslots, sizeof(struct bp_health), &l.epoch_health) &&
	       reserve(&l.total, l.nslots, sizeof(struct bp_layer_stats), &l.stats);
	if (!fits || l.total > (size_t)INT64_MAX)
		return bp_fail(err, BP_ELIMIT, -1, "", "the training needs more memory than can be addressed");
	*ret = l;
	return BP_OK;
}

enum bp_status bp_net_memory(
	const struct bp_net *net, const struct bp_train_params *params, struct bp_memory *ret, struct bp_error *err)
{
	struct bp_memory m = {0};
	struct bp_layout l;
	enum bp_status st = bp_train_params_check(params, net, err);
	if (!st)
		st = bp_layout_make(net, params, &l, err);
	if (!st)
		st = bp_exec_memory(net, bp_kernels_choose(params->isa_mask), params->batch_size, params->max_threads,
			true, &m.activations, &m.workspace, err);
	if (st)
		return st;
	m.parameters = (net->nweights + net->nbuffers) * (int64_t)sizeof(bp_real);
	m.gradients = (int64_t)(l.state[0] - l.grads);
	m.optimizer_state = (int64_t)(l.labels - l.state[0]);
	m.workspace += (int64_t)(l.total - l.labels);
	m.total = m.parameters + m.gradients + m.optimizer_state + m.activations + m.workspace;
	*ret = m;
	return BP_OK;
}
