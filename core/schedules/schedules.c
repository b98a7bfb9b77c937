/* schedules.c - the table of schedules, built from schedules.def, and warm-up before them. Any thread. */
#include "schedules/schedule.h"

#include <math.h>

static const struct bp_item_info *const infos[] = {
#define SCHEDULE(id) &bp_schedule_##id.info,
#include "schedules/schedules.def"
};
const struct bp_item_table bp_scheduler_items = BP_ITEM_TABLE(infos);

static const struct bp_schedule_ops *const schedules[] = {
#define SCHEDULE(id) &bp_schedule_##id,
#include "schedules/schedules.def"
};

void bp_schedule_start(struct bp_schedule_state *ret)
{
	*ret = (struct bp_schedule_state){.scale = 1, .best = INFINITY};
}

double bp_schedule_lr(const struct bp_train_params *params, double lr, int64_t batches, int64_t step,
	const struct bp_schedule_state *state)
{
	double warmup_steps = ceil(params->warmup_epochs * (double)batches);
	if ((double)step < warmup_steps)
		return lr * (double)(step + 1) / warmup_steps;
	int warmup = (int)ceil(params->warmup_epochs);
	int64_t done = step - warmup * batches;
	struct bp_course at = {.lr = lr, .epochs = params->epochs - warmup, .state = state};
	at.step = done > 0 ? done : 0;
	at.epoch = (int)(at.step / batches < BP_MAX_EPOCHS ? at.step / batches : BP_MAX_EPOCHS);
	if (at.epochs < 1)
		at.epochs = 1;
	at.steps = at.epochs * batches;
	return schedules[params->scheduler.type]->rate(&params->scheduler, &at);
}

void bp_schedule_observe(const struct bp_train_params *params, double lr, const struct bp_epoch *metrics,
	bool validated, struct bp_schedule_state *state)
{
	const struct bp_schedule_ops *ops = schedules[params->scheduler.type];
	if (ops->observe && metrics->epoch > ceil(params->warmup_epochs))
		ops->observe(&params->scheduler, lr, metrics->loss, validated ? &metrics->val_loss : NULL, state);
}
