/*
 * fuzz_checkpoint.c - whatever bytes lie where a checkpoint should be, with a checksum that may fit: a trainer refuses
 * them and is as it was, or takes them up and can train to its end. An input is a recipe, so that it holds for every
 * version of the format: what to change in a checkpoint that was just written.
 *
 *	flags (1: no change of the checksum, 2: a checkpoint of another training, 4: the bytes that follow are the
 *file), bytes more or less at the end (signed), then changes of 11 bytes: place (2), width and whether to add (1),
 *value (8)
 */
#include "fuzz/fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "net/net.h"
#include "spec/spec.h"
#include "train/crc32c.h"
#include "train/trainer.h"

enum { ROOM = 1 << 13, CHANGE = 11, SAMPLES = 8, FEATURES = 3, OUTPUTS = 2, CRC = 4 };
enum { FLAG_CHECKSUM = 1, FLAG_OTHER = 2, FLAG_RAW = 4 };

struct training {
	struct bp_net *net, *copy; /* copy: for bp_net_load */
	struct bp_trainer *trainer;
	uint8_t file[ROOM]; /* of the trainer in the middle of its second epoch */
	size_t size;
};

/* Made once: two trainings of one net, and a file in memory. */
struct bench {
	struct training training[2];
	float samples[SAMPLES * FEATURES], targets[SAMPLES * OUTPUTS];
	struct bp_data data;
	int fd;
	char path[40];
	uint8_t file[ROOM];
	struct bp_crc32c crc;
};

static struct bp_net *make_net(void)
{
	static const char text[] =
		"{\"input\":{\"shape\":[3]},\"layers\":[{\"type\":\"Linear\",\"out_features\":3},"
		"{\"type\":\"BatchNorm1d\"},{\"type\":\"Dropout\"},{\"type\":\"Linear\",\"out_features\":2}]}";
	struct problems problems = {0};
	struct spec_model model;
	json_t *json = json_loads(text, 0, NULL);
	must(spec_model_parse(json, "", &problems, &model), "the model is valid");
	struct bp_net *net = spec_model_build(&model, "", &problems);
	must(net && bp_net_init(net, 1) == BP_OK, "the model makes a net");
	spec_model_done(&model);
	json_decref(json);
	return net;
}

static enum bp_answer stop_midway(void *user, struct bp_trainer *tr, const struct bp_event *ev)
{
	(void)user;
	(void)tr;
	return ev->kind == BP_EVENT_BATCH && ev->epoch == 2 && ev->batch == 2 ? BP_STOP : BP_CONTINUE;
}

/* Writes a checkpoint on a real disk once, as there is no other way to write one. */
static void save(struct training *t)
{
	char directory[] = "/tmp/fuzz-checkpoint-XXXXXX", path[64];
	struct bp_error err;
	must(mkdtemp(directory) != NULL, "there is a directory");
	snprintf(path, sizeof(path), "%s/ckpt", directory);
	must(bp_trainer_save(t->trainer, path, &err) == BP_OK, "a checkpoint is written");
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, t->file, ROOM);
	must(n > 0 && n < ROOM, "a checkpoint is read");
	t->size = (size_t)n;
	close(fd);
	unlink(path);
	rmdir(directory);
}

static void training_init(struct training *t, const struct bp_data *data, bool other)
{
	struct bp_train_params p;
	struct bp_error err;
	bool done;
	t->net = make_net();
	t->copy = make_net();
	bp_train_params_defaults(&p);
	p.epochs = 3;
	p.batch_size = 2;
	p.accumulate_steps = other ? 1 : 3;
	p.ema_decay = other ? 0 : 0.5;
	bp_item_defaults(BP_LOSS, bp_item_find(BP_LOSS, "MSELoss"), &p.loss);
	bp_item_defaults(BP_OPTIMIZER, bp_item_find(BP_OPTIMIZER, other ? "SGD" : "Adam"), &p.optimizer);
	bp_item_defaults(BP_SCHEDULER, bp_item_find(BP_SCHEDULER, "ReduceLROnPlateau"), &p.scheduler);
	must(bp_trainer_new(t->net, &p, data, NULL, &t->trainer, &err) == BP_OK, "there is a trainer");
	must(bp_trainer_run(t->trainer, stop_midway, NULL, &done, &err) == BP_OK, "it trains");
	save(t);
}

static struct bench *bench(void)
{
	static struct bench b;
	if (b.path[0])
		return &b;
	for (int i = 0; i < SAMPLES * FEATURES; i++)
		b.samples[i] = (float)(i * 7 % 11) / 4 - 1;
	for (int i = 0; i < SAMPLES * OUTPUTS; i++)
		b.targets[i] = (float)(i * 5 % 9) / 8;
	b.data = (struct bp_data){.shape = {1, {FEATURES}},
		.dtype = BP_F32,
		.samples = b.samples,
		.targets = b.targets,
		.ntargets = OUTPUTS,
		.count = SAMPLES};
	bp_crc32c_init(&b.crc);
	training_init(&b.training[0], &b.data, false);
	training_init(&b.training[1], &b.data, true);
	b.fd = memfd_create("checkpoint", MFD_CLOEXEC);
	must(b.fd >= 0, "there is a file in memory");
	snprintf(b.path, sizeof(b.path), "/proc/self/fd/%d", b.fd);
	return &b;
}

static void change(uint8_t *file, size_t size, const uint8_t *c)
{
	uint64_t old = 0, value;
	size_t at = ((size_t)c[0] | (size_t)c[1] << 8) % size, width = (size_t)1 << (c[2] & 3);
	if (width > size - at)
		width = size - at;
	memcpy(&old, file + at, width);
	memcpy(&value, c + 3, sizeof(value));
	value = c[2] & 4 ? old + value : value;
	memcpy(file + at, &value, width);
}

static void seal(struct bench *b, size_t size)
{
	bp_crc32c_restart(&b->crc);
	bp_crc32c_add(&b->crc, b->file, size - CRC);
	uint32_t sum = bp_crc32c_value(&b->crc);
	memcpy(b->file + size - CRC, &sum, CRC);
}

/* The file that the recipe says; returns its size. */
static size_t cook(struct bench *b, const uint8_t *data, size_t size)
{
	const struct training *t = &b->training[data[0] & FLAG_OTHER ? 1 : 0];
	size_t n = size - 2 < ROOM ? size - 2 : ROOM;
	if (data[0] & FLAG_RAW) {
		memcpy(b->file, data + 2, n);
	} else {
		n = t->size + (size_t)(int8_t)data[1];
		memset(b->file, 0, t->size + 128);
		memcpy(b->file, t->file, t->size);
		for (size_t at = 2; at + CHANGE <= size; at += CHANGE)
			change(b->file, n, data + at);
	}
	if (n >= CRC && !(data[0] & FLAG_CHECKSUM))
		seal(b, n);
	return n;
}

static void write_file(const struct bench *b, const uint8_t *bytes, size_t n)
{
	must(ftruncate(b->fd, 0) == 0 && pwrite(b->fd, bytes, n, 0) == (ssize_t)n, "a file can be written");
}

/* Of all that makes the next bit. */
static uint32_t state_sum(struct bench *b, const struct bp_trainer *tr)
{
	size_t bytes = (size_t)tr->net->nweights * sizeof(bp_real);
	bp_crc32c_restart(&b->crc);
	bp_crc32c_add(&b->crc, &tr->progress, sizeof(tr->progress));
	bp_crc32c_add(&b->crc, tr->net->weights, bytes);
	bp_crc32c_add(&b->crc, tr->net->buffers, (size_t)tr->net->nbuffers * sizeof(bp_real));
	bp_crc32c_add(&b->crc, tr->epoch_health, (size_t)tr->layout.nslots * sizeof(*tr->epoch_health));
	for (int s = 0; s < tr->layout.states; s++)
		bp_crc32c_add(&b->crc, tr->vectors.state[s], bytes);
	if (tr->vectors.sum)
		bp_crc32c_add(&b->crc, tr->vectors.sum, bytes);
	if (tr->vectors.average)
		bp_crc32c_add(&b->crc, tr->vectors.average, bytes);
	return bp_crc32c_value(&b->crc);
}

static uint32_t net_sum(struct bench *b, const struct bp_net *net)
{
	bp_crc32c_restart(&b->crc);
	bp_crc32c_add(&b->crc, net->weights, (size_t)net->nweights * sizeof(bp_real));
	bp_crc32c_add(&b->crc, net->buffers, (size_t)net->nbuffers * sizeof(bp_real));
	return bp_crc32c_value(&b->crc);
}

/* Goes on to the end, whatever the numbers are, then back to where every input begins. */
static void train_on(const struct bench *b, struct training *t)
{
	struct bp_error err;
	bool done;
	must(bp_trainer_run(t->trainer, NULL, NULL, &done, &err) == BP_OK && done, "what was restored can be trained");
	write_file(b, t->file, t->size);
	must(bp_trainer_restore(t->trainer, b->path, &err) == BP_OK, "a checkpoint is restored");
}

static void check_net(struct bench *b, struct training *t, bool restored)
{
	struct bp_error err = {.status = BP_OK};
	uint32_t before = net_sum(b, t->copy);
	enum bp_status st = bp_net_load(t->copy, b->path, &err);
	must(!restored || st == BP_OK, "what a trainer takes, a net takes");
	must(st == BP_OK || (err.message[0] && net_sum(b, t->copy) == before),
		"a refusal has its reason, and changes nothing");
}

void fuzz_checkpoint(const uint8_t *data, size_t size)
{
	if (size < 2)
		return;
	struct bench *b = bench();
	size_t n = cook(b, data, size);
	write_file(b, b->file, n);
	for (int i = 0; i < 2; i++) {
		struct training *t = &b->training[i];
		struct bp_error err = {.status = BP_OK};
		uint32_t before = state_sum(b, t->trainer);
		enum bp_status st = bp_trainer_restore(t->trainer, b->path, &err);
		must(st == err.status && (st == BP_OK || err.message[0]), "a refusal has its reason");
		must(st == BP_OK || state_sum(b, t->trainer) == before, "a refusal changes nothing");
		if (i == 0 || st == BP_OK)
			check_net(b, t, st == BP_OK);
		if (st == BP_OK) {
			train_on(b, t);
			write_file(b, b->file, n);
		}
	}
}
