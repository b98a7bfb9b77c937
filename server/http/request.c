/* request.c - what a handler may ask of its request; see http.h. On the thread that runs the handler. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/inside.h"

void *http_app(const struct http_request *rq)
{
	return rq->srv->o.app;
}

const char *http_segment(const struct http_request *rq, const char *name)
{
	for (int i = 0; i < rq->nnamed; i++)
		if (strlen(name) == rq->named[i].size && memcmp(name, rq->named[i].name, rq->named[i].size) == 0)
			return rq->named[i].value;
	return NULL;
}

const char *http_query(const struct http_request *rq, const char *name)
{
	for (int i = 0; i < rq->nquery; i++)
		if (strcmp(rq->query[i].name, name) == 0)
			return rq->query[i].value;
	return NULL;
}

void http_query_only(const struct http_request *rq, const char *const *names, int n, struct problems *problems)
{
	for (int i = 0; i < rq->nquery; i++) {
		const char *given = rq->query[i].name;
		bool known = false;
		for (int j = 0; j < n && !known; j++)
			known = strcmp(given, names[j]) == 0;
		if (known)
			continue;
		const char *near = nearest_word(given, names, n);
		int shown = (int)whole_characters(given, 64);
		if (near)
			problems_add(problems, ERR_INVALID_QUERY, given,
				"There is no parameter \"%.*s\" here; did you mean \"%s\"?", shown, given, near);
		else
			problems_add(problems, ERR_INVALID_QUERY, given, "There is no parameter \"%.*s\" here.", shown,
				given);
	}
}

bool http_integer(const char *text, int64_t *ret)
{
	bool negative = *text == '-';
	int64_t value = 0;
	text += negative;
	if (!*text)
		return false;
	for (; *text; text++)
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(value, 10, &value) ||
			__builtin_sub_overflow(value, *text - '0', &value))
			return false;
	if (!negative && value == INT64_MIN)
		return false;
	*ret = negative ? value : -value;
	return true;
}

bool http_query_int(const struct http_request *rq, const char *name, int64_t min, int64_t max, int64_t *value,
	struct problems *problems)
{
	const char *text = http_query(rq, name);
	int64_t given = 0;
	if (!text)
		return true;
	if (!http_integer(text, &given) || given < min || given > max) {
		problems_add(problems, ERR_INVALID_QUERY, name, "\"%s\" must be an integer from %lld to %lld.", name,
			(long long)min, (long long)max);
		return false;
	}
	*value = given;
	return true;
}

const char *http_header(const struct http_request *rq, const char *name)
{
	return MHD_lookup_connection_value(rq->con, MHD_HEADER_KIND, name);
}

const json_t *http_json(const struct http_request *rq)
{
	return rq->json;
}

const char *http_body_bytes(const struct http_request *rq, size_t *ret_size)
{
	*ret_size = rq->bytes ? (size_t)rq->received : 0;
	return rq->bytes ? rq->bytes : "";
}

const char *http_upload_path(const struct http_request *rq)
{
	return rq->upload_path;
}

int64_t http_upload_size(const struct http_request *rq)
{
	return rq->received;
}

const struct http_identity *http_identity(const struct http_request *rq)
{
	return &rq->identity;
}

void http_identify(struct http_request *rq, const char *user, int scope)
{
	snprintf(rq->identity.user, sizeof(rq->identity.user), "%s", user);
	rq->identity.scope = scope;
}

void http_identify_token(struct http_request *rq, const char *token, double expires_at)
{
	snprintf(rq->identity.token, sizeof(rq->identity.token), "%s", token);
	rq->identity.expires_at = expires_at;
}

int64_t http_declared_size(const struct http_request *rq)
{
	return rq->declared;
}

void http_file_room(struct http_request *rq, int64_t bytes, enum error_code refusal)
{
	rq->room.set = true;
	rq->room.bytes = bytes > 0 ? bytes : 0;
	rq->room.refusal = refusal;
}

bool http_peer_uid(const struct http_request *rq, unsigned *ret_uid)
{
	if (rq->conn->uid < 0)
		return false;
	*ret_uid = (unsigned)rq->conn->uid;
	return true;
}
