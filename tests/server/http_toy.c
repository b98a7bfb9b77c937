/* http_toy.c - see http_toy.h. */
#include "http_toy.h"

#include <check.h>
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t opened;
	bool open;
};

static void wait_at_gate(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	while (!g->open)
		pthread_cond_wait(&g->opened, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

void toy_open_gate(struct toy *t)
{
	struct gate *g = t->gate;
	pthread_mutex_lock(&g->lock);
	g->open = true;
	pthread_cond_broadcast(&g->opened);
	pthread_mutex_unlock(&g->lock);
}

/* ---- handlers ---- */
static void page(struct http_request *rq)
{
	static const char html[] = "<!doctype html><title>toy</title>\n";
	http_reply_static(rq, 200, "text/html; charset=utf-8", html, sizeof(html) - 1);
}

static void list(struct http_request *rq)
{
	static const char *const names[] = {"limit", "after", "name"};
	struct problems p = {.count = 0};
	int64_t limit = 10;
	http_query_only(rq, names, 3, &p);
	http_query_int(rq, "limit", 1, 100, &limit, &p);
	if (problems_any(&p)) {
		http_reply_problems(rq, &p);
		return;
	}
	const char *name = http_query(rq, "name");
	http_reply_json(rq, 200, json_pack("{s:I, s:s}", "limit", (json_int_t)limit, "name", name ? name : ""));
}

static void echo(struct http_request *rq)
{
	size_t size = 0;
	http_body_bytes(rq, &size);
	http_reply_header(rq, "Location", "/v1/things/one");
	http_reply_json(rq, 201, json_pack("{s:O, s:I}", "got", http_json(rq), "size", (json_int_t)size));
}

static void get(struct http_request *rq)
{
	http_reply_header(rq, "Cache-Control", "no-cache");
	http_reply_json(rq, 200, json_pack("{s:s, s:f}", "id", http_segment(rq, "id"), "lr", 0.1));
}

static void validate(struct http_request *rq)
{
	http_reply_json(rq, 200, json_pack("{s:b}", "valid", 1));
}

static void delete_one(struct http_request *rq)
{
	http_reply_empty(rq, 204);
}

static void unchanged(struct http_request *rq)
{
	http_reply_header(rq, "ETag", "\"1\"");
	http_reply_empty(rq, 304);
}

static void accepts(struct http_request *rq)
{
	static const char *const types[] = {"application/json", "text/event-stream", "application/x-ndjson"};
	int best = http_accept(rq, types, 3);
	if (best < 0)
		http_reply_error(rq, ERR_NOT_ACCEPTABLE, "Accept", "One of three.");
	else
		http_reply_json(rq, 200, json_pack("{s:s}", "type", types[best]));
}

static void upload(struct http_request *rq)
{
	struct toy *t = http_app(rq);
	if (http_query(rq, "keep")) {
		char kept[200];
		snprintf(kept, sizeof(kept), "%s/%s", t->dir, http_segment(rq, "name"));
		if (rename(http_upload_path(rq), kept) != 0) {
			http_reply_error(rq, ERR_INTERNAL, "", "not renamed");
			return;
		}
	}
	http_reply_json(rq, 201, json_pack("{s:I}", "size", (json_int_t)http_upload_size(rq)));
}

static void slow(struct http_request *rq)
{
	struct toy *t = http_app(rq);
	atomic_fetch_add(&t->entered, 1);
	wait_at_gate(t->gate);
	http_reply_json(rq, 200, json_pack("{s:s}", "agent", http_header(rq, "User-Agent") ? "known" : "unknown"));
}

static void big(struct http_request *rq)
{
	size_t size = 3000000;
	char *bytes = malloc(size);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)('a' + i % 26);
	http_reply_bytes(rq, 200, "application/octet-stream", bytes, size);
}

static void silent(struct http_request *rq)
{
	(void)rq;
}

static void twice(struct http_request *rq)
{
	http_reply_json(rq, 200, json_pack("{s:i}", "first", 1));
	http_reply_json(rq, 200, json_pack("{s:i}", "second", 2));
}

static void nothing(struct http_request *rq)
{
	http_reply_json(rq, 200, NULL);
}

static void quote(struct http_request *rq)
{
	http_reply_error(rq, ERR_CONFLICT, "/a", "cut in a character: \xc3");
}

/*
 * Counts from after= to the toy's last; ends after the number given by until=. trap=n: finding nothing, it makes one
 * more and rings before it says so, as another thread may between the pull and the sleep. lazy=: having told all that
 * there was it does not look again, unless the topic has moved on.
 */
struct counting {
	struct toy *t;
	int at, until, trap;
	bool flood, lazy, all;
};

static long count_pull(void *state, char *buf, size_t max, bool moved)
{
	struct counting *c = state;
	if (c->flood) {
		memset(buf, 'x', max);
		return (long)max;
	}
	if (c->at >= c->until)
		return -1;
	int last = atomic_load(&c->t->last);
	bool spared = c->lazy && c->all && !moved;
	atomic_fetch_add(&c->t->spared, spared);
	if (spared || c->at >= last) {
		if (c->at < c->trap)
			toy_tell(c->t, c->at + 1);
		return 0;
	}
	c->at++;
	c->all = c->at == last;
	atomic_store(&c->t->pulled, c->at);
	return snprintf(buf, max, "id: %d\ndata: %d\n\n", c->at, c->at);
}

static void count_done(void *state)
{
	struct counting *c = state;
	atomic_fetch_add(&c->t->freed, 1);
	free(c);
}

static void count(struct http_request *rq)
{
	struct problems p = {.count = 0};
	int64_t after = 0, until = 1 << 30, trap = 0;
	http_query_int(rq, "after", 0, 1 << 30, &after, &p);
	http_query_int(rq, "until", 0, 1 << 30, &until, &p);
	http_query_int(rq, "trap", 0, 1 << 30, &trap, &p);
	struct counting *c = calloc(1, sizeof(*c));
	*c = (struct counting){.t = http_app(rq),
		.at = (int)after,
		.until = (int)until,
		.trap = (int)trap,
		.flood = http_query(rq, "flood") != NULL,
		.lazy = http_query(rq, "lazy") != NULL};
	struct http_stream s = {
		.topic = "count", .heartbeat = ": ping\n\n", .pull = count_pull, .done = count_done, .state = c};
	if (http_query(rq, "mute"))
		s.heartbeat = NULL;
	http_reply_stream(rq, "text/event-stream", &s);
}

static void later(struct http_request *rq)
{
	struct toy *t = http_app(rq);
	struct problems p = {.count = 0};
	int64_t seen = 0, wait = 20;
	http_query_int(rq, "seen", 0, 1 << 30, &seen, &p);
	http_query_int(rq, "wait", 0, 60, &wait, &p);
	uint64_t seq = hub_seq(t->hub, "count");
	int last = atomic_load(&t->last);
	atomic_fetch_add(&t->entered, 1);
	if (last <= seen && !http_waited(rq))
		http_reply_later(rq, "count", seq, (int)wait);
	else
		http_reply_json(rq, 200, json_pack("{s:i, s:b}", "last", last, "waited", http_waited(rq)));
}

static const struct route routes[] = {
	{"GET", "/", page, BODY_NONE, QUICK, "", 0},
	{"GET", "/v1/things", list, BODY_NONE, QUICK, "", 0},
	{"POST", "/v1/things", echo, BODY_JSON, QUICK, "", 0},
	{"GET", "/v1/things/{id}", get, BODY_NONE, QUICK, "", 0},
	{"DELETE", "/v1/things/{id}", delete_one, BODY_NONE, QUICK, "", 0},
	{"GET", "/v1/things/validate", validate, BODY_NONE, QUICK, "", 0},
	{"GET", "/unchanged", unchanged, BODY_NONE, QUICK, "", 0},
	{"GET", "/accepts", accepts, BODY_NONE, QUICK, "", 0},
	{"PUT", "/v1/files/{name}", upload, BODY_FILE, SLOW, "", 0},
	{"GET", "/slow", slow, BODY_NONE, SLOW, "", 0},
	{"GET", "/hold", slow, BODY_NONE, QUICK, "", 0},
	{"GET", "/big", big, BODY_NONE, QUICK, "", 0},
	{"GET", "/silent", silent, BODY_NONE, QUICK, "", 0},
	{"GET", "/twice", twice, BODY_NONE, QUICK, "", 0},
	{"GET", "/nothing", nothing, BODY_NONE, QUICK, "", 0},
	{"GET", "/quote", quote, BODY_NONE, QUICK, "", 0},
	{"GET", "/stream", count, BODY_NONE, QUICK, "", 0},
	{"GET", "/later", later, BODY_NONE, QUICK, "", 0},
	{"GET", "/later/slowly", later, BODY_NONE, SLOW, "", 0},
};

/* ---- the fixture ---- */
struct toy *toy_start(const struct http_options *given)
{
	struct toy *t = calloc(1, sizeof(*t));
	struct gate *g = calloc(1, sizeof(*g));
	struct http_options o = {.listen_fd = -1};
	ck_assert(t && g);
	if (given)
		o = *given;
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->opened, NULL);
	t->gate = g;
	t->hub = hub_new();
	snprintf(t->dir, sizeof(t->dir), "/tmp/http-toy-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(t->dir));
	snprintf(t->socket, sizeof(t->socket), "%s.sock", t->dir);
	o.unix_socket = t->socket;
	o.event_threads = o.event_threads ? o.event_threads : 2;
	o.slow_threads = o.slow_threads ? o.slow_threads : 2;
	o.max_connections = o.max_connections ? o.max_connections : 200;
	o.max_json_bytes = o.max_json_bytes ? o.max_json_bytes : 10000;
	o.max_upload_bytes = o.max_upload_bytes ? o.max_upload_bytes : 1000000;
	o.upload_dir = t->dir;
	o.hub = t->hub;
	o.routes = routes;
	o.nroutes = sizeof(routes) / sizeof(routes[0]);
	o.app = t;
	o.deadlines.sweep = o.deadlines.sweep ? o.deadlines.sweep : 20;
	t->srv = http_start(&o);
	ck_assert_ptr_nonnull(t->srv);
	t->port = http_port(t->srv);
	ck_assert_int_gt(t->port, 0);
	return t;
}

void toy_tell(struct toy *t, int last)
{
	atomic_store(&t->last, last);
	hub_ring(t->hub, "count");
}

int toy_files(const struct toy *t)
{
	int n = 0;
	DIR *dir = opendir(t->dir);
	for (struct dirent *e; (e = readdir(dir));)
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

bool toy_reaches(const atomic_int *value, int wanted)
{
	for (int i = 0; i < 10000 && atomic_load(value) < wanted; i++)
		poll(NULL, 0, 1);
	return atomic_load(value) >= wanted;
}

bool toy_stat_reaches(const struct toy *t, int64_t (*of)(const struct http_stats *), int64_t wanted)
{
	struct http_stats s;
	for (int i = 0; i < 10000; i++) {
		http_stats(t->srv, &s);
		if (of(&s) == wanted)
			return true;
		poll(NULL, 0, 1);
	}
	return false;
}

void toy_stop(struct toy *t)
{
	toy_open_gate(t);
	if (t->srv) {
		hub_close(t->hub);
		http_stop(t->srv);
	}
	hub_free(t->hub);
	DIR *dir = opendir(t->dir);
	for (struct dirent *e; (e = readdir(dir));)
		if (e->d_name[0] != '.')
			unlinkat(dirfd(dir), e->d_name, 0);
	closedir(dir);
	rmdir(t->dir);
	free(t->gate);
	free(t);
}
