/*
 * test_faults.c - the k-th call on a file fails while the daemon starts, takes a data set, trains and stops: whatever
 * was answered is there afterwards, and the job ends with the bits of an undisturbed run. After a failed sync the
 * daemon ends by itself, with the status for which systemd starts it again. Each k under make torture, or those
 * TORTURE_FAULTS apart; else a few.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "http/fault.h"
#include "http/sample.h"
#include "http/state.h"
#include "http/talk.h"
#include "runner.h"

enum {
	EPOCHS = 2,
	TRAIN = 96,
	SPREAD = 1,    /* ks of a kind in make check */
	LANES_MAX = 8, /* daemons side by side, when there are more: they wait most of the time */
	CALLS_MAX = 1000000
};

static const char training[] =
	"\"epochs\":2,\"batch_size\":32,\"seed\":3,\"optimizer\":{\"type\":\"Adam\",\"lr\":0.01}";
static const char key[] = "Idempotency-Key: only-once\r\nContent-Type: application/json\r\n";
static const char *const flags[] = {"--retry-seconds=1", "--workers=1", NULL};

/* One way to fail. EINTR from then on is none, because SQLite tries again for ever. */
static const struct kind {
	const char *name;
	int ops, error;
	bool lasting, invisible; /* to clients */
} kinds[] = {
	{"EIO once", FAULT_CHANGES, EIO, false, false},
	{"ENOSPC once", FAULT_CHANGES & ~FAULT_MAP, ENOSPC, false, false},
	{"EINTR once", FAULT_WRITE | FAULT_TRUNCATE, EINTR, false, true},
	{"a short write", FAULT_WRITE, FAULT_SHORT, false, true},
	{"short writes", FAULT_WRITE, FAULT_SHORT, true, true},
	{"EIO from then on", FAULT_CHANGES, EIO, true, false},
	{"ENOSPC from then on", FAULT_CHANGES & ~(FAULT_MAP | FAULT_UNLINK), ENOSPC, true, false},
	{"EIO of a read", FAULT_READ, EIO, false, false},
	{"EINTR of a call that is not made again", FAULT_OPEN | FAULT_SYNC | FAULT_RENAME, EINTR, false, false},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* What was acknowledged. */
struct story {
	struct fault_rig rig;
	const struct kind *kind;
	int64_t k;
	bool files[2], committed, ended;
	char job[64];
};

static struct bytes undisturbed;

#define tell(s) (s)->kind->name, (long long)(s)->k

/* The status, when the request was done; 0 when it was refused as it may be, or the daemon is gone. */
static int ask(struct story *s, const char *method, const char *target, const char *headers, const struct bytes *body)
{
	int status = 0;
	for (int tries = 0; tries < 3 && status == 0; tries++) {
		struct response r = request_do(
			s->rig.d.port, method, target, headers, body ? body->at : NULL, body ? body->size : 0);
		bool refused = r.status == 500 || r.status == 503 || r.status == 507;
		ck_assert_msg(refused || r.status / 100 == 2 || r.status == 409 || r.status == 0 || r.status == 404,
			"%s at %lld: %s %s: %d %s", tell(s), method, target, r.status, r.body ? r.body : "");
		const char *type = refused ? response_header(&r, "Content-Type") : NULL;
		ck_assert_msg(!refused || (type && strncmp(type, "application/problem+json", 24) == 0),
			"%s at %lld: %s", tell(s), r.headers);
		ck_assert_msg(!s->kind->invisible || r.status / 100 == 2, "%s at %lld: %s %s: %d %s", tell(s), method,
			target, r.status, r.body ? r.body : "");
		if (r.status / 100 == 2 && strncmp(target, "/v1/jobs", 8) == 0 && r.body && *r.body == '{') {
			json_t *job = json_loads(r.body, 0, NULL);
			snprintf(s->job, sizeof s->job, "%s", talk_text(job, "id"));
			s->ended = json_is_real(json_object_get(job, "finished_at"));
			json_decref(job);
		}
		status = r.status / 100 == 2 || r.status == 409 || r.status == 404 ? r.status : 0;
		if (r.status == 0 && daemon_ended(&s->rig.d))
			tries = 3;
		response_free(&r);
	}
	return status;
}

/* What is not done yet, as far as it goes. 409 to a commit: it was done, and the answer was lost. */
static void go_on(struct story *s)
{
	struct bytes file[2] = {sample_idx_images(0, TRAIN), sample_idx_labels(0, TRAIN)};
	static const char *const targets[] = {"/v1/datasets/quarters/files/train-images-idx3-ubyte",
		"/v1/datasets/quarters/files/train-labels-idx1-ubyte"};
	for (int i = 0; i < 2; i++) {
		if (!s->committed && !s->files[i])
			s->files[i] = ask(s, "PUT", targets[i], NULL, &file[i]) != 0;
		bytes_free(&file[i]);
	}
	if (s->files[0] && s->files[1] && !s->committed)
		s->committed = ask(s, "POST", "/v1/datasets/quarters/commit", NULL, NULL) != 0;
	if (s->committed && !s->job[0]) {
		char *text = sample_job("quarters", training);
		struct bytes body = {(uint8_t *)text, strlen(text)};
		ask(s, "POST", "/v1/jobs", key, &body);
		free(text);
	}
}

/* Until the job has ended; a look or so when the fault lasts, because it cannot end then. */
static void wait_for_job(struct story *s)
{
	char target[128];
	snprintf(target, sizeof target, "/v1/jobs/%.63s?wait=1", s->job);
	for (int looks = 0; s->job[0] && !s->ended && looks < (s->kind->lasting && !s->kind->invisible ? 1 : 20);
		looks++)
		if (!ask(s, "GET", target, NULL, NULL))
			break;
}

/* With the fault. The daemon may refuse, and may end, with a word in the log; it never crashes. */
static void live_through(struct story *s)
{
	struct fault_rig *r = &s->rig;
	int status = 0;
	fault_arm(r, s->kind->ops, s->kind->error, s->k, s->kind->lasting);
	if (daemon_try_start(&r->d, &status)) {
		go_on(s);
		wait_for_job(s);
		bool ends = atomic_load(&r->control->synced_badly);
		status = daemon_end(&r->d, !ends);
		ends |= atomic_load(&r->control->synced_badly);
		ck_assert_msg(!ends || (WIFEXITED(status) && WEXITSTATUS(status) == 1),
			"%s at %lld: after a failed sync it ended with wait status %d", tell(s), status);
	}
	ck_assert_msg(WIFEXITED(status), "%s at %lld: the daemon died, wait status %d", tell(s), status);
	ck_assert_msg(status == 0 || WEXITSTATUS(status) == 1, "%s at %lld: exit %d", tell(s), WEXITSTATUS(status));
	ck_assert_msg(status == 0 || daemon_logged(&r->d, "Z error "), "%s at %lld: it ended without a word", tell(s));
	ck_assert_msg(!s->kind->invisible || status == 0, "%s at %lld: the daemon ended", tell(s));
	fault_disarm(r);
}

/* Without it: all is there, the rest is done, and nothing else lies about. */
static void recover(struct story *s)
{
	struct daemon *d = &s->rig.d;
	char target[128];
	daemon_start_again(d);
	if (s->committed)
		json_decref(talk_get(d->port, "/v1/datasets/quarters"));
	snprintf(target, sizeof target, "/v1/jobs/%.63s", s->job);
	if (s->job[0])
		json_decref(talk_get(d->port, target));
	go_on(s);
	ck_assert_msg(s->job[0], "%s at %lld: no job", tell(s));
	json_decref(sample_wait(d->port, s->job, "succeeded"));
	state_check_log(d->port, s->job, EPOCHS);
	struct bytes got = sample_weights(d->port, s->job, "last");
	ck_assert_msg(got.size == undisturbed.size && memcmp(got.at, undisturbed.at, got.size) == 0,
		"%s at %lld: other weights", tell(s));
	bytes_free(&got);
	json_t *jobs = talk_get(d->port, "/v1/jobs");
	ck_assert_uint_eq(json_array_size(talk_at(jobs, "data")), 1);
	json_decref(jobs);
	ck_assert_int_eq(daemon_end(d, true), 0);
	state_check(d);
}

/* The first sync of a file there fails, in a daemon that has started well. */
static void lose_a_sync(struct story *s, enum fault_place place)
{
	struct fault_rig *r = &s->rig;
	daemon_start_again(&r->d);
	atomic_store(&r->control->place, (int)place);
	fault_arm(r, FAULT_SYNC, s->kind->error, s->k, s->kind->lasting);
	go_on(s);
	wait_for_job(s);
	int status = daemon_end(&r->d, false);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "it ended with wait status %d", status);
	ck_assert_int_eq(atomic_load(&r->control->file.hits), 1);
	ck_assert_int_eq(atomic_load(&r->control->hit_place), place);
	ck_assert(daemon_logged(&r->d, "stops, so that the next start can see what is on the disk"));
	fault_disarm(r);
}

/* How many calls there are; a fault that never comes. */
static int64_t calls_of(const struct kind *kind)
{
	struct story s = {.kind = kind, .k = CALLS_MAX};
	fault_open(&s.rig, flags);
	live_through(&s);
	int64_t calls = atomic_load(&s.rig.control->file.calls);
	recover(&s);
	fault_close(&s.rig);
	return calls;
}

static void run_undisturbed(void)
{
	struct daemon d;
	char id[64];
	daemon_start(&d, flags);
	struct bytes files[2] = {sample_idx_images(0, TRAIN), sample_idx_labels(0, TRAIN)};
	json_decref(talk_put(
		d.port, "/v1/datasets/quarters/files/train-images-idx3-ubyte", files[0].at, files[0].size, 201));
	json_decref(talk_put(
		d.port, "/v1/datasets/quarters/files/train-labels-idx1-ubyte", files[1].at, files[1].size, 201));
	json_decref(talk(d.port, "POST", "/v1/datasets/quarters/commit", NULL, 201));
	json_decref(sample_wait(d.port, sample_submit(d.port, "quarters", training, id), "succeeded"));
	undisturbed = sample_weights(d.port, id, "last");
	bytes_free(&files[0]);
	bytes_free(&files[1]);
	daemon_done(&d);
}

static void try_each(const struct kind *kind, int64_t first, int64_t last, int64_t step)
{
	for (int64_t k = first; k <= last; k += step) {
		struct story s = {.kind = kind, .k = k};
		fault_open(&s.rig, flags);
		live_through(&s);
		recover(&s);
		fault_close(&s.rig);
	}
}

/* The same in processes of their own, each with every n-th of the ks. */
static void try_side_by_side(const struct kind *kind, int64_t calls, int lanes)
{
	pid_t pids[LANES_MAX];
	fflush(stdout);
	for (int i = 0; i < lanes; i++) {
		pids[i] = check_fork();
		if (pids[i] == 0) {
			try_each(kind, 1 + i, calls, lanes);
			exit(EXIT_SUCCESS);
		}
	}
	for (int i = 0; i < lanes; i++) {
		int status = -1;
		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: one of them failed", kind->name);
	}
}

START_TEST(a_call_that_fails_loses_nothing)
{
	const struct kind *kind = &kinds[_i];
	run_undisturbed();
	int64_t calls = calls_of(kind), step = torture_size("TORTURE_FAULTS", (int)(calls / SPREAD + 1), 1);
	ck_assert_msg(calls > 20 && calls < CALLS_MAX, "%s: %lld calls", kind->name, (long long)calls);
	if (step == 1) {
		printf("%s: %lld calls\n", kind->name, (long long)calls);
		try_side_by_side(kind, calls, LANES_MAX);
	} else {
		try_each(kind, 1 + (_i * 7 + 3) % (int)step, calls, step);
	}
	bytes_free(&undisturbed);
}
END_TEST

START_TEST(after_a_failed_sync_the_daemon_ends_by_itself_and_the_next_start_recovers)
{
	static const struct kind once = {.name = "EIO of a sync", .ops = FAULT_SYNC, .error = EIO};
	struct story s = {.kind = &once, .k = 1};
	run_undisturbed();
	fault_open(&s.rig, flags);
	lose_a_sync(&s, (enum fault_place)_i);
	recover(&s);
	fault_close(&s.rig);
	bytes_free(&undisturbed);
}
END_TEST

/* Of SQLite's own loops, which do not end, only the database's files would tell. */
START_TEST(calls_that_are_interrupted_for_good_keep_nobody_from_ending_the_daemon)
{
	static const struct kind forever = {.name = "EINTR for good", .lasting = true};
	struct story s = {.kind = &forever, .k = 1};
	struct fault_rig *r = &s.rig;
	run_undisturbed();
	fault_open(r, flags);
	daemon_start_again(&r->d);
	atomic_store(&r->control->place, _i);
	fault_arm(r, FAULT_WRITE | FAULT_TRUNCATE | FAULT_READ, EINTR, 1, true);
	go_on(&s);
	wait_for_job(&s);
	ck_assert(atomic_load(&r->control->file.hits) > 1);
	ck_assert_int_eq(daemon_end(&r->d, true), 0);
	fault_disarm(r);
	recover(&s);
	fault_close(r);
	bytes_free(&undisturbed);
}
END_TEST

TEST_SUITE(faults, 14400)
{
	tcase_add_loop_test(tc, after_a_failed_sync_the_daemon_ends_by_itself_and_the_next_start_recovers,
		FAULT_DATABASE, FAULT_DATASET + 1);
	tcase_add_loop_test(tc, calls_that_are_interrupted_for_good_keep_nobody_from_ending_the_daemon,
		FAULT_CHECKPOINT, FAULT_DATASET + 1);
	tcase_add_loop_test(tc, a_call_that_fails_loses_nothing, 0, KINDS);
}
