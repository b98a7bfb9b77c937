/*
 * test_mutated.c - malformed requests by the thousand, at the real daemon: the table of http_cases.def and a few
 * requests to its own routes, changed at random from a fixed seed. After each batch a good request must be answered; at
 * the end the daemon must stop as usual, with no word of a sanitizer (daemon_stop looks). MUTATED_REQUESTS says how
 * many (make torture: 100,000 at the instrumented build); 2,000 without it.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "http/daemon.h"
#include "http/sample.h"
#include "http/talk.h"
#include "runner.h"
#include "server/http_cases.h"

enum { REQUESTS = 2000, BATCH = 50, BYTES_MAX = 4096, CHANGES_MAX = 6, SPAN_MAX = 40, PATIENCE_MS = 200, HURRY_MS = 5 };

static int wanted(void)
{
	const char *text = getenv("MUTATED_REQUESTS");
	return text && atoi(text) > 0 ? atoi(text) : REQUESTS;
}

/* Marsaglia's xorshift. */
static unsigned next_random(unsigned *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	return *state ^= *state << 5;
}

/* ---- what is changed ---- */
#define HEAD(line) line " HTTP/1.1\r\nHost: localhost\r\n"
#define JSON(line, body) HEAD(line) "Content-Type: application/json\r\nContent-Length: %BODY\r\n\r\n" body
#define MODEL                                                                                                          \
	"{\"name\":\"m\",\"input\":{\"shape\":[1,8,8]},\"layers\":[{\"type\":\"Conv2d\",\"out_channels\":2,"           \
	"\"kernel_size\":3},{\"type\":\"ReLU\"},{\"type\":\"Flatten\"},{\"type\":\"Linear\",\"out_features\":4}]}"

static const char *const own[] = {
	HEAD("GET /v1/jobs?limit=5&after=job_0&status=queued") "\r\n",
	HEAD("GET /v1/jobs/JOB/events") "Accept: text/event-stream\r\nLast-Event-ID: 0\r\n\r\n",
	HEAD("GET /v1/jobs/JOB/events?after=1&limit=10&type=epoch") "Accept: application/json\r\n\r\n",
	HEAD("GET /v1/events?follow=false") "Accept: application/x-ndjson;q=0.5, text/event-stream;q=0.1\r\n\r\n",
	HEAD("GET /v1/jobs/JOB/metrics?names=loss&max_points=10&format=csv") "\r\n",
	HEAD("GET /v1/jobs/JOB") "If-None-Match: \"1\", W/\"2\"\r\n\r\n",
	HEAD("GET /v1/jobs/JOB/checkpoints/best/weights?format=npz") "\r\n",
	HEAD("GET /v1/datasets/quarters/samples/0?format=png") "\r\n",
	HEAD("GET /v1/catalog") "Authorization: Bearer bp_0123456789abcdef\r\nAccept-Encoding: gzip, br;q=1.0\r\n\r\n",
	HEAD("GET /openapi.json") "If-Modified-Since: Tue, 24 Nov 2026 15:00:00 GMT\r\nRange: bytes=0-99\r\n\r\n",
	HEAD("POST /v1/jobs/JOB/cancel") "If-Match: \"1\"\r\nContent-Length: 0\r\n\r\n",
	HEAD("DELETE /v1/datasets/fuzz") "\r\n",
	HEAD("PUT /v1/datasets/fuzz/files/a.npz") "Transfer-Encoding: chunked\r\n\r\n5\r\nPK\3\4x\r\n0\r\n\r\n",
	JSON("POST /v1/models", MODEL),
	JSON("POST /v1/jobs?dry_run=true",
		"{\"dataset\":\"quarters\",\"model\":" MODEL ",\"training\":{\"epochs\":1}}"),
	JSON("POST /v1/jobs/JOB/predict", "{\"dataset\":\"quarters\",\"split\":\"train\",\"first\":0,\"count\":2}"),
};
enum { OWN = sizeof own / sizeof own[0] };

static const char *const words[] = {"\r\n", "\n", "\r", "\r\n\r\n", "\r\n ", ": ", ":", "HTTP/1.1", "HTTP/1.0", "GET ",
	"POST ", "PUT ", "Content-Length: 5\r\n", "Content-Length: 99999999999999999999\r\n",
	"Transfer-Encoding: chunked\r\n", "Host: evil\r\n", "Expect: 100-continue\r\n", "Connection: close\r\n",
	"Connection: Upgrade\r\nUpgrade: h2c\r\n", "0\r\n\r\n", "ffffffffffffffff\r\n", "7fffffff\r\n", "%00", "%2f",
	"..", "/v1/", "?", "&", "=", "{", "}", "[", "\"", "-1", "1e999", "null", "\xff\xfe", "\xc3\xbc", "*/*", ";q=0"};
enum { WORDS = sizeof words / sizeof words[0] };

struct text {
	char at[BYTES_MAX];
	size_t size;
};

static void put(struct text *t, size_t where, const char *bytes, size_t size)
{
	if (where > t->size || t->size + size > BYTES_MAX)
		return;
	memmove(t->at + where + size, t->at + where, t->size - where);
	memcpy(t->at + where, bytes, size);
	t->size += size;
}

static void take(struct text *t, size_t where, size_t size)
{
	memmove(t->at + where, t->at + where + size, t->size - where - size);
	t->size -= size;
}

static void replace(struct text *t, const char *from, const char *to)
{
	for (char *p; (p = memmem(t->at, t->size, from, strlen(from)));) {
		size_t where = (size_t)(p - t->at);
		take(t, where, strlen(from));
		put(t, where, to, strlen(to));
	}
}

static void load(struct text *t, const char *bytes, size_t size)
{
	t->size = size < BYTES_MAX ? size : BYTES_MAX;
	memcpy(t->at, bytes, t->size);
}

/* A case of the table, moved to a route that the daemon has, or a request of its own. */
static void draw(struct text *t, unsigned *state, const char *job)
{
	unsigned i = next_random(state) % (unsigned)(raw_ncases + 8 * OWN);
	if (i < (unsigned)raw_ncases) {
		load(t, raw_cases[i].bytes, raw_cases[i].size);
		replace(t, "/v1/things", "/v1/models");
		return;
	}
	const char *bytes = own[i % OWN], *body = strstr(bytes, "\r\n\r\n");
	char length[24];
	snprintf(length, sizeof length, "%zu", strlen(body) - 4);
	load(t, bytes, strlen(bytes));
	replace(t, "%BODY", length);
	replace(t, "JOB", job);
}

static void change(struct text *t, unsigned *state, const struct text *other)
{
	size_t where = t->size ? next_random(state) % t->size : 0, span = 1 + next_random(state) % SPAN_MAX;
	const char *word = words[next_random(state) % WORDS];
	char copy[SPAN_MAX];
	if (span > t->size - where)
		span = t->size - where;
	switch (next_random(state) % 7) {
	case 0: /* a bit */
		if (t->size)
			t->at[where] = (char)(t->at[where] ^ 1 << next_random(state) % 8);
		break;
	case 1: /* a byte */
		if (t->size)
			t->at[where] = (char)next_random(state);
		break;
	case 2:
		take(t, where, span);
		break;
	case 3: /* a span twice */
		memcpy(copy, t->at + where, span);
		put(t, where, copy, span);
		break;
	case 4:
		put(t, where, word, strlen(word));
		break;
	case 5: /* the head of this, the rest of another */
		t->size = where;
		if (where < other->size)
			put(t, where, other->at + where, other->size - where);
		break;
	case 6: /* another one behind */
		put(t, t->size, other->at, other->size);
		break;
	}
}

/* ---- how it is sent: the connection is half closed, dropped or reset afterwards ---- */
enum ending { AWAIT, DROP, RESET, ENDINGS };

static long long now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* Reads what comes until all have ended or the time is over. A stream may go on for ever. */
static void drain(struct client **c, int n, int ms)
{
	long long until = now_ms() + ms;
	bool ended[BATCH] = {false};
	for (int left = n; left > 0;) {
		struct pollfd fds[BATCH];
		for (int i = 0; i < n; i++)
			fds[i] = (struct pollfd){.fd = ended[i] ? -1 : client_fd(c[i]), .events = POLLIN};
		long long rest = until - now_ms();
		if (rest <= 0 || poll(fds, (nfds_t)n, (int)rest) <= 0)
			return;
		for (int i = 0; i < n; i++) {
			char buf[65536];
			if (fds[i].revents && recv(client_fd(c[i]), buf, sizeof buf, MSG_DONTWAIT) <= 0) {
				ended[i] = true;
				left--;
			}
		}
	}
}

static void send_batch(int port, unsigned *state, const char *job)
{
	struct client *c[BATCH];
	enum ending ending = next_random(state) % ENDINGS;
	for (int i = 0; i < BATCH; i++) {
		struct text t, other;
		draw(&t, state, job);
		draw(&other, state, job);
		for (unsigned k = 1 + next_random(state) % CHANGES_MAX; k > 0; k--)
			change(&t, state, &other);
		c[i] = client_open(port);
		ck_assert_ptr_nonnull(c[i]);
		client_send(c[i], t.at, t.size);
		if (ending == AWAIT)
			client_shutdown_write(c[i]);
	}
	drain(c, BATCH, ending == AWAIT ? PATIENCE_MS : HURRY_MS);
	for (int i = 0; i < BATCH; i++)
		if (ending == RESET)
			client_reset(c[i]);
		else
			client_close(c[i]);
}

START_TEST(malformed_requests_do_no_harm)
{
	struct daemon d;
	char id[64];
	unsigned state = 88172645u;
	daemon_start(&d, NULL);
	sample_upload(d.port, "quarters", 256, 0);
	sample_submit(d.port, "quarters", "\"epochs\":1", id);
	json_decref(sample_wait(d.port, id, "succeeded"));
	for (int sent = 0; sent < wanted(); sent += BATCH) {
		send_batch(d.port, &state, id);
		json_t *health = talk_get(d.port, "/healthz");
		ck_assert_str_eq(talk_text(health, "status"), "ok");
		json_decref(health);
	}
	daemon_done(&d);
}
END_TEST

TEST_SUITE(mutated, 3600)
{
	tcase_add_test(tc, malformed_requests_do_no_harm);
}
