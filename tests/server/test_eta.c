/* test_eta.c - when jobs start and end, from tables; prices from measured speeds. */
#include "runner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/eta.h"
#include "base/sha256.h"
#include "scratch.h"
#include "seed.h"

static void same(double got, double want)
{
	if (isnan(want))
		ck_assert(isnan(got));
	else
		ck_assert_double_eq_tol(got, want, 1e-9 * (1 + fabs(want)));
}

START_TEST(the_worker_that_is_free_first_takes_the_next)
{
	static const struct {
		int workers, nbusy, n;
		double busy[4], left[5], starts[5];
	} cases[] = {
		{1, 1, 3, {10}, {5, 2, 1}, {10, 15, 17}}, {2, 2, 4, {10, 3}, {4, 20, 1, 1}, {3, 7, 10, 11}},
		{2, 0, 3, {0}, {4, 6, 1}, {0, 0, 4}}, {3, 1, 3, {9}, {4, 6, 1}, {0, 0, 4}},
		{1, 1, 2, {NAN}, {1, 1}, {NAN, NAN}},          /* who knows */
		{2, 2, 3, {NAN, 5}, {1, NAN, 1}, {5, 6, NAN}}, /* the known worker, until it takes an unknown job */
		{1, 4, 1, {7, 1, 1, 1}, {1}, {7}},             /* more that run than workers: fewer were set */
	};
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		double starts[5];
		eta_starts(cases[c].workers, cases[c].busy, cases[c].nbusy, cases[c].left, cases[c].n, starts);
		for (int i = 0; i < cases[c].n; i++)
			same(starts[i], cases[c].starts[i]);
	}
}
END_TEST

START_TEST(what_is_left_follows_from_the_newest_epoch_or_the_plan)
{
	static const struct {
		const char *metrics;
		double epoch_seconds, max_seconds;
		int epochs, epoch;
		double runtime, left;
		bool stop;
	} cases[] = {
		{"{\"seconds\":2.5}", 0, 0, 10, 4, 0, 15, false},
		{NULL, 3, 0, 10, 0, 0, 30, false},
		{"{\"seconds\":2}", 3, 0, 10, 9, 0, 2, false},
		{NULL, 0, 0, 10, 0, 0, NAN, false},
		{"{\"seconds\":2}", 0, 10, 100, 1, 4, 6, false},
		{NULL, 0, 10, 100, 1, 40, 0, false},
		{"{\"seconds\":2}", 0, 0, 10, 1, 0, 0, true},
		{"{\"seconds\":2}", 0, 0, 3, 5, 0, 0, false},
	};
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		struct job_row row = {.metrics = (char *)cases[c].metrics,
			.epoch_seconds = cases[c].epoch_seconds,
			.max_seconds = cases[c].max_seconds,
			.epochs = cases[c].epochs,
			.epoch = cases[c].epoch,
			.runtime_seconds = cases[c].runtime,
			.stop_requested = cases[c].stop};
		same(eta_left(&row), cases[c].left);
	}
}
END_TEST

static json_t *price(struct store *s, const char *model, double flops)
{
	struct api api = {.store = s};
	struct eta_work w = {.model = model,
		.training_flops = flops,
		.flops = flops / 4,
		.train = 900,
		.val = 400,
		.batch_size = 32,
		.epochs = 5};
	return eta_estimate(&api, &w);
}

static double number(const json_t *json, const char *name)
{
	const json_t *v = json_object_get(json, name);
	return json_is_null(v) ? NAN : json_number_value(v);
}

START_TEST(a_price_follows_from_the_same_model_or_from_similar_work)
{
	scratch_make();
	struct store *s = seed_open("boot_1");
	json_t *none = price(s, "{}", 1000);
	ck_assert(isnan(number(none, "seconds_per_epoch")) && json_is_null(json_object_get(none, "basis")));
	json_decref(none);
	struct speed speeds[] = {
		{.batch_size = 32, .training_flops = 1000, .samples_per_second = 500},
		{.batch_size = 64, .training_flops = 1000, .samples_per_second = 700},
		{.model_sha256 = "small", .batch_size = 32, .training_flops = 100, .samples_per_second = 1000},
		{.model_sha256 = "large", .batch_size = 32, .training_flops = 1e6, .samples_per_second = 10},
	};
	sha256_hex("{}", 2, speeds[0].model_sha256);
	sha256_hex("{}", 2, speeds[1].model_sha256);
	for (size_t i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++)
		ck_assert_int_eq(store_speed_note(s, &speeds[i]), STORE_OK);
	json_t *exact = price(s, "{}", 1000);
	same(number(exact, "seconds_per_epoch"), 900 / 500.0 + 100 / 500.0);
	same(number(exact, "total_seconds"), 10);
	ck_assert_str_eq(json_string_value(json_object_get(exact, "basis")), "same_model");
	json_decref(exact);
	json_t *near = price(s, "{\"x\":1}", 4e5);
	same(number(near, "flops_per_second"), 1e7);
	same(number(near, "seconds_per_epoch"), 1000 * 4e5 / 1e7);
	ck_assert_str_eq(json_string_value(json_object_get(near, "basis")), "similar_work");
	json_decref(near);
	speeds[0].samples_per_second = 1000; /* measured again */
	ck_assert_int_eq(store_speed_note(s, &speeds[0]), STORE_OK);
	exact = price(s, "{}", 1000);
	same(number(exact, "seconds_per_epoch"), 1);
	json_decref(exact);
	store_close(s);
	scratch_remove();
}
END_TEST

START_TEST(old_speeds_go_and_the_machines_own_stay)
{
	scratch_make();
	struct store *s = seed_open("boot_1");
	struct speed v = {
		.model_sha256 = "calibration mlp", .batch_size = 32, .training_flops = 1, .samples_per_second = 1};
	ck_assert_int_eq(store_speed_note(s, &v), STORE_OK);
	seed_execute(s, "UPDATE speed SET measured_at = 1");
	seed_execute(s, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)"
			" INSERT INTO speed SELECT 'model ' || i, 1, 1, 1, 1000 + i FROM n");
	snprintf(v.model_sha256, sizeof(v.model_sha256), "new");
	ck_assert_int_eq(store_speed_note(s, &v), STORE_OK);
	ck_assert_int_eq(seed_count(s, "SELECT count(*) AS n FROM speed"), 502);
	ck_assert_int_eq(seed_count(s, "SELECT count(*) AS n FROM speed WHERE model_sha256 = 'model 1'"), 0);
	store_close(s);
	scratch_remove();
}
END_TEST

TEST_SUITE(eta, 20)
{
	tcase_add_test(tc, the_worker_that_is_free_first_takes_the_next);
	tcase_add_test(tc, what_is_left_follows_from_the_newest_epoch_or_the_plan);
	tcase_add_test(tc, a_price_follows_from_the_same_model_or_from_similar_work);
	tcase_add_test(tc, old_speeds_go_and_the_machines_own_stay);
}
