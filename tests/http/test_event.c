/* test_event.c - events over HTTP: live and replayed streams, lines, pages; nothing lost across a reconnection. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/daemon.h"
#include "http/sample.h"
#include "http/talk.h"
#include "runner.h"

/* A stream of server-sent events; after: Last-Event-ID, -1 = none. The client is the caller's. */
static struct client *follow(int port, const char *target, long long after, int status)
{
	char headers[128];
	struct client *c = client_open(port);
	ck_assert_ptr_nonnull(c);
	if (after >= 0)
		snprintf(headers, sizeof headers, "Accept: text/event-stream\r\nLast-Event-ID: %lld\r\n", after);
	else
		snprintf(headers, sizeof headers, "Accept: text/event-stream\r\n");
	ck_assert(client_request(c, "GET", target, headers, NULL, 0));
	struct response head = client_read_head(c);
	ck_assert_int_eq(head.status, status);
	response_free(&head);
	return c;
}

static void finished_job(struct daemon *d, int epochs, char id[64], char target[160])
{
	char training[64];
	daemon_start(d, NULL);
	sample_upload(d->port, "quarters", 256, 0);
	snprintf(training, sizeof training, "\"epochs\":%d", epochs);
	sample_submit(d->port, "quarters", training, id);
	json_decref(sample_wait(d->port, id, "succeeded"));
	snprintf(target, 160, "/v1/jobs/%s/events", id);
}

START_TEST(a_replay_has_every_event_once_and_ends_with_the_job)
{
	struct daemon d;
	char id[64], target[160], last_type[48] = "";
	struct client_event event;
	finished_job(&d, 3, id, target);
	struct client *c = follow(d.port, target, -1, 200);
	long long seq = 0;
	while (client_read_event(c, &event)) {
		json_t *data = json_loads(event.data, 0, NULL);
		ck_assert_int_eq(atoll(event.id), ++seq);
		ck_assert_int_eq(talk_int(data, "seq"), seq);
		ck_assert_str_eq(talk_text(data, "type"), event.type);
		ck_assert_str_eq(talk_text(data, "job_id"), id);
		snprintf(last_type, sizeof last_type, "%s", event.type);
		if (strcmp(event.type, "status") == 0)
			snprintf(last_type, sizeof last_type, "%s", talk_text(data, "status"));
		json_decref(data);
	}
	ck_assert_str_eq(last_type, "succeeded");
	ck_assert(client_read_end(c));
	client_close(c);
	char page_target[200];
	snprintf(page_target, sizeof page_target, "/v1/jobs/%s", id);
	json_t *job = talk_get(d.port, page_target);
	ck_assert_int_eq(talk_int(job, "last_seq"), seq);
	json_decref(job);
	daemon_done(&d);
}
END_TEST

START_TEST(a_live_stream_that_is_cut_goes_on_without_a_gap)
{
	struct daemon d;
	char id[64], target[160];
	struct client_event event;
	daemon_start(&d, NULL);
	sample_upload(d.port, "quarters", 1024, 0);
	sample_submit(d.port, "quarters", "\"epochs\":40", id);
	snprintf(target, sizeof target, "/v1/jobs/%s/events", id);
	long long seq = 0;
	int cuts = 0, epochs = 0;
	for (bool more = true; more; cuts++) {
		struct client *c = follow(d.port, target, seq > 0 ? seq : -1, 200);
		for (int n = 0; (more = client_read_event(c, &event)); n++) {
			ck_assert_int_eq(atoll(event.id), ++seq);
			epochs += strcmp(event.type, "epoch") == 0;
			if (n == 9)
				break;
		}
		if (more)
			client_reset(c);
		else
			client_close(c);
		if (strcmp(event.type, "status") == 0 && strstr(event.data, "\"status\":\"succeeded\""))
			break;
	}
	ck_assert_int_eq(epochs, 40);
	ck_assert_int_ge(cuts, 4);
	daemon_done(&d);
}
END_TEST

START_TEST(a_client_that_has_everything_is_told_not_to_come_back)
{
	struct daemon d;
	char id[64], target[160], headers[96];
	finished_job(&d, 1, id, target);
	json_t *page = talk_get(d.port, target);
	snprintf(headers, sizeof headers, "Accept: text/event-stream\r\nLast-Event-ID: %lld\r\n",
		talk_int(page, "last_seq"));
	struct response r = request_do(d.port, "GET", target, headers, NULL, 0);
	ck_assert_int_eq(r.status, 204);
	response_free(&r);
	json_decref(page);
	daemon_done(&d);
}
END_TEST

START_TEST(pages_tell_whether_there_is_more)
{
	struct daemon d;
	char id[64], target[160], next[200];
	finished_job(&d, 2, id, target);
	snprintf(next, sizeof next, "%s?limit=2", target);
	json_t *first = talk_get(d.port, next);
	ck_assert_uint_eq(json_array_size(talk_at(first, "data")), 2);
	ck_assert(json_is_true(talk_at(first, "has_more")));
	ck_assert_int_eq(talk_int(first, "last_seq"), 2);
	ck_assert_str_eq(talk_text(first, "data.0.status"), "queued");
	snprintf(next, sizeof next, "%s?after=2&limit=1000", target);
	json_t *rest = talk_get(d.port, next);
	ck_assert_int_eq(talk_int(rest, "data.0.seq"), 3);
	ck_assert(json_is_false(talk_at(rest, "has_more")));
	snprintf(next, sizeof next, "%s?type=epoch", target);
	json_t *epochs = talk_get(d.port, next);
	ck_assert_uint_eq(json_array_size(talk_at(epochs, "data")), 2);
	ck_assert_int_eq(talk_int(epochs, "data.1.epoch"), 2);
	json_decref(first);
	json_decref(rest);
	json_decref(epochs);
	daemon_done(&d);
}
END_TEST

START_TEST(lines_come_one_event_each_and_end)
{
	struct daemon d;
	char id[64], target[160];
	int lines = 0;
	finished_job(&d, 2, id, target);
	struct client *c = client_open(d.port);
	ck_assert(client_request(c, "GET", target, "Accept: application/x-ndjson\r\n", NULL, 0));
	struct response head = client_read_head(c);
	ck_assert_int_eq(head.status, 200);
	ck_assert_str_eq(response_header(&head, "Content-Type"), "application/x-ndjson");
	for (const char *line; (line = client_read_line(c)); lines++) {
		json_t *event = json_loads(line, 0, NULL);
		ck_assert_msg(event != NULL, "%s", line);
		ck_assert_int_eq(talk_int(event, "seq"), lines + 1);
		json_decref(event);
	}
	ck_assert_int_ge(lines, 5);
	response_free(&head);
	client_close(c);
	daemon_done(&d);
}
END_TEST

START_TEST(lines_follow_a_job_to_its_end)
{
	struct daemon d;
	char id[64], target[160];
	int epochs = 0;
	daemon_start(&d, NULL);
	sample_upload(d.port, "quarters", 512, 0);
	sample_submit(d.port, "quarters", "\"epochs\":5", id);
	snprintf(target, sizeof target, "/v1/jobs/%s/events?follow=true", id);
	struct client *c = client_open(d.port);
	ck_assert(client_request(c, "GET", target, "Accept: */*\r\n", NULL, 0));
	struct response head = client_read_head(c);
	ck_assert_str_eq(response_header(&head, "Content-Type"), "application/x-ndjson");
	for (const char *line; (line = client_read_line(c));)
		epochs += strstr(line, "\"type\":\"epoch\"") != NULL;
	ck_assert_int_eq(epochs, 5);
	response_free(&head);
	client_close(c);
	daemon_done(&d);
}
END_TEST

START_TEST(an_empty_page_waits_for_the_next_event)
{
	struct daemon d;
	char id[64], target[200];
	daemon_start(&d, NULL);
	sample_upload(d.port, "quarters", 512, 0);
	sample_submit(d.port, "quarters", "\"epochs\":1000000", id);
	long long seq = 0;
	for (int i = 0; i < 20; i++) {
		snprintf(target, sizeof target, "/v1/jobs/%s/events?wait=10&after=%lld", id, seq);
		json_t *page = talk_get(d.port, target);
		ck_assert_uint_gt(json_array_size(talk_at(page, "data")), 0);
		ck_assert_int_eq(talk_int(page, "data.0.seq"), seq + 1);
		seq = talk_int(page, "last_seq");
		json_decref(page);
	}
	daemon_done(&d);
}
END_TEST

START_TEST(all_jobs_come_on_one_stream)
{
	struct daemon d;
	char first[64], second[64];
	struct client_event event;
	daemon_start(&d, (const char *const[]){"--workers=2", NULL});
	struct client *c = follow(d.port, "/v1/events", -1, 200);
	sample_upload(d.port, "quarters", 256, 0);
	sample_submit(d.port, "quarters", "\"epochs\":2", first);
	sample_submit(d.port, "quarters", "\"epochs\":2", second);
	long long id = 0;
	for (int ended = 0; ended < 2;) {
		ck_assert(client_read_event(c, &event));
		json_t *data = json_loads(event.data, 0, NULL);
		ck_assert_int_gt(atoll(event.id), id);
		id = atoll(event.id);
		ck_assert_int_eq(talk_int(data, "global_seq"), id);
		const char *job = talk_text(data, "job_id");
		ck_assert(strcmp(job, first) == 0 || strcmp(job, second) == 0);
		ended += strcmp(event.type, "status") == 0 && strcmp(talk_text(data, "status"), "succeeded") == 0;
		json_decref(data);
	}
	client_close(c);
	daemon_done(&d);
}
END_TEST

START_TEST(a_stream_of_a_waiting_daemon_ends_when_it_stops)
{
	struct daemon d;
	struct client_event event;
	daemon_start(&d, NULL);
	struct client *c = follow(d.port, "/v1/events", -1, 200);
	daemon_stop(&d);
	ck_assert(!client_read_event(c, &event));
	client_close(c);
	daemon_done(&d);
}
END_TEST

START_TEST(only_known_media_types_and_whole_numbers_are_served)
{
	struct daemon d;
	char id[64], target[160], bad[200];
	finished_job(&d, 1, id, target);
	struct response r = request_do(d.port, "GET", target, "Accept: image/png\r\n", NULL, 0);
	talk_problem(&r, 406, "not_acceptable", "Accept");
	response_free(&r);
	r = request_do(d.port, "GET", target, "Last-Event-ID: x\r\n", NULL, 0);
	talk_problem(&r, 400, "invalid_request", "Last-Event-ID");
	response_free(&r);
	snprintf(bad, sizeof bad, "%s?after=-1", target);
	talk_refused(d.port, "GET", bad, NULL, 400, "invalid_query", "after");
	snprintf(bad, sizeof bad, "%s?follow=perhaps", target);
	talk_refused(d.port, "GET", bad, NULL, 400, "invalid_query", "follow");
	daemon_done(&d);
}
END_TEST

TEST_SUITE(event, 60)
{
	tcase_add_test(tc, a_replay_has_every_event_once_and_ends_with_the_job);
	tcase_add_test(tc, a_live_stream_that_is_cut_goes_on_without_a_gap);
	tcase_add_test(tc, a_client_that_has_everything_is_told_not_to_come_back);
	tcase_add_test(tc, pages_tell_whether_there_is_more);
	tcase_add_test(tc, lines_come_one_event_each_and_end);
	tcase_add_test(tc, lines_follow_a_job_to_its_end);
	tcase_add_test(tc, an_empty_page_waits_for_the_next_event);
	tcase_add_test(tc, all_jobs_come_on_one_stream);
	tcase_add_test(tc, a_stream_of_a_waiting_daemon_ends_when_it_stops);
	tcase_add_test(tc, only_known_media_types_and_whole_numbers_are_served);
}
