/*
 * job_check.c - a job against its model and data set, before anything is queued. Called by api and work, any thread.
 */
#include "spec/spec.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "spec/augment.h"
#include "spec/life.h"
#include "spec/text.h"

static bool read_floats(const json_t *v, int64_t all, float *ret, int *ret_n)
{
	size_t n = json_array_size(v);
	if (!json_is_array(v) || n < 1 || n > SPEC_MAX_CHANNELS || (n != 1 && (int64_t)n != all))
		return false;
	for (size_t i = 0; i < n; i++) {
		const json_t *x = json_array_get(v, i);
		ret[i] = (float)json_number_value(x);
		if (!json_is_number(x) || !isfinite(ret[i]))
			return false;
	}
	*ret_n = (int)n;
	return true;
}

static bool read_count(const json_t *info, const char *name, int64_t max, int64_t *ret)
{
	const json_t *v = json_object_get(info, name);
	*ret = json_integer_value(v);
	return json_is_integer(v) && *ret >= 0 && *ret <= max;
}

bool spec_dataset_parse(const json_t *info, struct spec_dataset *ret)
{
	memset(ret, 0, sizeof(*ret));
	const json_t *shape = json_object_get(info, "shape");
	const char *dtype = json_string_value(json_object_get(info, "dtype"));
	size_t n = json_array_size(shape);
	if (!json_is_array(shape) || n < 1 || n > BP_MAX_DIMS || !dtype)
		return false;
	ret->shape.ndim = (int)n;
	for (size_t i = 0; i < n; i++)
		ret->shape.dim[i] = json_integer_value(json_array_get(shape, i));
	int64_t classes = 0, targets = 0;
	bool ok = bp_shape_size(&ret->shape) > 0 && read_count(info, "classes", INT32_MAX, &classes) &&
		  read_count(info, "targets", INT32_MAX, &targets) &&
		  read_count(info, "train", INT64_MAX, &ret->train) && read_count(info, "test", INT64_MAX, &ret->test);
	int nstd = 0;
	ok = ok && read_floats(json_object_get(info, "mean"), ret->shape.dim[0], ret->mean, &ret->nmean) &&
	     read_floats(json_object_get(info, "std"), ret->shape.dim[0], ret->std, &nstd) && nstd == ret->nmean;
	ret->classes = (int)classes;
	ret->ntargets = (int)targets;
	ret->u8 = strcmp(dtype, "u8") == 0;
	const json_t *range = json_object_get(info, "range");
	ret->has_range = json_array_size(range) == 2;
	ret->min = json_number_value(json_array_get(range, 0));
	ret->max = json_number_value(json_array_get(range, 1));
	ret->whole = json_is_true(json_object_get(info, "whole"));
	const json_t *names = json_object_get(info, "class_names");
	ret->class_names = json_is_array(names) ? names : NULL;
	return ok;
}

bool spec_loss_of_classes(const struct bp_item *loss)
{
	return bp_item_info(BP_LOSS, loss->type)->target == BP_TARGET_LABEL;
}

/* The loss's argument of weights; NULL when it has none. */
static const struct bp_arg *weights_of(const struct bp_item *loss, const struct bp_value **ret)
{
	const struct bp_item_info *info = bp_item_info(BP_LOSS, loss->type);
	for (int i = 0; i < info->nargs; i++) {
		*ret = &loss->args[i];
		if (info->args[i].kind == BP_ARG_WEIGHTS)
			return &info->args[i];
	}
	return NULL;
}

bool spec_job_balanced(const struct spec_job *job)
{
	const struct bp_value *value;
	return weights_of(&job->params.loss, &value) && value->v[0] != BP_UNSET;
}

void spec_job_balance(struct spec_job *job, const struct bp_data *train, int classes)
{
	struct bp_item *loss = &job->params.loss;
	const struct bp_value *value;
	if (!weights_of(loss, &value) || classes > SPEC_MAX_WEIGHTS)
		return;
	bp_balanced_weights(train, classes, job->loss_weights);
	loss->list = job->loss_weights;
	loss->args[value - loss->args].n = classes;
}

int64_t spec_job_validation_samples(const struct spec_job *job, int64_t train)
{
	return job->validation_on_test ? 0 : llround(job->validation_split * (double)train);
}

/* Everything the checks look at. */
struct checking {
	struct spec_job *job;
	const struct spec_model *model;
	const struct bp_net *net;
	const struct spec_dataset *ds;
	int64_t memory_limit;
	struct problems *problems;
	int64_t samples; /* left for training */
};

/* A pointer into an inline model, else to the id that stands for it. */
static const char *in_model(const struct checking *c, const char *pointer)
{
	return c->job->model_inline ? pointer : "/model";
}

static void check_input(const struct checking *c)
{
	const struct bp_shape *want = &c->ds->shape, *have = &c->model->net.input;
	bool same = want->ndim == have->ndim;
	for (int i = 0; same && i < want->ndim; i++)
		same = want->dim[i] == have->dim[i];
	if (same)
		return;
	char a[SPEC_WORDS], b[SPEC_WORDS];
	bool equal = bp_shape_size(have) == bp_shape_size(want);
	const char *hint = "";
	if (equal && have->ndim == 1)
		hint = " Declare that shape and begin with a Flatten layer.";
	else if (equal)
		hint = " Both hold as many values: upload the data set again with ?shape= and the model's shape.";
	problems_add(c->problems, ERR_INVALID_SHAPE, in_model(c, "/model/input/shape"),
		"The model takes samples of shape %s, but those of the data set have the shape %s.%s",
		text_shape(a, have), text_shape(b, want), hint);
}

/* How many outputs the loss needs for this data set, and what they are; 0 when the data set cannot serve it. */
static int outputs_wanted(const struct checking *c, const char **ret_what)
{
	const struct bp_item_info *loss = bp_item_info(BP_LOSS, c->job->params.loss.type);
	*ret_what = "target values";
	switch (loss->target) {
	case BP_TARGET_LABEL:
		*ret_what = "classes";
		return c->ds->classes;
	case BP_TARGET_SHARES:
		if (c->ds->ntargets == 0 && c->ds->classes == 2) {
			*ret_what = "classes, a yes or no";
			return 1;
		}
		return c->ds->ntargets;
	case BP_TARGET_VALUES:
		break;
	}
	return c->ds->ntargets;
}

static void check_output(const struct checking *c)
{
	const struct spec_job *job = c->job;
	const char *loss = bp_item_info(BP_LOSS, job->params.loss.type)->name, *what;
	int want = outputs_wanted(c, &what);
	if (want == 0) {
		bool of_classes = spec_loss_of_classes(&job->params.loss);
		problems_add(c->problems, ERR_INVALID_DATA, "/training/loss",
			"%s needs a data set with %s; this one has %s.", loss,
			of_classes ? "class labels" : "target values", of_classes ? "target values" : "class labels");
		return;
	}
	struct bp_shape out = bp_net_output_shape(c->net);
	if (out.ndim == 1 && out.dim[0] == want)
		return;
	char words[SPEC_WORDS];
	const char *last = c->model->layers[c->model->net.nlayers - 1].name;
	char at[sizeof("/model") + SPEC_POINTER];
	snprintf(at, sizeof(at), "/model%s", c->model->places[c->model->net.nlayers - 1].at);
	problems_add(c->problems, ERR_INVALID_SHAPE, in_model(c, at),
		"The last layer \"%s\" gives %s%s, but the data set has %d %s: %s needs exactly [%d].%s", last,
		text_shape(words, &out),
		out.ndim == 3   ? " (a map)"
		: out.ndim == 2 ? " (a sequence)"
				: "",
		c->ds->classes ? c->ds->classes : want, what, loss, want,
		out.ndim > 1 ? " End with Flatten and Linear." : "");
}

/* One weight a class; or one an output, or one for all. */
static void check_weights(const struct checking *c)
{
	const struct bp_item *loss = &c->job->params.loss;
	const struct bp_value *value;
	const struct bp_arg *arg = weights_of(loss, &value);
	bool of_classes = spec_loss_of_classes(loss);
	int64_t want = bp_net_output_shape(c->net).dim[0];
	char at[SPEC_POINTER];
	if (!arg || (value->n == 0 && !spec_job_balanced(c->job)))
		return;
	text_pointer(at, "/training/loss", arg->name);
	if (spec_job_balanced(c->job) && want > SPEC_MAX_WEIGHTS)
		problems_add(c->problems, ERR_OUT_OF_RANGE, at, "At most %d classes can be balanced, not %lld.",
			SPEC_MAX_WEIGHTS, (long long)want);
	else if (value->n > 0 && value->n != want && (of_classes || value->n != 1))
		problems_add(c->problems, ERR_OUT_OF_RANGE, at, "\"%s\" has %d numbers; it needs %lld, one %s.",
			arg->name, value->n, (long long)want, of_classes ? "a class" : "an output, or one for all");
}

/* The samples of a model that begins with an Embedding are indices. */
static void check_indices(const struct checking *c)
{
	int64_t indices = bp_net_input_indices(c->net);
	const struct spec_dataset *ds = c->ds;
	if (indices == 0 || !ds->has_range || (ds->whole && ds->min >= 0 && ds->max < (double)indices))
		return;
	char at[sizeof("/model/num_embeddings") + SPEC_POINTER] = "/model";
	for (int i = c->model->net.nlayers - 1; i >= 0; i--) {
		const struct bp_value *n = bp_item_arg(BP_LAYER, &c->model->layers[i].item, "num_embeddings");
		if (n && (int64_t)n->v[0] == indices)
			snprintf(at, sizeof(at), "/model%s/num_embeddings", c->model->places[i].at);
	}
	problems_add(c->problems, ERR_INVALID_DATA, in_model(c, at),
		"The model takes whole numbers from 0 to %lld, but the data set holds %s from %.10g to %.10g.",
		(long long)indices - 1, ds->whole ? "numbers" : "fractions", ds->min, ds->max);
}

static void check_samples(struct checking *c)
{
	struct spec_job *job = c->job;
	int64_t train = c->ds->train, val = spec_job_validation_samples(job, train);
	c->samples = train - val;
	if (job->validation_on_test && c->ds->test == 0)
		problems_add(c->problems, ERR_INVALID_DATA, "/training/validation/split",
			"The data set has no test samples.");
	if (job->validation_split > 0 && (val < 1 || c->samples < 1))
		problems_add(c->problems, ERR_OUT_OF_RANGE, "/training/validation/split",
			"A split of %g leaves %lld of %lld samples for validation and %lld for training; both need at "
			"least one.",
			job->validation_split, (long long)val, (long long)train, (long long)c->samples);
	else if (job->params.batch_size > c->samples)
		problems_add(c->problems, ERR_OUT_OF_RANGE, "/training/batch_size",
			"A batch of %d is more than the %lld samples to train on.", job->params.batch_size,
			(long long)c->samples);
}

/* PyTorch refuses a batch norm over one value per channel, and so do we when every batch is so: it has no variance, and
 * nothing would be learned. A last short batch of one sample is the core's affair. */
static void check_batch_norm(const struct checking *c)
{
	if (c->job->params.batch_size != 1)
		return;
	for (int i = 0; i < c->model->net.nlayers; i++) {
		struct bp_layer_info info;
		bp_net_layer_info(c->net, i, &info);
		if (strncmp(info.type, "BatchNorm", 9) != 0 || bp_shape_size(&info.out) != info.out.dim[0])
			continue;
		problems_add(c->problems, ERR_OUT_OF_RANGE, "/training/batch_size",
			"A batch of one sample has no variance for \"%s\" (%s); choose a larger batch_size.", info.name,
			info.type);
		return;
	}
}

/* Where the core's error about a training points: into the model when it is about layers. */
static const char *error_place(const struct checking *c, const struct bp_error *err, char ret[SPEC_POINTER])
{
	char layer[SPEC_POINTER];
	if (err->layer >= 0) {
		const struct spec_place *place = &c->model->places[err->layer];
		snprintf(layer, sizeof(layer), "/model%.*s", SPEC_POINTER - 8, place->at);
		text_pointer(ret, layer, err->field);
		if (place->block) /* its fields are the block's own affair */
			memcpy(ret, layer, sizeof(layer));
		return in_model(c, ret);
	}
	return strcmp(err->field, "layers") == 0 ? in_model(c, "/model/layers") : "/training";
}

static void check_memory(const struct checking *c, struct bp_memory *ret)
{
	struct bp_error err = {.layer = -1};
	int64_t limit = c->memory_limit;
	char at[SPEC_POINTER], need[SPEC_WORDS], allowed[SPEC_WORDS];
	enum bp_status status = bp_net_memory(c->net, &c->job->params, ret, &err);
	if (status != BP_OK)
		problems_add(c->problems,
			status == BP_EINVAL   ? ERR_OUT_OF_RANGE
			: status == BP_ENOMEM ? ERR_UNAVAILABLE
					      : ERR_MODEL_TOO_LARGE,
			status == BP_EINVAL ? error_place(c, &err, at) : "/model", "%s", err.message);
	if (status != BP_OK)
		return;
	/* The order of the samples to train on, and the split's list of all. */
	int64_t all = c->ds->train, val = spec_job_validation_samples(c->job, all);
	ret->indices = (c->job->params.shuffle ? all - val : 0) + (val > 0 ? all : 0);
	ret->indices *= (int64_t)sizeof(uint32_t);
	if (ret->indices > INT64_MAX - ret->total)
		ret->indices = INT64_MAX - ret->total;
	ret->total += ret->indices;
	if (limit > 0 && ret->total > limit)
		problems_add(c->problems, ERR_MODEL_TOO_LARGE, "/model",
			"The training needs %s of memory with a batch of %d, more than the %s that one job may have.",
			text_bytes(need, ret->total), c->job->params.batch_size, text_bytes(allowed, limit));
}

bool spec_job_check(struct spec_job *job, const struct spec_job_context *context, struct problems *problems,
	struct bp_memory *ret_memory)
{
	int before = problems->count;
	const struct spec_dataset *ds = context->ds;
	struct checking c = {.job = job,
		.model = context->model,
		.net = context->net,
		.ds = ds,
		.memory_limit = context->memory_limit,
		.problems = problems};
	*ret_memory = (struct bp_memory){0};
	if (!job->loss_given)
		bp_item_defaults(BP_LOSS, bp_item_find(BP_LOSS, ds->classes > 0 ? "CrossEntropyLoss" : "MSELoss"),
			&job->params.loss);
	check_input(&c);
	check_output(&c);
	check_indices(&c);
	if (problems->count == before)
		check_weights(&c);
	augment_check(job, context->net, ds, problems);
	/* A net whose output does not fit the loss has no training to plan. */
	if (problems->count == before)
		check_memory(&c, ret_memory);
	check_samples(&c);
	check_batch_norm(&c);
	life_check(&job->life, job->validation_on_test || job->validation_split > 0,
		bp_item_info(BP_LOSS, job->params.loss.type)->target != BP_TARGET_VALUES, problems);
	return problems->count == before && !problems->more;
}
