/* stats.c - what steps saw, summed over an epoch, and the epoch's metrics. Called by the trainer. */
#include "train/trainer.h"

#include <math.h>
#include <string.h>

void bp_trainer_see(struct bp_trainer *tr)
{
	if (!tr->unseen)
		return;
	tr->unseen = false;
	bp_updater_see(&tr->updater);
	if (!tr->counts)
		return;
	tr->progress.norm_sum += tr->updater.grad_norm;
	tr->progress.clipped_sum += tr->updater.grad_norm_clipped;
	for (int s = 0; s < tr->layout.nslots; s++)
		bp_health_add(&tr->epoch_health[s], &tr->updater.health[s]);
}

static struct bp_layer_stats layer_stats(int layer, const struct bp_health *h, double steps)
{
	return (struct bp_layer_stats){.layer = layer,
		.grad_norm = h->grad_norm / steps,
		.grad_norm_clipped = h->grad_norm_clipped / steps,
		.grad_max_abs = h->grad_max_abs,
		.weight_norm = sqrt(h->weight_squares),
		.update_ratio = h->update_ratio / steps,
		.nonfinite = h->nonfinite};
}

void bp_trainer_metrics(struct bp_trainer *tr, struct bp_epoch *ret)
{
	const struct bp_progress *p = &tr->progress;
	double steps = (double)tr->steps, samples = (double)p->samples;
	bool seen = tr->params.statistics;
	bp_trainer_see(tr);
	for (int s = 0; s < tr->layout.nslots; s++)
		tr->stats[s] = layer_stats(tr->updater.layers[s], &tr->epoch_health[s], steps);
	*ret = (struct bp_epoch){.epoch = (int)p->epoch + 1,
		.step = p->step,
		.loss = p->loss_sum / p->weight,
		.accuracy = bp_batcher_judged(&tr->batcher, &tr->train, &tr->params.loss) ? (double)p->correct / samples
											  : NAN,
		.val_loss = NAN,
		.val_accuracy = NAN,
		.grad_norm = seen ? p->norm_sum / steps : NAN,
		.grad_norm_clipped = seen ? p->clipped_sum / steps : NAN,
		.samples_per_second = samples / p->seconds,
		.nstats = seen ? tr->layout.nslots : 0,
		.stats = tr->stats};
}

void bp_trainer_reset_sums(struct bp_trainer *tr)
{
	struct bp_progress *p = &tr->progress;
	*p = (struct bp_progress){.epoch = p->epoch, .step = p->step, .schedule = p->schedule};
	memset(tr->epoch_health, 0, (size_t)tr->layout.nslots * sizeof(*tr->epoch_health));
}
