/*
 * fuzz_event_id.c - where a stream of events goes on: whatever comes as after= and as Last-Event-ID, on two lines, is a
 * whole number or a problem, and the larger of both counts.
 */
#include "fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>

#include "api/cursor.h"
#include "http/inside.h"

enum { TEXT_MAX = 64 };

/* The value of a decimal number up to INT64_MAX, digit by digit; -1: it is none. */
static int64_t value_of(const char *text)
{
	__int128 value = 0;
	const char *digits = text + (*text == '-');
	for (const char *p = digits; *p; p++) {
		if (*p < '0' || *p > '9')
			return -1;
		value = value * 10 + (*p - '0');
		if (value > INT64_MAX)
			return -1;
	}
	return *digits && (*text != '-' || value == 0) ? (int64_t)value : -1;
}

static int64_t query_after(const char *text, struct problems *problems)
{
	struct http_request rq = {.query = {{"after", text}}, .nquery = 1};
	int64_t after = 0, want = value_of(text);
	bool ok = http_query_int(&rq, "after", 0, INT64_MAX, &after, problems);
	must(ok == (want >= 0) && after == (ok ? want : 0), "after is a whole number");
	must(ok == !problems_any(problems), "and else a problem");
	return after;
}

void fuzz_event_id(const uint8_t *data, size_t size)
{
	char text[TEXT_MAX + 1];
	size_t n = size < TEXT_MAX ? size : TEXT_MAX;
	memcpy(text, data, n);
	text[n] = '\0';
	char *line = strchr(text, '\n');
	if (line)
		*line++ = '\0';
	struct problems problems = {0};
	int64_t after = query_after(text, &problems), from = after;
	int before = problems.count;
	bool resumed = cursor_resume(line, &after, &problems);
	int64_t id = line && *line ? value_of(line) : -1;
	must(resumed == (id >= 0), "an id is a whole number");
	must(after == (id > from ? id : from), "the larger one counts");
	must((problems.count > before) == (line && *line && id < 0), "what is no id is a problem");
	must_tell(&problems);
}
