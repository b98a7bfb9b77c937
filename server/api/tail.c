/* tail.c - see tail.h. */
#include "api/tail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/answer.h"
#include "api/auth.h"
#include "base/sink.h"

enum { BATCH_FIRST = 8, BATCH_MAX = 64, BATCH_BYTES = 24 << 10 };

struct tail {
	struct api *api;
	enum tail_format format;
	bool global, follow, refused;
	bool all; /* nothing was left after the last list, as long as the topic has not moved on */
	struct auth_pass pass;
	char job_id[ID_MAX], owner[USER_MAX + 1], type[32];
	int64_t after;
	int limit;        /* events of the next batch, so that one client never holds much more than BATCH_BYTES */
	struct text text; /* made, and sent up to offset */
	size_t offset;
};

/* The stored data is a compact JSON object; its members follow ours. */
static void write_event(FILE *out, const struct event_row *e)
{
	fprintf(out, "{\"seq\":%lld,\"global_seq\":%lld,\"job_id\":\"%s\",\"type\":\"%s\",\"created_at\":%.3f",
		(long long)e->seq, (long long)e->global_seq, e->job_id, e->type, e->created_at);
	const char *members = e->data && e->data[0] == '{' ? e->data + 1 : "}";
	fprintf(out, "%s%s", members[0] == '}' ? "" : ",", members);
}

bool tail_event_text(const struct event_row *event, struct text *ret)
{
	*ret = (struct text){0};
	struct sink sink;
	FILE *out = sink_open(&sink);
	if (!out)
		return false;
	write_event(out, event);
	return sink_close(&sink, out, &ret->bytes, &ret->size);
}

static bool write_batch(struct tail *t, const struct event_row *rows, int n)
{
	free(t->text.bytes);
	t->text = (struct text){0};
	t->offset = 0;
	struct sink sink;
	FILE *out = sink_open(&sink);
	if (!out)
		return false;
	for (int i = 0; i < n; i++) {
		t->after = t->global ? rows[i].global_seq : rows[i].seq;
		if (t->format == TAIL_SSE)
			fprintf(out, "id: %lld\nevent: %s\ndata: ", (long long)t->after, rows[i].type);
		write_event(out, &rows[i]);
		fputs(t->format == TAIL_SSE ? "\n\n" : "\n", out);
	}
	if (!sink_close(&sink, out, &t->text.bytes, &t->text.size))
		return false;
	size_t each = t->text.size / (size_t)n + 1;
	t->limit = each > BATCH_BYTES ? 1 : (int)(BATCH_BYTES / each < BATCH_MAX ? BATCH_BYTES / each : BATCH_MAX);
	return true;
}

/* Whether no event can follow those that the next list will show. Asked before that list, so that none is missed. */
static bool at_end(struct tail *t)
{
	if (!t->follow)
		return true;
	if (t->global)
		return false;
	struct job_row row;
	if (store_job_get(t->api->store, t->job_id, &row) != STORE_OK)
		return true;
	bool ended = job_status_terminal(row.status);
	job_row_done(&row);
	return ended;
}

/* The last thing that a stream says whose token does not hold any more: a comment. */
static int say_refused(struct tail *t)
{
	if (t->refused || t->format != TAIL_SSE)
		return -1;
	t->refused = true;
	free(t->text.bytes);
	t->offset = 0;
	t->text.bytes = strdup(": the token was revoked or has expired\n\n");
	t->text.size = t->text.bytes ? strlen(t->text.bytes) : 0;
	return t->text.bytes ? 1 : -1;
}

static enum store_status list(const struct tail *t, struct event_row **ret, int *ret_n)
{
	const char *type = t->type[0] ? t->type : NULL;
	struct event_feed feed = {
		.owner = t->owner[0] ? t->owner : NULL, .type = type, .after = t->after, .limit = t->limit};
	return t->global ? store_event_feed(t->api->store, &feed, ret, ret_n)
			 : store_event_list(t->api->store, t->job_id, t->after, type, t->limit, ret, ret_n);
}

/* Whether these are all that there were, and none of them can have ended the job. */
static bool are_all(const struct tail *t, const struct event_row *rows, int n)
{
	if (!t->follow || t->type[0] || n >= t->limit)
		return false;
	for (int i = 0; i < n && !t->global; i++)
		if (strcmp(rows[i].type, "status") == 0)
			return false;
	return true;
}

/* 1: there is text to send; 0: nothing now; -1: the end. Hundreds may follow a job: its row is read only when there is
 * nothing, and nobody looks for more behind what was all. */
static int refill(struct tail *t)
{
	if (!auth_pass_holds(t->api, &t->pass))
		return say_refused(t);
	if (t->all) {
		t->all = false; /* a heartbeat's pull looks */
		return 0;
	}
	struct event_row *rows = NULL;
	int n = 0, result = 1;
	if (list(t, &rows, &n) != STORE_OK)
		return -1;
	if (n == 0) {
		bool last = at_end(t);
		free(rows);
		rows = NULL;
		if (last && list(t, &rows, &n) != STORE_OK)
			return -1;
		result = n > 0 ? 1 : last ? -1 : 0;
	}
	t->all = n > 0 && are_all(t, rows, n);
	if (n > 0 && !write_batch(t, rows, n))
		result = -1;
	for (int i = 0; i < n; i++)
		event_row_done(&rows[i]);
	free(rows);
	return result;
}

static long pull(void *state, char *buf, size_t max, bool moved)
{
	struct tail *t = state;
	t->all &= !moved;
	if (t->offset == t->text.size) {
		int result = refill(t);
		if (result <= 0)
			return result;
	}
	size_t n = t->text.size - t->offset < max ? t->text.size - t->offset : max;
	memcpy(buf, t->text.bytes + t->offset, n);
	t->offset += n;
	if (t->offset == t->text.size) { /* who sleeps keeps nothing */
		free(t->text.bytes);
		t->text = (struct text){0};
		t->offset = 0;
	}
	return (long)n;
}

static void done(void *state)
{
	struct tail *t = state;
	free(t->text.bytes);
	free(t);
}

void tail_reply(struct http_request *rq, enum tail_format format, const struct tail_query *q)
{
	static const char *const types[TAIL_FORMAT_COUNT] = {[TAIL_JSON] = "application/json",
		[TAIL_SSE] = "text/event-stream",
		[TAIL_NDJSON] = "application/x-ndjson"};
	struct tail *t = calloc(1, sizeof *t);
	if (!t) {
		http_reply_error(rq, ERR_INTERNAL, "", "The server is out of memory.");
		return;
	}
	t->api = answer_api(rq);
	t->format = format;
	t->global = !q->job_id;
	t->follow = q->follow;
	auth_pass_begin(rq, &t->pass);
	t->after = q->after;
	t->limit = BATCH_FIRST;
	snprintf(t->job_id, sizeof t->job_id, "%s", q->job_id ? q->job_id : "");
	snprintf(t->owner, sizeof t->owner, "%s", q->owner ? q->owner : "");
	snprintf(t->type, sizeof t->type, "%s", q->type ? q->type : "");
	if (format == TAIL_SSE && (t->text.bytes = strdup("retry: 2000\n\n")))
		t->text.size = strlen(t->text.bytes);
	struct http_stream stream = {
		.heartbeat = format == TAIL_SSE ? ": ping\n\n" : "\n", .pull = pull, .done = done, .state = t};
	snprintf(stream.topic, sizeof stream.topic, "%s", q->job_id ? q->job_id : HUB_JOBS);
	http_reply_header(rq, "Cache-Control", "no-store");
	http_reply_stream(rq, types[format], &stream);
}
