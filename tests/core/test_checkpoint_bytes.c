/*
 * test_checkpoint_bytes.c - a checkpoint in which any byte was changed and the checksum made to fit: it is refused and
 * nothing has changed, or what it holds is taken up whole, and can be trained to the end. The file is in memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "net/net.h"
#include "runner.h"
#include "train/crc32c.h"
#include "train/trainer.h"
#include "training.h"

enum { ROOM = 1 << 14, CRC = 4, HEADER = 80, VERSION_AT = 8, OLDEST_VERSION = 3 };
static unsigned char file[ROOM], changed[ROOM];
static struct bp_crc32c crc;

/* A net with buffers, and all vectors that a checkpoint can hold; in the middle of a step of several batches. */
static void start(struct training *t)
{
	training_init(t, "3 | Linear out_features=2 | BatchNorm1d | Dropout", 20);
	t->params.epochs = 3;
	t->params.accumulate_steps = 2;
	t->params.ema_decay = 0.5;
	training_item(BP_LOSS, "MSELoss", NULL, &t->params.loss);
	training_item(BP_OPTIMIZER, "Adam", NULL, &t->params.optimizer);
	training_item(BP_SCHEDULER, "ReduceLROnPlateau", NULL, &t->params.scheduler);
	training_start(t);
}

static void put(int fd, const unsigned char *bytes, size_t n)
{
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	ck_assert_int_eq(pwrite(fd, bytes, n, 0), (ssize_t)n);
}

static size_t saved(struct training *t)
{
	char path[] = "/tmp/checkpoint-bytes-XXXXXX";
	int fd = mkstemp(path);
	struct report r = {.stop_batches = 5, .save = path};
	close(fd);
	start(t);
	training_run(t, &r, false);
	FILE *f = fopen(path, "rb");
	ck_assert_ptr_nonnull(f);
	size_t n = fread(file, 1, ROOM, f);
	fclose(f);
	unlink(path);
	ck_assert(n > HEADER && n < ROOM);
	return n;
}

/* Whether the trainer is what a file of its layout says, from the header on. */
static bool is_as(const struct bp_trainer *tr, const unsigned char *bytes)
{
	size_t weights = (size_t)tr->net->nweights * sizeof(bp_real);
	const struct {
		const void *at;
		size_t size;
	} parts[] = {{&tr->progress, sizeof(tr->progress)},
		{tr->epoch_health, (size_t)tr->layout.nslots * sizeof(*tr->epoch_health)}, {tr->net->weights, weights},
		{tr->net->buffers, (size_t)tr->net->nbuffers * sizeof(bp_real)}, {tr->vectors.state[0], weights},
		{tr->vectors.state[1], weights}, {tr->vectors.sum, weights}, {tr->vectors.average, weights}};
	bytes += HEADER;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (memcmp(parts[i].at, bytes, parts[i].size) != 0)
			return false;
		bytes += parts[i].size;
	}
	return true;
}

static void seal(size_t n)
{
	bp_crc32c_restart(&crc);
	bp_crc32c_add(&crc, changed, n - CRC);
	uint32_t sum = bp_crc32c_value(&crc);
	memcpy(changed + n - CRC, &sum, CRC);
}

/* Back to the undisturbed file. */
static void reset(struct training *t, int fd, const char *path, size_t n)
{
	put(fd, file, n);
	ck_assert_int_eq(bp_trainer_restore(t->trainer, path, NULL), BP_OK);
	ck_assert(is_as(t->trainer, file));
}

/* True: it was taken up. */
static bool try_it(struct training *t, int fd, const char *path, size_t n, size_t at)
{
	struct bp_error err = {.status = BP_OK};
	bool done = false;
	put(fd, changed, n);
	enum bp_status st = bp_trainer_restore(t->trainer, path, &err);
	if (st) {
		ck_assert_msg(is_as(t->trainer, file), "byte %zu: it was refused and changed something", at);
		ck_assert_msg(err.status == st && err.message[0], "byte %zu: it was refused without a reason", at);
		return false;
	}
	ck_assert_msg(is_as(t->trainer, changed), "byte %zu: a part of it was taken up", at);
	ck_assert_msg(
		bp_trainer_run(t->trainer, NULL, NULL, &done, &err) == BP_OK && done, "byte %zu: %s", at, err.message);
	reset(t, fd, path, n);
	return true;
}

START_TEST(any_byte_that_changed_under_a_right_checksum_is_refused_or_taken_up_whole)
{
	static const unsigned char flips[] = {0x01, 0x10, 0x40, 0x80, 0xff};
	struct training t, other;
	char path[40];
	int taken = 0, refused = 0;
	size_t n = saved(&t);
	start(&other);
	bp_crc32c_init(&crc);
	int fd = memfd_create("checkpoint", MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reset(&other, fd, path, n);
	for (size_t i = 0; i < n - CRC; i++)
		for (size_t k = 0; k < sizeof(flips); k++) {
			memcpy(changed, file, n);
			changed[i] ^= flips[k];
			seal(n);
			bool ok = try_it(&other, fd, path, n, i);
			const bool earlier = i == VERSION_AT && changed[i] >= OLDEST_VERSION && changed[i] < file[i];
			ck_assert_msg(i >= HEADER || !ok || earlier, "byte %zu of the header was believed", i);
			taken += ok;
			refused += !ok;
		}
	ck_assert_int_gt(taken, (int)(n - HEADER)); /* numbers are numbers */
	ck_assert_int_gt(refused, HEADER * (int)sizeof(flips));
	close(fd);
	training_done(&t);
	training_done(&other);
}
END_TEST

TEST_SUITE(checkpoint_bytes, 60)
{
	tcase_add_test(tc, any_byte_that_changed_under_a_right_checksum_is_refused_or_taken_up_whole);
}
