/*
 * update.h - one optimizer step over the flat vectors, and what it saw: clipping, the move, and each layer's
 * statistics. Called by the trainer once a step, outside parallel regions.
 */
#ifndef BP_TRAIN_UPDATE_H
#define BP_TRAIN_UPDATE_H

#include "net/net.h"
#include "optims/optim.h"

/* A stretch of one layer's tensors. Blocks follow from shapes alone, so sums over them do not depend on threads. */
struct bp_update_block {
	int64_t offset;
	int32_t n;
	int32_t slot; /* which layer with parameters, counted from 0 */
};

struct bp_block_sums {
	struct bp_grad_sums grad; /* before clipping */
	double squares_clipped;   /* after clip_grad_value */
	struct bp_update_sums update;
	bool moved; /* in this step */
};

/* Of one layer; over one step, or added up over the steps of an epoch. In checkpoints as it is. */
struct bp_health {
	double grad_norm, grad_norm_clipped; /* L2 */
	double update_ratio;                 /* |update| / |weight| */
	double weight_squares;               /* sum of the last step's */
	double grad_max_abs;                 /* largest of the steps */
	int64_t nonfinite;
};

/* Layers that are moved alike: lr_scale and weight_decay of their options. */
struct bp_update_group {
	double lr_scale, weight_decay; /* BP_UNSET: the optimizer's */
	struct bp_update_coef coef;    /* of the step at hand */
};

/* The arrays are the caller's. */
struct bp_updater {
	const struct bp_train_params *params;
	int64_t nblocks;
	struct bp_update_block *blocks;
	struct bp_block_sums *sums; /* by block */
	int nslots;
	int *layers;                         /* by slot: index of the layer */
	int ngroups;                         /* at most nslots */
	struct bp_update_group *groups;      /* nslots long */
	int *group_of;                       /* by slot */
	int decay_arg;                       /* the optimizer's argument weight_decay, or -1 */
	double factor;                       /* that clip_grad_norm multiplied the last step's gradients by */
	struct bp_health *health;            /* by slot: of the last step that was seen */
	double grad_norm, grad_norm_clipped; /* global, of that step */
	const struct bp_kernels *k;          /* of the step at hand */
	const struct bp_vectors *vectors;
};

/* The flat vectors of a step, all laid out as the net's weights. */
struct bp_vectors {
	bp_real *weights, *grads;
	bp_real *state[BP_UPDATE_STATES];
	bp_real *sum;     /* of the gradients of a step's batches so far; NULL when it has one batch */
	bp_real *average; /* of the weights; NULL when there is none */
	int64_t n;
};

int64_t bp_updater_blocks(const struct bp_net *net);
int bp_updater_slots(const struct bp_net *net);
/* Fills blocks, layers and groups. Frozen layers have none. */
void bp_updater_init(struct bp_updater *u, const struct bp_net *net);
/* Begins optimizer step `step` (from 0) at learning rate lr: by the gradients that will be in v, which is kept until
 * the step ends. */
void bp_updater_begin(
	struct bp_updater *u, const struct bp_kernels *k, const struct bp_vectors *v, int64_t step, double lr);
/* Whether weights may move before all gradients are there, and these be forgotten; then the next two are a bp_mover's,
 * on any thread. What they leave, the step's end moves, and the bits are the same. */
bool bp_updater_moves_early(const struct bp_updater *u);
void bp_updater_move(void *updater, const bp_real *w, size_t n, bp_real *grads);
const void *bp_updater_ahead(void *updater, const bp_real *w, size_t n, size_t at);
/* Ends the step that was begun. Gradients are left as clipped. */
void bp_updater_end(struct bp_updater *u, int threads);
/* Fills in health and norms from the sums of the step that ended last, if params->statistics; before the next begins.
 * At once, its roots would wait for these sums. */
void bp_updater_see(struct bp_updater *u);
/* Adds a step's health to an epoch's. */
void bp_health_add(struct bp_health *sum, const struct bp_health *step);

#endif
