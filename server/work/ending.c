/* ending.c - see ending.h. */
#include "work/ending.h"

#include <math.h>
#include <stdlib.h>

#include "work/report.h"

enum { STRIDE = 200 };

void ending_init(struct ending *e, const struct spec_life *life)
{
	*e = (struct ending){.life = life, .best = NAN};
}

double ending_metric(const struct bp_epoch *m, int metric)
{
	switch ((enum spec_metric)metric) {
	case SPEC_LOSS:
		return m->loss;
	case SPEC_ACCURACY:
		return m->accuracy;
	case SPEC_VAL_LOSS:
		return m->val_loss;
	case SPEC_VAL_ACCURACY:
		return m->val_accuracy;
	case SPEC_METRIC_COUNT:
		break;
	}
	return NAN;
}

static bool better(const struct ending *e, double v)
{
	if (isnan(v))
		return false;
	if (isnan(e->best))
		return true;
	return e->life->mode == SPEC_MODE_MAX ? v > e->best + e->life->min_delta : v < e->best - e->life->min_delta;
}

/* Patience as in PyTorch Lightning's EarlyStopping: so many epochs in a row that are not better. */
enum verdict ending_epoch(struct ending *e, int epoch, double monitored, double reached)
{
	const struct spec_life *life = e->life;
	monitored = report_told(monitored);
	reached = report_told(reached);
	if (better(e, monitored)) {
		e->best = monitored;
		e->best_epoch = epoch;
		e->wait = 0;
	} else {
		e->wait++;
	}
	if (life->target && !isnan(reached) &&
		(spec_metric_rises((enum spec_metric)life->target_metric) ? reached >= life->target_value
									  : reached <= life->target_value))
		return REACHED_TARGET;
	return life->early_stopping && e->wait > 0 && e->wait >= life->patience ? STOPS_EARLY : GOES_ON;
}

struct seen {
	double monitored, reached;
};

static double number(const json_t *data, int metric)
{
	const json_t *v = json_object_get(data, spec_metric_name((enum spec_metric)metric));
	return json_is_number(v) ? json_number_value(v) : NAN;
}

/* Reads one event; an epoch that was told again counts as it was told last. */
static void see(const struct spec_life *life, const char *text, int upto, struct seen *seen)
{
	json_t *data = json_loads(text, 0, NULL);
	json_int_t epoch = json_integer_value(json_object_get(data, "epoch"));
	if (epoch >= 1 && epoch <= upto)
		seen[epoch - 1] = (struct seen){.monitored = number(data, life->monitor),
			.reached = life->target ? number(data, life->target_metric) : NAN};
	json_decref(data);
}

enum store_status ending_replay(struct ending *e, struct store *store, const char *job_id, int upto, enum verdict *ret)
{
	struct seen *seen = calloc((size_t)upto + 1, sizeof(*seen));
	enum store_status st = seen ? STORE_OK : STORE_ERROR;
	int64_t after = 0;
	ending_init(e, e->life);
	*ret = GOES_ON;
	for (int n = STRIDE; st == STORE_OK && n == STRIDE;) {
		struct event_row *rows = NULL;
		st = store_event_list(store, job_id, after, "epoch", STRIDE, &rows, &n);
		for (int i = 0; st == STORE_OK && i < n; i++) {
			see(e->life, rows[i].data, upto, seen);
			after = rows[i].seq;
			event_row_done(&rows[i]);
		}
		free(rows);
	}
	for (int i = 0; st == STORE_OK && i < upto; i++)
		*ret = ending_epoch(e, i + 1, seen[i].monitored, seen[i].reached);
	free(seen);
	return st;
}
