/* dataset_sample.c - one sample of a data set as JSON: what was uploaded, in CHW order, with its label or targets. */
#include <errno.h>
#include <stdlib.h>

#include "api/dataset.h"
#include "api/handlers.h"
#include "spec/spec.h"

static const char *const split_names[SPLIT_COUNT] = {[SPLIT_TRAIN] = "train", [SPLIT_TEST] = "test"};

static json_t *values_json(const struct bp_data *data, int64_t size)
{
	json_t *values = json_array();
	for (int64_t k = 0; values && k < size; k++) {
		json_t *v = data->dtype == BP_U8 ? json_integer(((const uint8_t *)data->samples)[k])
						 : spec_number((double)((const float *)data->samples)[k]);
		if (json_array_append_new(values, v) < 0) {
			json_decref(values);
			return NULL;
		}
	}
	return values;
}

/* Of data's one row. */
static json_t *sample_json(const struct bp_data *data, const struct dataset_row *row, int split, int64_t i)
{
	int64_t size = 1;
	json_t *shape = json_array();
	for (int d = 0; d < data->shape.ndim; d++) {
		size *= data->shape.dim[d];
		json_array_append_new(shape, json_integer((json_int_t)data->shape.dim[d]));
	}
	json_t *json = json_pack("{s:s, s:s, s:s, s:I, s:s, s:o, s:o}", "object", "sample", "dataset", row->name,
		"split", split_names[split], "index", (json_int_t)i, "dtype", data->dtype == BP_U8 ? "u8" : "f32",
		"shape", shape, "values", values_json(data, size));
	if (json && data->labels)
		json_object_set_new(json, "label", json_integer(data->labels[0]));
	if (json && data->targets) {
		json_t *targets = json_array();
		for (int k = 0; k < data->ntargets; k++)
			json_array_append_new(targets, spec_number((double)data->targets[k]));
		json_object_set_new(json, "targets", targets);
	}
	return json;
}

/* A label's name, when the upload had names. */
static void name_label(json_t *sample, const char *info_text)
{
	json_t *info = answer_stored(info_text);
	const json_t *label = json_object_get(sample, "label");
	json_t *name = json_array_get(json_object_get(info, "class_names"), (size_t)json_integer_value(label));
	if (label && name)
		json_object_set(sample, "label_name", name);
	json_decref(info);
}

void api_dataset_sample(struct http_request *rq)
{
	struct problems problems = {0};
	http_query_only(rq, (const char *const[]){"split"}, 1, &problems);
	int split = answer_query_word(rq, "split", split_names, SPLIT_COUNT, &problems);
	char *end = NULL;
	const char *text = http_segment(rq, "i");
	errno = 0;
	long long i = strtoll(text, &end, 10);
	if (errno || *end || text[0] < '0' || text[0] > '9')
		problems_add(&problems, ERR_NOT_FOUND, "i", "A sample's number is a whole number from 0.");
	struct dataset_row row;
	if (answer_refused(rq, &problems) || !dataset_find(rq, true, &row))
		return;
	struct packed_rows rows;
	if (!dataset_rows(rq, &row, split, i, 1, &rows)) {
		http_reply_error(rq, ERR_UNAVAILABLE, "", "The data set's file cannot be read.");
	} else if (rows.data.count == 0) {
		http_reply_error(rq, ERR_NOT_FOUND, "i", "The %s split has %lld samples.", split_names[split],
			(long long)rows.total);
	} else {
		json_t *json = sample_json(&rows.data, &row, split, i);
		name_label(json, row.info);
		http_reply_json(rq, 200, json);
	}
	packed_rows_done(&rows);
	dataset_row_done(&row);
}
