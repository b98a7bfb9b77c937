/* text.c - pieces of problems. Called by the files of spec/, on any thread. */
#include "spec/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void text_pointer(char ret[SPEC_POINTER], const char *at, const char *name)
{
	size_t n = whole_characters(at, SPEC_POINTER - 1);
	memcpy(ret, at, n);
	ret[n] = '\0';
	if (at[n] != '\0' || n + 1 >= SPEC_POINTER)
		return;
	ret[n++] = '/';
	size_t start = n;
	const char *p = name;
	for (; *p; p++) {
		bool escaped = *p == '~' || *p == '/';
		if (n + (escaped ? 2 : 1) >= SPEC_POINTER)
			break;
		ret[n++] = escaped ? '~' : *p;
		if (escaped)
			ret[n++] = *p == '~' ? '0' : '1';
	}
	while (*p && n > start && ((unsigned char)*p & 0xc0) == 0x80) {
		p--;
		n--;
	}
	ret[n] = '\0';
}

void text_pointer_index(char ret[SPEC_POINTER], const char *at, size_t index)
{
	char digits[24];
	snprintf(digits, sizeof(digits), "%zu", index);
	text_pointer(ret, at, digits);
}

const char *text_quote(char ret[SPEC_QUOTE], const char *s)
{
	size_t n = whole_characters(s, SPEC_QUOTE - 4);
	snprintf(ret, SPEC_QUOTE, "%.*s%s", (int)n, s, s[n] ? "..." : "");
	return ret;
}

const char *text_kind(const json_t *json)
{
	if (!json)
		return "nothing";
	switch (json_typeof(json)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "an integer";
	case JSON_REAL:
		return "a number with a fraction";
	case JSON_TRUE:
	case JSON_FALSE:
		return "true or false";
	case JSON_NULL:
		return "null";
	}
	return "something else";
}

/* Bounds beyond these stand for "none". */
static const double unbounded = 1e15;

const char *text_range(char ret[SPEC_WORDS], double min, double max)
{
	bool low = min > -unbounded, high = max < unbounded;
	if (low && high)
		snprintf(ret, SPEC_WORDS, "from %.10g to %.10g", min, max);
	else if (low)
		snprintf(ret, SPEC_WORDS, "at least %.10g", min);
	else if (high)
		snprintf(ret, SPEC_WORDS, "at most %.10g", max);
	else
		snprintf(ret, SPEC_WORDS, "any number");
	return ret;
}

const char *text_shape(char ret[SPEC_WORDS], const struct bp_shape *shape)
{
	size_t n = 0;
	ret[n++] = '[';
	for (int i = 0; i < shape->ndim && i < BP_MAX_DIMS; i++)
		n += (size_t)snprintf(ret + n, SPEC_WORDS - n, "%s%" PRId64, i ? "," : "", shape->dim[i]);
	snprintf(ret + n, SPEC_WORDS - n, "]");
	return ret;
}

const char *text_bytes(char ret[SPEC_WORDS], int64_t bytes)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
	double v = (double)bytes / 1024;
	int unit = 0;
	for (; v >= 1024 && unit < 3; unit++)
		v /= 1024;
	snprintf(ret, SPEC_WORDS, "%.*f %s", v < 100 ? 1 : 0, v, units[unit]);
	return ret;
}
