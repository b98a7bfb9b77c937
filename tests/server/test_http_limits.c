/* test_http_limits.c - patience and room: deadlines, connections, slow threads, sockets to listen on. */
#include "http_toy.h"
#include "runner.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct toy *t;

static void start(void)
{
	/* The deadlines of these tests are so short that a busy machine only makes them pass later. */
	struct http_deadlines d = {.header = 300, .idle = 400, .body = 300, .stall = 10000};
	t = toy_start(&(struct http_options){.listen_fd = -1, .max_connections = 24, .deadlines = d});
}

static void stop(void)
{
	toy_stop(t);
}

static int64_t connections_of(const struct http_stats *s)
{
	return s->connections;
}

static int64_t four_refused(const struct http_stats *s)
{
	return s->responses_by_class[5] >= 4;
}

static int64_t requests_of(const struct http_stats *s)
{
	return s->requests_total;
}

START_TEST(a_connection_that_says_nothing_is_cut_off)
{
	struct client *c = client_open(t->port);
	ck_assert(client_closed(c));
	client_close(c);
}
END_TEST

START_TEST(headers_that_come_slowly_but_steadily_are_cut_off)
{
	struct client *c = client_open(t->port);
	client_sendf(c, "GET /v1/things HTTP/1.1\r\nHost: localhost\r\n");
	/* One header every 20 ms keeps any timeout of inactivity awake; 200 of them would take 4 s. */
	client_timeout(c, 20);
	int sent = 0;
	while (sent < 200 && !client_closed(c) && client_sendf(c, "X-%d: y\r\n", sent))
		sent++;
	ck_assert_int_lt(sent, 200);
	client_close(c);
}
END_TEST

START_TEST(a_body_that_comes_slowly_but_steadily_is_cut_off_and_leaves_no_file)
{
	struct client *c = client_open(t->port);
	client_sendf(c, "PUT /v1/files/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n");
	client_timeout(c, 20);
	int sent = 0;
	while (sent < 200 && !client_closed(c) && client_send(c, "x", 1))
		sent++;
	ck_assert_int_lt(sent, 200);
	client_close(c);
	ck_assert(toy_stat_reaches(t, connections_of, 0));
	ck_assert_int_eq(toy_files(t), 0);
}
END_TEST

START_TEST(a_body_that_comes_fast_enough_may_take_longer)
{
	struct client *c = client_open(t->port);
	client_sendf(c, "PUT /v1/files/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n");
	char part[10000] = {0};
	client_timeout(c, 10);
	for (int i = 0; i < 100; i++) { /* a second in all: 1 MB earns ten */
		ck_assert(!client_closed(c));
		ck_assert(client_send(c, part, sizeof(part)));
	}
	client_timeout(c, CLIENT_TIMEOUT_MS);
	struct response r = client_read(c, false);
	ck_assert_int_eq(r.status, 201);
	response_free(&r);
	client_close(c);
}
END_TEST

START_TEST(an_idle_connection_is_closed_but_a_busy_one_lives_on)
{
	struct client *c = client_open(t->port);
	client_timeout(c, 50);
	for (int i = 0; i < 12; i++) { /* longer than any of the deadlines */
		ck_assert(client_request(c, "GET", "/v1/things", NULL, NULL, 0));
		client_timeout(c, CLIENT_TIMEOUT_MS);
		struct response r = client_read(c, false);
		ck_assert_int_eq(r.status, 200);
		response_free(&r);
		client_timeout(c, 50);
		ck_assert(!client_closed(c));
	}
	client_timeout(c, CLIENT_TIMEOUT_MS);
	ck_assert(client_closed(c));
	client_close(c);
}
END_TEST

/* With the usual deadlines, of which none passes meanwhile; streams notice quickly that their clients went. */
static void restart_patient(void)
{
	toy_stop(t);
	t = toy_start(&(struct http_options){.listen_fd = -1, .max_connections = 24, .deadlines = {.heartbeat = 50}});
}

START_TEST(a_newcomer_gets_the_place_of_whoever_was_waited_for_longest)
{
	enum { CLIENTS = 40, PLACES = 24, LEAVING = 32 };
	struct client *c[CLIENTS];
	struct http_stats s;
	restart_patient();
	for (int i = 0; i < CLIENTS; i++) { /* each is answered, and keeps its connection */
		c[i] = client_open(t->port);
		ck_assert_ptr_nonnull(c[i]);
		ck_assert(client_request(c[i], "GET", "/v1/things", NULL, NULL, 0));
		struct response r = client_read(c[i], false);
		ck_assert_int_eq(r.status, 200);
		http_stats(t->srv, &s);
		ck_assert_int_lt(s.connections, PLACES + LEAVING);
		response_free(&r);
	}
	ck_assert(toy_stat_reaches(t, connections_of, PLACES));
	int closed = 0;
	for (int i = 0; i < CLIENTS; i++) {
		bool newest = i >= CLIENTS - PLACES / 2;
		client_timeout(c[i], 1);
		bool gone = client_closed(c[i]);
		ck_assert_msg(!gone || !newest, "client %d is gone", i);
		closed += gone;
		client_close(c[i]);
	}
	ck_assert_int_eq(closed, CLIENTS - PLACES);
	ck_assert(toy_stat_reaches(t, connections_of, 0));
}
END_TEST

static int64_t waiting_of(const struct http_stats *s)
{
	return s->waiting;
}

START_TEST(three_quarters_may_wait_for_events_and_the_rest_are_for_others)
{
	enum { PLACES = 24, WAITING = PLACES - PLACES / 4 };
	struct client *c[WAITING], *silent[2 * PLACES];
	restart_patient();
	for (int i = 0; i < WAITING; i++) {
		c[i] = client_open(t->port);
		ck_assert(client_request(c[i], "GET", i % 2 ? "/stream" : "/later", NULL, NULL, 0));
	}
	ck_assert(toy_stat_reaches(t, waiting_of, WAITING));
	static const char *const targets[] = {"/stream", "/later"};
	for (int i = 0; i < 2; i++) {
		struct response r = request_get(t->port, targets[i]);
		ck_assert_msg(r.status == 503, "%s: %d", targets[i], r.status);
		ck_assert_str_eq(response_header(&r, "Retry-After"), "1");
		response_free(&r);
	}
	for (int i = 0; i < 2 * PLACES; i++) { /* whoever says nothing drives out only his like */
		ck_assert_ptr_nonnull(silent[i] = client_open(t->port));
		struct response r = request_get(t->port, "/v1/things");
		ck_assert_int_eq(r.status, 200);
		response_free(&r);
	}
	toy_tell(t, 1);
	for (int i = 0; i < WAITING; i++) {
		if (i % 2) {
			struct response head = client_read_head(c[i]);
			ck_assert_int_eq(head.status, 200);
			ck_assert_ptr_nonnull(client_read_until(c[i], "data: 1\n"));
			response_free(&head);
		} else {
			struct response r = client_read(c[i], false);
			ck_assert_int_eq(r.status, 200);
			response_free(&r);
		}
		client_close(c[i]);
	}
	ck_assert(toy_stat_reaches(t, waiting_of, 0));
	for (int i = 0; i < 2 * PLACES; i++)
		client_close(silent[i]);
}
END_TEST

/* ---- slow routes ---- */
START_TEST(slow_handlers_do_not_hold_up_others)
{
	struct client *c[3];
	for (int i = 0; i < 3; i++) { /* two run, one waits for a thread */
		c[i] = client_open(t->port);
		ck_assert(client_request(c[i], "GET", "/slow", "User-Agent: me\r\n", NULL, 0));
	}
	ck_assert(toy_reaches(&t->entered, 2));
	struct response r = request_get(t->port, "/v1/things");
	ck_assert_int_eq(r.status, 200);
	response_free(&r);
	toy_open_gate(t);
	for (int i = 0; i < 3; i++) {
		r = client_read(c[i], false);
		ck_assert_int_eq(r.status, 200);
		ck_assert_str_eq(r.body, "{\"agent\":\"known\"}\n");
		response_free(&r);
		client_close(c[i]);
	}
}
END_TEST

START_TEST(clients_that_vanish_during_slow_work_do_no_harm)
{
	struct client *c[10];
	for (int i = 0; i < 10; i++) {
		c[i] = client_open(t->port);
		ck_assert(client_request(c[i], "GET", "/slow", NULL, NULL, 0));
	}
	ck_assert(toy_reaches(&t->entered, 2));
	ck_assert(toy_stat_reaches(t, requests_of, 10));
	for (int i = 0; i < 10; i++)
		if (i % 2)
			client_reset(c[i]);
		else
			client_close(c[i]);
	toy_open_gate(t);
	ck_assert(toy_reaches(&t->entered, 10));
	ck_assert(toy_stat_reaches(t, connections_of, 0));
}
END_TEST

START_TEST(a_full_queue_of_slow_work_is_503_with_retry_after)
{
	enum { RUNNING = 2, CLIENTS = RUNNING + 64 + 4 };
	struct client *c[CLIENTS];
	toy_stop(t);
	t = toy_start(NULL);
	for (int i = 0; i < CLIENTS; i++) {
		c[i] = client_open(t->port);
		ck_assert(client_request(c[i], "GET", "/slow", NULL, NULL, 0));
	}
	ck_assert(toy_reaches(&t->entered, RUNNING));
	ck_assert(toy_stat_reaches(t, four_refused, true));
	toy_open_gate(t);
	for (int i = 0; i < CLIENTS; i++) {
		struct response r = client_read(c[i], false);
		ck_assert_msg(r.status == 200 || r.status == 503, "%d", r.status);
		if (r.status == 503) {
			ck_assert_str_eq(response_header(&r, "Retry-After"), "1");
			ck_assert_ptr_nonnull(strstr(r.body, "\"code\":\"unavailable\""));
		}
		response_free(&r);
		client_close(c[i]);
	}
}
END_TEST

static void *open_gate_when_stopping(void *arg)
{
	struct toy *toy = arg;
	toy_open_gate(toy);
	return NULL;
}

START_TEST(stopping_waits_for_the_handler_that_runs_and_refuses_those_that_wait)
{
	struct client *c[6];
	for (int i = 0; i < 6; i++) {
		c[i] = client_open(t->port);
		ck_assert(client_request(c[i], "GET", "/slow", NULL, NULL, 0));
	}
	ck_assert(toy_reaches(&t->entered, 2));
	ck_assert(toy_stat_reaches(t, requests_of, 6));
	pthread_t thread;
	ck_assert_int_eq(pthread_create(&thread, NULL, open_gate_when_stopping, t), 0);
	http_stop(t->srv);
	t->srv = NULL;
	pthread_join(thread, NULL);
	for (int i = 0; i < 6; i++) {
		struct response r = client_read(c[i], false);
		ck_assert_msg(r.status == 200 || r.status == 503, "%d", r.status);
		response_free(&r);
		client_close(c[i]);
	}
}
END_TEST

START_TEST(an_event_thread_that_hangs_is_noticed)
{
	ck_assert(http_answers(t->srv, CLIENT_TIMEOUT_MS));
	struct client *c = client_open(t->port);
	ck_assert(client_request(c, "GET", "/hold", NULL, NULL, 0));
	ck_assert(toy_reaches(&t->entered, 1));
	ck_assert(!http_answers(t->srv, 100));
	toy_open_gate(t);
	struct response r = client_read(c, false);
	ck_assert_int_eq(r.status, 200);
	response_free(&r);
	ck_assert(http_answers(t->srv, CLIENT_TIMEOUT_MS));
	client_close(c);
}
END_TEST

/* ---- where to listen ---- */
static struct http_server *start_at(const char *address, int port, const char *unix_socket, int fd, struct hub *hub)
{
	struct http_options o = {.address = address,
		.port = port,
		.unix_socket = unix_socket,
		.listen_fd = fd,
		.event_threads = 2, /* a pool, as by default: that is what shuts its listening socket down */
		.slow_threads = 1,
		.hub = hub};
	return http_start(&o);
}

START_TEST(only_loopback_addresses_are_listened_on)
{
	static const char *const addresses[] = {"0.0.0.0", "::", "192.0.2.1", "localhost", "", "127.0.0.1.example"};
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		ck_assert_ptr_null(start_at(addresses[i], 0, NULL, -1, t->hub));
	ck_assert_ptr_null(start_at("127.0.0.1", t->port, NULL, -1, t->hub)); /* taken */
	ck_assert(!hub_closed(t->hub));
}
END_TEST

/* Whether whoever holds the socket can still be reached through it. */
static bool listens(int fd)
{
	int listening = 0;
	socklen_t size = sizeof(listening);
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening;
}

START_TEST(a_passed_socket_takes_the_place_of_our_own_and_serves_the_next_start_too)
{
	struct hub *hub = hub_new();
	int held = socket(AF_INET, SOCK_STREAM, 0); /* systemd's */
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(a);
	ck_assert_int_eq(bind(held, (struct sockaddr *)&a, size), 0);
	ck_assert_int_eq(listen(held, 10), 0);
	ck_assert_int_eq(getsockname(held, (struct sockaddr *)&a, &size), 0);
	for (int start = 0; start < 2; start++) {
		struct http_server *srv = start_at(NULL, 0, NULL, dup(held), hub);
		ck_assert_ptr_nonnull(srv);
		ck_assert_int_eq(http_port(srv), ntohs(a.sin_port));
		struct response r = request_get(http_port(srv), "/");
		ck_assert_int_eq(r.status, 404);
		response_free(&r);
		http_stop(srv);
		ck_assert(listens(held));
		hub_free(hub);
		hub = hub_new();
	}
	close(held);
	hub_free(hub);
}
END_TEST

START_TEST(a_passed_unix_socket_is_served_and_its_file_is_left)
{
	char path[100];
	struct hub *hub = hub_new();
	snprintf(path, sizeof(path), "%s/passed.sock", t->dir);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(fd, 10), 0);
	int held = dup(fd); /* systemd's */
	struct http_server *srv = start_at(NULL, 0, path, fd, hub);
	ck_assert_ptr_nonnull(srv);
	ck_assert_int_gt(http_port(srv), 0);
	struct client *c = client_open_unix(path);
	ck_assert(client_request(c, "GET", "/", NULL, NULL, 0));
	struct response r = client_read(c, false);
	ck_assert_int_eq(r.status, 404);
	response_free(&r);
	client_close(c);
	http_stop(srv);
	ck_assert_int_eq(access(path, F_OK), 0);
	c = client_open_unix(path); /* waits in the backlog for the next start */
	ck_assert_ptr_nonnull(c);
	client_close(c);
	close(held);
	hub_free(hub);
}
END_TEST

START_TEST(a_dead_socket_file_is_replaced_and_a_living_one_is_not)
{
	char path[100];
	struct hub *hub = hub_new();
	ck_assert_ptr_null(start_at(NULL, 0, t->socket, -1, hub)); /* the toy listens there */
	snprintf(path, sizeof(path), "%s/dead.sock", t->dir);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	close(fd);
	struct http_server *srv = start_at(NULL, 0, path, -1, hub);
	ck_assert_ptr_nonnull(srv);
	struct client *c = client_open_unix(path);
	ck_assert_ptr_nonnull(c);
	client_close(c);
	http_stop(srv);
	ck_assert_int_ne(access(path, F_OK), 0);
	fclose(fopen(path, "w"));
	ck_assert_ptr_null(start_at(NULL, 0, path, -1, hub)); /* not a socket: left alone */
	ck_assert_int_eq(access(path, F_OK), 0);
	hub_free(hub);
}
END_TEST

START_TEST(a_route_that_is_not_valid_is_refused_at_start)
{
	static const struct route wrong[] = {{"GET", "//", NULL, BODY_NONE, QUICK, "", 0}};
	struct http_options o = {
		.listen_fd = -1, .event_threads = 1, .slow_threads = 1, .hub = t->hub, .routes = wrong, .nroutes = 1};
	ck_assert_ptr_null(http_start(&o));
}
END_TEST

TEST_SUITE(http_limits, 60)
{
	tcase_add_checked_fixture(tc, start, stop);
	tcase_add_test(tc, a_connection_that_says_nothing_is_cut_off);
	tcase_add_test(tc, headers_that_come_slowly_but_steadily_are_cut_off);
	tcase_add_test(tc, a_body_that_comes_slowly_but_steadily_is_cut_off_and_leaves_no_file);
	tcase_add_test(tc, a_body_that_comes_fast_enough_may_take_longer);
	tcase_add_test(tc, an_idle_connection_is_closed_but_a_busy_one_lives_on);
	tcase_add_test(tc, a_newcomer_gets_the_place_of_whoever_was_waited_for_longest);
	tcase_add_test(tc, three_quarters_may_wait_for_events_and_the_rest_are_for_others);
	tcase_add_test(tc, slow_handlers_do_not_hold_up_others);
	tcase_add_test(tc, clients_that_vanish_during_slow_work_do_no_harm);
	tcase_add_test(tc, a_full_queue_of_slow_work_is_503_with_retry_after);
	tcase_add_test(tc, stopping_waits_for_the_handler_that_runs_and_refuses_those_that_wait);
	tcase_add_test(tc, an_event_thread_that_hangs_is_noticed);
	tcase_add_test(tc, only_loopback_addresses_are_listened_on);
	tcase_add_test(tc, a_passed_socket_takes_the_place_of_our_own_and_serves_the_next_start_too);
	tcase_add_test(tc, a_passed_unix_socket_is_served_and_its_file_is_left);
	tcase_add_test(tc, a_dead_socket_file_is_replaced_and_a_living_one_is_not);
	tcase_add_test(tc, a_route_that_is_not_valid_is_refused_at_start);
}
