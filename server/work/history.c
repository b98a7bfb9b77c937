/* history.c - see history.h. */
#include "work/history.h"

#include <math.h>
#include <stdlib.h>

#include "work/report.h"
#include "base/jsonmem.h"

enum { STRIDE = 200 };

static double number(const json_t *data, const char *name)
{
	const json_t *v = json_object_get(data, name);
	return json_is_number(v) ? json_number_value(v) : NAN;
}

static void see(const char *text, int upto, struct past_epoch *past)
{
	json_t *data = jsonmem_loads(text, 0, NULL);
	json_int_t epoch = json_integer_value(json_object_get(data, "epoch"));
	if (epoch >= 1 && epoch <= upto) {
		struct past_epoch *p = &past[epoch - 1];
		for (int k = 0; k < SPEC_METRIC_COUNT; k++)
			p->metric[k] = number(data, spec_metric_name((enum spec_metric)k));
		p->grad_norm = number(data, "grad_norm");
	}
	json_decref(data);
}

enum store_status history_epochs(struct store *store, const char *job_id, int upto, struct past_epoch **ret)
{
	struct past_epoch *past = calloc((size_t)upto + 1, sizeof(*past));
	enum store_status st = past ? STORE_OK : STORE_ERROR;
	int64_t after = 0;
	*ret = NULL;
	for (int n = STRIDE; st == STORE_OK && upto > 0 && n == STRIDE;) {
		struct event_row *rows = NULL;
		st = store_event_list(store, job_id, after, "epoch", STRIDE, &rows, &n);
		for (int i = 0; st == STORE_OK && i < n; i++) {
			see(rows[i].data, upto, past);
			after = rows[i].seq;
			event_row_done(&rows[i]);
		}
		free(rows);
	}
	if (st == STORE_OK)
		*ret = past;
	else
		free(past);
	return st;
}

struct past_epoch history_epoch(const struct bp_epoch *m)
{
	return (struct past_epoch){.metric = {[SPEC_LOSS] = report_told(m->loss),
					   [SPEC_ACCURACY] = report_told(m->accuracy),
					   [SPEC_VAL_LOSS] = report_told(m->val_loss),
					   [SPEC_VAL_ACCURACY] = report_told(m->val_accuracy)},
		.grad_norm = report_told(m->grad_norm)};
}
