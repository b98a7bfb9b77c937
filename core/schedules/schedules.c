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

const struct bp_schedule_ops *bp_schedule_at(int type)
{
	return type >= 0 && type < bp_scheduler_items.count ? schedules[type] : NULL;
}

double bp_schedule_lr(const struct bp_train_params *params, double lr, int64_t batches, int64_t step)
{
	double warmup_steps = ceil(params->warmup_epochs * (double)batches);
	if ((double)step < warmup_steps)
		return lr * (double)(step + 1) / warmup_steps;
	int warmup = (int)ceil(params->warmup_epochs);
	int64_t epoch = step / batches - warmup;
	int epochs = params->epochs - warmup;
	if (epoch < 0)
		epoch = 0;
	if (epoch > BP_MAX_EPOCHS)
		epoch = BP_MAX_EPOCHS;
	return schedules[params->scheduler.type]->rate(&params->scheduler, lr, (int)epoch, epochs > 0 ? epochs : 1);
}
