/* infer.c - a net with the weights of a checkpoint. Called by api's slow threads and by work; one thread an object. */
#include "infer/infer.h"

#include <stdlib.h>

#include "infer/state.h"

/* One value for all channels, or one for each. NULL when v does not fit the channels. */
static float *read_floats(const json_t *v, int64_t channels)
{
	size_t n = json_array_size(v);
	float *ret = n == 1 || (int64_t)n == channels ? calloc((size_t)channels, sizeof(*ret)) : NULL;
	for (int64_t c = 0; ret && c < channels; c++)
		ret[c] = (float)json_number_value(json_array_get(v, n == 1 ? 0 : (size_t)c));
	return ret;
}

static bool read_normalization(struct infer *in, const json_t *spec)
{
	const json_t *normalization = json_object_get(spec, "normalization");
	const json_t *mean = json_object_get(normalization, "mean"), *std = json_object_get(normalization, "std");
	in->u8 = json_is_true(json_object_get(normalization, "u8"));
	if (!json_is_array(mean) || !json_is_array(std))
		return json_is_object(normalization);
	in->mean = read_floats(mean, in->model.net.input.dim[0]);
	in->std = read_floats(std, in->model.net.input.dim[0]);
	for (int64_t c = 0; in->std && c < in->model.net.input.dim[0]; c++)
		if (!(in->std[c] > 0))
			return false;
	return in->mean && in->std;
}

static bool load(struct infer *in, const char *path, struct problems *problems)
{
	struct bp_error err = {.layer = -1};
	enum bp_status status = bp_net_load(in->net, path, &err);
	if (status == BP_OK)
		return true;
	const char *why = "cannot be read";
	if (status == BP_ECORRUPT)
		why = "is damaged";
	if (status == BP_EMISMATCH)
		why = "belongs to another model";
	problems_add(problems, ERR_UNAVAILABLE, "", "The checkpoint %s.", why);
	return false;
}

struct infer *infer_open(
	const json_t *model, const json_t *spec, const char *checkpoint_path, struct problems *problems)
{
	struct problems stored = {0};
	struct infer *in = calloc(1, sizeof(*in));
	if (!in) {
		problems_add(problems, ERR_UNAVAILABLE, "", "There is no memory for the model.");
		return NULL;
	}
	bool readable = spec_model_parse(model, "", &stored, &in->model) && spec_job_from_json(spec, &in->job) &&
			read_normalization(in, spec);
	if (readable)
		in->net = spec_model_build(&in->model, "", &stored);
	if (!in->net)
		problems_add(
			problems, ERR_UNAVAILABLE, "", "The job's stored definition cannot be used by this version.");
	if (!in->net || !load(in, checkpoint_path, problems)) {
		infer_close(in);
		return NULL;
	}
	json_t *classes = json_object_get(spec, "classes");
	in->classes = json_is_array(classes) ? json_incref(classes) : NULL;
	return in;
}

void infer_close(struct infer *in)
{
	if (!in)
		return;
	bp_predictor_free(in->predictor);
	bp_net_free(in->net);
	spec_model_done(&in->model);
	json_decref(in->classes);
	free(in->mean);
	free(in->std);
	free(in);
}
