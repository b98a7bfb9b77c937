/* job.c - a job's body from JSON, and the stored spec to JSON and back. Called by api and work, any thread. */
#include "spec/spec.h"

#include <stdio.h>
#include <string.h>

#include "spec/augment.h"
#include "spec/item.h"
#include "spec/life.h"
#include "spec/text.h"

static const double max_split = 0.9, max_clip = 1e9, max_decay = 0.9999999;

static void read_int(struct spec_reader *r, const char *name, int min, int max, int *ret)
{
	int64_t v = *ret;
	spec_read_int(r, name, false, min, max, &v);
	*ret = (int)v;
}

/* An item whose numbers, when it borrows any, the job keeps for it in list. */
static void read_item(struct spec_reader *training, const char *name, enum bp_item_kind kind, double *list,
	struct bp_item *ret, double *warmup)
{
	int before = training->problems->count;
	item_read_field(training, name, kind, ret, warmup);
	if (training->problems->count == before && !training->problems->more &&
		item_list(json_object_get(training->obj, name), bp_item_info(kind, ret->type), list) > 0)
		ret->list = list;
}

/* A number from 0 to max: null and 0 are none. */
static void read_none(struct spec_reader *training, const char *name, double max, double *ret)
{
	if (json_is_null(json_object_get(training->obj, name)))
		spec_read(training, name);
	else
		spec_read_real(training, name, false, 0, max, ret);
}

static void read_validation(struct spec_reader *training, struct spec_job *job)
{
	char at[SPEC_POINTER], split_at[SPEC_POINTER], quote[SPEC_QUOTE];
	struct spec_reader r;
	if (!spec_read_object(training, "validation", at, &r))
		return;
	const json_t *split = json_object_get(r.obj, "split");
	if (!json_is_string(split)) {
		spec_read_real(&r, "split", true, 0, max_split, &job->validation_split);
	} else {
		spec_read(&r, "split");
		text_pointer(split_at, at, "split");
		job->validation_split = 0;
		job->validation_on_test = strcmp(json_string_value(split), "test") == 0;
		if (!job->validation_on_test)
			problems_add(r.problems, ERR_UNKNOWN_NAME, split_at,
				"\"split\" must be a share of the training samples or \"test\", not \"%s\".",
				text_quote(quote, json_string_value(split)));
	}
	spec_reader_end(&r);
}

static void read_training(struct spec_reader *body, struct spec_job *job)
{
	char at[SPEC_POINTER];
	struct spec_reader r;
	struct bp_train_params *p = &job->params;
	if (!spec_read_object(body, "training", at, &r))
		return;
	int64_t seed = 0;
	read_int(&r, "epochs", 1, BP_MAX_EPOCHS, &p->epochs);
	read_int(&r, "batch_size", 1, BP_MAX_BATCH, &p->batch_size);
	spec_read_int(&r, "seed", false, 0, INT64_MAX, &seed);
	p->seed = (uint64_t)seed;
	spec_read_bool(&r, "shuffle", false, &p->shuffle);
	job->loss_given = json_object_get(r.obj, "loss") != NULL;
	read_item(&r, "loss", BP_LOSS, job->loss_weights, &p->loss, NULL);
	item_read_field(&r, "optimizer", BP_OPTIMIZER, &p->optimizer, NULL);
	read_item(&r, "scheduler", BP_SCHEDULER, job->milestones, &p->scheduler, &p->warmup_epochs);
	read_none(&r, "clip_grad_norm", max_clip, &p->clip_grad_norm);
	read_none(&r, "clip_grad_value", max_clip, &p->clip_grad_value);
	read_int(&r, "accumulate_steps", 1, BP_MAX_ACCUMULATE, &p->accumulate_steps);
	read_none(&r, "ema_decay", max_decay, &p->ema_decay);
	read_validation(&r, job);
	augment_read(&r, job);
	spec_read_bool(&r, "normalize", false, &job->normalize);
	life_read(&r, &job->life);
	spec_reader_end(&r);
	if (p->warmup_epochs > p->epochs)
		problems_add(r.problems, ERR_OUT_OF_RANGE, "/training/scheduler/warmup_epochs",
			"The warm-up of %g epochs is longer than the training of %d.", p->warmup_epochs, p->epochs);
}

static void read_resources(struct spec_reader *body, int available, struct spec_job *job)
{
	char at[SPEC_POINTER], threads_at[SPEC_POINTER], quote[SPEC_QUOTE];
	struct spec_reader r;
	if (!spec_read_object(body, "resources", at, &r))
		return;
	const json_t *threads = spec_read(&r, "threads");
	if (json_is_string(threads)) {
		text_pointer(threads_at, at, "threads");
		if (strcmp(json_string_value(threads), "auto") != 0)
			problems_add(r.problems, ERR_UNKNOWN_NAME, threads_at,
				"\"threads\" must be a number or \"auto\", not \"%s\".",
				text_quote(quote, json_string_value(threads)));
	} else if (threads) {
		job->threads_auto = false;
		read_int(&r, "threads", 1, available, &job->threads);
	}
	spec_reader_end(&r);
}

static void read_dataset(struct spec_reader *body, struct spec_job *job)
{
	if (!spec_read_string(body, "dataset", true, job->dataset, sizeof(job->dataset)))
		return;
	size_t n = strspn(job->dataset, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");
	if (n == 0 || job->dataset[n])
		problems_add(body->problems, ERR_INVALID_NAME, "/dataset",
			"A data set's name is 1 to 64 of the characters A-Z a-z 0-9 _ . -");
}

static void defaults(int threads, struct spec_job *ret)
{
	memset(ret, 0, sizeof(*ret));
	bp_train_params_defaults(&ret->params);
	ret->params.epochs = 10;
	ret->params.batch_size = 64;
	bp_item_defaults(BP_OPTIMIZER, bp_item_find(BP_OPTIMIZER, "Adam"), &ret->params.optimizer);
	ret->priority = 50;
	ret->threads_auto = true;
	ret->threads = threads;
	ret->validation_split = 0.1;
	ret->normalize = true;
	life_defaults(&ret->life);
}

/* What a body and a stored spec have in common. */
static void read_common(struct spec_reader *r, int available, struct spec_job *ret)
{
	spec_read_title(r, "name", false, ret->name, sizeof(ret->name));
	read_dataset(r, ret);
	read_training(r, ret);
	read_resources(r, available, ret);
	read_int(r, "priority", 0, 100, &ret->priority);
	life_resolve(&ret->life, ret->validation_on_test || ret->validation_split > 0);
	ret->params.threads = ret->params.max_threads = ret->threads > 0 ? ret->threads : 1;
}

bool spec_job_parse(const json_t *json, int threads_available, struct problems *problems, struct spec_job *ret)
{
	int before = problems->count;
	struct spec_reader r;
	defaults(threads_available, ret);
	if (!spec_reader_begin(&r, json, "", problems))
		return false;
	const json_t *model = spec_read(&r, "model");
	ret->model_inline = json_is_object(model);
	if (!model)
		problems_add(
			problems, ERR_MISSING_FIELD, "/model", "\"model\" is required: a definition or a model's id.");
	else if (!ret->model_inline && !json_is_string(model))
		problems_add(problems, ERR_WRONG_TYPE, "/model",
			"\"model\" must be a definition or a model's id, not %s.", text_kind(model));
	read_common(&r, threads_available, ret);
	spec_reader_end(&r);
	return problems->count == before && !problems->more;
}

bool spec_job_from_json(const json_t *json, struct spec_job *ret)
{
	struct problems problems = {0};
	struct spec_reader r;
	defaults(0, ret);
	if (!spec_reader_begin(&r, json, "", &problems))
		return false;
	spec_read(&r, "normalization");
	spec_read(&r, "plan"); /* what api shows beside it */
	spec_read(&r, "classes");
	read_common(&r, BP_MAX_THREADS, ret);
	spec_reader_end(&r);
	return problems.count == 0;
}

static json_t *floats_json(const float *v, int n)
{
	json_t *ret = json_array();
	for (int i = 0; i < n; i++)
		json_array_append_new(ret, spec_number(v[i]));
	return ret;
}

static json_t *item_json(enum bp_item_kind kind, const struct bp_item *item)
{
	json_t *ret = json_object();
	if (item_write(ret, kind, item))
		return ret;
	json_decref(ret);
	return NULL;
}

/* null: none. */
static json_t *none_json(double v)
{
	return v > 0 ? spec_number(v) : json_null();
}

static json_t *training_json(const struct spec_job *job)
{
	const struct bp_train_params *p = &job->params;
	json_t *scheduler = item_json(BP_SCHEDULER, &p->scheduler);
	json_object_set_new(scheduler, "warmup_epochs", spec_number(p->warmup_epochs));
	json_t *split = job->validation_on_test ? json_string("test") : spec_number(job->validation_split);
	json_t *ret = json_pack("{s:i, s:i, s:I, s:b, s:o, s:o, s:o, s:o, s:o, s:i, s:o, s:{s:o}, s:o, s:b}", "epochs",
		p->epochs, "batch_size", p->batch_size, "seed", (json_int_t)p->seed, "shuffle", p->shuffle, "loss",
		item_json(BP_LOSS, &p->loss), "optimizer", item_json(BP_OPTIMIZER, &p->optimizer), "scheduler",
		scheduler, "clip_grad_norm", none_json(p->clip_grad_norm), "clip_grad_value",
		none_json(p->clip_grad_value), "accumulate_steps", p->accumulate_steps, "ema_decay",
		none_json(p->ema_decay), "validation", "split", split, "augment", augment_json(job), "normalize",
		job->normalize);
	if (ret && life_write(ret, &job->life))
		return ret;
	json_decref(ret);
	return NULL;
}

json_t *spec_job_to_json(const struct spec_job *job, const struct spec_dataset *ds)
{
	json_t *mean = job->normalize ? floats_json(ds->mean, ds->nmean) : json_null();
	json_t *std = job->normalize ? floats_json(ds->std, ds->nmean) : json_null();
	json_t *threads = job->threads_auto ? json_string("auto") : json_integer(job->threads);
	json_t *ret = json_pack("{s:s, s:o, s:{s:o}, s:i, s:{s:b, s:o, s:o}, s:O*}", "dataset", job->dataset,
		"training", training_json(job), "resources", "threads", threads, "priority", job->priority,
		"normalization", "u8", ds->u8, "mean", mean, "std", std, "classes", ds->class_names);
	if (ret && !ds->class_names)
		json_object_set_new(ret, "classes", json_null());
	if (ret && job->name[0])
		json_object_set_new(ret, "name", json_string(job->name));
	return ret;
}
