/* test_store_keep.c - kept time, what users take of the disk, and what retention removes, as rows. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "runner.h"
#include "scratch.h"
#include "seed.h"

enum { DAY = 86400 };

static struct store *s;

static void open_it(void)
{
	scratch_make();
	s = seed_open("boot_1");
}

static void close_it(void)
{
	store_close(s);
	scratch_remove();
}

static void open_again(void)
{
	store_close(s);
	s = seed_open("boot_2");
}

/* ---- kept time ---------------------------------------------------------------------------------------- */

START_TEST(kept_time_goes_on_over_a_stop_by_at_most_half_a_day)
{
	static const struct {
		const char *sql; /* where the wall clock seems to have been at the stop */
		double grows;
	} cases[] = {{"UPDATE keep SET wall = wall - 3600", 3600},
		{"UPDATE keep SET wall = wall - 40 * 86400", DAY / 2},
		{"UPDATE keep SET wall = wall - 3652.0 * 86400", DAY / 2},
		{"UPDATE keep SET wall = wall + 7 * 86400", 0}, {"UPDATE keep SET wall = wall", 0}};
	ck_assert_double_eq_tol(store_kept_now(s), clock_now(), 5);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		double before = store_kept_now(s);
		ck_assert_int_eq(store_kept_note(s), STORE_OK);
		seed_execute(s, cases[i].sql);
		open_again();
		ck_assert_double_ge(store_kept_now(s), before);
		ck_assert_double_eq_tol(store_kept_now(s) - before, cases[i].grows, 2);
		/* Once more: the jump was counted. */
		before = store_kept_now(s);
		open_again();
		ck_assert_double_eq_tol(store_kept_now(s) - before, 0, 2);
	}
}
END_TEST

/* ---- room --------------------------------------------------------------------------------------------- */

static const char *ready(const char *owner, const char *name, const char *sha256, int64_t bytes)
{
	static char ids[64][ID_MAX];
	static int next;
	struct dataset_row row;
	ck_assert_int_eq(store_dataset_begin(s, owner, name, &row), STORE_OK);
	char *id = ids[next++ % 64];
	snprintf(id, ID_MAX, "%s", row.id);
	dataset_row_done(&row);
	ck_assert_int_eq(store_dataset_ready(s, id, sha256, "{}", bytes), STORE_OK);
	return id;
}

static enum store_status queue(const char *owner, const char *dataset, const char *key, char ret_id[ID_MAX])
{
	struct job_new n = {.owner = owner,
		.name = "x",
		.dataset_id = dataset,
		.model = "{}",
		.spec = "{}",
		.epochs = 9,
		.idempotency_key = key,
		.request_sha256 = "same"};
	struct job_row row;
	bool existing;
	enum store_status st = store_job_add(s, &n, &row, &existing);
	snprintf(ret_id, ID_MAX, "%s", row.id);
	job_row_done(&row);
	return st;
}

static void save(const char *job, int epoch, int64_t bytes, bool best)
{
	char file[32];
	int64_t seq;
	struct checkpoint_new c = {.epoch = epoch, .step = epoch, .file = file, .bytes = bytes, .is_best = best};
	snprintf(file, sizeof file, "epoch-%06d.ckpt", epoch);
	ck_assert_int_eq(store_event_append(s, job, "epoch", "{}", epoch, "{}", &c, &seq), STORE_OK);
}

/* A job of that owner that has ended, with n checkpoints of 100 bytes, the first of them the best. */
static void ended(const char *owner, const char *dataset, int n, char ret_id[ID_MAX])
{
	struct job_row row;
	ck_assert_int_eq(queue(owner, dataset, NULL, ret_id), STORE_OK);
	ck_assert_int_eq(store_job_claim(s, &row), STORE_OK);
	ck_assert_str_eq(row.id, ret_id);
	job_row_done(&row);
	for (int i = 0; i < n; i++)
		save(ret_id, i + 1, 100, i == 0);
	ck_assert_int_eq(store_job_move(s, ret_id, JOB_SUCCEEDED, NULL, NULL), STORE_OK);
}

static void age(const char *id, double seconds)
{
	char sql[160];
	snprintf(sql, sizeof sql, "UPDATE job SET ended_kept = ended_kept - %.0f WHERE id = '%s'", seconds, id);
	seed_execute(s, sql);
}

static void takes(const char *owner, int64_t datasets, int64_t uploads, int64_t checkpoints)
{
	struct disk_use use;
	ck_assert_int_eq(store_disk_use(s, owner, &use), STORE_OK);
	ck_assert_int_eq(use.datasets, datasets);
	ck_assert_int_eq(use.uploads, uploads);
	ck_assert_int_eq(use.checkpoints, checkpoints);
}

static void upload(const char *owner, const char *name, const char *file_name, int64_t bytes, enum store_status expect)
{
	static int next;
	struct dataset_row row;
	struct dataset_file_row file = {.bytes = bytes};
	char replaced[ID_MAX];
	snprintf(file.name, sizeof file.name, "%s", file_name);
	snprintf(file.stored_as, sizeof file.stored_as, "upl_%d", next++);
	ck_assert_int_eq(store_dataset_begin(s, owner, name, &row), STORE_OK);
	ck_assert_int_eq(store_dataset_file_add(s, row.id, &file, replaced), expect);
	dataset_row_done(&row);
}

START_TEST(what_each_user_takes_is_counted_as_it_comes_and_goes)
{
	char a[ID_MAX], b[ID_MAX];
	bool last;
	struct dataset_row row;
	const char *mnist = ready("ann", "mnist", "aa", 1000), *same = ready("bob", "mnist", "aa", 1000);
	takes("ann", 1000, 0, 0);
	takes("bob", 1000, 0, 0);
	upload("ann", "coming", "x", 70, STORE_OK);
	upload("ann", "coming", "y", 7, STORE_OK);
	upload("ann", "coming", "x", 50, STORE_OK); /* in place of the first */
	takes("ann", 1000, 57, 0);
	ck_assert_int_eq(store_dataset_begin(s, "ann", "coming", &row), STORE_OK);
	ck_assert_int_eq(store_dataset_ready(s, row.id, "bb", "{}", 300), STORE_OK);
	takes("ann", 1300, 0, 0);
	ck_assert_int_eq(store_dataset_delete(s, row.id, &last), STORE_OK);
	dataset_row_done(&row);
	upload("ann", "half", "x", 5, STORE_OK);
	ck_assert_int_eq(store_dataset_begin(s, "ann", "half", &row), STORE_OK);
	ck_assert_int_eq(store_dataset_delete(s, row.id, &last), STORE_OK);
	dataset_row_done(&row);
	takes("ann", 1000, 0, 0);
	ended("ann", mnist, 3, a);
	ended("bob", same, 2, b);
	takes("ann", 1000, 0, 300);
	takes("bob", 1000, 0, 200);
	struct checkpoint_row ckpt;
	ck_assert_int_eq(store_checkpoint_get(s, a, "last", &ckpt), STORE_OK);
	ck_assert_int_eq(store_checkpoint_remove(s, ckpt.id), STORE_OK);
	checkpoint_row_done(&ckpt);
	takes("ann", 1000, 0, 200);
	ck_assert_int_eq(store_job_delete(s, a, -1), STORE_OK);
	takes("ann", 1000, 0, 0);
	takes("bob", 1000, 0, 200);
	takes("nobody", 0, 0, 0);
	open_again();
	takes("bob", 1000, 0, 200);
	ck_assert_int_eq(seed_count(s, "SELECT sum(n) AS n FROM job_count WHERE status = 'succeeded'"), 1);
	ck_assert_int_eq(seed_count(s, "SELECT sum(n) AS n FROM job_count"), 1);
}
END_TEST

START_TEST(nobody_takes_more_than_a_user_may)
{
	char id[ID_MAX];
	struct dataset_row row;
	store_disk_limit(s, 1000);
	upload("ann", "d", "x", 600, STORE_OK);
	upload("ann", "d", "y", 401, STORE_MANY);
	upload("ann", "d", "y", 400, STORE_OK);
	upload("bob", "d", "x", 1000, STORE_OK);
	takes("ann", 0, 1000, 0);
	ck_assert_int_eq(store_disk_left(s, "ann"), 0);
	ck_assert_int_eq(store_dataset_begin(s, "ann", "d", &row), STORE_OK);
	ck_assert_int_eq(store_dataset_ready(s, row.id, "aa", "{}", 1001), STORE_MANY);
	takes("ann", 0, 1000, 0);
	ck_assert_int_eq(store_dataset_ready(s, row.id, "aa", "{}", 999), STORE_OK);
	ck_assert_int_eq(queue("ann", row.id, NULL, id), STORE_OK);
	struct job_row job;
	ck_assert_int_eq(store_job_claim(s, &job), STORE_OK);
	job_row_done(&job);
	save(id, 1, 500, true); /* what is learned is kept in any case */
	ck_assert_int_eq(store_disk_left(s, "ann"), -499);
	char other[ID_MAX];
	ck_assert_int_eq(queue("ann", row.id, NULL, other), STORE_MANY);
	dataset_row_done(&row);
	store_disk_limit(s, 0);
	ck_assert_int_eq(store_disk_left(s, "ann"), INT64_MAX);
}
END_TEST

START_TEST(jobs_paused_for_want_of_room_go_on_when_there_is_some)
{
	char id[ID_MAX], asked[ID_MAX];
	int n;
	struct job_row row;
	const char *dataset = ready("ann", "mnist", "aa", 900), *other = ready("ann", "old", "bb", 200);
	ck_assert_int_eq(queue("ann", dataset, NULL, id), STORE_OK);
	ck_assert_int_eq(queue("ann", dataset, NULL, asked), STORE_OK);
	store_disk_limit(s, 1000);
	ck_assert_int_eq(store_job_claim(s, &row), STORE_OK);
	job_row_done(&row);
	ck_assert_int_eq(store_job_move(s, id, JOB_PAUSED, "disk_quota", NULL), STORE_OK);
	ck_assert_int_eq(store_job_ask(s, asked, JOB_VERB_PAUSE, -1), STORE_OK);
	ck_assert_int_eq(store_keep_resume(s, &n), STORE_OK);
	ck_assert_int_eq(n, 0);
	bool last;
	ck_assert_int_eq(store_dataset_delete(s, other, &last), STORE_OK);
	ck_assert_int_eq(store_keep_resume(s, &n), STORE_OK);
	ck_assert_int_eq(n, 1);
	ck_assert_int_eq(seed_status(s, id), JOB_QUEUED);
	ck_assert_int_eq(seed_status(s, asked), JOB_PAUSED); /* who paused it must resume it */
}
END_TEST

START_TEST(jobs_that_wait_for_a_full_disk_are_found_with_the_room_that_they_need)
{
	char ids[3][ID_MAX], at[ID_MAX] = "";
	int64_t bytes;
	int n;
	struct job_row row;
	const char *dataset = ready("ann", "mnist", "aa", 900);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(queue("ann", dataset, NULL, ids[i]), STORE_OK);
	ck_assert_int_eq(store_keep_disk_next(s, at, &bytes), STORE_NOT_FOUND);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(store_job_claim(s, &row), STORE_OK);
		job_row_done(&row);
	}
	save(ids[1], 1, 500, true);
	seed_execute(s, "UPDATE job SET spec = '{\"plan\":{\"memory\":{\"parameters\":70,\"optimizer_state\":7}}}'");
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(store_job_wait_for_disk(s, ids[i], "Full.", 0), STORE_OK);
	ck_assert_int_eq(store_job_ask(s, ids[2], JOB_VERB_PAUSE, -1), STORE_OK);
	open_again(); /* as a restart does */
	ck_assert_int_eq(store_keep_resume(s, &n), STORE_OK);
	ck_assert_int_eq(n, 0); /* it is not a matter of shares */
	ck_assert_int_eq(store_keep_disk_next(s, at, &bytes), STORE_OK);
	ck_assert_str_eq(at, ids[0]);
	ck_assert_int_eq(bytes, 77);
	ck_assert_int_eq(store_keep_disk_next(s, at, &bytes), STORE_OK);
	ck_assert_str_eq(at, ids[1]);
	ck_assert_int_eq(bytes, 500);
	ck_assert_int_eq(store_keep_disk_next(s, at, &bytes), STORE_NOT_FOUND);
	ck_assert_int_eq(store_keep_disk_resume(s, ids[0]), STORE_OK);
	ck_assert_int_eq(seed_status(s, ids[0]), JOB_QUEUED);
	ck_assert_int_eq(store_keep_disk_resume(s, ids[0]), STORE_CONFLICT);
	ck_assert_int_eq(store_keep_disk_resume(s, ids[2]), STORE_CONFLICT); /* who paused it must resume it */
	ck_assert_int_eq(seed_status(s, ids[2]), JOB_PAUSED);
}
END_TEST

/* ---- retention ---------------------------------------------------------------------------------------- */

START_TEST(the_longest_ended_job_goes_first_and_no_other)
{
	char ids[3][ID_MAX], waiting[ID_MAX];
	struct keep_removed r;
	struct keep_totals totals;
	const char *dataset = ready("ann", "mnist", "aa", 1000);
	for (int i = 0; i < 3; i++)
		ended("ann", dataset, 2, ids[i]);
	ck_assert_int_eq(queue("ann", dataset, NULL, waiting), STORE_OK);
	age(ids[0], 5 * DAY);
	age(ids[2], 9 * DAY);
	double now = store_kept_now(s);
	ck_assert_int_eq(store_keep_remove_job(s, now - 10 * DAY, &r), STORE_NOT_FOUND);
	ck_assert_int_eq(store_keep_remove_job(s, now - 2 * DAY, &r), STORE_OK);
	ck_assert_str_eq(r.id, ids[2]);
	ck_assert_int_eq(r.n.weights, 2);
	ck_assert_int_eq(r.n.bytes, 200);
	keep_removed_done(&r);
	ck_assert_int_eq(store_keep_remove_job(s, now - 2 * DAY, &r), STORE_OK);
	ck_assert_str_eq(r.id, ids[0]);
	keep_removed_done(&r);
	ck_assert_int_eq(store_keep_remove_job(s, now - 2 * DAY, &r), STORE_NOT_FOUND);
	ck_assert_int_eq(store_keep_remove_job(s, INFINITY, &r), STORE_OK);
	keep_removed_done(&r);
	ck_assert_int_eq(store_keep_remove_job(s, INFINITY, &r), STORE_NOT_FOUND); /* one waits: it stays */
	ck_assert_int_eq(seed_status(s, waiting), JOB_QUEUED);
	ck_assert_int_eq(store_keep_totals(s, &totals), STORE_OK);
	ck_assert_int_eq(totals.jobs, 3);
	ck_assert_int_eq(totals.weights, 6);
	ck_assert_int_eq(totals.bytes, 600);
	takes("ann", 1000, 0, 0);
}
END_TEST

static int checkpoints_of(const char *id)
{
	struct checkpoint_row *rows = NULL;
	int n;
	ck_assert_int_eq(store_checkpoint_list(s, id, &rows, &n), STORE_OK);
	for (int i = 0; i < n; i++)
		checkpoint_row_done(&rows[i]);
	free(rows);
	return n;
}

START_TEST(weights_go_down_to_the_best_and_to_none_and_the_job_says_so)
{
	char old[ID_MAX], young[ID_MAX], bare[ID_MAX];
	struct keep_removed r;
	const char *dataset = ready("ann", "mnist", "aa", 1000);
	ended("ann", dataset, 3, young);
	ended("ann", dataset, 3, old);
	ended("ann", dataset, 0, bare);
	age(old, DAY);
	struct job_row row = seed_get(s, old);
	int64_t version = row.version;
	ck_assert_int_eq(row.weights_kept, WEIGHTS_ALL);
	ck_assert_double_eq(row.weights_removed_at, 0);
	job_row_done(&row);
	ck_assert_int_eq(store_keep_remove_weights(s, store_kept_now(s) - 10, WEIGHTS_BEST, &r), STORE_OK);
	ck_assert_str_eq(r.id, old);
	ck_assert_int_eq(r.nfiles, 2);
	ck_assert_str_eq(r.files[0], "epoch-000002.ckpt");
	keep_removed_done(&r);
	row = seed_get(s, old);
	ck_assert_int_eq(row.weights_kept, WEIGHTS_BEST);
	ck_assert_double_gt(row.weights_removed_at, 0);
	ck_assert_int_gt(row.version, version);
	job_row_done(&row);
	ck_assert_int_eq(checkpoints_of(old), 1);
	ck_assert_int_eq(store_keep_remove_weights(s, store_kept_now(s) - 10, WEIGHTS_BEST, &r), STORE_NOT_FOUND);
	ck_assert_int_eq(store_keep_remove_weights(s, INFINITY, WEIGHTS_NONE, &r), STORE_OK);
	ck_assert_str_eq(r.id, old); /* the longest ended, though it has fewer */
	keep_removed_done(&r);
	ck_assert_int_eq(checkpoints_of(old), 0);
	ck_assert_int_eq(checkpoints_of(young), 3);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(store_keep_remove_weights(s, INFINITY, WEIGHTS_NONE, &r), STORE_OK);
		keep_removed_done(&r);
	}
	ck_assert_int_eq(store_keep_remove_weights(s, INFINITY, WEIGHTS_NONE, &r), STORE_NOT_FOUND);
	row = seed_get(s, bare);
	ck_assert_double_eq(row.weights_removed_at, 0); /* it had none */
	job_row_done(&row);
	takes("ann", 1000, 0, 0);
}
END_TEST

START_TEST(a_job_without_a_best_keeps_its_newest)
{
	char id[ID_MAX];
	struct keep_removed r;
	struct checkpoint_row ckpt;
	ended("ann", ready("ann", "mnist", "aa", 1000), 3, id);
	seed_execute(s, "UPDATE checkpoint SET is_best = 0");
	ck_assert_int_eq(store_keep_remove_weights(s, INFINITY, WEIGHTS_BEST, &r), STORE_OK);
	ck_assert_int_eq(r.nfiles, 2);
	keep_removed_done(&r);
	ck_assert_int_eq(store_checkpoint_get(s, id, "last", &ckpt), STORE_OK);
	ck_assert_int_eq(ckpt.epoch, 3);
	checkpoint_row_done(&ckpt);
}
END_TEST

START_TEST(data_sets_that_a_job_still_needs_stay)
{
	char id[ID_MAX];
	struct keep_removed r;
	bool last;
	const char *used = ready("ann", "used", "aa", 10), *shared = ready("bob", "shared", "bb", 10);
	const char *twin = ready("ann", "twin", "bb", 10);
	upload("ann", "half", "x", 5, STORE_OK);
	ck_assert_int_eq(queue("ann", used, NULL, id), STORE_OK);
	seed_execute(s, "UPDATE dataset SET used_kept = used_kept - 100 * 86400");
	seed_execute(s, "UPDATE dataset SET used_kept = used_kept - 1 WHERE owner = 'bob'");
	double before = store_kept_now(s) - 30 * DAY;
	ck_assert_int_eq(store_keep_remove_dataset(s, before, true, &r), STORE_OK);
	ck_assert_str_eq(r.id, shared);
	ck_assert_int_eq(r.nfiles, 0); /* its twin has the same file */
	keep_removed_done(&r);
	ck_assert_int_eq(store_keep_remove_dataset(s, before, true, &r), STORE_OK);
	ck_assert_str_eq(r.id, twin);
	ck_assert_int_eq(r.nfiles, 1);
	ck_assert_str_eq(r.files[0], "bb");
	keep_removed_done(&r);
	ck_assert_int_eq(store_keep_remove_dataset(s, before, true, &r), STORE_NOT_FOUND);
	ck_assert_int_eq(store_keep_remove_dataset(s, before, false, &r), STORE_OK);
	ck_assert_int_eq(r.nfiles, 1);
	ck_assert_int_eq(r.n.uploads, 1);
	keep_removed_done(&r);
	ck_assert_int_eq(store_job_ask(s, id, JOB_VERB_CANCEL, -1), STORE_OK);
	ck_assert_int_eq(store_keep_remove_dataset(s, before, true, &r), STORE_NOT_FOUND); /* used a moment ago */
	ck_assert_int_eq(store_dataset_delete(s, used, &last), STORE_OK);
}
END_TEST

START_TEST(a_repeated_request_is_known_when_the_clock_was_put_forward)
{
	char id[ID_MAX], again[ID_MAX];
	const char *dataset = ready("ann", "mnist", "aa", 10);
	ck_assert_int_eq(queue("ann", dataset, "key", id), STORE_OK);
	ck_assert_int_eq(store_kept_note(s), STORE_OK);
	seed_execute(s, "UPDATE keep SET wall = wall - 3652.0 * 86400"); /* the next start is ten years later */
	open_again();
	ck_assert_int_eq(queue("ann", dataset, "another", again), STORE_OK); /* forgets the keys of yesterday */
	ck_assert_int_eq(queue("ann", dataset, "key", again), STORE_OK);
	ck_assert_str_eq(id, again);
	seed_execute(s, "UPDATE idempotency SET created_at = created_at - 86400");
	ck_assert_int_eq(queue("ann", dataset, "key", again), STORE_OK);
	ck_assert_str_ne(id, again);
}
END_TEST

START_TEST(what_cannot_be_read_stops_nobody)
{
	store_disk_limit(s, 1000);
	ck_assert_int_eq(store_disk_left(s, "ada"), 1000);
	seed_execute(s, "ALTER TABLE disk_use RENAME TO away");
	ck_assert_int_eq(store_disk_left(s, "ada"), INT64_MAX);
}
END_TEST

TEST_SUITE(store_keep, 20)
{
	tcase_add_checked_fixture(tc, open_it, close_it);
	tcase_add_test(tc, what_cannot_be_read_stops_nobody);
	tcase_add_test(tc, kept_time_goes_on_over_a_stop_by_at_most_half_a_day);
	tcase_add_test(tc, what_each_user_takes_is_counted_as_it_comes_and_goes);
	tcase_add_test(tc, nobody_takes_more_than_a_user_may);
	tcase_add_test(tc, jobs_paused_for_want_of_room_go_on_when_there_is_some);
	tcase_add_test(tc, jobs_that_wait_for_a_full_disk_are_found_with_the_room_that_they_need);
	tcase_add_test(tc, the_longest_ended_job_goes_first_and_no_other);
	tcase_add_test(tc, weights_go_down_to_the_best_and_to_none_and_the_job_says_so);
	tcase_add_test(tc, a_job_without_a_best_keeps_its_newest);
	tcase_add_test(tc, data_sets_that_a_job_still_needs_stay);
	tcase_add_test(tc, a_repeated_request_is_known_when_the_clock_was_put_forward);
}
