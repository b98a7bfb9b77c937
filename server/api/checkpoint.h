/* checkpoint.h - from a job's checkpoint to its loaded net; shared by weights and predictions. Slow threads only. */
#ifndef API_CHECKPOINT_H
#define API_CHECKPOINT_H

#include "api/api.h"
#include "infer/infer.h"

json_t *checkpoint_json(const struct checkpoint_row *row);
/* which: "best", "last" or an epoch; NULL: the best, or the last when none is the best yet. NULL with problems.
 * *ret_row is filled on success and the caller's. */
struct infer *checkpoint_open(struct api *api, const struct job_row *job, const char *which,
	struct checkpoint_row *ret_row, struct problems *problems);

#endif
