/* test_http_stream.c - streams: replay, heartbeats, no ring lost, slow and vanished clients; and long polls. */
#include "http_toy.h"
#include "runner.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct toy *t;

static void start_with(struct http_deadlines deadlines, int event_threads)
{
	t = toy_start(&(struct http_options){.listen_fd = -1, .event_threads = event_threads, .deadlines = deadlines});
}

static void start(void)
{
	start_with((struct http_deadlines){0}, 2);
}

static void stop(void)
{
	toy_stop(t);
}

static int64_t streams_of(const struct http_stats *s)
{
	return s->streams;
}

static int64_t connections_of(const struct http_stats *s)
{
	return s->connections;
}

static struct client *open_stream(const char *target)
{
	struct client *c = client_open(t->port);
	ck_assert(client_request(c, "GET", target, NULL, NULL, 0));
	struct response r = client_read_head(c);
	ck_assert_int_eq(r.status, 200);
	ck_assert_str_eq(response_header(&r, "Content-Type"), "text/event-stream");
	ck_assert_str_eq(response_header(&r, "X-Accel-Buffering"), "no");
	response_free(&r);
	return c;
}

static void expect_event(struct client *c, int id)
{
	struct client_event e;
	ck_assert_msg(client_read_event(c, &e), "no event, waiting for %d", id);
	ck_assert_int_eq(atoi(e.id), id);
	ck_assert_int_eq(atoi(e.data), id);
}

START_TEST(a_stream_replays_what_is_newer_and_then_follows)
{
	toy_tell(t, 5);
	struct client *c = open_stream("/stream?after=2");
	for (int i = 3; i <= 5; i++)
		expect_event(c, i);
	toy_tell(t, 6);
	expect_event(c, 6);
	toy_tell(t, 9);
	for (int i = 7; i <= 9; i++)
		expect_event(c, i);
	client_close(c);
}
END_TEST

START_TEST(the_head_of_a_stream_that_sleeps_arrives_at_once)
{
	struct client *c = client_open(t->port);
	client_timeout(c, 100);
	ck_assert(client_request(c, "GET", "/stream", NULL, NULL, 0));
	struct response r = client_read_head(c);
	ck_assert_int_eq(r.status, 200);
	response_free(&r);
	client_close(c);
}
END_TEST

START_TEST(a_stream_that_ends_leaves_the_connection_usable)
{
	toy_tell(t, 3);
	struct client *c = open_stream("/stream?until=3");
	ck_assert(client_read_end(c));
	ck_assert(toy_reaches(&t->freed, 1));
	ck_assert(client_request(c, "GET", "/v1/things/next", NULL, NULL, 0));
	struct response r = client_read(c, false);
	ck_assert_int_eq(r.status, 200);
	response_free(&r);
	client_close(c);
}
END_TEST

START_TEST(an_http_1_0_client_gets_the_stream_until_the_connection_ends)
{
	toy_tell(t, 3);
	struct client *c = client_open(t->port);
	ck_assert(client_sendf(c, "GET /stream?until=3 HTTP/1.0\r\n\r\n"));
	struct response r = client_read(c, false);
	ck_assert_int_eq(r.status, 200);
	ck_assert_ptr_null(response_header(&r, "Transfer-Encoding"));
	ck_assert_ptr_nonnull(strstr(r.body, "data: 3\n\n"));
	response_free(&r);
	client_close(c);
}
END_TEST

/* Rings as fast as it can: any ring lost between the pull and the sleep would leave the client waiting. */
enum { RINGS = 20000 };

static void *ring_often(void *arg)
{
	struct toy *toy = arg;
	for (int i = 1; i <= RINGS; i++) {
		atomic_store(&toy->last, i);
		hub_ring(toy->hub, "count");
		if (i % 16 == 0)
			toy_reaches(&toy->pulled, i); /* lets the stream fall asleep in between */
	}
	return NULL;
}

static void hears_every_ring(const char *target)
{
	struct client *c = open_stream(target);
	pthread_t thread;
	ck_assert_int_eq(pthread_create(&thread, NULL, ring_often, t), 0);
	for (int i = 1; i <= RINGS; i++)
		expect_event(c, i);
	pthread_join(thread, NULL);
	client_close(c);
}

START_TEST(no_ring_is_lost_between_the_pull_and_the_sleep)
{
	hears_every_ring("/stream");
}
END_TEST

START_TEST(nor_where_nobody_looks_again_after_all_was_told)
{
	hears_every_ring("/stream?lazy=1");
}
END_TEST

START_TEST(a_ring_between_the_pull_and_the_sleep_is_heard)
{
	static const char *const targets[] = {"/stream?trap=20&until=20", "/stream?lazy=1&trap=20&until=20"};
	for (int k = 0; k < 2; k++) {
		atomic_store(&t->last, 0);
		struct client *c = open_stream(targets[k]);
		for (int i = 1; i <= 20; i++)
			expect_event(c, i);
		client_close(c);
	}
}
END_TEST

START_TEST(one_look_an_event_is_enough)
{
	toy_tell(t, 1);
	struct client *c = open_stream("/stream?lazy=1");
	for (int i = 1; i <= 5; i++) {
		expect_event(c, i);
		ck_assert(toy_reaches(&t->spared, i));
		toy_tell(t, i + 1);
	}
	client_close(c);
}
END_TEST

START_TEST(fifty_streams_hear_every_ring)
{
	struct client *c[50];
	for (int i = 0; i < 50; i++)
		c[i] = open_stream("/stream");
	ck_assert(toy_stat_reaches(t, streams_of, 50));
	for (int n = 1; n <= 20; n++) {
		toy_tell(t, n);
		for (int i = 0; i < 50; i++)
			expect_event(c[i], n);
	}
	for (int i = 0; i < 50; i++)
		client_close(c[i]);
}
END_TEST

START_TEST(a_sleeping_stream_has_a_heartbeat)
{
	toy_stop(t);
	start_with((struct http_deadlines){.heartbeat = 300, .stall = 150}, 1);
	struct client *c = open_stream("/stream");
	for (int i = 0; i < 6;
		i++) /* each is later than the deadline for a stalled response: sleeping is not stalling */
		ck_assert_str_eq(client_read_line(c), i % 2 ? "" : ": ping");
	toy_tell(t, 1);
	struct client_event e;
	ck_assert(client_read_event(c, &e));
	ck_assert_str_eq(e.data, "1");
	client_close(c);
}
END_TEST

START_TEST(a_client_that_vanished_is_found_by_the_heartbeat)
{
	toy_stop(t);
	start_with((struct http_deadlines){.heartbeat = 30}, 2);
	for (int i = 0; i < 10; i++) {
		struct client *c = open_stream(i % 2 ? "/stream" : "/stream?mute=1");
		if (i % 4 < 2)
			client_reset(c);
		else
			client_close(c);
	}
	ck_assert(toy_reaches(&t->freed, 10));
	ck_assert(toy_stat_reaches(t, streams_of, 0));
	ck_assert(toy_stat_reaches(t, connections_of, 0));
}
END_TEST

START_TEST(a_client_that_does_not_read_is_cut_off_and_cost_little)
{
	toy_stop(t);
	start_with((struct http_deadlines){.stall = 300}, 2);
	struct client *c = client_open(t->port);
	struct http_stats s;
	setsockopt(client_fd(c), SOL_SOCKET, SO_RCVBUF, &(int){65536}, sizeof(int));
	ck_assert(client_request(c, "GET", "/stream?flood=1", NULL, NULL, 0));
	ck_assert(toy_stat_reaches(t, streams_of, 1));
	ck_assert(toy_stat_reaches(t, streams_of, 0));
	http_stats(t->srv, &s);
	ck_assert_int_lt(s.bytes_out, 1 << 20); /* what the two sockets hold, not what could be made */
	ck_assert_int_gt(s.bytes_out, 16 << 10);
	client_close(c);
}
END_TEST

START_TEST(a_client_that_reads_slowly_is_not_cut_off)
{
	toy_stop(t);
	start_with((struct http_deadlines){.stall = 300}, 2);
	struct client *c = client_open(t->port);
	setsockopt(client_fd(c), SOL_SOCKET, SO_RCVBUF, &(int){65536}, sizeof(int));
	ck_assert(client_request(c, "GET", "/big", NULL, NULL, 0));
	char buf[30000];
	size_t got = 0;
	/* At most 30 KB every 10 ms: three times as long in all as a stall may last. */
	while (got <= 3000000) {
		ssize_t n = recv(client_fd(c), buf, sizeof(buf), 0);
		ck_assert_int_gt(n, 0);
		got += (size_t)n;
		poll(NULL, 0, 10);
	}
	client_close(c);
}
END_TEST

START_TEST(stopping_ends_fifty_sleeping_streams_properly)
{
	struct client *c[50];
	for (int i = 0; i < 50; i++)
		c[i] = open_stream("/stream");
	ck_assert(toy_stat_reaches(t, streams_of, 50));
	hub_close(t->hub);
	http_stop(t->srv);
	t->srv = NULL;
	ck_assert_int_eq(atomic_load(&t->freed), 50);
	for (int i = 0; i < 50; i++) {
		ck_assert(client_read_end(c[i]));
		ck_assert(client_closed(c[i]));
		client_close(c[i]);
	}
}
END_TEST

START_TEST(stopping_does_not_wait_for_clients_that_do_not_read)
{
	toy_stop(t);
	start_with((struct http_deadlines){.drain = 100}, 2);
	struct client *flood = open_stream("/stream?flood=1"), *half = client_open(t->port),
		      *idle = client_open(t->port);
	client_sendf(half, "PUT /v1/files/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc");
	while (toy_files(t) == 0)
		;
	http_stop(t->srv);
	t->srv = NULL;
	ck_assert_int_eq(atomic_load(&t->freed), 1);
	ck_assert_int_eq(toy_files(t), 0);
	client_close(flood);
	client_close(half);
	client_close(idle);
}
END_TEST

/* ---- long polls ---- */
static void expect_later(struct client *c, const char *body)
{
	struct response r = client_read(c, false);
	ck_assert_int_eq(r.status, 200);
	ck_assert_str_eq(r.body, body);
	response_free(&r);
}

START_TEST(a_long_poll_answers_at_once_when_there_is_news)
{
	toy_tell(t, 4);
	struct response r = request_get(t->port, "/later?seen=3");
	ck_assert_str_eq(r.body, "{\"last\":4,\"waited\":false}\n");
	response_free(&r);
	ck_assert_int_eq(atomic_load(&t->entered), 1);
}
END_TEST

START_TEST(a_long_poll_sleeps_until_the_topic_moves_on)
{
	static const char *const targets[] = {"/later?seen=3", "/later/slowly?seen=3"};
	for (int i = 0; i < 2; i++) {
		atomic_store(&t->entered, 0);
		toy_tell(t, 3);
		struct client *c = client_open(t->port);
		ck_assert(client_request(c, "GET", targets[i], NULL, NULL, 0));
		ck_assert(toy_reaches(&t->entered, 1));
		hub_ring(t->hub, "count"); /* a ring without news: it looks, and sleeps again */
		ck_assert(toy_reaches(&t->entered, 2));
		toy_tell(t, 4);
		expect_later(c, "{\"last\":4,\"waited\":false}\n");
		client_close(c);
	}
}
END_TEST

START_TEST(a_long_poll_ends_when_its_time_is_over)
{
	struct client *c = client_open(t->port);
	for (int i = 0; i < 2; i++) {
		ck_assert(client_request(c, "GET", i ? "/later/slowly?wait=1" : "/later?wait=1", NULL, NULL, 0));
		expect_later(c, "{\"last\":0,\"waited\":true}\n");
	}
	ck_assert(client_request(c, "GET", "/later?wait=0", NULL, NULL, 0));
	expect_later(c, "{\"last\":0,\"waited\":true}\n");
	client_close(c);
}
END_TEST

START_TEST(long_polls_lose_no_ring_either)
{
	struct client *c = client_open(t->port);
	char target[40], want[60];
	for (int i = 0; i < 2000; i++) {
		snprintf(target, sizeof(target), "/later?seen=%d", i);
		snprintf(want, sizeof(want), "{\"last\":%d,\"waited\":false}\n", i + 1);
		ck_assert(client_request(c, "GET", target, NULL, NULL, 0));
		toy_tell(t, i + 1); /* somewhere before, amid or after the sleep */
		expect_later(c, want);
	}
	client_close(c);
}
END_TEST

START_TEST(stopping_answers_long_polls)
{
	struct client *c = client_open(t->port);
	ck_assert(client_request(c, "GET", "/later?wait=60", NULL, NULL, 0));
	ck_assert(toy_reaches(&t->entered, 1));
	hub_close(t->hub);
	http_stop(t->srv);
	t->srv = NULL;
	expect_later(c, "{\"last\":0,\"waited\":true}\n");
	client_close(c);
}
END_TEST

TEST_SUITE(http_stream, 60)
{
	tcase_add_checked_fixture(tc, start, stop);
	tcase_add_test(tc, a_stream_replays_what_is_newer_and_then_follows);
	tcase_add_test(tc, the_head_of_a_stream_that_sleeps_arrives_at_once);
	tcase_add_test(tc, a_stream_that_ends_leaves_the_connection_usable);
	tcase_add_test(tc, an_http_1_0_client_gets_the_stream_until_the_connection_ends);
	tcase_add_test(tc, no_ring_is_lost_between_the_pull_and_the_sleep);
	tcase_add_test(tc, nor_where_nobody_looks_again_after_all_was_told);
	tcase_add_test(tc, a_ring_between_the_pull_and_the_sleep_is_heard);
	tcase_add_test(tc, one_look_an_event_is_enough);
	tcase_add_test(tc, fifty_streams_hear_every_ring);
	tcase_add_test(tc, a_sleeping_stream_has_a_heartbeat);
	tcase_add_test(tc, a_client_that_vanished_is_found_by_the_heartbeat);
	tcase_add_test(tc, a_client_that_does_not_read_is_cut_off_and_cost_little);
	tcase_add_test(tc, a_client_that_reads_slowly_is_not_cut_off);
	tcase_add_test(tc, stopping_ends_fifty_sleeping_streams_properly);
	tcase_add_test(tc, stopping_does_not_wait_for_clients_that_do_not_read);
	tcase_add_test(tc, a_long_poll_answers_at_once_when_there_is_news);
	tcase_add_test(tc, a_long_poll_sleeps_until_the_topic_moves_on);
	tcase_add_test(tc, a_long_poll_ends_when_its_time_is_over);
	tcase_add_test(tc, long_polls_lose_no_ring_either);
	tcase_add_test(tc, stopping_answers_long_polls);
}
