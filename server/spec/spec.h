/*
 * spec.h - JSON <-> the core's description structs. Pure functions: no file, no database, no thread.
 *
 * Everything is driven by the tables of bp_item_info, so a new layer, loss, optimizer or schedule needs no line here.
 * Every problem found is added to `problems` with the JSON Pointer of the offending field under `at` (a pointer prefix
 * such as "" or "/model"); parsing goes on after a problem so that all of them are told at once.
 */
#ifndef SPEC_SPEC_H
#define SPEC_SPEC_H

#include <jansson.h>

#include "backprop.h"
#include "base/problem.h"

enum {
	SPEC_POINTER = 200,        /* bytes of a JSON Pointer, as struct problem holds it */
	SPEC_MAX_CHANNELS = 4096,  /* means and deviations kept of a data set; see struct spec_dataset */
	SPEC_MAX_SAMPLE = 1 << 26, /* elements of one sample */
	SPEC_MAX_WEIGHTS = 4096,   /* numbers that weigh classes or outputs */
};

/* Where a layer comes from in a definition. */
struct spec_place {
	char at[SPEC_POINTER]; /* from the definition: "/layers/2/body/0" */
	bool block;            /* the layer is the sum at the end of the block there */
};

/* A parsed model definition, its blocks (Repeat, Residual) written out. Owns its layers. */
struct spec_model {
	char name[65];
	struct bp_net_spec net; /* net.layers == layers */
	struct bp_layer_spec *layers;
	struct spec_place *places; /* of each layer */
};
/* False when problems were added; ret is then empty. */
bool spec_model_parse(const json_t *json, const char *at, struct problems *problems, struct spec_model *ret);
void spec_model_done(struct spec_model *m);
/* The definition in full: every layer named, every argument with its value, every input named. New reference. */
json_t *spec_model_to_json(const struct spec_model *m);
/* Builds the net; core errors become problems with the pointer of the layer's field. at: the definition's. NULL on a
 * problem. */
struct bp_net *spec_model_build(const struct spec_model *m, const char *at, struct problems *problems);
/* layers with shapes, parameters and flops; totals; warnings about the definition ("lints"). New reference. */
json_t *spec_model_summary(const struct spec_model *m, const struct bp_net *net);

/* What the spec must know of a data set; filled from its info JSON by spec_dataset_parse. */
struct spec_dataset {
	struct bp_shape shape;
	int classes; /* 0 = regression */
	int ntargets;
	int64_t train, test; /* samples */
	float mean[SPEC_MAX_CHANNELS], std[SPEC_MAX_CHANNELS];
	int nmean; /* values in mean and std: shape.dim[0], or 1 that stands for all */
	bool u8;
	bool has_range;            /* min, max and whole are known; data sets of older versions have none */
	double min, max;           /* of all samples as uploaded, bytes 0 to 255 */
	bool whole;                /* all are whole numbers */
	const json_t *class_names; /* array of strings, borrowed from info; or NULL */
};
bool spec_dataset_parse(const json_t *info, struct spec_dataset *ret);

enum spec_metric { SPEC_LOSS, SPEC_ACCURACY, SPEC_VAL_LOSS, SPEC_VAL_ACCURACY, SPEC_METRIC_COUNT };
const char *spec_metric_name(enum spec_metric metric); /* "val_loss". Static. */
bool spec_metric_rises(enum spec_metric metric);       /* more is better */

/* When a training ends, what it keeps, and what happens when it goes wrong. */
struct spec_life {
	bool early_stopping;
	int monitor; /* enum spec_metric: what "best" means, also without early stopping */
	enum { SPEC_MODE_AUTO, SPEC_MODE_MIN, SPEC_MODE_MAX } mode;
	int patience;     /* epochs without a better value */
	double min_delta; /* what is no more better than that is not better */
	bool restore_best_weights;
	bool target; /* ends once target_metric has reached target_value */
	int target_metric;
	double target_value;
	double max_runtime_seconds; /* 0 = none */
	int every_epochs;           /* checkpoints */
	double every_seconds;       /* and in mid-epoch after so long without one; 0 = never */
	int keep_last, keep_best;   /* keep_last 0: the server's setting */
	bool rollback;              /* on a loss that is not finite; else the job fails */
	double lr_factor;
	int max_rollbacks;
};

/* A job as resolved. It is not copied: params.augment points to its own, and the lists of its items may. */
struct spec_job {
	char name[65]; /* "" = none given */
	char dataset[65];
	bool model_inline; /* the body's "model" was an object, so pointers may go into it */
	int priority;
	struct bp_train_params params;
	double loss_weights[SPEC_MAX_WEIGHTS];   /* as many as the loss's argument says; see spec_job_balance */
	double milestones[BP_MAX_LIST];          /* of the scheduler, as many as its argument says */
	struct bp_item augment[BP_MAX_AUGMENTS]; /* params.naugment of them */
	bool loss_given; /* else spec_job_check chooses it: CrossEntropyLoss with classes, MSELoss without */
	bool threads_auto;
	int threads;             /* with threads_auto all available ones; 0 after spec_job_from_json */
	double validation_split; /* 0 = none */
	bool validation_on_test; /* {"validation":{"split":"test"}} */
	bool normalize;          /* by the data set's mean and std */
	struct spec_life life;
};
/*
 * Parses a job body: name, dataset, model (inline object or "mdl_..." id: not touched here), training, resources,
 * priority. Defaults are filled in: 10 epochs, batch 64, seed 0, shuffled, Adam, Constant, 10 % of the training
 * samples for validation, normalised, a checkpoint each epoch and every ten minutes, all threads, priority 50.
 * `threads_available`: what "auto" means. False when problems were added.
 */
bool spec_job_parse(const json_t *json, int threads_available, struct problems *problems, struct spec_job *ret);
/* The job's spec as stored and shown (without the model), with what predictions need of the data set once that is
 * gone: "normalization" {"u8","mean","std"} and "classes" (names or null). New reference. */
json_t *spec_job_to_json(const struct spec_job *job, const struct spec_dataset *ds);
/* Back from what spec_job_to_json made (stored text). False when it does not parse (a newer version's). */
bool spec_job_from_json(const json_t *json, struct spec_job *ret);
/* What may change of a job that has not ended: {"epochs":..,"optimizer":{"lr":..}}, the "training" of a PATCH. */
struct spec_retune {
	double lr;  /* 0 = unchanged */
	int epochs; /* 0 = unchanged */
};
/* spec: the job's stored spec; epoch: how many it has finished, which bounds the new number. Pointers are below
 * "/training". False when problems were added. */
bool spec_retune_parse(
	const json_t *training, const json_t *spec, int epoch, struct problems *problems, struct spec_retune *ret);
/* Checks a job against its model and data set: shapes, loss against targets, classes against outputs, batch against
 * samples, memory against the limit (0 = none). Chooses the loss when none was given. Adds problems; false when it
 * did. Fills *ret_memory, unless shapes do not fit. */
struct spec_job_context {
	const struct spec_model *model;
	const struct bp_net *net;
	const struct spec_dataset *ds;
	int64_t memory_limit;
};
bool spec_job_check(struct spec_job *job, const struct spec_job_context *context, struct problems *problems,
	struct bp_memory *ret_memory);
/* What is allowed in a job but seldom meant: code, param (a pointer into the job), detail, suggestion of each. New
 * reference. */
json_t *spec_job_warnings(const struct spec_job *job);
/* How many of the data set's training samples are kept for validation. */
int64_t spec_job_validation_samples(const struct spec_job *job, int64_t train);
/* Whether the loss weighs classes as "balanced": then spec_job_balance takes the weights from the training samples. */
bool spec_job_balanced(const struct spec_job *job);
void spec_job_balance(struct spec_job *job, const struct bp_data *train, int classes);
/* Whether a loss compares with class labels and not with target values. */
bool spec_loss_of_classes(const struct bp_item *loss);

/* The instruction set that trainings use: "avx2", ... Static. */
const char *spec_isa(void);
/* The catalogue of all items with arguments, defaults, bounds and help. New reference. */
json_t *spec_catalog(void);

/* A number for JSON; NaN and infinities become null (jansson would drop them silently). New reference. */
json_t *spec_number(double v);

/* target with patch applied as RFC 7396 says: an object's members replace, null takes away. New reference. */
json_t *spec_merge(const json_t *target, const json_t *patch);

/*
 * A small vocabulary for checking JSON objects, used by api for its own bodies too. `at` is the pointer of obj.
 * The spec_read_* functions return false when they added a problem; an optional field that is absent leaves *ret alone
 * and is true. A string longer than size - 1 bytes is out of range.
 */
struct spec_reader {
	const json_t *obj;
	const char *at;
	struct problems *problems;
	const char *seen[48]; /* names asked for, so that spec_reader_end can find unknown ones */
	int nseen;
};
bool spec_reader_begin(struct spec_reader *r, const json_t *obj, const char *at, struct problems *problems);
const json_t *spec_read(struct spec_reader *r, const char *name); /* NULL when absent */
/* Opens the object called name; false when it is absent or no object. at receives its pointer. */
bool spec_read_object(struct spec_reader *r, const char *name, char at[SPEC_POINTER], struct spec_reader *ret);
bool spec_read_string(struct spec_reader *r, const char *name, bool required, char *ret, size_t size);
/* A name for people: 1 to size - 1 bytes without control characters. */
bool spec_read_title(struct spec_reader *r, const char *name, bool required, char *ret, size_t size);
bool spec_read_int(struct spec_reader *r, const char *name, bool required, int64_t min, int64_t max, int64_t *ret);
bool spec_read_real(struct spec_reader *r, const char *name, bool required, double min, double max, double *ret);
bool spec_read_bool(struct spec_reader *r, const char *name, bool required, bool *ret);
/* Reports fields that nobody asked for, with "did you mean". */
void spec_reader_end(struct spec_reader *r);

#endif
