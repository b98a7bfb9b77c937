/*
 * test_checkpoint.c - checkpoints that are whole, torn, forged or another training's, and disks that say no. Files live
 * in a directory of their own, which each test empties.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/net.h"
#include "allocation.h"
#include "runner.h"
#include "train/crc32c.h"
#include "train/trainer.h"
#include "training.h"

static char directory[] = "/tmp/checkpoint-XXXXXX", path[64];

static void directory_make(void)
{
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/ckpt", directory);
}

/* Entries of the directory, which are removed. */
static int directory_empty(void)
{
	int n = 0;
	DIR *d = opendir(directory);
	for (struct dirent *e; (e = readdir(d));) {
		char name[320];
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", directory, e->d_name);
		remove(name);
		n++;
	}
	closedir(d);
	return n;
}

static void directory_remove(void)
{
	directory_empty();
	rmdir(directory);
}

/* A training of a net so small that its file can be damaged in every place. */
static void start(struct training *t)
{
	training_init(t, "3 | Linear out_features=2", 20);
	t->params.epochs = 3;
	training_item(BP_LOSS, "MSELoss", NULL, &t->params.loss);
	training_item(BP_OPTIMIZER, "Adam", NULL, &t->params.optimizer);
	training_start(t);
}

static size_t file_read(unsigned char *ret, size_t room)
{
	FILE *f = fopen(path, "rb");
	ck_assert_ptr_nonnull(f);
	size_t n = fread(ret, 1, room, f);
	fclose(f);
	ck_assert_uint_lt(n, room);
	return n;
}

static void file_write(const unsigned char *bytes, size_t n)
{
	FILE *f = fopen(path, "wb");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

/* A trainer four steps on, and its file. */
static size_t saved(struct training *t, unsigned char *ret, size_t room)
{
	struct report r = {.stop_after = 4, .save = path};
	start(t);
	training_run(t, &r, false);
	return file_read(ret, room);
}

enum { ROOM = 1 << 14 };
static unsigned char file[ROOM], damaged[ROOM];

/* What a trainer is made of, to see that nothing of it changed. */
struct state {
	bp_real weights[64], moments[2][64];
	struct bp_progress progress;
	struct bp_health health[2];
};

static struct state state_of(const struct training *t)
{
	struct state s;
	const struct bp_trainer *tr = t->trainer;
	size_t bytes = (size_t)t->net->nweights * sizeof(bp_real);
	memset(&s, 0, sizeof(s));
	ck_assert_uint_le(bytes, sizeof(s.weights));
	memcpy(s.weights, t->net->weights, bytes);
	memcpy(s.moments[0], tr->vectors.state[0], bytes);
	memcpy(s.moments[1], tr->vectors.state[1], bytes);
	s.progress = tr->progress;
	memcpy(s.health, tr->epoch_health, (size_t)tr->layout.nslots * sizeof(s.health[0]));
	return s;
}

static bool state_equal(const struct state *a, const struct training *t)
{
	struct state b = state_of(t);
	return memcmp(a, &b, sizeof(b)) == 0;
}

/* The file as it is now is refused by both readers, with that status, and changes nothing. */
static void refused(struct training *t, enum bp_status status, const char *what, size_t i)
{
	struct bp_error err;
	struct state before = state_of(t);
	enum bp_status restored = bp_trainer_restore(t->trainer, path, &err);
	ck_assert_msg(restored == status, "%s %zu: restore says %d, not %d", what, i, restored, status);
	ck_assert_int_eq(err.status, status);
	enum bp_status loaded = bp_net_load(t->net, path, &err);
	ck_assert_msg(loaded == status, "%s %zu: load says %d, not %d", what, i, loaded, status);
	ck_assert_msg(state_equal(&before, t), "%s %zu changed the trainer", what, i);
}

START_TEST(a_restored_trainer_is_the_saved_one)
{
	struct training t, other;
	directory_make();
	saved(&t, file, ROOM);
	start(&other);
	struct state s = state_of(&t);
	ck_assert(!state_equal(&s, &other));
	struct allocation before = allocation_now();
	enum bp_status st = bp_trainer_restore(other.trainer, path, NULL);
	if (!st)
		st = bp_net_load(t.net, path, NULL);
	int64_t calls = allocation_now().calls - before.calls;
	ck_assert_int_eq(st, BP_OK);
	ck_assert_int_eq(calls, 0); /* a restored training takes no more memory than another */
	ck_assert(state_equal(&s, &other));
	ck_assert_int_eq(directory_empty(), 1);
	directory_remove();
	training_done(&t);
	training_done(&other);
}
END_TEST

START_TEST(every_damaged_byte_is_noticed)
{
	struct training t, other;
	directory_make();
	size_t n = saved(&t, file, ROOM);
	start(&other);
	for (size_t i = 0; i < n; i++) {
		memcpy(damaged, file, n);
		damaged[i] ^= (unsigned char)(1 << i % 8);
		file_write(damaged, n);
		refused(&other, BP_ECORRUPT, "byte", i);
	}
	directory_remove();
	training_done(&t);
	training_done(&other);
}
END_TEST

START_TEST(every_truncation_is_noticed_and_so_is_a_longer_file)
{
	struct training t, other;
	directory_make();
	size_t n = saved(&t, file, ROOM);
	start(&other);
	for (size_t length = 0; length <= n + 8; length++) {
		if (length == n)
			continue;
		file_write(file, length); /* past n: zeros */
		refused(&other, BP_ECORRUPT, "length", length);
	}
	directory_remove();
	training_done(&t);
	training_done(&other);
}
END_TEST

/* Sets a number of the header, with a checksum that is right. */
static void forge(size_t n, size_t at, uint64_t value, size_t bytes)
{
	struct bp_crc32c crc;
	memcpy(damaged, file, n);
	memcpy(damaged + at, &value, bytes);
	bp_crc32c_init(&crc);
	bp_crc32c_add(&crc, damaged, n - 4);
	uint32_t sum = bp_crc32c_value(&crc);
	memcpy(damaged + n - 4, &sum, sizeof(sum));
	file_write(damaged, n);
}

START_TEST(sizes_that_lie_under_a_right_checksum_are_refused)
{
	enum { VERSION_AT = 8, OLDEST = 3, VERSION = 6 }; /* which are no lies: test_checkpoint_rows.c */
	static const uint64_t lies[] = {
		0, 1, 2, 3, 5, 1u << 31, UINT32_MAX, (uint64_t)1 << 62, (uint64_t)1 << 63, UINT64_MAX};
	static const struct {
		size_t at, bytes;
		enum bp_status status;
	} fields[] = {
		{8, 4, BP_ECORRUPT}, {12, 4, BP_ECORRUPT},
		{16, 4, BP_ECORRUPT},                         /* version, byte order, size of a real */
		{20, 4, BP_ECORRUPT},                         /* states */
		{24, 8, BP_ECORRUPT}, {32, 8, BP_EMISMATCH},  /* bytes of the file; the net */
		{48, 8, BP_EMISMATCH}, {56, 8, BP_EMISMATCH}, /* weights, buffers */
		{64, 8, BP_ECORRUPT},                         /* slots */
	};
	struct training t, other;
	directory_make();
	size_t n = saved(&t, file, ROOM);
	start(&other);
	for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++) {
		for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
			if (fields[f].at == VERSION_AT && lies[i] >= OLDEST && lies[i] <= VERSION)
				continue;
			forge(n, fields[f].at, lies[i], fields[f].bytes);
			if (memcmp(damaged, file, n) != 0)
				refused(&other, fields[f].status, "field", fields[f].at);
		}
	}
	directory_remove();
	training_done(&t);
	training_done(&other);
}
END_TEST

START_TEST(a_place_where_no_training_can_be_is_refused)
{
	const size_t progress = 80;
	struct training t, other;
	directory_make();
	size_t n = saved(&t, file, ROOM);
	start(&other);
	struct state before = state_of(&other);
	for (size_t field = 0; field < 5; field++) { /* epoch, batch, step, correct, samples */
		forge(n, progress + 8 * field, (uint64_t)-1, 8);
		ck_assert_int_eq(bp_trainer_restore(other.trainer, path, NULL), BP_ECORRUPT);
	}
	forge(n, progress + 8, 4, 8); /* an epoch has 3 batches */
	ck_assert_int_eq(bp_trainer_restore(other.trainer, path, NULL), BP_ECORRUPT);
	for (uint64_t bits = 0; bits <= 0x7ff0000000000000;
		bits += 0x7ff0000000000000) { /* a rate times 0 or infinity */
		forge(n, progress + offsetof(struct bp_progress, schedule.scale), bits, 8);
		ck_assert_int_eq(bp_trainer_restore(other.trainer, path, NULL), BP_ECORRUPT);
	}
	ck_assert(state_equal(&before, &other));
	ck_assert_int_eq(bp_net_load(other.net, path, NULL), BP_OK); /* the weights are as good as ever */
	directory_remove();
	training_done(&t);
	training_done(&other);
}
END_TEST

static enum bp_status restored_with(void (*change)(struct bp_train_params *), struct bp_error *err)
{
	struct training t;
	start(&t);
	bp_trainer_free(t.trainer);
	change(&t.params);
	training_start(&t);
	enum bp_status st = bp_trainer_restore(t.trainer, path, err);
	training_done(&t);
	return st;
}

static void change_lr(struct bp_train_params *p)
{
	p->optimizer.args[0].v[0] *= 2;
}
static void change_momentum(struct bp_train_params *p)
{
	p->optimizer.args[bp_item_arg(BP_OPTIMIZER, &p->optimizer, "betas") - p->optimizer.args].v[0] = 0.5;
}
static void change_seed(struct bp_train_params *p)
{
	p->seed++;
}
static void change_batch(struct bp_train_params *p)
{
	p->batch_size--;
}
static void change_shuffle(struct bp_train_params *p)
{
	p->shuffle = false;
}
static void change_clip(struct bp_train_params *p)
{
	p->clip_grad_norm = 1;
}
static void change_optimizer(struct bp_train_params *p)
{
	training_item(BP_OPTIMIZER, "SGD", NULL, &p->optimizer);
}
static void change_schedule(struct bp_train_params *p)
{
	training_item(BP_SCHEDULER, "CosineAnnealingLR", NULL, &p->scheduler);
}
static void change_augment(struct bp_train_params *p)
{
	static struct bp_item noise;
	training_item(BP_AUGMENT, "GaussianNoise", NULL, &noise);
	p->augment = &noise;
	p->naugment = 1;
}
static void more_epochs(struct bp_train_params *p)
{
	p->epochs = 10;
}
static void other_threads(struct bp_train_params *p)
{
	p->max_threads = 3;
	p->threads = 2;
	p->isa_mask = 1;
}
static void fewer_epochs(struct bp_train_params *p)
{
	p->epochs = 1;
}

START_TEST(a_checkpoint_of_other_parameters_is_refused)
{
	void (*const changes[])(struct bp_train_params *) = {change_momentum, change_seed, change_batch, change_shuffle,
		change_clip, change_optimizer, change_schedule, change_augment};
	struct training t, deeper;
	struct bp_error err;
	directory_make();
	saved(&t, file, ROOM);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		ck_assert_msg(restored_with(changes[i], &err) == BP_EMISMATCH, "change %zu: %s", i, err.message);
	ck_assert_int_eq(restored_with(more_epochs, &err), BP_OK);
	ck_assert_int_eq(restored_with(change_lr, &err), BP_OK);
	ck_assert_int_eq(restored_with(other_threads, &err), BP_OK);

	training_init(&deeper, "3 | Linear out_features=2 | Tanh", 20);
	ck_assert_int_eq(bp_net_load(deeper.net, path, &err), BP_EMISMATCH);
	training_done(&deeper);
	directory_remove();
	training_done(&t);
}
END_TEST

START_TEST(fewer_epochs_than_were_done_are_refused)
{
	struct training t;
	struct report r = {.stop_after = 7, .save = path}; /* in the third epoch */
	struct bp_error err;
	directory_make();
	start(&t);
	training_run(&t, &r, false);
	ck_assert_int_eq(restored_with(fewer_epochs, &err), BP_EMISMATCH);
	ck_assert_str_eq(err.field, "epochs");
	directory_remove();
	training_done(&t);
}
END_TEST

START_TEST(a_net_takes_weights_and_buffers_alone)
{
	struct training t, other;
	struct report r = {0};
	directory_make();
	training_init(
		&t, "2x5x5 | Conv2d out_channels=4 kernel_size=3 | BatchNorm2d | Flatten | Linear out_features=4", 30);
	training_init(&other,
		"2x5x5 | Conv2d out_channels=4 kernel_size=3 | BatchNorm2d | Flatten | Linear out_features=4", 30);
	training_start(&t);
	training_run(&t, &r, true);
	ck_assert_int_eq(bp_trainer_save(t.trainer, path, NULL), BP_OK);
	bp_net_init(other.net, 77);
	ck_assert_int_eq(bp_net_load(other.net, path, NULL), BP_OK);
	nets_equal(t.net, other.net, "loaded");
	directory_remove();
	training_done(&t);
	training_done(&other);
}
END_TEST

START_TEST(a_place_that_cannot_be_written_leaves_nothing_behind)
{
	struct training t;
	struct bp_error err;
	char missing[96];
	directory_make();
	start(&t);
	snprintf(missing, sizeof(missing), "%s/missing/ckpt", directory);
	ck_assert_int_eq(bp_trainer_save(t.trainer, missing, &err), BP_EIO);
	ck_assert_int_eq(err.sys_errno, ENOENT);
	ck_assert_ptr_null(strstr(err.message, directory));

	ck_assert_int_eq(mkdir(path, 0700), 0); /* a directory where the file should be */
	ck_assert_int_eq(bp_trainer_save(t.trainer, path, &err), BP_EIO);
	ck_assert_int_eq(directory_empty(), 1);
	directory_remove();
	training_done(&t);
}
END_TEST

START_TEST(a_full_disk_keeps_the_checkpoint_before)
{
	struct training t;
	struct bp_error err;
	struct rlimit limit;
	struct report r = {0};
	directory_make();
	size_t n = saved(&t, file, ROOM);
	training_run(&t, &r, true);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	signal(SIGXFSZ, SIG_IGN);
	for (size_t room = 0; room < n; room += 64) {
		setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = room, .rlim_max = limit.rlim_max});
		enum bp_status st = bp_trainer_save(t.trainer, path, &err);
		setrlimit(RLIMIT_FSIZE, &limit);
		ck_assert_int_eq(st, BP_EIO);
		ck_assert_int_eq(err.sys_errno, EFBIG);
		ck_assert_uint_eq(file_read(damaged, ROOM), n);
		ck_assert_int_eq(memcmp(damaged, file, n), 0);
	}
	ck_assert_int_eq(directory_empty(), 1);
	directory_remove();
	training_done(&t);
}
END_TEST

START_TEST(what_is_no_file_is_no_checkpoint)
{
	struct training t;
	struct bp_error err;
	directory_make();
	start(&t);
	refused(&t, BP_EIO, "a missing file", 0);
	ck_assert_int_eq(bp_trainer_restore(t.trainer, path, &err), BP_EIO);
	ck_assert_int_eq(err.sys_errno, ENOENT);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	refused(&t, BP_ECORRUPT, "a pipe", 0);
	directory_empty();
	ck_assert_int_eq(mkdir(path, 0700), 0);
	refused(&t, BP_ECORRUPT, "a directory", 0);
	directory_remove();
	training_done(&t);
}
END_TEST

TEST_SUITE(checkpoint, 60)
{
	tcase_add_test(tc, a_restored_trainer_is_the_saved_one);
	tcase_add_test(tc, every_damaged_byte_is_noticed);
	tcase_add_test(tc, every_truncation_is_noticed_and_so_is_a_longer_file);
	tcase_add_test(tc, sizes_that_lie_under_a_right_checksum_are_refused);
	tcase_add_test(tc, a_place_where_no_training_can_be_is_refused);
	tcase_add_test(tc, a_checkpoint_of_other_parameters_is_refused);
	tcase_add_test(tc, fewer_epochs_than_were_done_are_refused);
	tcase_add_test(tc, a_net_takes_weights_and_buffers_alone);
	tcase_add_test(tc, a_place_that_cannot_be_written_leaves_nothing_behind);
	tcase_add_test(tc, a_full_disk_keeps_the_checkpoint_before);
	tcase_add_test(tc, what_is_no_file_is_no_checkpoint);
}
