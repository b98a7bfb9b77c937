/*
 * test_kill.c - the daemon is killed again and again while jobs run: nothing that was answered is lost, nothing is done
 * twice, and what comes out has the same bits. TORTURE_KILLS says how often (make torture: 200); a few times without
 * it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http/daemon.h"
#include "http/sample.h"
#include "http/state.h"
#include "http/talk.h"
#include "runner.h"

enum { JOBS = 3, KILLS = 8, TORTURE_KILLS = 200, EVENTS_MAX = 12, READY_SECONDS = 2 };

static int kills(void)
{
	return torture_size("TORTURE_KILLS", KILLS, TORTURE_KILLS);
}

/* Long enough that it is still running when the last kill comes. */
static const char *training(int job, char buf[256])
{
	snprintf(buf, 256,
		"\"epochs\":%d,\"batch_size\":16,\"seed\":%d,\"optimizer\":{\"type\":\"AdamW\",\"lr\":0.002},"
		"\"scheduler\":\"CosineAnnealingLR\",\"checkpoint\":{\"every_epochs\":%d}",
		10 + 3 * kills(), job + 1, 1 + job);
	return buf;
}

/* A fixed sequence: Marsaglia's xorshift. */
static unsigned next_random(unsigned *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	return *state ^= *state << 5;
}

/* Lets a job that runs, or waits to, go on by a few events. */
static void wait_events(int port, const char *id, unsigned n)
{
	char target[160], headers[96];
	struct client_event event;
	snprintf(target, sizeof target, "/v1/jobs/%.63s", id);
	json_t *job = talk_get(port, target);
	snprintf(headers, sizeof headers, "Accept: text/event-stream\r\nLast-Event-ID: %lld\r\n",
		talk_int(job, "last_seq"));
	json_decref(job);
	struct client *c = client_open(port);
	ck_assert_ptr_nonnull(c);
	snprintf(target, sizeof target, "/v1/jobs/%.63s/events", id);
	ck_assert(client_request(c, "GET", target, headers, NULL, 0));
	struct response head = client_read_head(c);
	response_free(&head);
	for (unsigned i = 0; i < n && client_read_event(c, &event); i++)
		;
	client_close(c);
}

/* One that has not ended; the first to be submitted are the first to run. */
static const char *busy_job(int port, char ids[JOBS][64], int i)
{
	char target[160];
	const char *busy[JOBS] = {ids[0]};
	int n = 0;
	for (int k = 0; k < JOBS && n < 2; k++) {
		snprintf(target, sizeof target, "/v1/jobs/%.63s", ids[k]);
		json_t *job = talk_get(port, target);
		if (json_is_null(talk_at(job, "finished_at")))
			busy[n++] = ids[k];
		json_decref(job);
	}
	return busy[n ? i % n : 0];
}

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static struct bytes weights[JOBS];

static void train_undisturbed(void)
{
	struct daemon d;
	char ids[JOBS][64], buf[256];
	daemon_start(&d, NULL);
	sample_upload(d.port, "quarters", 512, 0);
	for (int i = 0; i < JOBS; i++)
		sample_submit(d.port, "quarters", training(i, buf), ids[i]);
	for (int i = 0; i < JOBS; i++) {
		json_decref(sample_wait(d.port, ids[i], "succeeded"));
		weights[i] = sample_weights(d.port, ids[i], "last");
	}
	daemon_done(&d);
}

START_TEST(killed_at_any_moment_nothing_is_lost_or_done_twice)
{
	static const char *const flags[] = {"--workers=2", NULL};
	struct daemon d;
	char ids[JOBS][64], buf[256];
	unsigned state = 2463534242u;
	double slowest = 0;
	train_undisturbed();
	daemon_start(&d, flags);
	sample_upload(d.port, "quarters", 512, 0);
	for (int i = 0; i < JOBS; i++)
		sample_submit(d.port, "quarters", training(i, buf), ids[i]);
	for (int i = 0; i < kills(); i++) {
		wait_events(d.port, busy_job(d.port, ids, i), next_random(&state) % EVENTS_MAX);
		daemon_kill(&d);
		double begin = seconds();
		daemon_start_again(&d);
		double took = seconds() - begin;
		slowest = took > slowest ? took : slowest;
	}
	for (int i = 0; i < JOBS; i++) {
		json_t *job = sample_wait(d.port, ids[i], "succeeded");
		state_check_log(d.port, ids[i], (int)talk_int(job, "epochs"));
		json_decref(job);
		struct bytes got = sample_weights(d.port, ids[i], "last");
		ck_assert_uint_eq(got.size, weights[i].size);
		ck_assert_msg(memcmp(got.at, weights[i].at, got.size) == 0, "job %d has other weights", i);
		bytes_free(&got);
		bytes_free(&weights[i]);
	}
	daemon_stop(&d);
	state_check(&d);
	ck_assert_msg(slowest < READY_SECONDS, "the slowest start took %.2f s", slowest);
	daemon_done(&d);
}
END_TEST

TEST_SUITE(kill, 3600)
{
	tcase_add_test(tc, killed_at_any_moment_nothing_is_lost_or_done_twice);
}
