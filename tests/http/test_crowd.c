/*
 * test_crowd.c - many clients follow one job: nine tenths read, and every one of these sees every event once; one in
 * ten never reads and one in ten vanishes without a word, which costs the others nothing and the server little.
 *
 * CROWD_CLIENTS says how many (make torture-http: 500); 50 without it, and then the job is short. With 500 it lasts
 * long enough for those that stall to be cut off. When that is: by the daemon's own log and clock, from the last byte
 * that a client took.
 */
#include <linux/filter.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http/daemon.h"
#include "http/sample.h"
#include "http/talk.h"
#include "runner.h"

enum { CLIENTS = 50, CLIENTS_MAX = 900, KIB_EACH = 64, SETTLE_MS = 45000, LONG = 500 };
enum { STALL_MS = 30000, MARGIN_MS = 2000 /* deadlines are looked at once a second */ };

static int nclients(void)
{
	const char *text = getenv("CROWD_CLIENTS");
	int n = text ? atoi(text) : 0;
	return n > 0 && n <= CLIENTS_MAX ? n : CLIENTS;
}

static long long now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

enum manner { READS, NEVER_READS, VANISHES };

static enum manner manner_of(int i)
{
	return i % 10 == 3 ? NEVER_READS : i % 10 == 7 ? VANISHES : READS;
}

/* Every packet for this socket is lost from now on, as if its machine had lost power: no answer, no end. */
static void vanish(struct client *c)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = {.len = 1, .filter = &drop};
	ck_assert_int_eq(setsockopt(client_fd(c), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
}

static long resident_kib(const struct daemon *d)
{
	char path[64];
	long total = 0, resident = 0;
	snprintf(path, sizeof path, "/proc/%d/statm", (int)d->pid);
	FILE *f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%ld %ld", &total, &resident), 2);
	fclose(f);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static long long metric(int port, const char *name)
{
	char line[80];
	struct response r = request_get(port, "/metrics");
	ck_assert_int_eq(r.status, 200);
	snprintf(line, sizeof line, "\n%s ", name);
	const char *at = strstr(r.body, line);
	ck_assert_ptr_nonnull(at);
	long long value = atoll(at + strlen(line));
	response_free(&r);
	return value;
}

static struct client *begin(int port, const char *id, enum manner manner)
{
	char target[160];
	struct client_event event;
	struct client *c = client_open(port);
	ck_assert_ptr_nonnull(c);
	client_timeout(c, 60000);
	if (manner == NEVER_READS)
		setsockopt(client_fd(c), SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int));
	snprintf(target, sizeof target, "/v1/jobs/%s/events", id);
	ck_assert(client_request(c, "GET", target, "Accept: text/event-stream\r\n", NULL, 0));
	if (manner == NEVER_READS)
		return c;
	struct response head = client_read_head(c);
	ck_assert_int_eq(head.status, 200);
	response_free(&head);
	ck_assert(client_read_event(c, &event));
	ck_assert_str_eq(event.id, "1");
	if (manner == VANISHES)
		vanish(c);
	return c;
}

/* Everyone who reads gets event after event to the end; the number of the last one. */
static long long read_all(struct client **c, int n)
{
	for (long long seq = 2;; seq++) {
		int ended = 0, readers = 0;
		for (int i = 0; i < n; i++) {
			struct client_event event;
			if (manner_of(i) != READS)
				continue;
			readers++;
			if (client_read_event(c[i], &event))
				ck_assert_msg(atoll(event.id) == seq, "client %d: %s after %lld", i, event.id, seq - 1);
			else
				ended++;
		}
		if (ended == 0)
			continue;
		ck_assert_int_eq(ended, readers);
		return seq - 1;
	}
}

/* Each of those that were cut off had its time, and no more; how many they are. */
static int check_cuts(const struct daemon *d, long long deadline)
{
	char path[96], line[1024];
	int cuts = 0;
	snprintf(path, sizeof path, "%s/stderr", d->dir);
	FILE *f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof line, f)) {
		long long waited;
		const char *at = strstr(line, "it was waited for ");
		if (!at || sscanf(at, "it was waited for %lld ms", &waited) != 1)
			continue;
		ck_assert_msg(waited >= deadline && waited <= deadline + MARGIN_MS, "cut off after %lld ms", waited);
		cuts++;
	}
	fclose(f);
	return cuts;
}

static void check_stalled_are_cut(const struct daemon *d, struct client **c, int n)
{
	int waited = 0, stalled = 0;
	for (; metric(d->port, "backpropd_http_streams") > 0 && waited < SETTLE_MS; waited += 100)
		poll(NULL, 0, 100);
	ck_assert_int_lt(waited, SETTLE_MS);
	for (int i = 0; i < n; i++)
		stalled += manner_of(i) == NEVER_READS;
	ck_assert_int_ge(check_cuts(d, STALL_MS), stalled);
	ck_assert_int_ge(metric(d->port, "backpropd_http_timeouts_total"), stalled);
	for (int i = 0; i < n; i++)
		if (manner_of(i) == NEVER_READS) {
			struct response head = client_read_head(c[i]);
			ck_assert_msg(!client_read_end(c[i]), "client %d got all of it", i);
			response_free(&head);
		}
}

START_TEST(those_who_read_miss_nothing_and_those_who_do_not_are_cut_off)
{
	static struct client *c[CLIENTS_MAX];
	struct daemon d;
	struct rlimit files;
	char id[64];
	const int n = nclients();
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	daemon_start(&d, (const char *const[]){"--max-connections=1200", "--log-level=debug", NULL});
	sample_upload(d.port, "quarters", n >= LONG ? 2048 : 256, 0);
	sample_submit(d.port, "quarters", n >= LONG ? "\"epochs\":400" : "\"epochs\":40", id);
	sample_wait_epoch(d.port, id, 1);
	long before = resident_kib(&d);
	for (int i = 0; i < n; i++)
		c[i] = begin(d.port, id, manner_of(i));
	long each = (resident_kib(&d) - before) / n;
	long long last = read_all(c, n);
	json_t *job = sample_wait(d.port, id, "succeeded");
	ck_assert_int_eq(talk_int(job, "last_seq"), last);
	json_decref(job);
	long later = (resident_kib(&d) - before) / n;
	if (n >= LONG) {
		check_stalled_are_cut(&d, c, n);
		printf("%d clients, %lld events each: %ld KiB each when connected, %ld at the end\n", n, last, each,
			later);
		/* Among few, what the job and its threads take would weigh too much. */
		ck_assert_msg(each <= KIB_EACH && later <= KIB_EACH, "%ld, %ld KiB each", each, later);
	}
	for (int i = 0; i < n; i++)
		client_close(c[i]);
	daemon_done(&d);
}
END_TEST

START_TEST(a_client_that_takes_nothing_is_cut_off_when_its_time_is_over)
{
	static const char *const flags[] = {"--client-stall-seconds=1", "--log-level=debug", NULL};
	enum { STALLED = 3 };
	struct client *c[STALLED];
	struct daemon d;
	char id[64];
	daemon_start(&d, flags);
	sample_upload(d.port, "quarters", 96, 0);
	sample_submit(d.port, "quarters", "\"epochs\":500,\"checkpoint\":{\"every_epochs\":500}", id);
	json_decref(sample_wait(d.port, id, "succeeded"));
	long long began = now_ms();
	for (int i = 0; i < STALLED; i++)
		c[i] = begin(d.port, id, NEVER_READS);
	while (metric(d.port, "backpropd_http_timeouts_total") < STALLED)
		poll(NULL, 0, 20);
	ck_assert_int_ge(now_ms() - began, 1000);
	while (metric(d.port, "backpropd_http_streams") > 0)
		poll(NULL, 0, 20);
	ck_assert_int_eq(check_cuts(&d, 1000), STALLED);
	for (int i = 0; i < STALLED; i++) {
		struct response head = client_read_head(c[i]);
		ck_assert(!client_read_end(c[i]));
		response_free(&head);
		client_close(c[i]);
	}
	daemon_done(&d);
}
END_TEST

TEST_SUITE(crowd, 1800)
{
	tcase_add_test(tc, a_client_that_takes_nothing_is_cut_off_when_its_time_is_over);
	tcase_add_test(tc, those_who_read_miss_nothing_and_those_who_do_not_are_cut_off);
}
