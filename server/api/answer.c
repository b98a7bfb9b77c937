/* answer.c - see answer.h. */
#include "api/answer.h"

#include <stdio.h>
#include <string.h>

#include "api/auth.h"
#include "base/jsonmem.h"

struct api *answer_api(const struct http_request *rq)
{
	return http_app(rq);
}

bool answer_refused(struct http_request *rq, const struct problems *problems)
{
	if (!problems_any(problems))
		return false;
	http_reply_problems(rq, problems);
	return true;
}

void answer_store(struct http_request *rq, enum store_status st, const char *what, const char *conflict_detail)
{
	switch (st) {
	case STORE_NOT_FOUND:
		http_reply_error(rq, ERR_NOT_FOUND, "", "There is no such %s.", what);
		return;
	case STORE_CONFLICT:
		http_reply_error(rq, ERR_CONFLICT, "", "%s", conflict_detail);
		return;
	case STORE_STALE:
		http_reply_error(rq, ERR_PRECONDITION_FAILED, "If-Match", "The %s is at another version.", what);
		return;
	case STORE_FULL:
		http_reply_error(rq, ERR_STORAGE_FULL, "", "The server's disk is full; nothing was changed.");
		return;
	case STORE_MANY:
		http_reply_header(rq, "Retry-After", "30");
		http_reply_error(rq, ERR_TOO_MANY, "", "%s", conflict_detail);
		return;
	case STORE_OK:
	case STORE_ERROR:
		break;
	}
	http_reply_error(rq, ERR_INTERNAL, "", "The server's database failed.");
}

json_t *answer_list(json_t *data, bool has_more)
{
	return json_pack("{s:s, s:o, s:b}", "object", "list", "data", data, "has_more", (int)has_more);
}

json_t *answer_time(double t)
{
	return t > 0 ? json_real(t) : json_null();
}

json_t *answer_stored(const char *text)
{
	return text ? jsonmem_loads(text, JSON_DECODE_ANY, NULL) : json_null();
}

bool answer_query_refused(struct http_request *rq)
{
	struct problems problems = {0};
	http_query_only(rq, NULL, 0, &problems);
	return answer_refused(rq, &problems);
}

void answer_page(const struct http_request *rq, struct page *ret, struct problems *problems)
{
	int64_t limit = LIST_DEFAULT;
	http_query_int(rq, "limit", 1, LIST_MAX, &limit, problems);
	*ret = (struct page){.limit = (int)limit, .owner = auth_owner(rq), .after = http_query(rq, "after")};
}

void answer_query_bool(const struct http_request *rq, const char *name, bool *value, struct problems *problems)
{
	const char *text = http_query(rq, name);
	if (!text)
		return;
	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
		problems_add(problems, ERR_INVALID_QUERY, name, "%s must be true or false.", name);
		return;
	}
	*value = strcmp(text, "true") == 0;
}

int answer_query_word(
	const struct http_request *rq, const char *name, const char *const *words, int n, struct problems *problems)
{
	const char *text = http_query(rq, name);
	if (!text)
		return 0;
	char all[200] = "";
	for (int i = 0; i < n; i++) {
		if (strcmp(text, words[i]) == 0)
			return i;
		size_t used = strlen(all);
		snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", words[i]);
	}
	problems_add(problems, ERR_INVALID_QUERY, name, "%s must be one of: %s.", name, all);
	return 0;
}

void answer_path(const struct api *api, const char *folder, const char *name, char ret[PATH_SIZE])
{
	snprintf(ret, PATH_SIZE, "%s/%s%s%s", api->state_dir, folder, name ? "/" : "", name ? name : "");
}

void answer_ring(struct api *api, const char *job_id)
{
	hub_ring(api->hub, job_id);
	hub_ring(api->hub, HUB_JOBS);
	hub_ring(api->hub, HUB_QUEUE);
}
