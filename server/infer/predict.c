/* predict.c - answers of a net, for values in a request and for samples of a data set. Called by api's slow threads. */
#include "infer/infer.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "infer/state.h"

enum { FLAT = -1 };

/* Instances of a request on their way into memory. */
struct reading {
	const struct infer *in;
	struct problems *problems;
	char at[SPEC_POINTER]; /* of what is read now */
	int64_t size;          /* values of a sample */
	int64_t n;             /* values written so far */
	uint8_t *bytes;        /* the sample's place: bytes for u8, else floats */
	float *floats;
};

static bool read_value(struct reading *rd, const json_t *v)
{
	double x = json_number_value(v);
	if (!json_is_number(v)) {
		problems_add(rd->problems, ERR_WRONG_TYPE, rd->at, "A number is expected here.");
		return false;
	}
	if (rd->in->u8 && !(x >= 0 && x <= 255 && x == floor(x))) {
		problems_add(rd->problems, ERR_OUT_OF_RANGE, rd->at,
			"The data set was of bytes: a value must be an integer from 0 to 255, not %.10g.", x);
		return false;
	}
	if (!isfinite((float)x)) {
		problems_add(rd->problems, ERR_OUT_OF_RANGE, rd->at, "%.10g is not finite in single precision.", x);
		return false;
	}
	if (rd->in->u8)
		rd->bytes[rd->n++] = (uint8_t)x;
	else
		rd->floats[rd->n++] = (float)x;
	return true;
}

/*
 * v must be an array of the input's dimensions from dim on, or one flat array (dim FLAT). Its pointer is in rd->at, and
 * stays at the culprit when something is wrong. Never more than rd->size values are written.
 */
static bool read_array(struct reading *rd, const json_t *v, int dim)
{
	const struct bp_shape *shape = &rd->in->model.net.input;
	int64_t want = dim == FLAT ? rd->size : shape->dim[dim];
	bool leaf = dim == FLAT || dim + 1 == shape->ndim;
	if (!json_is_array(v) || (int64_t)json_array_size(v) != want) {
		problems_add(rd->problems, json_is_array(v) ? ERR_INVALID_SHAPE : ERR_WRONG_TYPE, rd->at,
			"An array of %lld is expected here%s.", (long long)want, leaf ? "" : ", each an array");
		return false;
	}
	size_t length = strlen(rd->at);
	for (size_t i = 0; i < (size_t)want; i++) {
		const json_t *child = json_array_get(v, i);
		snprintf(rd->at + length, sizeof(rd->at) - length, "/%zu", i);
		if (leaf ? !read_value(rd, child) : !read_array(rd, child, dim + 1))
			return false;
	}
	rd->at[length] = '\0';
	return true;
}

/* Flat, nested as the input's shape, or nested without the one channel. */
static bool read_instance(struct reading *rd, const json_t *v)
{
	const struct bp_shape *shape = &rd->in->model.net.input;
	const json_t *first = json_array_get(v, 0);
	if (!json_is_array(first))
		return read_array(rd, v, FLAT);
	bool grey = shape->ndim == 3 && shape->dim[0] == 1 && !json_is_array(json_array_get(first, 0));
	return read_array(rd, v, grey ? 1 : 0);
}

static float *new_outputs(const struct infer *in, int64_t n, int64_t *ret_size)
{
	struct bp_shape out = bp_net_output_shape(in->net);
	*ret_size = bp_shape_size(&out);
	return calloc((size_t)n, (size_t)*ret_size * sizeof(float));
}

static enum bp_status run(
	struct infer *in, const struct bp_data *data, int64_t first, int n, float *ret, struct bp_error *err)
{
	/* One thread: the others are training. */
	enum bp_status st = in->predictor ? BP_OK : bp_predictor_new(in->net, INFER_BATCH, 1, &in->predictor, err);
	return st ? st : bp_predictor_run(in->predictor, data, first, n, ret, err);
}

static json_t *floats_json(const float *v, int64_t n)
{
	json_t *ret = json_array();
	for (int64_t i = 0; i < n; i++)
		json_array_append_new(ret, spec_number((double)v[i]));
	return ret;
}

/* Softmax in place, shifted by the largest score so that nothing overflows; returns the class. */
static int64_t softmax(float *v, int64_t n)
{
	int64_t best = 0;
	double sum = 0;
	for (int64_t i = 1; i < n; i++)
		if (v[i] > v[best])
			best = i;
	double top = (double)v[best];
	for (int64_t i = 0; i < n; i++)
		sum += exp((double)v[i] - top);
	for (int64_t i = 0; i < n; i++)
		v[i] = (float)(exp((double)v[i] - top) / sum);
	return best;
}

/* The probability of yes of each output of BCEWithLogitsLoss, in place. */
static void sigmoid(float *v, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		v[i] = (float)(1 / (1 + exp(-(double)v[i])));
}

static void set_label(const struct infer *in, json_t *obj, const char *name, int64_t class)
{
	json_t *label = json_array_get(in->classes, (size_t) class);
	if (label)
		json_object_set(obj, name, label);
}

/* {"predictions":[]} or {"outputs":[]}, of n rows of out, which is used up. */
static json_t *answer(const struct infer *in, float *out, int64_t n, int64_t size)
{
	const struct bp_item_info *loss = bp_item_info(BP_LOSS, in->job.params.loss.type);
	bool of_classes = loss->target == BP_TARGET_LABEL;
	json_t *list = json_array();
	if (loss->target == BP_TARGET_SHARES)
		sigmoid(out, n * size);
	for (int64_t i = 0; i < n; i++, out += size) {
		if (!of_classes) {
			json_array_append_new(list, floats_json(out, size));
			continue;
		}
		int64_t class = softmax(out, size);
		json_t *one = json_pack("{s:I}", "class", (json_int_t) class);
		set_label(in, one, "label", class);
		json_object_set_new(one, "probabilities", floats_json(out, size));
		json_array_append_new(list, one);
	}
	return json_pack("{s:o}", of_classes ? "predictions" : "outputs", list);
}

static json_t *predict(struct infer *in, const struct bp_data *data, int64_t first, int n, struct problems *problems)
{
	int64_t size = 0;
	json_t *ret = NULL;
	float *out = new_outputs(in, n, &size);
	struct bp_error err = {.status = BP_OK};
	if (out && run(in, data, first, n, out, &err) == BP_OK)
		ret = answer(in, out, n, size);
	free(out);
	/* Samples that are no indices, of a net that reads some. */
	if (!ret && err.status == BP_EINVAL)
		problems_add(problems, ERR_INVALID_DATA, "", "%c%s.", toupper((unsigned char)err.message[0]),
			err.message + 1);
	else if (!ret)
		problems_add(problems, ERR_UNAVAILABLE, "", "There is no memory for the prediction.");
	return ret;
}

static const json_t *read_instances(const json_t *body, int max_instances, struct problems *problems)
{
	struct spec_reader r;
	if (!spec_reader_begin(&r, body, "", problems))
		return NULL;
	const json_t *instances = spec_read(&r, "instances");
	size_t n = json_array_size(instances);
	spec_reader_end(&r);
	if (!json_is_array(instances))
		problems_add(problems, instances ? ERR_WRONG_TYPE : ERR_MISSING_FIELD, "/instances",
			"\"instances\" must be an array of samples.");
	else if (n < 1 || n > (size_t)max_instances)
		problems_add(problems, ERR_OUT_OF_RANGE, "/instances", "There must be from 1 to %d instances, not %zu.",
			max_instances, n);
	return instances;
}

json_t *infer_predict(struct infer *in, const json_t *body, int max_instances, struct problems *problems)
{
	int before = problems->count;
	const json_t *instances = read_instances(body, max_instances, problems);
	if (problems->count > before || problems->more)
		return NULL;
	size_t n = json_array_size(instances), element = in->u8 ? 1 : sizeof(float);
	struct reading rd = {.in = in, .problems = problems, .size = bp_shape_size(&in->model.net.input)};
	uint8_t *samples = calloc(n, (size_t)rd.size * element);
	if (!samples) {
		problems_add(problems, ERR_UNAVAILABLE, "", "There is no memory for the instances.");
		return NULL;
	}
	for (size_t i = 0; i < n && !problems->more; i++) {
		snprintf(rd.at, sizeof(rd.at), "/instances/%zu", i);
		rd.n = 0;
		rd.bytes = samples + i * (size_t)rd.size * element;
		rd.floats = (float *)(void *)rd.bytes;
		read_instance(&rd, json_array_get(instances, i));
	}
	json_t *ret = NULL;
	struct bp_data data = {.shape = in->model.net.input,
		.dtype = in->u8 ? BP_U8 : BP_F32,
		.samples = samples,
		.mean = in->mean,
		.std = in->std,
		.count = (int64_t)n};
	if (problems->count == before && !problems->more)
		ret = predict(in, &data, 0, (int)n, problems);
	free(samples);
	return ret;
}

static bool same_samples(const struct infer *in, const struct bp_data *data)
{
	const struct bp_shape *a = &in->model.net.input, *b = &data->shape;
	bool same = a->ndim == b->ndim && in->u8 == (data->dtype == BP_U8);
	for (int i = 0; same && i < a->ndim; i++)
		same = a->dim[i] == b->dim[i];
	return same;
}

json_t *infer_predict_data(struct infer *in, const struct bp_data *data, int64_t number, struct problems *problems)
{
	if (!same_samples(in, data)) {
		problems_add(problems, ERR_INVALID_SHAPE, "/dataset",
			"Its samples have another shape or type than the model's.");
		return NULL;
	}
	/* Normalised as the training was, whatever this data set's own mean is. */
	struct bp_data view = *data;
	view.mean = in->mean;
	view.std = in->std;
	json_t *ret = predict(in, &view, 0, (int)view.count, problems);
	json_t *predictions = json_object_get(ret, "predictions"), *targets = ret ? json_array() : NULL;
	for (int64_t i = 0; ret && i < data->count; i++) {
		int64_t sample = data->index ? (int64_t)data->index[i] : i;
		json_t *one = json_array_get(predictions, (size_t)i);
		if (one)
			json_object_set_new(one, "index", json_integer(number + i));
		if (one && data->labels) {
			json_object_set_new(one, "true_class", json_integer(data->labels[sample]));
			set_label(in, one, "true_label", data->labels[sample]);
		}
		if (!predictions && data->targets)
			json_array_append_new(
				targets, floats_json(data->targets + sample * data->ntargets, data->ntargets));
	}
	if (json_array_size(targets) > 0)
		json_object_set(ret, "targets", targets);
	json_decref(targets);
	return ret;
}
