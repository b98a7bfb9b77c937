/* test_share.c - jobs at one daemon share its cores: two users', what waits and why, and threads without work. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/sample.h"
#include "http/talk.h"
#include "http/users.h"
#include "runner.h"

static struct daemon d;
static struct user ann, bob;

static void start_it(const char *const *flags)
{
	daemon_start(&d, flags);
	ann = users_make(&d, "ann", "write", 0);
	bob = users_make(&d, "bob", "write", 0);
}

static json_t *ask(const struct user *who, const char *method, const char *target, const char *body, int status)
{
	struct response r = users_ask(&d, who, method, target, body);
	ck_assert_msg(r.status == status, "%s %s: %d %s", method, target, r.status, r.body ? r.body : "");
	json_t *json = json_loads(r.body, 0, NULL);
	response_free(&r);
	return json;
}

static void upload(const struct user *who)
{
	struct bytes npz = sample_npz_images(512, 16);
	struct response r = request_do(
		d.port, "PUT", "/v1/datasets/quarters", strstr(who->headers, "Authorization"), npz.at, npz.size);
	ck_assert_int_eq(r.status, 201);
	response_free(&r);
	bytes_free(&npz);
}

static void submit(const struct user *who, char ret_id[64])
{
	char *body = sample_job("quarters", "\"epochs\":1000000");
	json_t *job = ask(who, "POST", "/v1/jobs", body, 201);
	snprintf(ret_id, 64, "%s", talk_text(job, "id"));
	json_decref(job);
	free(body);
}

/* Long polls until the job, which changes with every epoch, trains on so many threads. */
static void wait_threads(const struct user *who, const char *id, int threads)
{
	char target[160];
	long long version = 0;
	for (bool there = false; !there;) {
		snprintf(target, sizeof target, "/v1/jobs/%s?wait=20&version=%lld", id, version);
		json_t *job = ask(who, "GET", target, NULL, 200);
		version = talk_int(job, "version");
		there = talk_int(job, "threads") == threads;
		json_decref(job);
	}
}

static void cancel(const struct user *who, const char *id)
{
	char target[160];
	snprintf(target, sizeof target, "/v1/jobs/%s/cancel", id);
	struct response r = users_ask(&d, who, "POST", target, NULL);
	ck_assert(r.status == 200 || r.status == 202);
	response_free(&r);
}

START_TEST(two_users_share_the_cores_and_a_lone_job_has_them_all)
{
	char mine[64], theirs[64];
	start_it((const char *const[]){"--auth=token", "--threads=4", NULL});
	upload(&ann);
	upload(&bob);
	submit(&ann, mine);
	wait_threads(&ann, mine, 4);
	submit(&bob, theirs);
	wait_threads(&bob, theirs, 2);
	wait_threads(&ann, mine, 2);
	json_t *system = ask(&ann, "GET", "/v1/system", NULL, 200);
	ck_assert_int_eq(talk_int(system, "workers"), 4);
	ck_assert_int_eq(talk_int(system, "leases.0.threads"), 2);
	ck_assert_str_eq(talk_text(system, "leases.0.job"), mine);
	ck_assert(json_is_null(talk_at(system, "leases.1.job"))); /* not hers */
	ck_assert_str_eq(talk_text(system, "leases.1.owner"), "bob");
	ck_assert_int_gt(talk_int(system, "memory.reserved_bytes"), 0);
	json_decref(system);
	cancel(&ann, mine);
	wait_threads(&bob, theirs, 4);
	cancel(&bob, theirs);
	daemon_done(&d);
}
END_TEST

START_TEST(what_is_over_a_users_limit_waits_and_says_why)
{
	char first[64], second[64], third[64], target[160];
	start_it((const char *const[]){
		"--auth=token", "--threads=2", "--max-running-per-user=1", "--max-cores-per-user=1", NULL});
	upload(&ann);
	upload(&bob);
	submit(&ann, first);
	wait_threads(&ann, first, 1);
	submit(&ann, second);
	submit(&bob, third);
	wait_threads(&bob, third, 1); /* goes past */
	snprintf(target, sizeof target, "/v1/jobs/%s", second);
	json_t *job = ask(&ann, "GET", target, NULL, 200), *queue = ask(&bob, "GET", "/v1/queue", NULL, 200);
	ck_assert_str_eq(talk_text(job, "waiting.reason"), "user_running_limit");
	ck_assert_str_eq(
		talk_text(job, "waiting.detail"), "1 of its user's jobs run or begin, and one user may have 1.");
	ck_assert_str_eq(talk_text(queue, "data.0.reason"), "user_running_limit");
	ck_assert(json_is_null(talk_at(queue, "data.0.detail"))); /* not his */
	ck_assert_int_eq(talk_int(queue, "data.0.level"), 50);
	ck_assert_int_eq(talk_int(queue, "queued"), 1);
	json_decref(job);
	json_decref(queue);
	cancel(&ann, first);
	wait_threads(&ann, second, 1);
	cancel(&ann, second);
	cancel(&bob, third);
	daemon_done(&d);
}
END_TEST

/* Threads of the daemon whose name begins so. */
static int threads_named(const char *prefix)
{
	char path[64], name[32];
	int n = 0;
	snprintf(path, sizeof path, "/proc/%d/task", (int)d.pid);
	DIR *tasks = opendir(path);
	ck_assert_ptr_nonnull(tasks);
	for (const struct dirent *e; (e = readdir(tasks));) {
		char file[sizeof path + sizeof e->d_name + sizeof "/comm"];
		snprintf(file, sizeof file, "%s/%s/comm", path, e->d_name);
		FILE *f = fopen(file, "r");
		n += f && fgets(name, sizeof name, f) && strncmp(name, prefix, strlen(prefix)) == 0;
		if (f)
			fclose(f);
	}
	closedir(tasks);
	return n;
}

/* libgomp counts the threads of all pools, and with more of them than processors none waits awake. */
START_TEST(a_worker_keeps_no_threads_once_its_job_has_ended)
{
	char id[64];
	daemon_start(&d, (const char *const[]){"--auth=none", "--threads=2", NULL});
	sample_upload(d.port, "images", 64, 16);
	sample_submit(d.port, "images", "\"epochs\":2,\"batch_size\":16", id);
	json_decref(sample_wait(d.port, id, "succeeded"));
	while (threads_named("worker-") != 2) /* as many as there are workers; ends by the test's time */
		json_decref(talk_get(d.port, "/healthz"));
	daemon_done(&d);
}
END_TEST

static bool has_variable(const char *text)
{
	char path[64], *line = NULL;
	size_t size = 0;
	bool found = false;
	snprintf(path, sizeof path, "/proc/%d/environ", (int)d.pid);
	FILE *f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	while (!found && getdelim(&line, &size, 0, f) > 0)
		found = strcmp(line, text) == 0;
	free(line);
	fclose(f);
	return found;
}

START_TEST(threads_that_wait_stay_awake_for_microseconds_and_not_longer)
{
	unsetenv("OMP_WAIT_POLICY");
	unsetenv("GOMP_SPINCOUNT");
	daemon_start(&d, (const char *const[]){"--auth=none", NULL});
	ck_assert(has_variable("OMP_WAIT_POLICY=passive"));
	ck_assert(has_variable("GOMP_SPINCOUNT=1000"));
	daemon_done(&d);
	daemon_prepare(&d, (const char *const[]){"--auth=none", NULL});
	d.env = (const char *const[]){"OMP_WAIT_POLICY=active", NULL}; /* whoever says so has it */
	daemon_start_again(&d);
	ck_assert(has_variable("OMP_WAIT_POLICY=active"));
	ck_assert(!has_variable("GOMP_SPINCOUNT=1000"));
	daemon_done(&d);
}
END_TEST

TEST_SUITE(share, 60)
{
	tcase_add_test(tc, a_worker_keeps_no_threads_once_its_job_has_ended);
	tcase_add_test(tc, threads_that_wait_stay_awake_for_microseconds_and_not_longer);
	tcase_add_test(tc, two_users_share_the_cores_and_a_lone_job_has_them_all);
	tcase_add_test(tc, what_is_over_a_users_limit_waits_and_says_why);
}
