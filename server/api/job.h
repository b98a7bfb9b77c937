/* job.h - what the files about jobs share. */
#ifndef API_JOB_H
#define API_JOB_H

#include "api/answer.h"

/* A job as shown. Short (in lists): without its model and its history of statuses. history: JSON text or NULL. */
json_t *job_json(const struct job_row *row, bool brief, const char *history);
/* The job of the route's {id}; false when it has replied. */
bool job_find(struct http_request *rq, struct job_row *ret);
/* Reads the job anew and replies with it in full, with its ETag. */
void job_reply(struct http_request *rq, int status, const char *id);

#endif
