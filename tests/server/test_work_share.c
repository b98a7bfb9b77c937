/* test_work_share.c - jobs that train at the same time: they share the cores, and no weight is another for it. */
#include <string.h>

#include "runner.h"
#include "train_rig.h"

enum { KEEP = 2, CORES = 3, WEIGHTS_MAX = 1024, EPOCHS = 300 };
#define OPTIONS                                                                                                        \
	"\"batch_size\":4,\"seed\":3,\"optimizer\":{\"type\":\"AdamW\",\"lr\":0.01},\"validation\":{\"split\":0.3}"
#define ENDLESS "{\"epochs\":1000000," OPTIONS "}"
static const char training[] = "{\"epochs\":300," OPTIONS "}";

static struct rig rig;

static void setup(void)
{
	rig_init(&rig);
	rig.cores = CORES;
	rig.workers = CORES;
}

static void teardown(void)
{
	rig_done(&rig);
}

/* Looks each time a job changes, which it does with every epoch. */
static void wait_threads(const char *job_id, int threads)
{
	while (lease_held_by(rig.leases, job_id) != threads)
		rig_wait_change(&rig, job_id);
}

/* With however many threads: a job that comes first may have all of them, until others come. */
static void wait_runs(const char *job_id)
{
	while (lease_held_by(rig.leases, job_id) == 0)
		rig_wait_change(&rig, job_id);
}

START_TEST(another_users_job_takes_its_share_and_gives_it_back)
{
	struct job_row mine, theirs, end;
	rig_start(&rig, KEEP);
	rig_submit(&rig, ENDLESS, &mine);
	wait_threads(mine.id, CORES);
	rig_submit_as(&rig, "other", ENDLESS, &theirs);
	wait_threads(mine.id, 2);
	wait_threads(theirs.id, 1);
	rig_ask(&rig, mine.id, JOB_VERB_STOP);
	end = rig_end(&rig, mine.id, JOB_SUCCEEDED, "stopped");
	job_row_done(&end);
	wait_threads(theirs.id, CORES);
	rig_ask(&rig, theirs.id, JOB_VERB_CANCEL);
	end = rig_end(&rig, theirs.id, JOB_CANCELLED, "client_request");
	job_row_done(&end);
	job_row_done(&mine);
	job_row_done(&theirs);
}
END_TEST

START_TEST(a_job_whose_threads_change_on_the_way_has_the_weights_of_an_undisturbed_one)
{
	struct job_row job, other, alone, end;
	float shared[WEIGHTS_MAX], undisturbed[WEIGHTS_MAX];
	rig_start(&rig, KEEP);
	rig_submit(&rig, training, &job);
	wait_threads(job.id, CORES);
	for (int times = 0; times < 3; times++) {
		rig_submit_as(&rig, "other", ENDLESS, &other);
		wait_threads(job.id, CORES - 1);
		rig_ask(&rig, other.id, JOB_VERB_CANCEL);
		end = rig_end(&rig, other.id, JOB_CANCELLED, "client_request");
		wait_threads(job.id, CORES);
		job_row_done(&end);
		job_row_done(&other);
	}
	end = rig_end(&rig, job.id, JOB_SUCCEEDED, NULL);
	job_row_done(&end);
	int n = rig_weights(&rig, job.id, shared, WEIGHTS_MAX);
	rig_stop(&rig);
	rig.cores = rig.workers = 1;
	rig_start(&rig, KEEP);
	rig_submit(&rig, training, &alone);
	end = rig_end(&rig, alone.id, JOB_SUCCEEDED, NULL);
	ck_assert_int_eq(rig_weights(&rig, alone.id, undisturbed, WEIGHTS_MAX), n);
	ck_assert_mem_eq(shared, undisturbed, (size_t)n * sizeof(float));
	rig_check_epochs(&rig, job.id, EPOCHS);
	job_row_done(&end);
	job_row_done(&job);
	job_row_done(&alone);
}
END_TEST

START_TEST(who_has_all_places_gives_one_to_another_user_and_goes_on_afterwards)
{
	struct job_row jobs[CORES], other;
	rig_open(&rig);
	store_policy_set(rig.store, &(struct order_policy){.slots = CORES, .cores = CORES, .halflife_seconds = 3600});
	rig_start(&rig, KEEP);
	for (int i = 0; i < CORES; i++) {
		rig_submit(&rig, ENDLESS, &jobs[i]);
		wait_runs(jobs[i].id);
	}
	rig_submit_as(&rig, "other", ENDLESS, &other);
	wait_threads(other.id, 1);
	const char *newest = jobs[CORES - 1].id;
	rig_wait_status(&rig, newest, JOB_QUEUED);
	struct job_row now;
	ck_assert_int_eq(store_job_get(rig.store, newest, &now), STORE_OK);
	ck_assert_str_eq(now.status_reason, "gave_way");
	ck_assert_int_ge(now.epoch, 0);
	job_row_done(&now);
	rig_ask(&rig, other.id, JOB_VERB_CANCEL);
	wait_threads(newest, 1); /* again */
	for (int i = 0; i < CORES; i++) {
		rig_ask(&rig, jobs[i].id, JOB_VERB_CANCEL);
		job_row_done(&jobs[i]);
	}
	job_row_done(&other);
}
END_TEST

TEST_SUITE(work_share, 60)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, another_users_job_takes_its_share_and_gives_it_back);
	tcase_add_test(tc, who_has_all_places_gives_one_to_another_user_and_goes_on_afterwards);
	tcase_add_test(tc, a_job_whose_threads_change_on_the_way_has_the_weights_of_an_undisturbed_one);
}
