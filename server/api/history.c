/* history.c - see history.h. */
#include "api/history.h"
#include "base/jsonmem.h"

#include <stdlib.h>

enum { STRIDE = 200 };

enum store_status history_read(struct store *s, const char *job_id, int64_t since_seq,
	bool (*each)(void *user, const struct history_epoch *epoch), void *user, int64_t *ret_last)
{
	bool more = true;
	*ret_last = since_seq;
	while (more) {
		struct event_row *rows = NULL;
		int n = 0;
		enum store_status st = store_event_list(s, job_id, *ret_last, "epoch", STRIDE, &rows, &n);
		if (st != STORE_OK)
			return st;
		more = n == STRIDE;
		for (int i = 0; i < n; i++) {
			json_t *data = jsonmem_loads(rows[i].data, 0, NULL);
			struct history_epoch epoch = {.seq = rows[i].seq,
				.epoch = (int)json_integer_value(json_object_get(data, "epoch")),
				.data = data};
			if (data && !each(user, &epoch))
				more = false;
			*ret_last = rows[i].seq;
			json_decref(data);
			event_row_done(&rows[i]);
		}
		free(rows);
	}
	return STORE_OK;
}
