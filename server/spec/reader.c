/* reader.c - the vocabulary for checking JSON objects. Called by spec/ and by api for its own bodies, any thread. */
#include "spec/spec.h"

#include <math.h>
#include <string.h>

#include "spec/text.h"

enum { SEEN_MAX = sizeof(((struct spec_reader *)0)->seen) / sizeof(const char *) };

bool spec_reader_begin(struct spec_reader *r, const json_t *obj, const char *at, struct problems *problems)
{
	*r = (struct spec_reader){.obj = obj, .at = at, .problems = problems};
	if (json_is_object(obj))
		return true;
	problems_add(problems, ERR_WRONG_TYPE, at, "An object is expected here, not %s.", text_kind(obj));
	return false;
}

const json_t *spec_read(struct spec_reader *r, const char *name)
{
	if (r->nseen < SEEN_MAX)
		r->seen[r->nseen++] = name;
	return json_object_get(r->obj, name);
}

/* True when there is a value to look at; otherwise *ret_ok says whether its absence is allowed. */
static bool present(
	struct spec_reader *r, const char *name, bool required, const json_t **ret, char at[SPEC_POINTER], bool *ret_ok)
{
	*ret = spec_read(r, name);
	text_pointer(at, r->at, name);
	*ret_ok = *ret || !required;
	if (!*ret_ok)
		problems_add(r->problems, ERR_MISSING_FIELD, at, "\"%s\" is required.", name);
	return *ret != NULL;
}

static bool wrong_type(struct spec_reader *r, const char *at, const char *name, const char *want, const json_t *v)
{
	problems_add(r->problems, ERR_WRONG_TYPE, at, "\"%s\" must be %s, not %s.", name, want, text_kind(v));
	return false;
}

bool spec_read_object(struct spec_reader *r, const char *name, char at[SPEC_POINTER], struct spec_reader *ret)
{
	const json_t *v = spec_read(r, name);
	text_pointer(at, r->at, name);
	return v && spec_reader_begin(ret, v, at, r->problems);
}

bool spec_read_string(struct spec_reader *r, const char *name, bool required, char *ret, size_t size)
{
	char at[SPEC_POINTER];
	const json_t *v = NULL;
	bool ok = false;
	if (!present(r, name, required, &v, at, &ok))
		return ok;
	if (!json_is_string(v))
		return wrong_type(r, at, name, "a string", v);
	if (json_string_length(v) >= size) {
		problems_add(r->problems, ERR_OUT_OF_RANGE, at, "\"%s\" may have at most %zu bytes, not %zu.", name,
			size - 1, json_string_length(v));
		return false;
	}
	memcpy(ret, json_string_value(v), json_string_length(v) + 1);
	return true;
}

bool spec_read_title(struct spec_reader *r, const char *name, bool required, char *ret, size_t size)
{
	char at[SPEC_POINTER];
	const json_t *v = json_object_get(r->obj, name);
	const char *s = json_string_value(v);
	for (size_t i = 0; s && (s[i] || i == 0); i++) {
		if ((unsigned char)s[i] >= ' ' && s[i] != 0x7f)
			continue;
		spec_read(r, name);
		text_pointer(at, r->at, name);
		problems_add(r->problems, ERR_INVALID_NAME, at,
			"\"%s\" must be 1 to %zu bytes without control characters.", name, size - 1);
		return false;
	}
	return spec_read_string(r, name, required, ret, size);
}

bool spec_read_int(struct spec_reader *r, const char *name, bool required, int64_t min, int64_t max, int64_t *ret)
{
	char at[SPEC_POINTER], words[SPEC_WORDS];
	const json_t *v = NULL;
	bool ok = false;
	if (!present(r, name, required, &v, at, &ok))
		return ok;
	if (!json_is_integer(v))
		return wrong_type(r, at, name, "an integer", v);
	int64_t given = json_integer_value(v);
	if (given < min || given > max) {
		problems_add(r->problems, ERR_OUT_OF_RANGE, at, "\"%s\" must be %s, not %lld.", name,
			text_range(words, (double)min, (double)max), (long long)given);
		return false;
	}
	*ret = given;
	return true;
}

bool spec_read_real(struct spec_reader *r, const char *name, bool required, double min, double max, double *ret)
{
	char at[SPEC_POINTER], words[SPEC_WORDS];
	const json_t *v = NULL;
	bool ok = false;
	if (!present(r, name, required, &v, at, &ok))
		return ok;
	if (!json_is_number(v))
		return wrong_type(r, at, name, "a number", v);
	double given = json_number_value(v);
	if (!(given >= min && given <= max)) {
		problems_add(r->problems, ERR_OUT_OF_RANGE, at, "\"%s\" must be %s, not %.10g.", name,
			text_range(words, min, max), given);
		return false;
	}
	*ret = given;
	return true;
}

bool spec_read_bool(struct spec_reader *r, const char *name, bool required, bool *ret)
{
	char at[SPEC_POINTER];
	const json_t *v = NULL;
	bool ok = false;
	if (!present(r, name, required, &v, at, &ok))
		return ok;
	if (!json_is_boolean(v))
		return wrong_type(r, at, name, "true or false", v);
	*ret = json_is_true(v);
	return true;
}

static bool was_read(const struct spec_reader *r, const char *name)
{
	for (int i = 0; i < r->nseen; i++)
		if (strcmp(r->seen[i], name) == 0)
			return true;
	return false;
}

void spec_reader_end(struct spec_reader *r)
{
	const char *key = NULL;
	json_t *value = NULL;
	/* The macro needs a mutable object for its iterator; nothing is changed. */
	json_object_foreach((json_t *)r->obj, key, value)
	{
		if (was_read(r, key))
			continue;
		if (r->problems->more)
			return;
		char at[SPEC_POINTER], quote[SPEC_QUOTE];
		text_pointer(at, r->at, key);
		text_quote(quote, key);
		const char *near = nearest_word(key, r->seen, r->nseen);
		if (near)
			problems_add(r->problems, ERR_UNKNOWN_FIELD, at,
				"There is no field \"%s\" here; did you mean \"%s\"?", quote, near);
		else
			problems_add(r->problems, ERR_UNKNOWN_FIELD, at, "There is no field \"%s\" here.", quote);
	}
}

json_t *spec_number(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}
