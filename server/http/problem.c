/* problem.c - problems as application/problem+json (RFC 9457). Any thread. */
#include <stdlib.h>
#include <string.h>

#include "base/jsonmem.h"
#include "http/inside.h"

/* Details may quote what a client sent, cut at any byte: what is not UTF-8 is shown as question marks. */
static json_t *text_json(const char *text)
{
	json_t *whole = json_string(text);
	if (whole)
		return whole;
	char *copy = strdup(text);
	for (char *p = copy; p && *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	json_t *json = copy ? json_string(copy) : NULL;
	free(copy);
	return json;
}

static bool add_text(json_t *to, const char *name, const char *text)
{
	return json_object_set_new(to, name, text_json(text)) == 0;
}

static json_t *problem_json(const struct problem *p)
{
	json_t *json = json_object();
	if (!json || !add_text(json, "code", error_info(p->code)->code) || !add_text(json, "param", p->param) ||
		!add_text(json, "detail", p->detail)) {
		json_decref(json);
		return NULL;
	}
	return json;
}

static json_t *problems_json(const struct http_request *rq, const struct problems *problems)
{
	const struct problem *first = &problems->list[0];
	const struct error_info *info = error_info(first->code);
	json_t *json = json_object(), *errors = json_array();
	bool ok = json && errors;
	for (int i = 0; ok && i < problems->count; i++)
		ok = json_array_append_new(errors, problem_json(&problems->list[i])) == 0;
	char type[96] = "urn:backpropd:error:";
	strncat(type, info->code, sizeof(type) - strlen(type) - 1);
	ok = ok && add_text(json, "type", type) && add_text(json, "title", info->title) &&
	     json_object_set_new(json, "status", json_integer(info->status)) == 0 &&
	     add_text(json, "code", info->code) && add_text(json, "detail", first->detail) &&
	     (!first->param[0] || add_text(json, "param", first->param)) &&
	     json_object_set(json, "errors", errors) == 0 &&
	     (!problems->more || json_object_set_new(json, "more", json_true()) == 0) &&
	     add_text(json, "request_id", rq->id);
	json_decref(errors);
	if (ok)
		return json;
	json_decref(json);
	return NULL;
}

bool problem_text(const struct http_request *rq, const struct problems *problems, char **ret, size_t *ret_size)
{
	json_t *json = problems->count > 0 ? problems_json(rq, problems) : NULL;
	char *text = json ? jsonmem_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	size_t size = text ? strlen(text) : 0;
	*ret = text ? realloc(text, size + 2) : NULL;
	if (!*ret) {
		free(text);
		return false;
	}
	memcpy(*ret + size, "\n", 2);
	*ret_size = size + 1;
	return true;
}
