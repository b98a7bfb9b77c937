/* test_store_share.c - the queue of several users as rows: usage, memory, limits, the fast lane, and how quick it is.
 */
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "scratch.h"
#include "seed.h"

static struct store *s;
static const char *dataset;
static const struct order_policy usual = {.slots = 100, .cores = 2, .halflife_seconds = 3600};

static void open_it(void)
{
	scratch_make();
	s = seed_open("boot_1");
	store_policy_set(s, &usual);
	dataset = seed_dataset(s, "mnist");
}

static void close_it(void)
{
	store_close(s);
	scratch_remove();
}

/* A queued job of that user. */
static const char *job_of(const char *owner, const char *more)
{
	char sql[200];
	const char *id = seed_job(s, dataset, 50);
	snprintf(sql, sizeof(sql), "UPDATE job SET owner = '%s'%s WHERE id = '%s'", owner, more, id);
	seed_execute(s, sql);
	return id;
}

static void expect_claim(const char *id)
{
	struct job_row row;
	ck_assert_int_eq(store_job_claim(s, &row), STORE_OK);
	ck_assert_str_eq(row.id, id);
	job_row_done(&row);
}

static void expect_no_claim(void)
{
	struct job_row row;
	ck_assert_int_eq(store_job_claim(s, &row), STORE_NOT_FOUND);
}

static struct job_place place_of(const char *id)
{
	struct job_place place;
	ck_assert_int_eq(store_job_place(s, id, &place), STORE_OK);
	return place;
}

static void end_job(const char *id)
{
	ck_assert_int_eq(store_job_move(s, id, JOB_SUCCEEDED, NULL, NULL), STORE_OK);
}

START_TEST(who_has_used_less_goes_first_and_usage_survives_a_restart)
{
	const char *a = job_of("ada", ""), *b = job_of("bob", "");
	ck_assert_int_eq(store_usage_add(s, "ada", 1000), STORE_OK);
	ck_assert_int_eq(store_usage_add(s, "bob", 400), STORE_OK);
	ck_assert_int_eq(store_usage_add(s, "ada", -5), STORE_OK);
	store_close(s);
	s = seed_open("boot_2");
	store_policy_set(s, &usual);
	ck_assert_double_eq_tol(place_of(a).core_seconds, 1000, 10);
	ck_assert_int_eq(place_of(b).position, 1);
	/* What was long ago counts less. */
	seed_execute(s, "UPDATE usage SET at = at - 2 * 3600 WHERE user = 'ada'");
	ck_assert_double_eq_tol(place_of(a).core_seconds, 250, 5);
	ck_assert_int_eq(place_of(a).position, 1);
	ck_assert_int_eq(store_usage_add(s, "ada", 100), STORE_OK);
	ck_assert_double_eq_tol(place_of(a).core_seconds, 350, 5);
	expect_claim(a);
	expect_claim(b);
	ck_assert_int_eq(store_job_place(s, b, &(struct job_place){0}), STORE_NOT_FOUND);
}
END_TEST

START_TEST(no_more_memory_is_given_out_than_there_is)
{
	struct order_policy policy = usual;
	policy.memory = 1000;
	store_policy_set(s, &policy);
	const char *a = job_of("ada", ", planned_bytes = 600"), *b = job_of("ada", ", planned_bytes = 500");
	const char *c = job_of("ada", ", planned_bytes = 400");
	expect_claim(a);
	ck_assert_int_eq(place_of(b).verdict, ORDER_MEMORY);
	expect_claim(c);
	expect_no_claim();
	end_job(c);
	expect_no_claim();
	/* It has waited for long: what is free is kept for it. */
	const char *d = job_of("ada", ", planned_bytes = 1");
	seed_execute(s, "UPDATE job SET queued_at = queued_at - 3600 WHERE planned_bytes = 500");
	expect_no_claim();
	ck_assert_int_eq(place_of(d).verdict, ORDER_QUEUE);
	end_job(a);
	expect_claim(b);
	expect_claim(d);
}
END_TEST

START_TEST(as_many_jobs_run_as_may_and_a_user_has_a_limit_of_ones_own)
{
	struct order_policy policy = usual;
	policy.slots = 3;
	policy.max_running_per_user = 2;
	store_policy_set(s, &policy);
	const char *a[] = {job_of("ada", ""), job_of("ada", ""), job_of("ada", "")};
	const char *b[] = {job_of("bob", ""), job_of("bob", "")};
	expect_claim(a[0]);
	expect_claim(b[0]);
	expect_claim(a[1]);
	expect_no_claim();
	ck_assert_int_eq(place_of(a[2]).verdict, ORDER_USER_RUNNING);
	ck_assert_int_eq(place_of(b[1]).verdict, ORDER_CORES);
	end_job(b[0]);
	expect_claim(b[1]);
	expect_no_claim();
	end_job(a[0]);
	expect_claim(a[2]);
}
END_TEST

START_TEST(a_user_with_several_jobs_gives_way_to_one_with_none)
{
	struct order_policy two = usual;
	two.slots = 2;
	store_policy_set(s, &two);
	const char *first = job_of("ada", ""), *second = job_of("ada", ""), *third = job_of("ada", "");
	expect_claim(first);
	expect_claim(second);
	ck_assert(!store_job_gives_way(s, second)); /* to a job of the same user */
	const char *bob = job_of("bob", ", priority = 40");
	ck_assert(!store_job_gives_way(s, second)); /* ada's third is before it */
	seed_execute(s, "UPDATE job SET priority = 50 WHERE owner = 'bob'");
	ck_assert(!store_job_gives_way(s, first)); /* the one that was claimed last does */
	ck_assert(store_job_gives_way(s, second));
	struct job_row row;
	ck_assert_int_eq(store_job_get(s, second, &row), STORE_OK);
	ck_assert_int_eq(row.status, JOB_RUNNING); /* asking changes nothing */
	job_row_done(&row);
	/* Who has used the machine little lately keeps it. */
	ck_assert_int_eq(store_usage_add(s, "bob", 1e6), STORE_OK);
	ck_assert(!store_job_gives_way(s, second));
	ck_assert_int_eq(store_usage_add(s, "ada", 2e6), STORE_OK);
	ck_assert_int_eq(store_job_move(s, second, JOB_QUEUED, "gave_way", NULL), STORE_OK);
	expect_claim(bob);
	ck_assert(!store_job_gives_way(s, bob)); /* its user's only one */
	end_job(first);
	ck_assert(!store_job_gives_way(s, bob));
	expect_claim(second);
	expect_no_claim();
	ck_assert_int_eq(place_of(third).verdict, ORDER_CORES);
}
END_TEST

START_TEST(the_fast_lane_remembers_how_many_passed)
{
	struct order_policy policy = usual;
	policy.slots = 1;
	store_policy_set(s, &policy);
	const char *slow[] = {job_of("ada", ""), job_of("ada", "")}, *fast[4];
	for (int i = 0; i < 4; i++)
		fast[i] = job_of("ada", ", epoch_seconds = 5");
	const char *const order[] = {fast[0], fast[1], slow[0], fast[2], fast[3], slow[1]};
	for (int i = 0; i < 6; i++) {
		expect_claim(order[i]);
		end_job(order[i]);
		store_close(s);
		s = seed_open("boot_1");
		store_policy_set(s, &policy);
	}
}
END_TEST

START_TEST(a_thousand_queued_jobs_do_not_slow_a_claim)
{
	struct queued_job *jobs;
	int n;
	job_of("ada", ", model = '{\"x\":\"' || hex(zeroblob(10000)) || '\"}'");
	seed_execute(s,
		"INSERT INTO job (id, owner, name, status, dataset_id, dataset_name, dataset_sha256, model, spec,"
		" priority, epochs, created_at, queued_at, planned_bytes, epoch_seconds)"
		" WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
		" SELECT 'job_z' || i, 'user' || (i % 50), name, status, dataset_id, dataset_name, dataset_sha256,"
		" model, spec, i % 7, epochs, created_at, queued_at, i, i % 90 FROM n, job");
	double began = clock_mono();
	for (int i = 0; i < 10; i++) {
		struct job_row row;
		ck_assert_int_eq(store_job_claim(s, &row), STORE_OK);
		job_row_done(&row);
	}
	double claims = clock_mono() - began;
	began = clock_mono();
	ck_assert_int_eq(store_job_queue(s, 20, &jobs, &n), STORE_OK);
	double list = clock_mono() - began;
	ck_assert_int_eq(n, 20);
	for (int i = 0; i < n; i++)
		job_row_done(&jobs[i].row);
	free(jobs);
	if (getenv("BACKPROPD_FIGURES"))
		printf("claim %.2f ms, list %.2f ms\n", claims * 100, list * 1000);
	ck_assert_double_lt(claims, 10 * 0.5); /* some ms each; more on a busy machine */
	ck_assert_double_lt(list, 0.5);
}
END_TEST

TEST_SUITE(store_share, 30)
{
	tcase_add_checked_fixture(tc, open_it, close_it);
	tcase_add_test(tc, who_has_used_less_goes_first_and_usage_survives_a_restart);
	tcase_add_test(tc, no_more_memory_is_given_out_than_there_is);
	tcase_add_test(tc, as_many_jobs_run_as_may_and_a_user_has_a_limit_of_ones_own);
	tcase_add_test(tc, a_user_with_several_jobs_gives_way_to_one_with_none);
	tcase_add_test(tc, the_fast_lane_remembers_how_many_passed);
	tcase_add_test(tc, a_thousand_queued_jobs_do_not_slow_a_claim);
}
