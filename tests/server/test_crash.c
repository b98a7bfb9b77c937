/* test_crash.c - the thread that crashed names its job; a thread without one names all that run. */
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

static void *run_job(void *id)
{
	crash_job_set(id);
	pthread_barrier_wait(&ready);
	pause();
	return NULL;
}

/* In a child: two jobs run, a third has ended; then the thread called crasher ("": main) gets the signal. */
static int crash(const char *path, const char *crasher, int sig)
{
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		static char one[] = "job_one", two[] = "job_two";
		pthread_t threads[2];
		signal(sig, SIG_DFL); /* a sanitizer would exit instead */
		if (!crash_watch(path))
			_exit(1);
		crash_job_set("job_ended");
		crash_job_set(NULL);
		pthread_barrier_init(&ready, NULL, 3);
		pthread_create(&threads[0], NULL, run_job, one);
		pthread_create(&threads[1], NULL, run_job, two);
		pthread_barrier_wait(&ready);
		if (*crasher)
			pthread_kill(strcmp(crasher, one) == 0 ? threads[0] : threads[1], sig);
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

START_TEST(a_thread_without_a_job_names_all_that_run)
{
	char ids[CRASH_JOBS_MAX][CRASH_ID_MAX];
	scratch_make();
	const char *path = scratch_path("crashed");
	ck_assert_int_eq(crash(path, "", SIGSEGV), SIGSEGV);
	ck_assert_int_eq(crash_read(path, ids), 2);
	ck_assert(strcmp(ids[0], ids[1]) != 0);
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
	tcase_add_test(tc, a_thread_without_a_job_names_all_that_run);
	tcase_add_test(tc, a_kill_names_nobody);
}
