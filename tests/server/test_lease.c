/* test_lease.c - who gets how many cores: shares, and that a core is never held twice. */
#include "runner.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "share/lease.h"

enum { JOBS_MAX = 16, WAIT_MS = 20000 };

/* Everyone takes what is offered until nobody is offered anything else. */
static void settle(struct lease *const *leases, int n)
{
	for (int turn = 0; turn < 3; turn++)
		for (int i = 0; i < n; i++)
			if (lease_wait(leases[i], 0) > 0)
				lease_threads(leases[i]);
}

static int held(struct leases *l, const char *job)
{
	return lease_held_by(l, job);
}

START_TEST(a_lone_job_has_the_machine_and_a_second_user_half_of_it)
{
	struct leases *l = leases_new(8, 0);
	struct lease *a = lease_open(l, "a", "ada", 0);
	ck_assert_int_eq(lease_wait(a, 0), 8);
	struct lease *b = lease_open(l, "b", "bob", 0);
	ck_assert_int_eq(lease_wait(b, 0), 0); /* nothing is free yet */
	ck_assert_int_eq(held(l, "a"), 8);
	ck_assert_int_eq(lease_threads(a), 4);
	ck_assert_int_eq(lease_wait(b, 0), 4);
	lease_close(a);
	ck_assert_int_eq(lease_threads(b), 8);
	lease_close(b);
	leases_free(l);
}
END_TEST

START_TEST(shares_are_by_user_then_by_job_within_caps)
{
	static const struct {
		int cores, per_user, n;
		const char *users[5]; /* of jobs, in their order */
		int most[5], shares[5];
	} cases[] = {
		{8, 0, 3, {"a", "a", "b"}, {0}, {2, 2, 4}},
		{8, 0, 4, {"a", "a", "a", "b"}, {0}, {2, 1, 1, 4}},
		{4, 0, 4, {"a", "a", "a", "b"}, {0}, {1, 1, 1, 1}},
		{9, 0, 3, {"a", "b", "c"}, {0}, {3, 3, 3}},
		{7, 0, 2, {"a", "b"}, {0}, {4, 3}},
		{8, 0, 2, {"a", "b"}, {2, 0}, {2, 6}},
		{8, 0, 2, {"a", "b"}, {2, 3}, {2, 3}},
		{8, 3, 3, {"a", "a", "b"}, {0}, {2, 1, 3}},
		{1, 0, 1, {"a"}, {0}, {1}},
		{8, 2, 1, {"a"}, {5}, {2}},
		{2, 0, 1, {"a"}, {64}, {2}},
	};
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		struct leases *l = leases_new(cases[c].cores, cases[c].per_user);
		struct lease *leases[5];
		char name[16];
		for (int i = 0; i < cases[c].n; i++) {
			snprintf(name, sizeof(name), "%d", i);
			leases[i] = lease_open(l, name, cases[c].users[i], cases[c].most[i]);
			settle(leases, i + 1);
		}
		for (int i = 0; i < cases[c].n; i++) {
			snprintf(name, sizeof(name), "%d", i);
			ck_assert_msg(
				held(l, name) == cases[c].shares[i], "case %zu: job %d has %d", c, i, held(l, name));
			ck_assert_int_le(held(l, name), lease_most(leases[i]));
		}
		for (int i = 0; i < cases[c].n; i++)
			lease_close(leases[i]);
		leases_free(l);
	}
}
END_TEST

START_TEST(a_user_at_the_limit_waits_and_others_go_past)
{
	struct leases *l = leases_new(4, 1);
	struct lease *a = lease_open(l, "a", "ada", 0), *b = lease_open(l, "b", "ada", 0);
	struct lease *c = lease_open(l, "c", "bob", 0);
	ck_assert_int_eq(lease_wait(a, 0), 1);
	ck_assert_int_eq(lease_wait(b, 0), 0);
	ck_assert_int_eq(lease_wait(c, 0), 1);
	lease_close(a);
	ck_assert_int_eq(lease_wait(b, 0), 1);
	lease_close(b);
	lease_close(c);
	leases_free(l);
}
END_TEST

START_TEST(more_jobs_than_cores_wait_for_those_before_them)
{
	struct leases *l = leases_new(2, 0);
	struct lease *a = lease_open(l, "a", "ada", 0), *b = lease_open(l, "b", "bob", 0);
	settle((struct lease *[]){a, b}, 2);
	struct lease *c = lease_open(l, "c", "cyd", 0);
	settle((struct lease *[]){a, b, c}, 3);
	ck_assert_int_eq(held(l, "a") + held(l, "b"), 2);
	ck_assert_int_eq(held(l, "c"), 0);
	lease_close(a);
	ck_assert_int_eq(lease_wait(c, WAIT_MS), 1);
	lease_close(b);
	lease_close(c);
	leases_free(l);
}
END_TEST

static unsigned draw(unsigned *state, unsigned n)
{
	*state = *state * 1664525u + 1013904223u;
	return (*state >> 16) % n;
}

/* Claims, ends and batches in any order: the sum stays within the cores, no job that runs falls below one thread, and
 * once all have had a batch all cores are in use. */
START_TEST(no_core_is_ever_held_twice)
{
	unsigned state = 1 + (unsigned)_i;
	int cores = 1 + (int)draw(&state, 12), n = 0, names = 0;
	struct leases *l = leases_new(cores, 0);
	struct lease *leases[JOBS_MAX];
	int before[JOBS_MAX] = {0};
	for (int turn = 0; turn < 4000; turn++) {
		unsigned what = draw(&state, 10);
		int at = n > 0 ? (int)draw(&state, (unsigned)n) : 0;
		if (what == 0 && n < JOBS_MAX) {
			char job[16], user[2] = {(char)('a' + draw(&state, 3)), '\0'};
			snprintf(job, sizeof(job), "%d", names++);
			before[n] = 0;
			leases[n++] = lease_open(l, job, user, (int)draw(&state, 5));
		} else if (what == 1 && n > 0) {
			lease_close(leases[at]);
			n--;
			memmove(&leases[at], &leases[at + 1], (size_t)(n - at) * sizeof(leases[0]));
			memmove(&before[at], &before[at + 1], (size_t)(n - at) * sizeof(before[0]));
		} else if (n > 0) {
			int now = before[at] ? lease_threads(leases[at]) : lease_wait(leases[at], 0);
			ck_assert(before[at] == 0 || now >= 1);
			ck_assert_int_le(now, lease_most(leases[at]));
			before[at] = now;
		}
		struct lease_view views[JOBS_MAX];
		int sum = 0, seen = leases_list(l, views, JOBS_MAX);
		ck_assert_int_eq(seen, n);
		for (int i = 0; i < seen; i++) {
			ck_assert_int_ge(views[i].threads, before[i] > 0);
			sum += views[i].threads;
		}
		ck_assert_int_le(sum, cores);
	}
	while (n > 0)
		lease_close(leases[--n]);
	struct lease *last = lease_open(l, "last", "a", 0);
	ck_assert_int_eq(lease_wait(last, 0), cores);
	lease_close(last);
	leases_free(l);
}
END_TEST

enum { THREADS = 6, CORES = 4, TURNS = 300 };

/* A worker that takes jobs one after the other. */
static void *work_through(void *arg)
{
	struct leases *l = arg;
	struct lease_view views[THREADS];
	for (int turn = 0; turn < TURNS; turn++) {
		struct lease *lease = lease_open(l, "job", turn % 2 ? "ada" : "bob", 0);
		while (lease_wait(lease, 1000) == 0)
			continue;
		for (int batch = 0; batch < 10; batch++) {
			int sum = 0, n = leases_list(l, views, THREADS);
			for (int i = 0; i < n; i++)
				sum += views[i].threads;
			ck_assert_int_le(sum, CORES);
			ck_assert_int_ge(lease_threads(lease), 1);
		}
		ck_assert_double_ge(lease_used(lease), 0);
		lease_close(lease);
	}
	return NULL;
}

START_TEST(workers_that_come_and_go_never_hold_more_than_there_is)
{
	struct leases *l = leases_new(CORES, 0);
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work_through, l), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	struct lease *last = lease_open(l, "last", "ada", 0);
	ck_assert_int_eq(lease_wait(last, 0), CORES);
	lease_close(last);
	leases_free(l);
}
END_TEST

TEST_SUITE(lease, 60)
{
	tcase_add_test(tc, a_lone_job_has_the_machine_and_a_second_user_half_of_it);
	tcase_add_test(tc, shares_are_by_user_then_by_job_within_caps);
	tcase_add_test(tc, a_user_at_the_limit_waits_and_others_go_past);
	tcase_add_test(tc, more_jobs_than_cores_wait_for_those_before_them);
	tcase_add_loop_test(tc, no_core_is_ever_held_twice, 0, 8);
	tcase_add_test(tc, workers_that_come_and_go_never_hold_more_than_there_is);
}
