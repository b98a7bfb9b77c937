/*
 * answer.h - what handlers of all resources say in the same way: lists, refusals, queries, paths of state files.
 * Any thread that runs a handler.
 */
#ifndef API_ANSWER_H
#define API_ANSWER_H

#include "api/api.h"

enum { PATH_SIZE = 1024, WAIT_MAX = 60, LIST_DEFAULT = 20, LIST_MAX = 1000 };

struct api *answer_api(const struct http_request *rq);

/* Replies with the problems, if there are any: true. */
bool answer_refused(struct http_request *rq, const struct problems *problems);
/* Replies for a store status that is not STORE_OK; CONFLICT becomes a 409 with that detail,
 * MANY a 429. */
void answer_store(struct http_request *rq, enum store_status st, const char *what, const char *conflict_detail);
/* {"object":"list","data":[...],"has_more":...}; steals data. NULL when out of memory. */
json_t *answer_list(json_t *data, bool has_more);

/* A time as a JSON number; 0 (not yet) is null. New reference. */
json_t *answer_time(double t);
/* Stored JSON text parsed; NULL text is null. NULL when it does not parse. New reference. */
json_t *answer_stored(const char *text);

/* For a route without query parameters: replies when there is one anyway: true. */
bool answer_query_refused(struct http_request *rq);
/* limit and after of a list, of what the request may see. */
void answer_page(const struct http_request *rq, struct page *ret, struct problems *problems);
/* A true|false query parameter; *value keeps its default when absent. */
void answer_query_bool(const struct http_request *rq, const char *name, bool *value, struct problems *problems);
/* A query parameter that is one of n words: its index; absent: 0; another: 0 with a problem. */
int answer_query_word(
	const struct http_request *rq, const char *name, const char *const *words, int n, struct problems *problems);

/* <state_dir>/<folder>/<name>; name NULL: the folder. name comes from the store or from an id, never from a client. */
void answer_path(const struct api *api, const char *folder, const char *name, char ret[PATH_SIZE]);

/* Rings everyone who may wait for a change of the job, after the commit. */
void answer_ring(struct api *api, const char *job_id);

#endif
