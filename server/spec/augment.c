/*
 * augment.c - see augment.h. Called by job.c and job_check.c, and by api for the warnings; any thread.
 *
 * Beside lint.c the only place of spec/ that knows items by name: what is kept between 0 and 1, and what does nothing,
 * is about their meaning, which no table tells.
 */
#include "spec/augment.h"

#include <string.h>

#include "spec/item.h"
#include "spec/text.h"

static const char place[] = "/training/augment";

void augment_read(struct spec_reader *training, struct spec_job *job)
{
	char at[SPEC_POINTER], entry_at[SPEC_POINTER];
	const json_t *list = spec_read(training, "augment");
	text_pointer(at, training->at, "augment");
	job->params.augment = job->augment;
	job->params.naugment = 0;
	if (!list || json_is_null(list))
		return;
	if (!json_is_array(list)) {
		problems_add(training->problems, ERR_WRONG_TYPE, at, "\"augment\" must be an array, not %s.",
			text_kind(list));
		return;
	}
	if (json_array_size(list) > BP_MAX_AUGMENTS) {
		problems_add(training->problems, ERR_OUT_OF_RANGE, at,
			"There may be at most %d augmentations, not %zu.", BP_MAX_AUGMENTS, json_array_size(list));
		return;
	}
	int n = (int)json_array_size(list);
	for (int i = 0; i < n; i++) {
		text_pointer_index(entry_at, at, (size_t)i);
		if (item_read_value(json_array_get(list, (size_t)i), entry_at, BP_AUGMENT, training->problems,
			    &job->augment[i]))
			job->params.naugment = i + 1; /* all of them, unless there are problems */
	}
}

json_t *augment_json(const struct spec_job *job)
{
	json_t *ret = json_array();
	for (int i = 0; i < job->params.naugment; i++) {
		json_t *entry = json_object();
		if (!item_write(entry, BP_AUGMENT, &job->augment[i]) || json_array_append_new(ret, entry) != 0) {
			json_decref(ret);
			return NULL;
		}
	}
	return ret;
}

static const char *name_of(const struct bp_item *item)
{
	return bp_item_info(BP_AUGMENT, item->type)->name;
}

/* The argument's first number; 0 when the item has none of that name. */
static double argument(const struct bp_item *item, const char *name)
{
	const struct bp_value *v = bp_item_arg(BP_AUGMENT, item, name);
	return v ? v->v[0] : 0;
}

/* What an augmentation keeps between 0 and 1 must lie there, or it is cut off: bytes do. */
static void check_range(
	const struct bp_item *item, const char *at, const struct spec_dataset *ds, struct problems *problems)
{
	bool clips = argument(item, "clip") != 0;
	char clip_at[SPEC_POINTER];
	if (ds->u8 || !ds->has_range || (ds->min >= 0 && ds->max <= 1) ||
		(!clips && strcmp(name_of(item), "ColorJitter") != 0))
		return;
	text_pointer(clip_at, at, "clip");
	problems_add(problems, ERR_INVALID_DATA, clips ? clip_at : at,
		"%s keeps values between 0 and 1, but those of the data set go from %.10g to %.10g.%s", name_of(item),
		ds->min, ds->max, clips ? " Set \"clip\": false." : "");
}

void augment_check(
	const struct spec_job *job, const struct bp_net *net, const struct spec_dataset *ds, struct problems *problems)
{
	for (int i = 0; i < job->params.naugment; i++) {
		const struct bp_item *item = &job->augment[i];
		char at[SPEC_POINTER], field_at[SPEC_POINTER];
		struct bp_error err;
		text_pointer_index(at, place, (size_t)i);
		if (bp_augment_check(item, net, &err) == BP_OK) {
			check_range(item, at, ds, problems);
			continue;
		}
		text_pointer(field_at, at, err.field);
		problems_add(problems, strcmp(err.field, "type") == 0 ? ERR_INVALID_SHAPE : ERR_OUT_OF_RANGE, field_at,
			"%s.", err.message);
	}
}

/* Why it changes no sample, and what would; NULL when it does change some. */
static const char *idle(const struct bp_item *item, const char **ret_suggestion)
{
	const struct bp_value *padding = bp_item_arg(BP_AUGMENT, item, "padding");
	double sum = 0;
	for (int i = 0; padding && i < padding->n; i++)
		sum += padding->v[i];
	*ret_suggestion = "Leave it out, or give it something to change.";
	if (padding && sum == 0) {
		*ret_suggestion = "Set \"padding\", such as an eighth of the image's side.";
		return "Without padding it cuts out the whole image.";
	}
	if (bp_item_arg(BP_AUGMENT, item, "p") && argument(item, "p") == 0)
		return "Its p is 0.";
	if (strcmp(name_of(item), "ColorJitter") == 0 && argument(item, "brightness") == 0 &&
		argument(item, "contrast") == 0 && argument(item, "saturation") == 0 && argument(item, "hue") == 0)
		return "Brightness, contrast, saturation and hue are left as they are.";
	if (strcmp(name_of(item), "RandomRotation") == 0 && argument(item, "degrees") == 0)
		return "It turns by 0 degrees.";
	if (bp_item_arg(BP_AUGMENT, item, "sigma") && argument(item, "sigma") == 0 && argument(item, "mean") == 0)
		return "Its noise is 0.";
	return NULL;
}

json_t *spec_job_warnings(const struct spec_job *job)
{
	json_t *ret = json_array();
	for (int i = 0; i < job->params.naugment; i++) {
		char at[SPEC_POINTER];
		const char *suggestion, *why = idle(&job->augment[i], &suggestion);
		text_pointer_index(at, place, (size_t)i);
		if (why)
			json_array_append_new(
				ret, json_pack("{s:s, s:s, s:s+++, s:s}", "code", "augmentation_does_nothing", "param",
					     at, "detail", name_of(&job->augment[i]), " changes no sample. ", why, "",
					     "suggestion", suggestion));
	}
	return ret;
}
