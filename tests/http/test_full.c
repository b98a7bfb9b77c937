/*
 * test_full.c - the disk is full: uploads are refused with 507, a running job pauses with the reason disk_full, also
 * over a restart, and goes on by itself, to the same bits, when there is room. On a small tmpfs where one can be
 * mounted, and everywhere with calls that say so.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/fault.h"
#include "http/sample.h"
#include "http/state.h"
#include "http/talk.h"
#include "runner.h"

enum { EPOCHS = 40, TRAIN = 512, ROOM_MB = 24, ROOM_FOR_ROWS = 512 << 10 /* and for no job */ };

static const char *const flags[] = {"--workers=1", "--retry-seconds=0", NULL};
static const char training[] =
	"\"epochs\":40,\"batch_size\":32,\"seed\":8,\"optimizer\":{\"type\":\"Adam\",\"lr\":0.002}";

/* The whole upload's answer; a refusal may come before the body was taken. */
static void refuse_upload(int port)
{
	struct bytes images = sample_idx_images(0, TRAIN);
	struct response r = request_do(port, "PUT", "/v1/datasets/more/files/images", NULL, images.at, images.size);
	talk_problem(&r, 507, "storage_full", "");
	response_free(&r);
	bytes_free(&images);
}

/* Without a fault any more: the job ends as it should. */
static void check_end(struct daemon *d, const char *id, struct bytes *want)
{
	json_decref(sample_wait(d->port, id, "succeeded"));
	state_check_log(d->port, id, EPOCHS);
	struct bytes got = sample_weights(d->port, id, "last");
	ck_assert_uint_eq(got.size, want->size);
	ck_assert(memcmp(got.at, want->at, got.size) == 0);
	ck_assert_int_eq(daemon_end(d, true), 0);
	state_check(d);
	bytes_free(&got);
	bytes_free(want);
}

/* Follows the job until it has been paused so often, as it must stay: it says why, and that it goes on by itself. */
static void wait_paused(int port, const char *id, int times)
{
	struct client_event event;
	char target[128];
	struct client *c = sample_events(port, id, "status");
	while (times > 0 && client_read_event(c, &event))
		times -= strstr(event.data, "disk_full") && strstr(event.data, "\"paused\"");
	ck_assert_int_eq(times, 0);
	client_close(c);
	snprintf(target, sizeof target, "/v1/jobs/%s", id);
	json_t *job = talk_get(port, target);
	ck_assert_str_eq(talk_text(job, "status"), "paused");
	ck_assert_str_eq(talk_text(job, "status_reason"), "disk_full");
	ck_assert_ptr_nonnull(strstr(talk_text(job, "status_detail"), "by itself"));
	json_decref(job);
}

START_TEST(a_job_waits_while_files_cannot_be_written)
{
	struct fault_rig r;
	char id[64];
	struct bytes want = sample_undisturbed(flags, TRAIN, training);
	fault_open(&r, flags);
	daemon_start_again(&r.d);
	sample_upload(r.d.port, "quarters", TRAIN, 0);
	sample_submit(r.d.port, "quarters", training, id);
	sample_wait_epoch(r.d.port, id, 2);
	/* Files cannot be made; the database, which has its own already, goes on. */
	fault_arm(&r, FAULT_OPEN | FAULT_MKDIR, ENOSPC, 1, true);
	wait_paused(r.d.port, id, 1);
	refuse_upload(r.d.port);
	/* Its owner may try; there is still no room. */
	char resume[128];
	snprintf(resume, sizeof resume, "/v1/jobs/%s/resume", id);
	json_decref(talk(r.d.port, "POST", resume, NULL, 200));
	wait_paused(r.d.port, id, 2);
	fault_disarm(&r);
	check_end(&r.d, id, &want);
	fault_close(&r);
}
END_TEST

/* So many bytes are free again. */
static void clear(const char *path, off_t n)
{
	struct stat st;
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(truncate(path, st.st_size > n ? st.st_size - n : 0), 0);
}

/* All that is left, but so many bytes. */
static void fill(const char *path, off_t leave)
{
	static char block[4096];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	off_t size = 0;
	for (ssize_t n; (n = write(fd, block, sizeof block)) > 0;)
		size += n;
	ck_assert_int_eq(errno, ENOSPC);
	ck_assert_int_eq(ftruncate(fd, size > leave ? size - leave : 0), 0);
	close(fd);
}

START_TEST(a_small_disk_that_fills_and_is_cleared)
{
	struct daemon d;
	char id[64], state[96], filler[96], options[32];
	daemon_prepare(&d, flags);
	snprintf(state, sizeof state, "%.64s/state", d.dir);
	snprintf(options, sizeof options, "size=%dm", ROOM_MB);
	ck_assert_int_eq(mkdir(state, 0700), 0);
	/* In a name space of this process, so that it goes with it. */
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		mount("tmpfs", state, "tmpfs", 0, options) != 0) {
		/* Not allowed; or "/" is a chroot's, which is no mount point. */
		ck_assert_msg(errno == EPERM || errno == EACCES || errno == EINVAL, "mount: %s", strerror(errno));
		printf("no tmpfs can be mounted here: the full disk is played by calls alone\n");
		daemon_done(&d);
		return;
	}
	struct bytes want = sample_undisturbed(flags, TRAIN, training);
	daemon_start_again(&d);
	sample_upload(d.port, "quarters", TRAIN, 0);
	sample_submit(d.port, "quarters", training, id);
	sample_wait_epoch(d.port, id, 2);
	snprintf(filler, sizeof filler, "%.80s/.filler", state);
	fill(filler, 0);
	refuse_upload(d.port);
	while (!daemon_logged(&d, "disk is full"))
		json_decref(talk_get(d.port, "/v1/jobs"));
	clear(filler, ROOM_FOR_ROWS);
	wait_paused(d.port, id, 1);
	ck_assert_int_eq(daemon_end(&d, true), 0);
	fill(filler, ROOM_FOR_ROWS); /* the database's log is gone */
	daemon_start_again(&d);
	wait_paused(d.port, id, 1);
	ck_assert_int_eq(truncate(filler, 0), 0);
	check_end(&d, id, &want);
	ck_assert_int_eq(umount(state), 0);
	daemon_done(&d);
}
END_TEST

TEST_SUITE(full, 120)
{
	tcase_add_test(tc, a_job_waits_while_files_cannot_be_written);
	tcase_add_test(tc, a_small_disk_that_fills_and_is_cleared);
}
