/*
 * test_memory.c - the k-th allocation fails while a request is answered or a job runs: the daemon answers or refuses,
 * lives on, and keeps what it acknowledged. Each k under make torture, or those TORTURE_MEMORY apart; else a few.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/fault.h"
#include "http/sample.h"
#include "http/state.h"
#include "http/talk.h"
#include "runner.h"

enum { TRAIN = 96, SPREAD = 3, SPREAD_JOBS = 8 };

static const char *const flags[] = {"--workers=1", "--retry-seconds=0", NULL};
static const char training[] =
	"\"epochs\":2,\"batch_size\":32,\"seed\":3,\"optimizer\":{\"type\":\"Adam\",\"lr\":0.01}";

/* %s is a job that has succeeded. */
static const struct {
	const char *method, *target, *body;
} requests[] = {
	{"GET", "/v1/jobs", NULL},
	{"GET", "/v1/jobs/%s", NULL},
	{"GET", "/v1/jobs/%s/metrics", NULL},
	{"GET", "/v1/jobs/%s/events?limit=100", NULL},
	{"GET", "/v1/jobs/%s/layers", NULL},
	{"GET", "/v1/jobs/%s/checkpoints", NULL},
	{"GET", "/v1/jobs/%s/checkpoints/best/weights", NULL},
	{"GET", "/v1/jobs/%s/checkpoints/best/weights?format=npz", NULL},
	{"POST", "/v1/jobs/%s/predict", "{\"dataset\":\"quarters\",\"split\":\"train\",\"first\":0,\"count\":4}"},
	{"POST", "/v1/jobs?dry_run=true", "job"},
	{"POST", "/v1/models/validate", "model"},
	{"GET", "/v1/datasets/quarters/samples/1", NULL},
	{"GET", "/v1/catalog", NULL},
	{"GET", "/v1/queue", NULL},
	{"GET", "/v1/system", NULL},
	{"GET", "/metrics", NULL},
};
enum { REQUESTS = sizeof requests / sizeof requests[0] };

/* A status that a daemon without memory may answer, or none: libmicrohttpd closes what it has no memory for. */
static bool is_refusal(int status)
{
	return status == 0 || status == 500 || status == 503;
}

static char *body_of(int i)
{
	const char *body = requests[i].body;
	if (!body)
		return NULL;
	return strcmp(body, "job") == 0 ? sample_job("quarters", training)
					: strdup(strcmp(body, "model") == 0 ? sample_model() : body);
}

/* The status without a failure, and the number of allocations. */
static int ask(struct fault_rig *r, int i, const char *job, int64_t k, int64_t *ret_calls)
{
	char target[200];
	char *body = body_of(i);
	snprintf(target, sizeof target, requests[i].target, job);
	fault_arm_memory(r, k, false);
	struct response got =
		body ? request_json(r->d.port, requests[i].method, target, body) : request_get(r->d.port, target);
	fault_disarm(r);
	*ret_calls = atomic_load(&r->control->memory.calls);
	int status = got.status;
	ck_assert_msg(k > 0 || status == 200, "%s: %d %s", target, status, got.body);
	ck_assert_msg(status == 200 || is_refusal(status), "%s at %lld: %d %s", target, (long long)k, status, got.body);
	ck_assert_msg(!daemon_ended(&r->d), "%s at %lld: the daemon ended", target, (long long)k);
	response_free(&got);
	free(body);
	return status;
}

START_TEST(requests_without_memory_are_refused_and_no_more)
{
	struct fault_rig r;
	char job[64];
	int64_t calls, unused;
	int refused = 0;
	fault_open(&r, flags);
	daemon_start_again(&r.d);
	sample_upload(r.d.port, "quarters", TRAIN, 0);
	json_decref(sample_wait(r.d.port, sample_submit(r.d.port, "quarters", training, job), "succeeded"));
	for (int i = 0; i < REQUESTS; i++) {
		ask(&r, i, job, 0, &calls);
		ck_assert_int_gt(calls, 0);
		int64_t step = torture_size("TORTURE_MEMORY", (int)(calls / SPREAD + 1), 1);
		for (int64_t k = step == 1 ? 1 : 1 + (i * 5) % step; k <= calls; k += step)
			refused += ask(&r, i, job, k, &unused) != 200;
		ask(&r, i, job, 0, &unused);
	}
	ck_assert_int_gt(refused, REQUESTS);
	ck_assert_int_eq(daemon_end(&r.d, true), 0);
	state_check(&r.d);
	fault_close(&r);
}
END_TEST

/* Submits and waits, with the k-th allocation failing. False: refused. */
static bool train(struct fault_rig *r, int64_t k, const struct bytes *want, struct bytes *ret, int64_t *ret_calls)
{
	char id[64] = "";
	char *body = sample_job("quarters", training);
	fault_arm_memory(r, k, false);
	struct response got = request_json(r->d.port, "POST", "/v1/jobs", body);
	free(body);
	bool accepted = got.status == 201;
	ck_assert_msg(accepted || is_refusal(got.status), "at %lld: %d %s", (long long)k, got.status, got.body);
	if (accepted) {
		json_t *job = json_loads(got.body, 0, NULL);
		snprintf(id, sizeof id, "%s", talk_text(job, "id"));
		json_decref(job);
	}
	response_free(&got);
	char target[128];
	snprintf(target, sizeof target, "/v1/jobs/%s?wait=5", id);
	for (bool ended = !accepted; !ended;) {
		got = request_get(r->d.port, target);
		ck_assert_msg(got.status == 200 || is_refusal(got.status), "at %lld: %d", (long long)k, got.status);
		ck_assert_msg(!daemon_ended(&r->d), "at %lld: the daemon ended", (long long)k);
		ended = got.body && got.status == 200 && !strstr(got.body, "\"finished_at\":null");
		response_free(&got);
	}
	fault_disarm(r);
	*ret_calls = atomic_load(&r->control->memory.calls);
	if (!accepted)
		return false;
	json_decref(sample_wait(r->d.port, id, "succeeded"));
	*ret = sample_weights(r->d.port, id, "last");
	ck_assert_msg(!want || (ret->size == want->size && memcmp(ret->at, want->at, ret->size) == 0),
		"at %lld: other weights", (long long)k);
	return true;
}

START_TEST(a_job_that_lacks_memory_once_ends_as_if_it_had_not)
{
	struct fault_rig r;
	struct bytes want, got;
	int64_t calls, unused;
	int accepted = 0;
	fault_open(&r, flags);
	daemon_start_again(&r.d);
	sample_upload(r.d.port, "quarters", TRAIN, 0);
	ck_assert(train(&r, 0, NULL, &want, &calls));
	int64_t step = torture_size("TORTURE_MEMORY", (int)(calls / SPREAD_JOBS + 1), 1);
	for (int64_t k = 1; k <= calls; k += step) {
		if (!train(&r, k, &want, &got, &unused))
			continue;
		bytes_free(&got);
		accepted++;
	}
	ck_assert_int_gt(accepted, 0);
	json_t *list = talk_get(r.d.port, "/v1/jobs?limit=100");
	ck_assert(json_array_size(talk_at(list, "data")) >= (size_t)(accepted < 99 ? accepted + 1 : 100));
	json_decref(list);
	ck_assert_int_eq(daemon_end(&r.d, true), 0);
	state_check(&r.d);
	bytes_free(&want);
	fault_close(&r);
}
END_TEST

TEST_SUITE(memory, 7200)
{
	tcase_add_test(tc, requests_without_memory_are_refused_and_no_more);
	tcase_add_test(tc, a_job_that_lacks_memory_once_ends_as_if_it_had_not);
}
