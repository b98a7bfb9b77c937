/*
 * diagnose.h - what is wrong with a training, from its numbers: a finding names the layer, the number, the bound that
 * it passed, and a change that usually helps. Pure; worker threads.
 *
 * A finding is told once a job. Bounds stand in diagnose.c, each with its reason.
 */
#ifndef WORK_DIAGNOSE_H
#define WORK_DIAGNOSE_H

#include "work/history.h"

enum finding_code {
	FOUND_NONFINITE,
	FOUND_EXPLODING,
	FOUND_VANISHING,
	FOUND_DEAD_RELU,
	FOUND_SATURATED,
	FOUND_PLATEAU,
	FOUND_OVERFITTING,
	FOUND_NOT_NORMALISED,
	FOUND_COUNT
};
const char *finding_name(enum finding_code code); /* "exploding_gradients". Static. */

enum activation { ACT_NONE, ACT_RELU, ACT_SIGMOID, ACT_TANH };

/* What is known of one layer in this epoch; NaN = not known. */
struct layer_state {
	const char *name;
	int64_t parameters;
	double grad_norm, update_ratio; /* of a layer with parameters */
	int64_t nonfinite;
	enum activation activation;
	double dead;      /* ACT_RELU: share of units that were 0 for every sample looked at */
	double saturated; /* ACT_SIGMOID, ACT_TANH: share of values on the flat ends */
};

struct epoch_state {
	int epoch;
	struct past_epoch now;
	bool broken; /* the loss or the weights are no longer finite */
	const struct layer_state *layers;
	int nlayers;
	/* Of the channels that enter the net, the one that is farthest from mean 0 and deviation 1; NaN: normalised. */
	double input_mean, input_std;
};

struct finding {
	enum finding_code code;
	int epoch;
	const char *layer; /* NULL = the whole net */
	double value, bound;
	char detail[240];
	const char *suggestion;
};

/* What it remembers of the epochs before. */
enum { PLATEAU_EPOCHS = 5 };
struct diagnosis {
	unsigned told; /* bit by code */
	int epochs;
	double recent[PLATEAU_EPOCHS]; /* training losses, a ring */
	double best_loss;              /* before those; NaN = none */
	double least_grad_norm;        /* NaN = none yet */
	double best_val_loss, loss_at_best;
	int best_val_epoch; /* 0 = none */
};

void diagnosis_init(struct diagnosis *d);
/* Epochs that were told before this attempt; looks at nothing. */
void diagnosis_replay(struct diagnosis *d, const struct past_epoch *past, int n);
/* Looks at the next epoch; up to FOUND_COUNT new findings in ret, whose names are borrowed from e. */
int diagnosis_epoch(struct diagnosis *d, const struct epoch_state *e, struct finding *ret);

#endif
