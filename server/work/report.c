/* report.c - see report.h. Numbers are written with nine digits, which is all a float holds. */
#include "work/report.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "spec/spec.h"
#include "base/jsonmem.h"

double report_told(double v)
{
	char text[40];
	snprintf(text, sizeof(text), "%.9g", v);
	return isfinite(v) ? strtod(text, NULL) : NAN;
}

/* A JSON object being filled; remembers that memory ran out, so that only the end must look. */
struct sheet {
	json_t *obj, *nonfinite;
	bool failed;
};

static struct sheet sheet_new(void)
{
	struct sheet s = {.obj = json_object()};
	s.failed = !s.obj;
	return s;
}

static void put(struct sheet *s, const char *name, json_t *steals)
{
	if (s->failed)
		json_decref(steals);
	else if (json_object_set_new(s->obj, name, steals) != 0)
		s->failed = true;
}

static void put_int(struct sheet *s, const char *name, int64_t v)
{
	put(s, name, json_integer(v));
}

/* A number that may be absent. */
static void put_real(struct sheet *s, const char *name, double v)
{
	put(s, name, spec_number(v));
}

/* A number that was computed: when it is not finite, that is news. */
static void put_computed(struct sheet *s, const char *name, double v)
{
	put_real(s, name, v);
	if (isfinite(v) || s->failed)
		return;
	if (!s->nonfinite && !(s->nonfinite = json_object()))
		s->failed = true;
	else if (json_object_set_new(s->nonfinite, name, json_string(isnan(v) ? "nan" : v > 0 ? "inf" : "-inf")) != 0)
		s->failed = true;
}

/* The object, or NULL; the sheet is used up. */
static json_t *sheet_end(struct sheet *s)
{
	if (s->nonfinite) {
		put(s, "nonfinite", s->nonfinite);
		s->nonfinite = NULL;
	}
	if (!s->failed)
		return s->obj;
	json_decref(s->obj);
	return NULL;
}

static char *sheet_text(struct sheet *s)
{
	json_t *obj = sheet_end(s);
	char *text = obj ? jsonmem_dumps(obj, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
	json_decref(obj);
	return text;
}

static void put_epoch(struct sheet *s, const struct bp_epoch *m, bool validated)
{
	put_int(s, "epoch", m->epoch);
	put_int(s, "step", m->step);
	put_computed(s, "loss", m->loss);
	put_real(s, "accuracy", m->accuracy);
	if (validated)
		put_computed(s, "val_loss", m->val_loss);
	else
		put_real(s, "val_loss", NAN);
	put_real(s, "val_accuracy", validated ? m->val_accuracy : NAN);
	put_real(s, "lr", m->lr);
	put_computed(s, "grad_norm", m->grad_norm);
	put_computed(s, "grad_norm_clipped", m->grad_norm_clipped);
	put_real(s, "seconds", m->seconds);
	put_real(s, "samples_per_second", m->samples_per_second);
}

static json_t *layer_sheet(const struct bp_net *net, const struct bp_layer_stats *st)
{
	struct bp_layer_info info;
	struct sheet s = sheet_new();
	bp_net_layer_info(net, st->layer, &info);
	put(&s, "name", json_string(info.name));
	put_real(&s, "grad_norm", st->grad_norm);
	put_real(&s, "grad_norm_clipped", st->grad_norm_clipped);
	put_real(&s, "grad_max_abs", st->grad_max_abs);
	put_real(&s, "weight_norm", st->weight_norm);
	put_real(&s, "update_ratio", st->update_ratio);
	put_int(&s, "nonfinite", st->nonfinite);
	return sheet_end(&s);
}

static json_t *checkpoint_sheet(const struct report_checkpoint *ckpt)
{
	struct sheet s = sheet_new();
	put_int(&s, "epoch", ckpt->epoch);
	put_int(&s, "step", ckpt->step);
	put_int(&s, "bytes", ckpt->bytes);
	put(&s, "is_best", json_boolean(ckpt->is_best));
	return sheet_end(&s);
}

char *report_epoch(const struct bp_net *net, const struct bp_epoch *m, bool validated, double eta_seconds,
	const struct report_checkpoint *ckpt)
{
	struct sheet s = sheet_new();
	json_t *layers = json_array();
	put_epoch(&s, m, validated);
	put_real(&s, "eta_seconds", eta_seconds);
	if (ckpt)
		put(&s, "checkpoint", checkpoint_sheet(ckpt));
	for (int i = 0; i < m->nstats; i++)
		if (json_array_append_new(layers, layer_sheet(net, &m->stats[i])) != 0)
			s.failed = true;
	put(&s, "layers", layers);
	return sheet_text(&s);
}

char *report_metrics(const struct bp_epoch *m, bool validated)
{
	struct sheet s = sheet_new();
	put_epoch(&s, m, validated);
	return sheet_text(&s);
}

char *report_progress(const struct report_batch *b)
{
	struct sheet s = sheet_new();
	put_int(&s, "epoch", b->epoch);
	put_int(&s, "batch", b->batch);
	put_int(&s, "batches", b->batches);
	put_int(&s, "step", b->step);
	put_computed(&s, "loss", b->loss);
	put_real(&s, "samples_per_second", b->samples_per_second);
	put_real(&s, "eta_seconds", b->eta_seconds);
	return sheet_text(&s);
}

char *report_checkpoint(const struct report_checkpoint *ckpt)
{
	json_t *obj = checkpoint_sheet(ckpt);
	char *text = obj ? jsonmem_dumps(obj, JSON_COMPACT) : NULL;
	json_decref(obj);
	return text;
}

/* With all digits: a training that goes on reads its learning rate from here. */
char *report_change(const struct report_change *c)
{
	struct sheet s = sheet_new();
	put_int(&s, "step", c->step);
	put_int(&s, "epoch", c->epoch);
	put(&s, "reason", json_string(c->reason));
	put_real(&s, "lr", c->lr);
	put_real(&s, "lr_before", c->lr_before);
	put_int(&s, "epochs", c->epochs);
	put_int(&s, "epochs_before", c->epochs_before);
	if (c->rollbacks > 0)
		put_int(&s, "rollbacks", c->rollbacks);
	json_t *obj = sheet_end(&s);
	char *text = obj ? jsonmem_dumps(obj, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
	json_decref(obj);
	return text;
}

char *report_warning(const char *code, const char *detail)
{
	struct sheet s = sheet_new();
	put(&s, "code", json_string(code));
	put(&s, "detail", json_string(detail));
	return sheet_text(&s);
}

char *report_test(const struct report_test *t)
{
	struct sheet s = sheet_new();
	put_int(&s, "epoch", t->epoch);
	put_computed(&s, "test_loss", t->loss);
	put_real(&s, "test_accuracy", t->accuracy);
	put_int(&s, "samples", t->samples);
	put_real(&s, "seconds", t->seconds);
	return sheet_text(&s);
}

char *report_metrics_with_test(const char *metrics, const struct report_test *t)
{
	struct sheet s = {.obj = metrics ? jsonmem_loads(metrics, 0, NULL) : json_object()};
	s.failed = !s.obj;
	put_int(&s, "best_epoch", t->epoch);
	put_computed(&s, "test_loss", t->loss);
	put_real(&s, "test_accuracy", t->accuracy);
	return sheet_text(&s);
}
