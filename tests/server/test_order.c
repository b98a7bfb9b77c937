/* test_order.c - the order of the queue, who may begin and why the others wait: from tables, without rows. */
#include "runner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "share/order.h"

enum { MANY = 1000 };
#define NOW 1e9
#define HOUR 3600.0

/* Jobs as they were queued, one after the other. */
static struct order order_of(const struct order_job *jobs, int n, const struct order_user *users, int nusers)
{
	struct order o = {.policy = {.slots = 100, .cores = 4, .rise_seconds = 6 * HOUR},
		.now = NOW,
		.users = calloc((size_t)nusers + 1, sizeof(*users)),
		.nusers = nusers,
		.jobs = calloc((size_t)n + 1, sizeof(*jobs)),
		.n = n};
	if (users)
		memcpy(o.users, users, (size_t)nusers * sizeof(*users));
	if (jobs)
		memcpy(o.jobs, jobs, (size_t)n * sizeof(*jobs));
	for (int i = 0; i < n; i++) {
		o.jobs[i].serial = i;
		if (o.jobs[i].queued_at == 0)
			o.jobs[i].queued_at = NOW;
		if (o.jobs[i].priority == 0)
			o.jobs[i].priority = 50;
		if (o.jobs[i].seconds == 0)
			o.jobs[i].seconds = NAN;
	}
	return o;
}

static void order_done(struct order *o)
{
	free(o->users);
	free(o->jobs);
}

/* The serials in their order as digits. */
static void expect(struct order *o, const char *digits)
{
	char got[16] = "";
	ck_assert(order_queue(o));
	for (int i = 0; i < o->n; i++)
		got[i] = (char)('0' + o->jobs[i].serial);
	ck_assert_str_eq(got, digits);
}

static const struct order_job *job(const struct order *o, int serial)
{
	for (int i = 0; i < o->n; i++)
		if (o->jobs[i].serial == serial)
			return &o->jobs[i];
	ck_abort_msg("job %d is lost", serial);
}

static void expect_verdicts(struct order *o, const enum order_verdict *verdicts)
{
	ck_assert(order_queue(o));
	for (int i = 0; i < o->n; i++)
		ck_assert_msg(job(o, i)->verdict == verdicts[i], "job %d: %s", i, order_code(job(o, i)->verdict));
}

START_TEST(priority_goes_before_everything_and_rises_with_long_waits)
{
	struct order_job jobs[] = {{.priority = 40, .queued_at = NOW - 5.9 * HOUR},
		{.priority = 40, .queued_at = NOW - 12.1 * HOUR}, {.priority = 59, .user = 1}, {.priority = 60},
		{.priority = 1, .queued_at = NOW - 1e6 * HOUR}, {.priority = 40, .queued_at = NOW + 1e6 * HOUR}};
	struct order o = order_of(jobs, 6, (struct order_user[]){{1e6, 3}, {0, 0}}, 2);
	expect(&o, "413205");
	ck_assert_int_eq(job(&o, 1)->level, 60);
	ck_assert_int_eq(job(&o, 4)->level, 1 + ORDER_RISE_MAX);
	o.policy.rise_seconds = 0;
	expect(&o, "320154");
	order_done(&o);
}
END_TEST

START_TEST(users_take_turns_by_what_they_have_used)
{
	struct order_job jobs[] = {{.user = 0}, {.user = 0}, {.user = 0}, {.user = 1}, {.user = 1}, {.user = 2}};
	/* Nobody has used anything: by turns. */
	struct order o = order_of(jobs, 6, NULL, 3);
	expect(&o, "035142");
	order_done(&o);
	/* Who has used more comes later, and what runs counts in. */
	o = order_of(jobs, 6, (struct order_user[]){{5000, 0}, {100, 1}, {0, 1}}, 3);
	expect(&o, "534012");
	order_done(&o);
	/* A long job is worth many short ones. */
	for (int i = 0; i < 6; i++)
		jobs[i].seconds = jobs[i].user == 0 ? 10000 : 100;
	o = order_of(jobs, 6, NULL, 3);
	expect(&o, "035412");
	order_done(&o);
}
END_TEST

START_TEST(usage_decays_by_its_half_life_alone)
{
	ck_assert_double_eq_tol(order_decay(1000, 24 * HOUR, 24 * HOUR), 500, 1e-9);
	ck_assert_double_eq_tol(order_decay(order_decay(1000, 7 * HOUR, 24 * HOUR), 17 * HOUR, 24 * HOUR), 500, 1e-9);
	ck_assert_double_eq(order_decay(1000, 0, 24 * HOUR), 1000);
	ck_assert_double_eq(order_decay(1000, -1e9, 24 * HOUR), 1000);
	ck_assert_double_eq(order_decay(1000, 1e9, 0), 1000);
	ck_assert_double_eq(order_decay(1000, 1e12, HOUR), 0);
}
END_TEST

START_TEST(short_jobs_pass_others_but_two_in_a_row_at_most)
{
	struct order_job jobs[] = {{.priority = 90}, {.user = 0}, {.seconds = 10}, {.seconds = 20}, {.seconds = 60},
		{.seconds = 61}, {.seconds = 5, .priority = 49}};
	struct order o = order_of(jobs, 7, NULL, 1);
	expect(&o, "2304156");
	ck_assert(job(&o, 2)->passes && job(&o, 3)->passes && job(&o, 4)->passes && !job(&o, 0)->passes);
	ck_assert(!job(&o, 5)->fast && !job(&o, 6)->fast);
	ck_assert_int_eq(order_passed(&o, job(&o, 2)), 1);
	ck_assert_int_eq(order_passed(&o, job(&o, 0)), 0);
	o.passed = ORDER_PASSES;
	expect(&o, "0231456");
	order_done(&o);
	/* A stream of them: whatever comes, every third that begins is another. */
	int others = 0, passed = 0;
	for (int turn = 0; turn < 30; turn++) {
		o = order_of((struct order_job[]){{.user = 0}, {.user = 1, .seconds = 1}}, 2, NULL, 2);
		o.passed = passed;
		ck_assert(order_queue(&o));
		others += o.jobs[0].serial == 0;
		passed = order_passed(&o, &o.jobs[0]);
		order_done(&o);
	}
	ck_assert_int_eq(others, 10);
}
END_TEST

START_TEST(jobs_begin_while_there_are_places_for_them)
{
	struct order_job jobs[4] = {{.user = 0}, {.user = 0, .not_before = NOW + 5}, {.user = 0}, {.user = 0}};
	char text[200];
	struct order o = order_of(jobs, 4, NULL, 1);
	o.policy.slots = 3;
	o.running = 2;
	expect_verdicts(&o, (enum order_verdict[]){ORDER_STARTING, ORDER_RETRY, ORDER_CORES, ORDER_QUEUE});
	order_explain(&o, job(&o, 1), text, sizeof(text));
	ck_assert_str_eq(text, "It is tried again in 5 seconds.");
	order_explain(&o, job(&o, 2), text, sizeof(text));
	ck_assert_str_eq(text, "2 of 3 jobs that may run at the same time run.");
	order_done(&o);
	/* A wait longer than any that is set: the clock was put back. */
	jobs[1].not_before = NOW + 1e6;
	o = order_of(jobs, 4, NULL, 1);
	ck_assert(order_queue(&o));
	ck_assert_int_eq(job(&o, 1)->verdict, ORDER_STARTING);
	order_done(&o);
}
END_TEST

#define MIB (1048576LL)
START_TEST(memory_is_reserved_and_smaller_jobs_pass_a_large_one_for_a_while)
{
	struct order_job jobs[] = {
		{.bytes = 600 * MIB}, {.bytes = 812 * MIB}, {.bytes = 300 * MIB}, {.bytes = 200 * MIB}, {.bytes = 0}};
	char text[200];
	struct order o = order_of(jobs, 5, NULL, 1);
	o.policy.memory = 1000 * MIB;
	o.bytes = 100 * MIB;
	expect_verdicts(
		&o, (enum order_verdict[]){ORDER_STARTING, ORDER_MEMORY, ORDER_STARTING, ORDER_MEMORY, ORDER_STARTING});
	order_explain(&o, job(&o, 1), text, sizeof(text));
	ck_assert_str_eq(
		text, "It needs 812 MiB of memory, 300 of 1000 are free; smaller jobs may still begin before it.");
	order_done(&o);
	jobs[1].queued_at = NOW - ORDER_PASSED_SECONDS;
	o = order_of(jobs, 5, NULL, 1);
	o.policy.memory = 1000 * MIB;
	o.bytes = 100 * MIB;
	expect_verdicts(
		&o, (enum order_verdict[]){ORDER_STARTING, ORDER_MEMORY, ORDER_QUEUE, ORDER_QUEUE, ORDER_QUEUE});
	order_explain(&o, job(&o, 1), text, sizeof(text));
	ck_assert_str_eq(text, "It needs 812 MiB of memory, 300 of 1000 are free and kept for it.");
	/* What can never fit keeps nobody waiting. */
	o.policy.memory = 800 * MIB;
	ck_assert(order_queue(&o));
	ck_assert_int_eq(job(&o, 1)->verdict, ORDER_MEMORY);
	ck_assert_int_eq(job(&o, 4)->verdict, ORDER_STARTING);
	order_explain(&o, job(&o, 1), text, sizeof(text));
	ck_assert_str_eq(text, "It needs 812 MiB of memory, and all jobs together may have 800.");
	order_done(&o);
}
END_TEST

START_TEST(a_user_at_a_limit_waits_and_others_go_past)
{
	struct order_job jobs[] = {{.user = 0}, {.user = 1}, {.user = 1}, {.user = 2}};
	struct order_user users[] = {{0, 2}, {0, 0}, {0, 0}};
	char text[200];
	struct order o = order_of(jobs, 4, users, 3);
	o.policy.max_running_per_user = 2;
	expect_verdicts(&o, (enum order_verdict[]){ORDER_USER_RUNNING, ORDER_STARTING, ORDER_STARTING, ORDER_STARTING});
	order_explain(&o, job(&o, 0), text, sizeof(text));
	ck_assert_str_eq(text, "2 of its user's jobs run or begin, and one user may have 2.");
	o.policy.max_running_per_user = 0;
	o.policy.max_cores_per_user = 1;
	expect_verdicts(&o, (enum order_verdict[]){ORDER_USER_CORES, ORDER_STARTING, ORDER_USER_CORES, ORDER_STARTING});
	order_explain(&o, job(&o, 2), text, sizeof(text));
	ck_assert_str_eq(text, "Its user's jobs have as many cores as one user may have, 1.");
	order_done(&o);
}
END_TEST

START_TEST(suspects_come_first_and_one_at_a_time)
{
	enum { FEW = ORDER_SUSPECT_DEATHS - 1, SOME = ORDER_SUSPECT_DEATHS, MANY_DEATHS = SOME + 5 };
	struct order_job jobs[] = {{.priority = 100, .deaths = FEW}, {.deaths = MANY_DEATHS}, {.deaths = SOME},
		{.deaths = SOME, .not_before = NOW + 5}, {.user = 1, .deaths = SOME}};
	char text[200];
	struct order o = order_of(jobs, 5, NULL, 2);
	o.running = 1;
	expect(&o, "24310");
	expect_verdicts(&o, (enum order_verdict[]){ORDER_TRIAL, ORDER_TRIAL, ORDER_STARTING, ORDER_RETRY, ORDER_TRIAL});
	order_explain(&o, job(&o, 0), text, sizeof(text));
	ck_assert_str_eq(text, order_help(ORDER_TRIAL));
	/* While one runs, nobody begins. */
	o.trial = true;
	expect_verdicts(&o, (enum order_verdict[]){ORDER_TRIAL, ORDER_TRIAL, ORDER_TRIAL, ORDER_RETRY, ORDER_TRIAL});
	order_done(&o);
	/* One that cannot begin itself keeps nobody waiting. */
	o = order_of((struct order_job[]){{.deaths = SOME, .bytes = 2}, {.bytes = 1}}, 2, NULL, 1);
	o.policy.memory = 1;
	expect_verdicts(&o, (enum order_verdict[]){ORDER_MEMORY, ORDER_STARTING});
	order_done(&o);
}
END_TEST

START_TEST(a_thousand_jobs_of_a_thousand_users_are_ordered_in_no_time)
{
	struct order_job *jobs = calloc(MANY, sizeof(*jobs));
	for (int i = 0; i < MANY; i++)
		jobs[i] = (struct order_job){.user = i, .priority = 1 + i % 3, .seconds = i % 7 ? 100 : 10};
	struct order o = order_of(jobs, MANY, NULL, MANY);
	double began = clock_mono();
	ck_assert(order_queue(&o));
	ck_assert_double_lt(clock_mono() - began, 0.5); /* a few ms; more on a busy machine */
	bool seen[MANY] = {false};
	for (int i = 0; i < MANY; i++) {
		ck_assert(!seen[o.jobs[i].serial]);
		seen[o.jobs[i].serial] = true;
	}
	order_done(&o);
	free(jobs);
	o = order_of(NULL, 0, NULL, 0);
	ck_assert(order_queue(&o));
	order_done(&o);
}
END_TEST

TEST_SUITE(order, 20)
{
	tcase_add_test(tc, priority_goes_before_everything_and_rises_with_long_waits);
	tcase_add_test(tc, users_take_turns_by_what_they_have_used);
	tcase_add_test(tc, usage_decays_by_its_half_life_alone);
	tcase_add_test(tc, short_jobs_pass_others_but_two_in_a_row_at_most);
	tcase_add_test(tc, jobs_begin_while_there_are_places_for_them);
	tcase_add_test(tc, memory_is_reserved_and_smaller_jobs_pass_a_large_one_for_a_while);
	tcase_add_test(tc, a_user_at_a_limit_waits_and_others_go_past);
	tcase_add_test(tc, suspects_come_first_and_one_at_a_time);
	tcase_add_test(tc, a_thousand_jobs_of_a_thousand_users_are_ordered_in_no_time);
}
