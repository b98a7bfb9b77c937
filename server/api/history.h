/*
 * history.h - the "epoch" events of a job, read in order. Slow threads only: a long job has thousands.
 */
#ifndef API_HISTORY_H
#define API_HISTORY_H

#include "api/api.h"

struct history_epoch {
	int64_t seq;
	int epoch;
	const json_t *data; /* the event's, borrowed for the call */
};
/* Calls each for every epoch after since_seq, oldest first, until it answers false. An epoch comes twice when the job
 * went back to a checkpoint: the later one counts. *ret_last: the newest seq seen, or since_seq. */
enum store_status history_read(struct store *s, const char *job_id, int64_t since_seq,
	bool (*each)(void *user, const struct history_epoch *epoch), void *user, int64_t *ret_last);

#endif
