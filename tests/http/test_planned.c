/*
 * test_planned.c - the memory that the dry run names is the memory that the daemon then takes: its peak while it has
 * the job (VmHWM, from a reset), above what it took before, is the plan's total and the mapped data set.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/daemon.h"
#include "http/sample.h"
#include "http/talk.h"
#include "runner.h"

enum { TRAIN = 1536, TEST = 256, FIXED_BYTES = 2 << 20 };
#define SHARE 0.05

#define WIDE                                                                                                           \
	"{\"input\":{\"shape\":[1,8,8]},\"layers\":[{\"type\":\"Flatten\"},{\"type\":\"Linear\",\"out_features\":"     \
	"1500},"                                                                                                       \
	"{\"type\":\"ReLU\"},{\"type\":\"Linear\",\"out_features\":1500},{\"type\":\"ReLU\"},"                         \
	"{\"type\":\"Linear\",\"out_features\":4}]}"
#define MAPS                                                                                                           \
	"{\"input\":{\"shape\":[1,8,8]},\"layers\":[{\"type\":\"Conv2d\",\"out_channels\":48,\"kernel_size\":3,"       \
	"\"padding\":1},{\"type\":\"BatchNorm2d\"},{\"type\":\"ReLU\"},{\"type\":\"Conv2d\",\"out_channels\":48,"      \
	"\"kernel_size\":3,\"padding\":1},{\"type\":\"Tanh\"},{\"type\":\"Conv2d\",\"out_channels\":64,"               \
	"\"kernel_size\":1},{\"type\":\"ReLU\"},{\"type\":\"AdaptiveAvgPool2d\",\"output_size\":1},"                   \
	"{\"type\":\"Flatten\"},{\"type\":\"Linear\",\"out_features\":4}]}"
#define NARROW                                                                                                         \
	"{\"input\":{\"shape\":[1,8,8]},\"layers\":[{\"type\":\"Flatten\"},{\"type\":\"Linear\",\"out_features\":4}]}"

static const struct {
	const char *model, *training;
} jobs[] = {
	{NARROW, "\"epochs\":2,\"batch_size\":16"},
	{WIDE, "\"epochs\":1,\"batch_size\":64,\"optimizer\":\"SGD\",\"validation\":{\"split\":0.25}"},
	{WIDE, "\"epochs\":2,\"batch_size\":256,\"optimizer\":\"AdamW\",\"accumulate_steps\":2,\"ema_decay\":0.9"},
	{MAPS, "\"epochs\":2,\"batch_size\":384,\"optimizer\":\"Adam\",\"validation\":{\"split\":0.25}"},
	{MAPS, "\"epochs\":1,\"batch_size\":1024,\"augment\":[{\"type\":\"RandomCrop\",\"padding\":1}]"},
};

/* A line of /proc/PID/status, in bytes. */
static long long status_of(const struct daemon *d, const char *name)
{
	char path[64], line[256];
	long long kib = -1;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)d->pid);
	FILE *f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
			kib = strtoll(line + strlen(name) + 1, NULL, 10);
	fclose(f);
	ck_assert_int_ge(kib, 0);
	return kib * 1024;
}

/* Sets the peak back to what is there now, which it returns. */
static long long peak_reset(const struct daemon *d)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/clear_refs", (int)d->pid);
	FILE *f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert(fputs("5", f) >= 0 && fclose(f) == 0);
	return status_of(d, "VmHWM");
}

static char *body_of(const char *model, const char *training)
{
	char *text = NULL;
	ck_assert_int_gt(
		asprintf(&text, "{\"dataset\":\"quarters\",\"model\":%s,\"training\":{%s}}", model, training), 0);
	return text;
}

static long long planned(const struct daemon *d, const char *body)
{
	json_t *plan = talk(d->port, "POST", "/v1/jobs?dry_run=true", body, 200);
	long long ret = talk_int(plan, "plan.memory.total") + talk_int(plan, "plan.memory.dataset");
	json_decref(plan);
	return ret;
}

static void submit(const struct daemon *d, const char *body, char ret_id[64])
{
	json_t *job = talk(d->port, "POST", "/v1/jobs", body, 201);
	snprintf(ret_id, 64, "%s", talk_text(job, "id"));
	json_decref(job);
}

static void check_peak(const struct daemon *d, long long before, long long plan, const char *what)
{
	long long grown = status_of(d, "VmHWM") - before, off = llabs(grown - plan);
	ck_assert_msg((double)off <= SHARE * (double)plan + FIXED_BYTES, "%s: %lld bytes planned, %lld taken", what,
		plan, grown);
}

/* A daemon that has measured its machine and run a job: with its threads, and the database's pages in memory. */
static void start(struct daemon *d, const char *const *flags)
{
	char *body = body_of(NARROW, "\"epochs\":1"), id[64];
	daemon_start(d, flags);
	sample_upload(d->port, "quarters", TRAIN, TEST);
	for (bool known = false; !known;) {
		json_t *plan = talk(d->port, "POST", "/v1/jobs?dry_run=true", body, 200);
		known = json_is_number(talk_at(plan, "plan.estimate.seconds_per_epoch"));
		json_decref(plan);
	}
	for (int i = 0; i < 2; i++) {
		submit(d, body, id);
		json_decref(sample_wait(d->port, id, "succeeded"));
	}
	free(body);
}

START_TEST(a_job_takes_the_memory_that_was_planned)
{
	static const char *const one[] = {"--threads=1", NULL}, *const two[] = {"--threads=2", NULL};
	struct daemon d;
	start(&d, _i ? two : one);
	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
		char *body = body_of(jobs[i].model, jobs[i].training), id[64];
		long long plan = planned(&d, body), before = peak_reset(&d);
		submit(&d, body, id);
		json_decref(sample_wait(d.port, id, "succeeded"));
		check_peak(&d, before, plan, jobs[i].training);
		free(body);
	}
	daemon_done(&d);
}
END_TEST

/* It goes on from a checkpoint, which holds four vectors as long as the weights. */
START_TEST(a_job_that_goes_on_takes_no_more)
{
	struct daemon d;
	char *body = body_of(WIDE, "\"epochs\":1000,\"batch_size\":512,\"optimizer\":\"AdamW\""), id[64], target[96];
	start(&d, (const char *const[]){"--threads=2", NULL});
	long long plan = planned(&d, body);
	submit(&d, body, id);
	sample_wait_epoch(d.port, id, 1);
	snprintf(target, sizeof(target), "/v1/jobs/%s/pause", id);
	json_decref(talk(d.port, "POST", target, NULL, 202));
	json_t *job = sample_wait(d.port, id, "paused");
	int epoch = (int)talk_int(job, "epoch");
	json_decref(job);
	long long before = peak_reset(&d);
	snprintf(target, sizeof(target), "/v1/jobs/%s/resume", id);
	json_decref(talk(d.port, "POST", target, NULL, 200));
	sample_wait_epoch(d.port, id, epoch + 2);
	check_peak(&d, before, plan, "resumed");
	snprintf(target, sizeof(target), "/v1/jobs/%s/cancel", id);
	json_decref(talk(d.port, "POST", target, NULL, 202));
	json_decref(sample_wait(d.port, id, "cancelled"));
	free(body);
	daemon_done(&d);
}
END_TEST

TEST_SUITE(planned, 120)
{
	tcase_add_loop_test(tc, a_job_takes_the_memory_that_was_planned, 0, 2);
	tcase_add_test(tc, a_job_that_goes_on_takes_no_more);
}
