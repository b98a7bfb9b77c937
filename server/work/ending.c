/* ending.c - see ending.h. */
#include "work/ending.h"

#include <math.h>

void ending_init(struct ending *e, const struct spec_life *life)
{
	*e = (struct ending){.life = life, .best = NAN};
}

static bool better(const struct ending *e, double v)
{
	if (isnan(v))
		return false;
	if (isnan(e->best))
		return true;
	return e->life->mode == SPEC_MODE_MAX ? v > e->best + e->life->min_delta : v < e->best - e->life->min_delta;
}

static bool reached(const struct spec_life *life, const struct past_epoch *p)
{
	double v = p->metric[life->target_metric];
	if (!life->target || isnan(v))
		return false;
	return spec_metric_rises((enum spec_metric)life->target_metric) ? v >= life->target_value
									: v <= life->target_value;
}

/* Patience as in PyTorch Lightning's EarlyStopping: so many epochs in a row that are not better. */
enum verdict ending_epoch(struct ending *e, int epoch, const struct past_epoch *p)
{
	double monitored = p->metric[e->life->monitor];
	if (better(e, monitored)) {
		e->best = monitored;
		e->best_epoch = epoch;
		e->wait = 0;
	} else {
		e->wait++;
	}
	if (reached(e->life, p))
		return REACHED_TARGET;
	return e->life->early_stopping && e->wait > 0 && e->wait >= e->life->patience ? STOPS_EARLY : GOES_ON;
}

enum verdict ending_replay(struct ending *e, const struct past_epoch *past, int n)
{
	enum verdict verdict = GOES_ON;
	ending_init(e, e->life);
	for (int i = 0; i < n; i++)
		verdict = ending_epoch(e, i + 1, &past[i]);
	return verdict;
}
