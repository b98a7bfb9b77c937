/* life.c - see life.h. Called by api and work, any thread. */
#include "spec/life.h"

#include <stdio.h>
#include <string.h>

#include "spec/text.h"

enum { PATIENCE_DEFAULT = 3, MAX_PATIENCE = 1000000, MAX_EVERY = 1000000, MAX_KEEP = 1000, MAX_ROLLBACKS = 100 };

static const double max_seconds = 1e9, max_value = 1e30;

static const char *const metric_names[SPEC_METRIC_COUNT] = {
	[SPEC_LOSS] = "loss",
	[SPEC_ACCURACY] = "accuracy",
	[SPEC_VAL_LOSS] = "val_loss",
	[SPEC_VAL_ACCURACY] = "val_accuracy",
};

const char *spec_metric_name(enum spec_metric metric)
{
	return metric_names[metric];
}

bool spec_metric_rises(enum spec_metric metric)
{
	return metric == SPEC_ACCURACY || metric == SPEC_VAL_ACCURACY;
}

void life_defaults(struct spec_life *ret)
{
	*ret = (struct spec_life){.monitor = -1,
		.patience = PATIENCE_DEFAULT,
		.restore_best_weights = true,
		.every_epochs = 1,
		.every_seconds = 600,
		.keep_best = 1,
		.lr_factor = 0.5,
		.max_rollbacks = 3};
}

/* One of n words; index in *ret. */
static void read_word(struct spec_reader *r, const char *name, const char *const *words, int n, int *ret)
{
	char at[SPEC_POINTER], given[64] = "", all[160] = "", quote[SPEC_QUOTE];
	if (!spec_read_string(r, name, false, given, sizeof(given)) || !given[0])
		return;
	for (int i = 0; i < n; i++) {
		size_t used = strlen(all);
		if (strcmp(given, words[i]) == 0) {
			*ret = i;
			return;
		}
		snprintf(all + used, sizeof(all) - used, "%s\"%s\"", i ? ", " : "", words[i]);
	}
	text_pointer(at, r->at, name);
	problems_add(r->problems, ERR_UNKNOWN_NAME, at, "\"%s\" must be one of %s, not \"%s\".", name, all,
		text_quote(quote, given));
}

static void read_int(struct spec_reader *r, const char *name, int min, int max, int *ret)
{
	int64_t v = *ret;
	spec_read_int(r, name, false, min, max, &v);
	*ret = (int)v;
}

/* Opens the object called name; null is as good as absent. at receives its pointer. */
static bool open_object(struct spec_reader *parent, const char *name, char at[SPEC_POINTER], struct spec_reader *ret)
{
	const json_t *v = spec_read(parent, name);
	text_pointer(at, parent->at, name);
	return v && !json_is_null(v) && spec_reader_begin(ret, v, at, parent->problems);
}

static void read_early_stopping(struct spec_reader *training, struct spec_life *life)
{
	static const char *const modes[] = {"auto", "min", "max"};
	char at[SPEC_POINTER];
	struct spec_reader r;
	int mode = 0;
	if (!open_object(training, "early_stopping", at, &r))
		return;
	life->early_stopping = true;
	read_word(&r, "monitor", metric_names, SPEC_METRIC_COUNT, &life->monitor);
	read_word(&r, "mode", modes, 3, &mode);
	read_int(&r, "patience", 0, MAX_PATIENCE, &life->patience);
	spec_read_real(&r, "min_delta", false, 0, max_value, &life->min_delta);
	spec_read_bool(&r, "restore_best_weights", false, &life->restore_best_weights);
	spec_reader_end(&r);
	life->mode = mode;
}

static void read_target(struct spec_reader *training, struct spec_life *life)
{
	char at[SPEC_POINTER], metric_at[SPEC_POINTER];
	struct spec_reader r;
	int metric = -1;
	if (!open_object(training, "target", at, &r))
		return;
	life->target = true;
	read_word(&r, "metric", metric_names, SPEC_METRIC_COUNT, &metric);
	if (!json_object_get(r.obj, "metric")) {
		text_pointer(metric_at, at, "metric");
		problems_add(r.problems, ERR_MISSING_FIELD, metric_at, "\"metric\" is required.");
	}
	spec_read_real(&r, "value", true, -max_value, max_value, &life->target_value);
	spec_reader_end(&r);
	life->target_metric = metric < 0 ? SPEC_LOSS : metric;
}

static void read_checkpoint(struct spec_reader *training, struct spec_life *life)
{
	char at[SPEC_POINTER];
	struct spec_reader r;
	if (!open_object(training, "checkpoint", at, &r))
		return;
	read_int(&r, "every_epochs", 1, MAX_EVERY, &life->every_epochs);
	if (json_is_null(json_object_get(r.obj, "every_seconds"))) {
		spec_read(&r, "every_seconds");
		life->every_seconds = 0;
	} else {
		spec_read_real(&r, "every_seconds", false, 0.1, max_seconds, &life->every_seconds);
	}
	if (json_is_null(json_object_get(r.obj, "keep_last")))
		spec_read(&r, "keep_last");
	else
		read_int(&r, "keep_last", 1, MAX_KEEP, &life->keep_last);
	read_int(&r, "keep_best", 1, MAX_KEEP, &life->keep_best);
	spec_reader_end(&r);
}

static void read_on_nonfinite(struct spec_reader *training, struct spec_life *life)
{
	static const char *const actions[] = {"fail", "rollback"};
	char at[SPEC_POINTER];
	struct spec_reader r;
	int action = 0;
	if (!open_object(training, "on_nonfinite", at, &r))
		return;
	read_word(&r, "action", actions, 2, &action);
	spec_read_real(&r, "lr_factor", false, 1e-6, 1, &life->lr_factor);
	read_int(&r, "max_rollbacks", 1, MAX_ROLLBACKS, &life->max_rollbacks);
	spec_reader_end(&r);
	life->rollback = action == 1;
}

void life_read(struct spec_reader *training, struct spec_life *life)
{
	read_early_stopping(training, life);
	read_target(training, life);
	if (json_is_null(json_object_get(training->obj, "max_runtime_seconds")))
		spec_read(training, "max_runtime_seconds");
	else
		spec_read_real(training, "max_runtime_seconds", false, 1, max_seconds, &life->max_runtime_seconds);
	read_checkpoint(training, life);
	read_on_nonfinite(training, life);
}

void life_resolve(struct spec_life *life, bool validated)
{
	if (life->monitor < 0)
		life->monitor = validated ? SPEC_VAL_LOSS : SPEC_LOSS;
	if (life->mode == SPEC_MODE_AUTO)
		life->mode = spec_metric_rises((enum spec_metric)life->monitor) ? SPEC_MODE_MAX : SPEC_MODE_MIN;
}

bool life_write(json_t *training, const struct spec_life *life)
{
	json_t *early =
		!life->early_stopping
			? json_null()
			: json_pack("{s:s, s:s, s:i, s:f, s:b}", "monitor", metric_names[life->monitor], "mode",
				  life->mode == SPEC_MODE_MAX ? "max" : "min", "patience", life->patience, "min_delta",
				  life->min_delta, "restore_best_weights", life->restore_best_weights);
	json_t *target = !life->target ? json_null()
				       : json_pack("{s:s, s:f}", "metric", metric_names[life->target_metric], "value",
						 life->target_value);
	json_t *checkpoint = json_pack("{s:i, s:o, s:o, s:i}", "every_epochs", life->every_epochs, "every_seconds",
		life->every_seconds > 0 ? json_real(life->every_seconds) : json_null(), "keep_last",
		life->keep_last > 0 ? json_integer(life->keep_last) : json_null(), "keep_best", life->keep_best);
	json_t *nonfinite = json_pack("{s:s, s:f, s:i}", "action", life->rollback ? "rollback" : "fail", "lr_factor",
		life->lr_factor, "max_rollbacks", life->max_rollbacks);
	json_t *all =
		json_pack("{s:o, s:o, s:o, s:o, s:o}", "early_stopping", early, "target", target, "max_runtime_seconds",
			life->max_runtime_seconds > 0 ? json_real(life->max_runtime_seconds) : json_null(),
			"checkpoint", checkpoint, "on_nonfinite", nonfinite);
	bool ok = all && json_object_update(training, all) == 0;
	json_decref(all);
	return ok;
}

static void check_metric(int metric, const char *at, bool validated, bool of_classes, struct problems *problems)
{
	if (!validated && (metric == SPEC_VAL_LOSS || metric == SPEC_VAL_ACCURACY))
		problems_add(problems, ERR_INVALID_DATA, at, "The job has no %s: it keeps no samples for validation.",
			metric_names[metric]);
	else if (!of_classes && spec_metric_rises((enum spec_metric)metric))
		problems_add(problems, ERR_INVALID_DATA, at, "The job has no %s: its loss is not of classes.",
			metric_names[metric]);
}

void life_check(const struct spec_life *life, bool validated, bool of_classes, struct problems *problems)
{
	if (life->early_stopping)
		check_metric(life->monitor, "/training/early_stopping/monitor", validated, of_classes, problems);
	if (life->target)
		check_metric(life->target_metric, "/training/target/metric", validated, of_classes, problems);
}
