/*
 * test_scale.c - a database of very many jobs: the daemon is ready and answers as with a few.
 *
 * The jobs are copies of one that was really trained, made by one statement. In `make check` 5,000 ended and 200 that
 * wait; with TORTURE in the environment 100,000 and 1,000. Times are the best of five, for others use the machine too.
 */
#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "http/daemon.h"
#include "http/sample.h"
#include "http/talk.h"
#include "runner.h"

enum { ANSWER_MS = 50, READY_MS = 2000, TRIES = 5 };

static double now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec * 1e-6;
}

/* Copies the one job, with its columns as they are but for id, owner, status, name and data set. */
static void multiply(const struct daemon *d, int ended, int waiting)
{
	char path[160], *sql = NULL, *error = NULL;
	sqlite3 *db = NULL;
	ck_assert_int_gt(
		asprintf(&sql,
			"PRAGMA foreign_keys = ON; BEGIN IMMEDIATE;"
			"CREATE TEMP TABLE one AS SELECT * FROM job LIMIT 1;"
			"CREATE TEMP TABLE many AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
			" WHERE i < %d) SELECT i, printf('job_00%%024d', i) AS id, 'user' || i %% 10 AS owner,"
			" CASE WHEN i > %d THEN 'queued' WHEN i %% 50 = 0 THEN 'failed' ELSE 'succeeded' END"
			" AS status, 'run ' || i / 1000 AS name, 'set' || i %% 7 AS dataset FROM n;"
			"INSERT INTO job (id, owner, name, status, dataset_id, dataset_name, dataset_sha256,"
			" model, spec, priority, epochs, epoch, metrics, last_seq, attempt, boot_id, created_at,"
			" started_at, finished_at, ended_kept, queued_at)"
			" SELECT m.id, m.owner, m.name, m.status, o.dataset_id, m.dataset, o.dataset_sha256, o.model,"
			" o.spec, i %% 100, o.epochs, 0, o.metrics, 2, 1, o.boot_id, o.created_at + i,"
			" o.started_at, iif(m.status = 'queued', NULL, o.finished_at + i),"
			" iif(m.status = 'queued', NULL, o.finished_at + i), o.created_at FROM many AS m, one AS o;"
			"INSERT INTO event (job_id, owner, seq, type, data, created_at)"
			" SELECT m.id, m.owner, s.seq, s.type, s.data, s.created_at FROM many AS m,"
			" (SELECT * FROM event ORDER BY seq LIMIT 2) AS s; COMMIT",
			ended + waiting, ended),
		0);
	ck_assert_int_eq(sqlite3_open(daemon_path(d, "backpropd.db", path, sizeof path), &db), SQLITE_OK);
	int rc = sqlite3_exec(db, sql, NULL, NULL, &error);
	ck_assert_msg(rc == SQLITE_OK, "%s", error ? error : "");
	sqlite3_close(db);
	free(sql);
}

/* The best of a few tries. */
static void answers_quickly(int port, const char *target)
{
	double best = 1e9;
	for (int i = 0; i < TRIES && best > ANSWER_MS; i++) {
		double began = now_ms();
		struct response r = request_get(port, target);
		double took = now_ms() - began;
		ck_assert_msg(r.status == 200, "%s: %d", target, r.status);
		response_free(&r);
		best = took < best ? took : best;
	}
	if (getenv("TORTURE"))
		printf("%7.1f ms  %s\n", best, target);
	ck_assert_msg(best <= ANSWER_MS, "%s took %.1f ms", target, best);
}

START_TEST(very_many_jobs_make_nothing_slow)
{
	static const char *const flags[] = {"--max-queued=2000", "--max-queued-per-user=2000", NULL};
	static const char *const targets[] = {"/v1/jobs", "/v1/jobs?limit=100", "/v1/jobs?status=failed",
		"/v1/jobs?status=queued&limit=100", "/v1/jobs?dataset=set3", "/v1/jobs?name=run%203",
		"/v1/jobs?status=failed&dataset=set3", "/v1/jobs?status=failed&name=run%203&dataset=set1",
		"/v1/jobs?status=running&dataset=set3", "/v1/jobs?after=job_00000000000000000000000100",
		"/v1/jobs?status=succeeded&after=job_00000000000000000000002000",
		"/v1/jobs?dataset=set2&name=run%201&after=job_00000000000000000000001500", "/v1/queue?limit=100",
		"/v1/events?after=0", "/v1/events?after=4000&type=status", "/v1/events?after=4000&type=test",
		"/metrics", "/v1/system", "/readyz", "/v1/whoami", "/v1/datasets"};
	bool torture = getenv("TORTURE") != NULL;
	struct daemon d;
	char id[64];
	daemon_start(&d, flags);
	sample_upload(d.port, "quarters", 256, 0);
	sample_submit(d.port, "quarters", "\"epochs\":1", id);
	json_decref(sample_wait(d.port, id, "succeeded"));
	daemon_stop(&d);
	multiply(&d, torture ? 100000 : 5000, torture ? 1000 : 200);
	double began = now_ms();
	daemon_start_again(&d);
	double ready = now_ms() - began;
	if (torture)
		printf("%7.1f ms  ready\n", ready);
	ck_assert_msg(ready <= READY_MS, "ready after %.0f ms", ready);
	for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
		answers_quickly(d.port, targets[i]);
	json_t *counts = talk_get(d.port, "/v1/system");
	ck_assert_int_ge(talk_int(counts, "jobs.succeeded"), torture ? 98000 : 4900);
	json_decref(counts);
	daemon_done(&d);
}
END_TEST

TEST_SUITE(scale, 300)
{
	tcase_add_test(tc, very_many_jobs_make_nothing_slow);
}
