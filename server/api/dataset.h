/* dataset.h - what the files about data sets share. */
#ifndef API_DATASET_H
#define API_DATASET_H

#include "api/answer.h"
#include "ingest/ingest.h"

/* A data set as shown; files: the uploaded ones of a data set that is still being received, else NULL. */
json_t *dataset_json(const struct dataset_row *row, const struct dataset_file_row *files, int nfiles);
/* The data set of the route's {name}; false when it has replied. With ready also a 409 while it is being received. */
bool dataset_find(struct http_request *rq, bool ready, struct dataset_row *ret);
/* By id or by its name among the user's; NOT_FOUND too for what the request may not see. */
enum store_status dataset_get(const struct http_request *rq, const char *name_or_id, struct dataset_row *ret);
/* Adds "unknown_name" under param, with the nearest name of a data set that exists. */
void dataset_unknown(const struct http_request *rq, const char *name, const char *param, struct problems *problems);
/* Rows of a stored data set (packed_read). False, with a line in the log, when they cannot be read. */
bool dataset_rows(const struct http_request *rq, const struct dataset_row *row, int split, int64_t first, int64_t n,
	struct packed_rows *ret);

#endif
