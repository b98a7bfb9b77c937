/* examine.c - the findings of a job's epochs (diagnose.h) as events and in its row (see train.h). */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/jsonmem.h"
#include "base/log.h"
#include "work/probe.h"
#include "work/train.h"

/* Findings that the job has already. */
static unsigned told_of(const json_t *findings)
{
	unsigned told = 0;
	for (size_t i = 0; i < json_array_size(findings); i++) {
		const char *code = json_string_value(json_object_get(json_array_get(findings, i), "code"));
		for (int k = 0; code && k < FOUND_COUNT; k++)
			if (strcmp(code, finding_name((enum finding_code)k)) == 0)
				told |= 1u << k;
	}
	return told;
}

void run_examine_begin(struct run *r, const struct past_epoch *past, int n)
{
	if (!r->findings) {
		r->findings = r->row->diagnosis ? jsonmem_loads(r->row->diagnosis, 0, NULL) : json_array();
		diagnosis_init(&r->diagnosis);
		r->diagnosis.told = told_of(r->findings);
	}
	diagnosis_replay(&r->diagnosis, past, n);
}

void run_examine_done(struct run *r)
{
	json_decref(r->findings);
	r->findings = NULL;
}

/* What is known of the layers without looking at their values. */
static struct layer_state *layers_of(const struct run *r, const struct bp_epoch *m)
{
	const struct bp_net *net = r->prepared.net;
	struct layer_state *layers = calloc((size_t)bp_net_layers(net), sizeof(*layers));
	for (int i = 0; layers && i < bp_net_layers(net); i++) {
		struct bp_layer_info info;
		bp_net_layer_info(net, i, &info);
		layers[i] = (struct layer_state){.name = info.name,
			.parameters = info.parameters,
			.grad_norm = NAN,
			.update_ratio = NAN,
			.activation = probe_activation(info.type),
			.dead = NAN,
			.saturated = NAN};
	}
	for (int i = 0; layers && i < m->nstats; i++) {
		struct layer_state *layer = &layers[m->stats[i].layer];
		layer->grad_norm = m->stats[i].grad_norm;
		layer->update_ratio = m->stats[i].update_ratio;
		layer->nonfinite = m->stats[i].nonfinite;
	}
	return layers;
}

/* The channel that is farthest from mean 0 and deviation 1. */
static void input_of(const struct run *r, struct epoch_state *e)
{
	const struct bp_data *data = &r->prepared.packed.split[SPLIT_TRAIN];
	double worst = -1;
	e->input_mean = e->input_std = NAN;
	if (r->prepared.job.normalize || !data->mean || !data->std)
		return;
	for (int64_t c = 0; c < data->shape.dim[0]; c++) {
		double std = data->std[c], off = fmax(fabs(data->mean[c]), fabs(log(std > 0 ? std : 1e-30)));
		if (off <= worst)
			continue;
		worst = off;
		e->input_mean = data->mean[c];
		e->input_std = std;
	}
}

/* Values are looked at after epochs 1, 2, 4, 8 ...: dead units stay dead. */
static bool probe_due(int epoch)
{
	return (epoch & (epoch - 1)) == 0;
}

/* One finding: an event, and one more in the job's row. Losing one loses no training. */
static void tell(struct run *r, const struct finding *f)
{
	json_t *json = json_pack("{s:s, s:i, s:s?, s:o, s:o, s:s, s:s}", "code", finding_name(f->code), "epoch",
		f->epoch, "layer", f->layer, "value", spec_number(f->value), "bound", spec_number(f->bound), "detail",
		f->detail, "suggestion", f->suggestion);
	bool ok = json && json_array_append(r->findings, json) == 0;
	char *data = ok ? jsonmem_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
	char *all = ok ? jsonmem_dumps(r->findings, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
	int64_t seq;
	if (!data || !all || store_job_diagnosed(r->ctx->store, r->row->id, data, all, &seq) != STORE_OK)
		log_line(LOG_WARNING, "%s: a finding could not be written: %s", r->row->id, f->detail);
	else
		run_ring(r->ctx, r->row->id);
	free(data);
	free(all);
	json_decref(json);
}

void run_examine(struct run *r, struct bp_trainer *tr, const struct bp_epoch *m, bool broken)
{
	struct finding found[FOUND_COUNT];
	struct layer_state *layers = layers_of(r, m);
	struct epoch_state e = {.epoch = m->epoch,
		.now = history_epoch(m),
		.broken = broken,
		.layers = layers,
		.nlayers = bp_net_layers(r->prepared.net)};
	if (!layers)
		return;
	input_of(r, &e);
	if (!broken && probe_due(m->epoch))
		probe_layers(tr, r->prepared.net, layers);
	int n = diagnosis_epoch(&r->diagnosis, &e, found);
	for (int i = 0; i < n; i++)
		tell(r, &found[i]);
	free(layers);
}
