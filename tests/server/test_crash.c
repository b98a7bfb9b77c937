/* test_crash.c - the thread that crashed names its job, also when it is one of the job's team; no other names any. */
#include "runner.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crash.h"
#include "scratch.h"

static pthread_barrier_t ready;

/* A job's worker, and its team of one more thread. */
struct crew {
	const char *id, *name;
	pthread_t worker, team;
};

static void *wait_for_end(void *arg)
{
	pthread_barrier_wait(&ready);
	pause();
	return arg;
}

static void *run_job(void *arg)
{
	struct crew *c = arg;
	pthread_setname_np(pthread_self(), c->name);
	crash_job_set(c->id);
	pthread_create(&c->team, NULL, wait_for_end, NULL);
	return wait_for_end(NULL);
}

/* In a child: two jobs run, a third has ended; then a thread gets the signal: main (""), a job's worker ("job_two") or
 * its team ("job_two+"). */
static int crash(const char *path, const char *crasher, int sig)
{
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct crew crews[2] = {{.id = "job_one", .name = "first"}, {.id = "job_two", .name = "second"}};
		signal(sig, SIG_DFL); /* a sanitizer would exit instead */
		if (!crash_watch(path))
			_exit(1);
		crash_job_set("job_ended");
		crash_job_set(NULL);
		pthread_barrier_init(&ready, NULL, 5);
		for (int i = 0; i < 2; i++)
			pthread_create(&crews[i].worker, NULL, run_job, &crews[i]);
		pthread_barrier_wait(&ready);
		const struct crew *c = &crews[strncmp(crasher, "job_two", 7) == 0];
		if (*crasher)
			pthread_kill(strchr(crasher, '+') ? c->team : c->worker, sig);
		else
			raise(sig);
		pause();
	}
	int status = 0;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

START_TEST(a_thread_names_its_own_job)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
	char ids[CRASH_JOBS_MAX][CRASH_ID_MAX];
	scratch_make();
	const char *path = scratch_path("crashed");
	ck_assert_int_eq(crash_read(path, ids), 0);
	ck_assert_int_eq(crash(path, "job_two", signals[_i]), signals[_i]);
	ck_assert_int_eq(crash_read(path, ids), 1);
	ck_assert_str_eq(ids[0], "job_two");
	scratch_remove();
}
END_TEST

START_TEST(a_thread_of_a_team_names_the_job_of_its_worker)
{
	static const char *const crashers[] = {"job_one+", "job_two+"};
	char ids[CRASH_JOBS_MAX][CRASH_ID_MAX];
	scratch_make();
	const char *path = scratch_path("crashed");
	ck_assert_int_eq(crash(path, crashers[_i], SIGSEGV), SIGSEGV);
	ck_assert_int_eq(crash_read(path, ids), 1);
	ck_assert_int_eq(strncmp(ids[0], crashers[_i], strlen(ids[0])), 0);
	scratch_remove();
}
END_TEST

START_TEST(a_thread_of_no_job_names_nobody)
{
	char ids[CRASH_JOBS_MAX][CRASH_ID_MAX];
	scratch_make();
	const char *path = scratch_path("crashed");
	ck_assert_int_eq(crash(path, "", SIGSEGV), SIGSEGV);
	ck_assert_int_eq(crash_read(path, ids), 0);
	scratch_remove();
}
END_TEST

START_TEST(a_kill_names_nobody)
{
	char ids[CRASH_JOBS_MAX][CRASH_ID_MAX];
	scratch_make();
	const char *path = scratch_path("crashed");
	ck_assert_int_eq(crash(path, "job_one", SIGKILL), SIGKILL);
	ck_assert_int_eq(crash_read(path, ids), 0);
	scratch_remove();
}
END_TEST

TEST_SUITE(crash, 10)
{
	tcase_add_loop_test(tc, a_thread_names_its_own_job, 0, 5);
	tcase_add_loop_test(tc, a_thread_of_a_team_names_the_job_of_its_worker, 0, 2);
	tcase_add_test(tc, a_thread_of_no_job_names_nobody);
	tcase_add_test(tc, a_kill_names_nobody);
}
