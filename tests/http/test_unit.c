/*
 * test_unit.c - the daemon as systemd runs it: what it tells, the watchdog, a passed socket, and restarts under it
 * while clients connect all the time.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http/daemon.h"
#include "http/sample.h"
#include "http/talk.h"
#include "runner.h"

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int held_socket(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(listen(fd, 512), 0);
	return fd;
}

static int port_of(int fd)
{
	struct sockaddr_in a;
	socklen_t size = sizeof a;
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &size), 0);
	return ntohs(a.sin_port);
}

START_TEST(the_watchdog_is_fed_twice_in_its_time_and_stopping_is_told)
{
	enum { SIGNS = 5 };
	struct daemon d;
	char message[512];
	daemon_prepare(&d, NULL);
	d.watchdog_usec = 400000;
	daemon_start_again(&d); /* which has waited for READY=1 */
	double began = seconds(), last = began, shortest = began;
	for (int i = 0; i < SIGNS; i++) {
		daemon_told(&d, message, sizeof message);
		double now = seconds();
		shortest = now - last < shortest ? now - last : shortest;
		last = now;
		ck_assert_ptr_nonnull(strstr(message, "WATCHDOG=1\n"));
		ck_assert_ptr_null(strstr(message, "READY=1"));
		ck_assert_ptr_null(strstr(message, "STOPPING=1"));
	}
	/* Others use the machine too, so all signs may be late, but not each by as much as the whole time. */
	ck_assert_msg(last - began > 0.15 * SIGNS && shortest < 0.4, "%d signs took %.2f s, the shortest wait was %.2f",
		SIGNS, last - began, shortest);
	ck_assert_int_eq(kill(d.pid, SIGTERM), 0);
	do
		daemon_told(&d, message, sizeof message);
	while (strstr(message, "WATCHDOG=1"));
	ck_assert_ptr_eq(strstr(message, "STOPPING=1\n"), message);
	daemon_done(&d);
}
END_TEST

START_TEST(without_a_watchdog_no_sign_of_life_is_asked_of_event_threads)
{
	struct daemon d;
	daemon_start(&d, NULL);
	struct response r = request_get(d.port, "/metrics");
	ck_assert_ptr_nonnull(strstr(r.body, "\nbackpropd_http_requests_total 1\n"));
	response_free(&r);
	daemon_done(&d);
}
END_TEST

/* ---- restarts under a held socket ---- */
enum { CALLERS = 4, FOLLOWERS = 2, RESTARTS = 3 };

struct crowd {
	int port;
	char job[64];
	atomic_bool over;
	atomic_int answered, refused, unanswered, wrong; /* requests of callers */
	atomic_int events, gaps, reconnected;
};

static void count_answer(struct crowd *crowd, const struct response *r)
{
	atomic_fetch_add(r->status == 200 ? &crowd->answered : r->status == 0 ? &crowd->unanswered : &crowd->wrong, 1);
}

/* A connection for each request. */
static void *call(void *arg)
{
	struct crowd *crowd = arg;
	while (!atomic_load(&crowd->over)) {
		struct client *c = client_open(crowd->port);
		if (!c) {
			atomic_fetch_add(&crowd->refused, 1);
			continue;
		}
		client_request(c, "GET", "/v1/jobs?limit=1", NULL, NULL, 0);
		struct response r = client_read(c, false);
		count_answer(crowd, &r);
		response_free(&r);
		client_close(c);
	}
	return NULL;
}

/* One connection as long as it lasts. That it ended between two requests is no answer lost (RFC 9112, 9.3.1). */
static void *call_again(void *arg)
{
	struct crowd *crowd = arg;
	while (!atomic_load(&crowd->over)) {
		struct client *c = client_open(crowd->port);
		if (!c) {
			atomic_fetch_add(&crowd->refused, 1);
			continue;
		}
		for (int n = 0;; n++) {
			bool sent = client_request(c, "GET", "/v1/jobs?limit=1", NULL, NULL, 0);
			struct response r = sent ? client_read(c, false) : (struct response){0};
			bool last = r.status == 0 || r.closes || atomic_load(&crowd->over);
			if (n == 0 || r.status)
				count_answer(crowd, &r);
			response_free(&r);
			if (last)
				break;
		}
		client_close(c);
	}
	return NULL;
}

/* A stream of the job's events, taken up again where it was cut. */
static void *follow(void *arg)
{
	struct crowd *crowd = arg;
	long long seq = 0;
	char target[160], headers[96];
	snprintf(target, sizeof target, "/v1/jobs/%s/events", crowd->job);
	while (!atomic_load(&crowd->over)) {
		struct client_event event;
		struct client *c = client_open(crowd->port);
		if (!c) {
			atomic_fetch_add(&crowd->refused, 1);
			continue;
		}
		snprintf(headers, sizeof headers, "Accept: text/event-stream\r\nLast-Event-ID: %lld\r\n", seq);
		client_request(c, "GET", target, headers, NULL, 0);
		struct response head = client_read_head(c);
		atomic_fetch_add(head.status == 200 ? &crowd->reconnected : &crowd->wrong, 1);
		response_free(&head);
		while (client_read_event(c, &event)) {
			atomic_fetch_add(&crowd->gaps, atoll(event.id) != ++seq);
			atomic_fetch_add(&crowd->events, 1);
			if (atomic_load(&crowd->over))
				break;
		}
		client_close(c);
	}
	return NULL;
}

/* Until so many more requests were answered, and more events told to each follower. */
static void let_go_on(struct crowd *crowd, int port)
{
	int answered = atomic_load(&crowd->answered), events = atomic_load(&crowd->events);
	while (atomic_load(&crowd->answered) < answered + 20 || atomic_load(&crowd->events) < events + 10)
		json_decref(talk_get(port, "/healthz"));
}

START_TEST(a_restart_under_a_held_socket_refuses_no_client)
{
	struct daemon d;
	struct crowd crowd = {0};
	pthread_t threads[CALLERS + FOLLOWERS];
	int held = held_socket();
	daemon_prepare(&d, NULL);
	d.listening = held;
	daemon_start_again(&d);
	crowd.port = port_of(held);
	ck_assert_int_eq(d.port, crowd.port);
	sample_upload(d.port, "quarters", 512, 0);
	sample_submit(d.port, "quarters", "\"epochs\":1000000", crowd.job);
	sample_wait_epoch(d.port, crowd.job, 1);
	for (int i = 0; i < CALLERS + FOLLOWERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL,
					 i >= CALLERS ? follow
					 : i % 2      ? call
						      : call_again,
					 &crowd),
			0);
	for (int i = 0; i < RESTARTS; i++) {
		let_go_on(&crowd, d.port);
		daemon_stop(&d);
		daemon_start_again(&d);
	}
	let_go_on(&crowd, d.port);
	atomic_store(&crowd.over, true);
	for (int i = 0; i < CALLERS + FOLLOWERS; i++)
		pthread_join(threads[i], NULL);
	int refused = atomic_load(&crowd.refused);
	int unanswered = atomic_load(&crowd.unanswered);
	int wrong = atomic_load(&crowd.wrong);
	int gaps = atomic_load(&crowd.gaps);
	int reconnected = atomic_load(&crowd.reconnected), events = atomic_load(&crowd.events);
	ck_assert_int_eq(refused, 0);
	ck_assert_int_eq(unanswered, 0);
	ck_assert_int_eq(wrong, 0);
	ck_assert_int_eq(gaps, 0);
	ck_assert_int_ge(reconnected, FOLLOWERS * (1 + RESTARTS));
	ck_assert_int_ge(events, 10 * (1 + RESTARTS));
	daemon_done(&d);
	close(held);
}
END_TEST

TEST_SUITE(unit, 120)
{
	tcase_add_test(tc, the_watchdog_is_fed_twice_in_its_time_and_stopping_is_told);
	tcase_add_test(tc, without_a_watchdog_no_sign_of_life_is_asked_of_event_threads);
	tcase_add_test(tc, a_restart_under_a_held_socket_refuses_no_client);
}
