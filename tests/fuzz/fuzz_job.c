/*
 * fuzz_job.c - whatever bytes come as a job, they end as a job or as problems a client can use: JSON, spec, the stored
 * form and back, the check against a model and a data set, and for what passed it the first batches of its training.
 */
#include "fuzz/fuzz.h"

#include <math.h>
#include <string.h>

#include "fuzz/heap.h"
#include "spec/spec.h"

enum { SAMPLES = 8, FEATURES = 4, OUTPUTS = 3, THREADS = 4, BATCHES = 3 };

/* What jobs are checked against, made once: a small net, and the same samples with classes and with targets. There are
 * two, one of features and one of pictures of 2 x 2, which can be augmented. */
struct bench {
	struct spec_model model;
	struct bp_net *net;
	struct spec_dataset ds[2];
	float samples[SAMPLES * FEATURES], targets[SAMPLES * OUTPUTS];
	int32_t labels[SAMPLES];
};

static void dataset_init(struct spec_dataset *ds, bool classes, bool pictures)
{
	*ds = (struct spec_dataset){
		.shape = pictures ? (struct bp_shape){3, {1, 2, 2}} : (struct bp_shape){1, {FEATURES}},
		.classes = classes ? OUTPUTS : 0,
		.ntargets = classes ? 0 : OUTPUTS,
		.train = SAMPLES,
		.test = classes ? SAMPLES : 0,
		.nmean = 1,
		.std = {1}};
}

#define REST                                                                                                           \
	"{\"type\":\"Linear\",\"out_features\":5},{\"type\":\"BatchNorm1d\"},{\"type\":\"ReLU\"},"                     \
	"{\"type\":\"Linear\",\"out_features\":3}]}"

static struct bench *bench(bool pictures)
{
	static const char *const texts[] = {"{\"input\":{\"shape\":[4]},\"layers\":[" REST,
		"{\"input\":{\"shape\":[1,2,2]},\"layers\":[{\"type\":\"Flatten\"}," REST};
	static struct bench both[2];
	struct bench *b = &both[pictures];
	if (b->net)
		return b;
	struct problems problems = {0};
	json_t *json = json_loads(texts[pictures], 0, NULL);
	must(spec_model_parse(json, "", &problems, &b->model), "the model is valid");
	json_decref(json);
	b->net = spec_model_build(&b->model, "", &problems);
	must(b->net != NULL, "the model makes a net");
	dataset_init(&b->ds[0], true, pictures);
	dataset_init(&b->ds[1], false, pictures);
	for (int i = 0; i < SAMPLES * FEATURES; i++)
		b->samples[i] = (float)(i * 7 % 11) / 4 - 1;
	for (int i = 0; i < SAMPLES * OUTPUTS; i++)
		b->targets[i] = (float)(i * 5 % 9) / 8;
	for (int i = 0; i < SAMPLES; i++)
		b->labels[i] = i % OUTPUTS;
	return b;
}

/* What is stored is read again as the same job. */
static json_t *check_stored(const struct spec_job *job, const struct spec_dataset *ds)
{
	static struct spec_job again;
	json_t *stored = spec_job_to_json(job, ds);
	must(stored && spec_job_from_json(stored, &again), "what is stored can be read");
	json_t *twice = spec_job_to_json(&again, ds);
	/* "auto" is resolved anew wherever a job runs; all else is as it was. */
	must(json_equal(stored, twice), "what is read is what was stored");
	json_decref(twice);
	return stored;
}

/* The "training" of the same body as the change of a running job. */
static void check_retune(const json_t *body, const json_t *stored, int epoch)
{
	struct problems problems = {0};
	struct spec_retune retune;
	bool ok = spec_retune_parse(json_object_get(body, "training"), stored, epoch, &problems, &retune);
	must(ok == !problems_any(&problems), "a change is read or has problems");
	must(!ok || retune.epochs == 0 || retune.epochs > epoch, "a training cannot end before where it is");
	must(!ok || (retune.lr >= 0 && isfinite(retune.lr)), "a rate is a number");
	must_tell(&problems);
	must_point(&problems);
}

static enum bp_answer stop_soon(void *user, struct bp_trainer *tr, const struct bp_event *ev)
{
	int *left = user;
	(void)tr;
	(void)ev;
	return --*left > 0 ? BP_CONTINUE : BP_STOP;
}

static void train(struct bench *b, struct spec_job *job, bool classes)
{
	struct bp_trainer *trainer = NULL;
	struct bp_error err;
	struct bp_data data = {.shape = b->ds[0].shape,
		.dtype = BP_F32,
		.samples = b->samples,
		.labels = classes ? b->labels : NULL,
		.targets = classes ? NULL : b->targets,
		.ntargets = classes ? 0 : OUTPUTS,
		.count = SAMPLES};
	int left = BATCHES;
	bool done;
	job->params.threads = job->params.max_threads = 1;
	if (spec_job_balanced(job))
		spec_job_balance(job, &data, OUTPUTS);
	must(bp_net_init(b->net, job->params.seed) == BP_OK, "a net begins");
	must(bp_trainer_new(b->net, &job->params, &data, NULL, &trainer, &err) == BP_OK,
		"what was checked can be trained");
	must(bp_trainer_run(trainer, stop_soon, &left, &done, &err) == BP_OK, "batches can be trained");
	bp_trainer_free(trainer);
}

static void check_job(struct spec_job *job, const json_t *body, size_t size)
{
	struct bench *b = bench(size % 3 == 0);
	struct problems problems = {0};
	struct bp_memory memory;
	bool classes = size % 2;
	const struct spec_dataset *ds = &b->ds[!classes];
	const struct spec_job_context context = {
		.model = &b->model, .net = b->net, .ds = ds, .memory_limit = size % 5 ? 0 : 1 << 16};
	bool ok = spec_job_check(job, &context, &problems, &memory);
	must(ok == !problems_any(&problems), "a job fits or has problems");
	must_tell(&problems);
	must_point(&problems);
	json_t *stored = check_stored(job, ds);
	check_retune(body, stored, (int)(size % 9));
	json_decref(stored);
	if (!ok)
		return;
	must(memory.total > 0 && (!context.memory_limit || memory.total <= context.memory_limit), "memory is counted");
	train(b, job, classes);
}

static void check(const uint8_t *data, size_t size)
{
	static struct spec_job job;
	struct problems problems = {0};
	json_t *json = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	if (!json)
		return;
	bool ok = spec_job_parse(json, THREADS, &problems, &job);
	must(ok == !problems_any(&problems), "a job is read or has problems");
	must_tell(&problems);
	must_point(&problems);
	if (ok)
		check_job(&job, json, size);
	json_decref(json);
}

void fuzz_job(const uint8_t *data, size_t size)
{
	bench(false);
	bench(true);
	heap_begin();
	check(data, size);
	heap_end();
}
