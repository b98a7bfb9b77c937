/* job.h - what the files about jobs share. */
#ifndef API_JOB_H
#define API_JOB_H

#include "api/answer.h"

/* A job as shown. history: JSON text or NULL. */
json_t *job_json(const struct api *api, const struct job_row *row, const char *history);
/* As in lists: without its model, its training and its history of statuses. */
json_t *job_json_brief(const struct api *api, const struct job_row *row);
/* Where a queued job stands, and why it waits. */
json_t *job_place_json(const struct job_place *place);
/* Seconds that workers had it, up to now. */
double job_runtime(const struct job_row *row);
/* Its resolved spec, with the learning rate and the epochs of now. New reference. */
json_t *job_spec_json(const struct job_row *row);
/* The job of the route's {id}; false when it has replied. */
bool job_find(struct http_request *rq, struct job_row *ret);
/* Replies with the row in full, with its ETag. */
void job_reply_row(struct http_request *rq, int status, const struct job_row *row);
/* The version that the request's If-Match asks for, that of the row; -1: it asks for none. False when it can match no
 * version: replied with 412. */
bool job_version_wanted(struct http_request *rq, const struct job_row *row, int64_t *ret);
/* Checks the body of a submission and queues it, or shows it with dry_run; replies in any case. An Idempotency-Key
 * belongs to the bytes of the request and to what it was sent to: from, "" or the id of the job that is cloned. */
void job_submit(struct http_request *rq, const json_t *body, const char *from);
/* Reads the job anew and replies with it in full, with its ETag. */
void job_reply(struct http_request *rq, int status, const char *id);

#endif
