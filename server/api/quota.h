/* quota.h - how much of the disk a user may take: uploads on their way count before they are rows. Event threads. */
#ifndef API_QUOTA_H
#define API_QUOTA_H

#include "api/answer.h"

/* Part of admitting an upload: leaves it the room that its user has left. */
void quota_admit(struct http_request *rq);
/* For http_options.over: it counts no longer. */
void quota_over(struct http_request *rq);
/* Replies that what was uploaded is more than the user has room for. */
void quota_refuse(struct http_request *rq);
/* What the user takes and may take, for /v1/whoami. New reference; NULL when the database fails. */
json_t *quota_json(struct http_request *rq);

#endif
