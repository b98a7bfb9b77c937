/*
 * bench_train.c - training throughput of one model definition on synthetic data in memory.
 *
 *   build/bench_train --model FILE.json --batch N --optimizer sgd|adam --threads N [--precision fp32] [--secs S]
 *                     [--rounds R] [--isa baseline|avx2|avx512] [--augment JSON] [--compare statistics|augment]
 *                     [--clock wall|process] [--zeros PERCENT] [--samples N]
 *
 * A step is forward, loss, backward and optimizer on a batch out of eight that rotate; a round is as many steps as fit
 * in S seconds. Prints one JSON line: samples_per_second (median, min and max of the rounds), gflops (forward and both
 * backwards, none into the input), peak_rss_bytes, planned_bytes (of the training), data_bytes (the eight batches),
 * first_step_seconds. bench.py runs it beside its peers. With --clock process and one thread, time that other processes
 * took does not count. --zeros: so much of the inputs is 0, as of pictures of digits four fifths are. --samples: steps
 * are those of a job instead, whole epochs of so many samples, shuffled; a round is as many epochs as S seconds take.
 *
 * --augment takes a list as a job's training.augment has it. --compare statistics or augment takes steps with and
 * without the gradients' statistics, or the list, in turns of 0.1 ms or one step, and prints the share of a step that
 * they cost in each round, by the process's own time: what else runs on the machine disturbs both alike.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backprop.h"
#include "base/mem.h"
#include "spec/spec.h"
#include "train/trainer.h"

enum { BATCHES = 8, MAX_ROUNDS = 99, WARM_UP_STEPS = 3, MAX_EPOCHS = 1000000 };
static const double TURN_SECONDS = 1e-4; /* of a comparison, at least */

struct options {
	const char *model, *optimizer, *precision, *isa, *augment, *compare, *clock;
	int batch, threads, rounds, zeros, samples;
	double secs;
};

struct bench {
	struct spec_model model;
	struct bp_net *net;
	struct bp_trainer *trainer;
	float *samples;
	int32_t *labels;
	struct bp_data data;
	struct spec_job job; /* whose list of augmentations it is */
	struct bp_train_params params;
	struct bp_memory memory;
	int64_t steps; /* so far; says which batch is next */
};

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool options_read(struct options *o, int argc, char **argv)
{
	*o = (struct options){.optimizer = "sgd",
		.precision = "fp32",
		.clock = "wall",
		.batch = 128,
		.threads = 1,
		.rounds = 5,
		.secs = 1};
	for (int i = 1; i + 1 < argc; i += 2) {
		const char *key = argv[i], *value = argv[i + 1];
		if (!strcmp(key, "--model"))
			o->model = value;
		else if (!strcmp(key, "--batch"))
			o->batch = (int)strtol(value, NULL, 10);
		else if (!strcmp(key, "--optimizer"))
			o->optimizer = value;
		else if (!strcmp(key, "--threads"))
			o->threads = (int)strtol(value, NULL, 10);
		else if (!strcmp(key, "--precision"))
			o->precision = value;
		else if (!strcmp(key, "--secs"))
			o->secs = strtod(value, NULL);
		else if (!strcmp(key, "--rounds"))
			o->rounds = (int)strtol(value, NULL, 10);
		else if (!strcmp(key, "--zeros"))
			o->zeros = (int)strtol(value, NULL, 10);
		else if (!strcmp(key, "--samples"))
			o->samples = (int)strtol(value, NULL, 10);
		else if (!strcmp(key, "--isa"))
			o->isa = value;
		else if (!strcmp(key, "--augment"))
			o->augment = value;
		else if (!strcmp(key, "--compare"))
			o->compare = value;
		else if (!strcmp(key, "--clock"))
			o->clock = value;
		else
			return false;
	}
	return argc % 2 == 1 && o->model && o->batch > 0 && o->rounds > 0 && o->rounds <= MAX_ROUNDS &&
	       (!strcmp(o->optimizer, "sgd") || !strcmp(o->optimizer, "adam")) && !strcmp(o->precision, "fp32") &&
	       (!strcmp(o->clock, "wall") || !strcmp(o->clock, "process")) && o->samples >= 0 &&
	       !(o->samples && o->compare) &&
	       (!o->compare || !strcmp(o->compare, "statistics") || (o->augment && !strcmp(o->compare, "augment")));
}

static bool model_read(const char *path, struct bench *b)
{
	json_error_t je;
	json_t *json = json_load_file(path, JSON_REJECT_DUPLICATES, &je);
	if (!json) {
		fprintf(stderr, "%s:%d: %s\n", path, je.line, je.text);
		return false;
	}
	struct problems problems = {0};
	if (spec_model_parse(json, "", &problems, &b->model))
		b->net = spec_model_build(&b->model, "", &problems);
	for (int i = 0; i < problems.count; i++)
		fprintf(stderr, "%s: %s: %s\n", path, problems.list[i].param, problems.list[i].detail);
	json_decref(json);
	return b->net != NULL;
}

static bool augment_read(const char *text, struct bench *b)
{
	json_error_t je;
	struct problems problems = {0};
	json_t *list = json_loads(text, 0, &je);
	json_t *body = json_pack("{s:s, s:s, s:{s:o*}}", "dataset", "d", "model", "m", "training", "augment", list);
	bool ok = list && body && spec_job_parse(body, 1, &problems, &b->job);
	if (!list)
		fprintf(stderr, "--augment: %s\n", je.text);
	for (int i = 0; i < problems.count; i++)
		fprintf(stderr, "%s: %s\n", problems.list[i].param, problems.list[i].detail);
	json_decref(body);
	return ok;
}

static void item_set(enum bp_item_kind kind, struct bp_item *item, const char *name, const char *arg, double value)
{
	bp_item_defaults(kind, bp_item_find(kind, name), item);
	const struct bp_item_info *info = bp_item_info(kind, item->type);
	for (int i = 0; i < info->nargs; i++)
		if (!strcmp(info->args[i].name, arg))
			item->args[i].v[0] = value;
}

static void params_set(struct bp_train_params *p, const struct options *o)
{
	bp_train_params_defaults(p);
	p->batch_size = o->batch;
	p->threads = p->max_threads = o->threads;
	p->shuffle = o->samples > 0;
	p->epochs = o->samples ? MAX_EPOCHS : 1;
	if (!strcmp(o->optimizer, "adam")) {
		item_set(BP_OPTIMIZER, &p->optimizer, "Adam", "lr", 1e-3);
	} else {
		item_set(BP_OPTIMIZER, &p->optimizer, "SGD", "lr", 0.01);
		const struct bp_item_info *info = bp_item_info(BP_OPTIMIZER, p->optimizer.type);
		for (int i = 0; i < info->nargs; i++)
			if (!strcmp(info->args[i].name, "momentum"))
				p->optimizer.args[i].v[0] = 0.9;
	}
	static const char *const isas[] = {"baseline", "avx2", "avx512"};
	for (unsigned i = 0; o->isa && i < 3; i++)
		if (!strcmp(o->isa, isas[i]))
			p->isa_mask = (2u << i) - 1;
}

/* Standard normal by Box-Muller over a linear congruential generator; the values do not matter, their spread does. */
static float normal(uint64_t *state)
{
	double u[2];
	for (int i = 0; i < 2; i++) {
		*state = *state * 6364136223846793005u + 1442695040888963407u;
		u[i] = ((double)(*state >> 11) + 0.5) / 9007199254740992.0;
	}
	return (float)(sqrt(-2 * log(u[0])) * cos(6.283185307179586 * u[1]));
}

static bool data_make(struct bench *b, const struct options *o)
{
	struct bp_shape in = bp_net_input_shape(b->net), out = bp_net_output_shape(b->net);
	int64_t size = bp_shape_size(&in), count = o->samples ? o->samples : (int64_t)o->batch * BATCHES;
	b->samples = bp_mem_new((size_t)(size * count) * sizeof(float));
	b->labels = malloc((size_t)count * sizeof(int32_t));
	if (!b->samples || !b->labels)
		return false;
	uint64_t state = 1;
	for (int64_t i = 0; i < size * count; i++) {
		b->samples[i] = normal(&state);
		if ((int)((state >> 33) % 100) < o->zeros)
			b->samples[i] = 0;
	}
	for (int64_t i = 0; i < count; i++)
		b->labels[i] = (int32_t)(i * 7919 % bp_shape_size(&out));
	b->data = (struct bp_data){
		.shape = in, .dtype = BP_F32, .samples = b->samples, .labels = b->labels, .count = count};
	return true;
}

static long long data_bytes(const struct bench *b)
{
	return (long long)b->data.count *
	       (bp_shape_size(&b->data.shape) * (int64_t)sizeof(float) + (int64_t)sizeof(int32_t));
}

/* Of this program alone: getrusage's begins with what the process had before exec. */
static long long peak_rss(void)
{
	char line[128];
	long long kilobytes = 0;
	FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof line, f))
		if (!strncmp(line, "VmHWM:", 6))
			kilobytes = strtoll(line + 6, NULL, 10);
	if (f)
		fclose(f);
	return kilobytes * 1024;
}

static bool steps_run(struct bench *b, int64_t n)
{
	struct bp_error err;
	double loss;
	for (int64_t i = 0; i < n; i++, b->steps++) {
		int64_t first = b->steps % BATCHES * b->params.batch_size;
		if (bp_trainer_step(b->trainer, first, b->params.batch_size, &loss, &err) != BP_OK) {
			fprintf(stderr, "step: %s\n", err.message);
			return false;
		}
	}
	return true;
}

static enum bp_answer after_epoch(void *left, struct bp_trainer *tr, const struct bp_event *ev)
{
	(void)tr;
	return ev->kind == BP_EVENT_EPOCH && --*(int64_t *)left == 0 ? BP_STOP : BP_CONTINUE;
}

static bool epochs_run(struct bench *b, int64_t n)
{
	struct bp_error err;
	bool done;
	if (bp_trainer_run(b->trainer, after_epoch, &n, &done, &err) == BP_OK)
		return true;
	fprintf(stderr, "epoch: %s\n", err.message);
	return false;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Seconds that all threads of the process have run. */
static double spent(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool measure(struct bench *b, const struct options *o)
{
	double (*const clock_of)(void) = strcmp(o->clock, "wall") ? spent : now;
	bool (*const run)(struct bench * b, int64_t n) = o->samples ? epochs_run : steps_run;
	const int64_t samples = o->samples ? o->samples : o->batch; /* of a step, or of an epoch */
	double t = clock_of();
	if (!steps_run(b, 1))
		return false;
	double first_step = clock_of() - t;
	t = clock_of();
	int64_t done = 0;
	while (done < WARM_UP_STEPS || clock_of() - t < fmin(1.0, o->secs)) {
		if (!run(b, 1))
			return false;
		done++;
	}
	int64_t per_round = (int64_t)fmax(o->samples ? 1 : 2, o->secs / ((clock_of() - t) / (double)done));
	double rate[MAX_ROUNDS];
	for (int r = 0; r < o->rounds; r++) {
		t = clock_of();
		if (!run(b, per_round))
			return false;
		rate[r] = (double)(per_round * samples) / (clock_of() - t);
	}
	qsort(rate, (size_t)o->rounds, sizeof *rate, by_value);
	double median = rate[o->rounds / 2];
	printf("{\"model\":\"%s\",\"optimizer\":\"%s\",\"precision\":\"fp32\",\"isa\":\"%s\",\"batch\":%d,\"threads\":%"
	       "d,"
	       "\"samples_per_second\":{\"median\":%.1f,\"min\":%.1f,\"max\":%.1f},\"gflops\":%.1f,\"parameters\":%lld,"
	       "\"peak_rss_bytes\":%lld,\"planned_bytes\":%lld,\"data_bytes\":%lld,\"first_step_seconds\":%.4f}\n",
		b->model.name, o->optimizer, bp_trainer_isa(b->trainer), o->batch, o->threads, median, rate[0],
		rate[o->rounds - 1], (double)bp_net_training_flops(b->net) * median / 1e9,
		(long long)bp_net_parameters(b->net), peak_rss(), (long long)b->memory.total, data_bytes(b),
		first_step);
	return true;
}

/* Pairs of turns of some steps, with and without; which comes first changes from pair to pair. Of each kind the quicker
 * half counts: the slower one was disturbed. A turn takes TURN_SECONDS at least, for a short step shares the
 * processor's time with those beside it; and it reads its last step's statistics itself, as the next step does. */
static bool compare(struct bench *b, const struct options *o)
{
	enum { MAX_PAIRS = 1 << 16 };
	static double times[2][MAX_PAIRS];
	double share[MAX_ROUNDS];
	const bool of_list = !strcmp(o->compare, "augment");
	if (!steps_run(b, WARM_UP_STEPS))
		return false;
	double t = now();
	if (!steps_run(b, WARM_UP_STEPS))
		return false;
	const int64_t steps = 1 + (int64_t)(TURN_SECONDS * WARM_UP_STEPS / (now() - t));
	for (int r = 0; r < o->rounds; r++) {
		double sum[2] = {0}, end = now() + o->secs;
		int pairs = 0;
		while (pairs < 2 || (pairs < MAX_PAIRS && now() < end)) {
			for (int i = 0; i < 2; i++) {
				int with = (pairs + i) % 2;
				if (of_list)
					b->trainer->train.chain = with ? &b->trainer->chain : NULL;
				else
					b->trainer->params.statistics = with;
				double begin = spent();
				if (!steps_run(b, steps))
					return false;
				bp_trainer_see(b->trainer);
				times[with][pairs] = spent() - begin;
			}
			pairs++;
		}
		for (int with = 0; with < 2; with++) {
			qsort(times[with], (size_t)pairs, sizeof(double), by_value);
			for (int i = 0; i < pairs / 2; i++)
				sum[with] += times[with][i];
		}
		share[r] = sum[1] / sum[0] - 1;
	}
	qsort(share, (size_t)o->rounds, sizeof *share, by_value);
	printf("{\"model\":\"%s\",\"optimizer\":\"%s\",\"isa\":\"%s\",\"batch\":%d,\"threads\":%d,"
	       "\"%s_share\":{\"median\":%.4f,\"min\":%.4f,\"max\":%.4f}}\n",
		b->model.name, o->optimizer, bp_trainer_isa(b->trainer), o->batch, o->threads, o->compare,
		share[o->rounds / 2], share[0], share[o->rounds - 1]);
	return true;
}

int main(int argc, char **argv)
{
	struct options o;
	static struct bench b;
	struct bp_error err;
	int exit_code = EXIT_FAILURE;
	if (!options_read(&o, argc, argv)) {
		fprintf(stderr, "usage: bench_train --model FILE.json --batch N --optimizer sgd|adam --threads N "
				"[--precision fp32] [--secs S] [--rounds R] [--isa baseline|avx2|avx512] "
				"[--augment JSON] [--compare statistics|augment] [--clock wall|process] "
				"[--zeros PERCENT] [--samples N]\n");
		return 2;
	}
	if (!model_read(o.model, &b) || !data_make(&b, &o) || (o.augment && !augment_read(o.augment, &b)))
		goto out;
	params_set(&b.params, &o);
	b.params.augment = b.job.augment;
	b.params.naugment = b.job.params.naugment;
	bp_net_init(b.net, 1);
	if (bp_net_memory(b.net, &b.params, &b.memory, &err) != BP_OK ||
		bp_trainer_new(b.net, &b.params, &b.data, NULL, &b.trainer, &err) != BP_OK) {
		fprintf(stderr, "%s: %s\n", o.model, err.message);
		goto out;
	}
	if (o.compare ? compare(&b, &o) : measure(&b, &o))
		exit_code = EXIT_SUCCESS;
out:
	bp_trainer_free(b.trainer);
	bp_net_free(b.net);
	spec_model_done(&b.model);
	bp_mem_free(b.samples);
	free(b.labels);
	return exit_code;
}
