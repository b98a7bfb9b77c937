/* training.c - see training.h. */
#include "training.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "draw.h"
#include "net/net.h"
#include "spec_text.h"

enum { CLASSES = 4 };

static void data_make(const struct bp_net *net, int count, uint64_t seed, struct bp_data *ret)
{
	struct bp_shape in = bp_net_input_shape(net), out = bp_net_output_shape(net);
	struct draw d = {seed};
	int64_t values = count * bp_shape_size(&in), outputs = count * bp_shape_size(&out);
	uint8_t *bytes = malloc((size_t)values);
	float *floats = malloc((size_t)values * sizeof(*floats)), *targets = malloc((size_t)outputs * sizeof(*targets));
	int32_t *labels = malloc((size_t)count * sizeof(*labels));
	bool map = in.ndim == 3;
	for (int64_t i = 0; i < values; i++) {
		bytes[i] = (uint8_t)draw_int(&d, 0, 255);
		floats[i] = (float)draw_real(&d);
	}
	for (int64_t i = 0; i < outputs; i++)
		targets[i] = (float)draw_real(&d);
	for (int i = 0; i < count; i++)
		labels[i] = draw_int(&d, 0, CLASSES - 1);
	*ret = (struct bp_data){.shape = in,
		.dtype = map ? BP_U8 : BP_F32,
		.samples = map ? (void *)bytes : (void *)floats,
		.labels = labels,
		.targets = targets,
		.ntargets = (int)bp_shape_size(&out),
		.count = count};
	free(map ? (void *)floats : (void *)bytes);
}

static void data_free(struct bp_data *d)
{
	free((void *)d->samples);
	free((void *)d->labels);
	free((void *)d->targets);
}

void training_init(struct training *t, const char *net, int count)
{
	memset(t, 0, sizeof(*t));
	t->net = net_text(net, 3);
	data_make(t->net, count, 1, &t->train);
	data_make(t->net, count / 5 + 1, 2, &t->val);
	bp_train_params_defaults(&t->params);
	t->params.batch_size = 8;
}

void training_augment(struct training *t, const char *list)
{
	t->params.augment = t->augment;
	t->params.naugment = items_text(BP_AUGMENT, list, t->augment, BP_MAX_AUGMENTS);
}

void training_start(struct training *t)
{
	struct bp_error err;
	enum bp_status st = bp_trainer_new(t->net, &t->params, &t->train, &t->val, &t->trainer, &err);
	ck_assert_msg(st == BP_OK, "%s: %s", err.field, err.message);
}

void training_done(struct training *t)
{
	bp_trainer_free(t->trainer);
	bp_net_free(t->net);
	data_free(&t->train);
	data_free(&t->val);
}

void training_item(enum bp_item_kind kind, const char *type, const struct training_arg *args, struct bp_item *ret)
{
	int index = bp_item_find(kind, type);
	ck_assert_msg(index >= 0, "there is no %s", type);
	bp_item_defaults(kind, index, ret);
	for (; args && args->name; args++) {
		const struct bp_value *arg = bp_item_arg(kind, ret, args->name);
		ck_assert_msg(arg, "%s has no argument %s", type, args->name);
		ret->args[arg - ret->args].v[0] = args->v;
	}
}

static void epoch_keep(struct report *r, const struct bp_epoch *m)
{
	ck_assert_int_le(m->epoch, TRAINING_EPOCHS);
	ck_assert_int_le(m->nstats, TRAINING_LAYERS);
	struct bp_epoch *kept = &r->epoch[m->epoch - 1];
	*kept = *m;
	kept->stats = NULL;
	kept->seconds = kept->samples_per_second = 0;
	memcpy(r->layers[m->epoch - 1], m->stats, (size_t)m->nstats * sizeof(*m->stats));
	r->epochs++;
}

enum bp_answer report_keep(void *user, struct bp_trainer *tr, const struct bp_event *ev)
{
	struct report *r = user;
	if (ev->kind == BP_EVENT_VALIDATION) {
		ck_assert(ev->batch > 0 && ev->batch < ev->batches && !ev->metrics);
		r->validations++;
	} else if (ev->kind == BP_EVENT_EPOCH) {
		epoch_keep(r, ev->metrics);
	} else {
		r->batches++;
		r->batch_loss = ev->loss;
	}
	if (r->change_threads)
		bp_trainer_set_threads(tr, 1 + (int)((ev->step * 7 + ev->batch) % 4));
	if (ev->kind == BP_EVENT_VALIDATION)
		return BP_CONTINUE;
	bool steps = r->stop_after && ev->step >= r->stop_after;
	bool batches = r->stop_batches && r->batches >= r->stop_batches;
	if (!steps && !batches)
		return BP_CONTINUE;
	struct bp_error err;
	if (r->save)
		ck_assert_msg(bp_trainer_save(tr, r->save, &err) == BP_OK, "%s", err.message);
	return BP_STOP;
}

void training_run(struct training *t, struct report *r, bool done)
{
	bool ended = !done;
	ck_assert_int_eq(bp_trainer_run(t->trainer, report_keep, r, &ended, NULL), BP_OK);
	ck_assert_int_eq(ended, done);
}

void nets_equal(const struct bp_net *a, const struct bp_net *b, const char *what)
{
	ck_assert_msg(
		memcmp(a->weights, b->weights, (size_t)a->nweights * sizeof(bp_real)) == 0, "%s: other weights", what);
	ck_assert_msg(
		memcmp(a->buffers, b->buffers, (size_t)a->nbuffers * sizeof(bp_real)) == 0, "%s: other buffers", what);
}
