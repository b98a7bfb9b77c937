/* test_restart.c - a daemon that is stopped or killed in mid-training goes on as if nothing had been. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/daemon.h"
#include "http/sample.h"
#include "http/talk.h"
#include "runner.h"

/* Long enough that the daemon is ended in the middle; dropout, momentum and shuffling show every lost bit of state. */
#define TRAINING                                                                                                       \
	"\"epochs\":40,\"batch_size\":16,\"seed\":7,\"optimizer\":{\"type\":\"AdamW\",\"lr\":0.002},\"scheduler\":"    \
	"\"CosineAnnealingLR\""
enum { TRAIN = 1024, EPOCHS = 40 };

/* The rows of the job's log after a restart: dense, and every epoch once. */
static void check_events(int port, const char *id, int epochs)
{
	char target[160];
	snprintf(target, sizeof target, "/v1/jobs/%s/events?limit=1000", id);
	json_t *page = talk_get(port, target);
	const json_t *data = talk_at(page, "data");
	int epoch = 0;
	for (size_t i = 0; i < json_array_size(data); i++) {
		const json_t *e = json_array_get(data, i);
		ck_assert_int_eq(talk_int(e, "seq"), (long long)i + 1);
		if (strcmp(talk_text(e, "type"), "epoch") == 0)
			ck_assert_int_eq(talk_int(e, "epoch"), ++epoch);
	}
	ck_assert_int_eq(epoch, epochs);
	json_decref(page);
}

/* Ends the daemon rounds times in mid-training, each time with another number of threads afterwards. */
static void check_restarts(void (*end)(struct daemon *d), int rounds)
{
	static const char *const one_thread[] = {"--threads=1", NULL}, *const two_threads[] = {"--threads=2", NULL};
	struct daemon d;
	char id[64];
	struct bytes expected = sample_undisturbed(NULL, TRAIN, TRAINING);
	daemon_start(&d, two_threads);
	sample_upload(d.port, "quarters", TRAIN, 0);
	sample_submit(d.port, "quarters", TRAINING, id);
	for (int i = 0; i < rounds; i++) {
		sample_wait_epoch(d.port, id, 3 + 4 * i);
		end(&d);
		d.flags = i % 2 ? two_threads : one_thread;
		daemon_start_again(&d);
	}
	json_t *job = sample_wait(d.port, id, "succeeded");
	ck_assert_int_eq(talk_int(job, "attempt"), rounds + 1);
	json_decref(job);
	check_events(d.port, id, EPOCHS);
	struct bytes weights = sample_weights(d.port, id, "last");
	ck_assert_uint_eq(weights.size, expected.size);
	ck_assert_int_eq(memcmp(weights.at, expected.at, weights.size), 0);
	bytes_free(&weights);
	bytes_free(&expected);
	daemon_done(&d);
}

START_TEST(a_job_that_was_stopped_in_mid_run_ends_with_the_same_bits)
{
	check_restarts(daemon_stop, 3);
}
END_TEST

START_TEST(a_job_that_was_killed_in_mid_run_ends_with_the_same_bits)
{
	check_restarts(daemon_kill, 3);
}
END_TEST

START_TEST(the_queue_and_all_objects_survive)
{
	struct daemon d;
	char first[64], id[64], target[160];
	daemon_start(&d, (const char *const[]){"--workers=1", NULL});
	sample_upload(d.port, "quarters", 512, 0);
	json_decref(talk(d.port, "POST", "/v1/models", sample_model(), 201));
	sample_submit(d.port, "quarters", "\"epochs\":1000000", first);
	sample_wait_epoch(d.port, first, 1);
	sample_submit(d.port, "quarters", "\"epochs\":2", id);
	daemon_kill(&d);
	daemon_start_again(&d);
	json_decref(talk_get(d.port, "/v1/datasets/quarters/samples/0"));
	json_t *models = talk_get(d.port, "/v1/models"), *job;
	ck_assert_uint_eq(json_array_size(talk_at(models, "data")), 1);
	json_decref(models);
	snprintf(target, sizeof target, "/v1/jobs/%s/cancel", first);
	struct response r = request_do(d.port, "POST", target, NULL, NULL, 0);
	ck_assert(r.status == 200 || r.status == 202);
	response_free(&r);
	job = sample_wait(d.port, id, "succeeded");
	json_decref(job);
	daemon_done(&d);
}
END_TEST

START_TEST(a_cancel_that_was_asked_for_before_the_kill_is_kept)
{
	struct daemon d;
	char id[64], target[160];
	daemon_start(&d, NULL);
	sample_upload(d.port, "quarters", 512, 0);
	sample_submit(d.port, "quarters", "\"epochs\":1000000", id);
	sample_wait_epoch(d.port, id, 1);
	snprintf(target, sizeof target, "/v1/jobs/%s/cancel", id);
	struct response r = request_do(d.port, "POST", target, NULL, NULL, 0);
	ck_assert_int_eq(r.status, 202);
	response_free(&r);
	daemon_kill(&d);
	daemon_start_again(&d);
	json_decref(sample_wait(d.port, id, "cancelled"));
	daemon_done(&d);
}
END_TEST

START_TEST(a_stream_goes_on_after_a_restart_where_it_was_cut)
{
	struct daemon d;
	char id[64], target[160], headers[96], last[48] = "";
	struct client_event event;
	long long seq = 0;
	daemon_start(&d, NULL);
	sample_upload(d.port, "quarters", TRAIN, 0);
	sample_submit(d.port, "quarters", TRAINING, id);
	snprintf(target, sizeof target, "/v1/jobs/%s/events", id);
	for (int round = 0; round < 2; round++) {
		struct client *c = client_open(d.port);
		snprintf(headers, sizeof headers, "Accept: text/event-stream\r\nLast-Event-ID: %lld\r\n", seq);
		ck_assert(client_request(c, "GET", target, headers, NULL, 0));
		struct response head = client_read_head(c);
		ck_assert_int_eq(head.status, 200);
		response_free(&head);
		while (client_read_event(c, &event)) {
			ck_assert_int_eq(atoll(event.id), ++seq);
			snprintf(last, sizeof last, "%s", event.type);
			if (round == 0 && strcmp(event.type, "epoch") == 0 && strstr(event.data, "\"epoch\":5,")) {
				daemon_stop(&d);
				daemon_start_again(&d);
			}
		}
		client_close(c);
	}
	ck_assert_str_eq(last, "status");
	json_t *job = sample_wait(d.port, id, "succeeded");
	ck_assert_int_eq(talk_int(job, "last_seq"), seq);
	json_decref(job);
	daemon_done(&d);
}
END_TEST

TEST_SUITE(restart, 120)
{
	tcase_add_test(tc, a_job_that_was_stopped_in_mid_run_ends_with_the_same_bits);
	tcase_add_test(tc, a_job_that_was_killed_in_mid_run_ends_with_the_same_bits);
	tcase_add_test(tc, the_queue_and_all_objects_survive);
	tcase_add_test(tc, a_cancel_that_was_asked_for_before_the_kill_is_kept);
	tcase_add_test(tc, a_stream_goes_on_after_a_restart_where_it_was_cut);
}
