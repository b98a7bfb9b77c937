/* quota.c - see quota.h. What is stored is summed by the database (disk_use); what is still coming is listed here. */
#include "api/quota.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/auth.h"

/* One user's uploads that are on their way, by the sizes that they declared. */
struct pending {
	struct pending *next;
	int uploads;
	int64_t bytes;
	char user[USER_MAX + 1];
};

/* Under the lock. The place of the user's entry, or the end of the list. */
static struct pending **find(struct api *api, const char *user)
{
	struct pending **at = &api->pending;
	while (*at && strcmp((*at)->user, user) != 0)
		at = &(*at)->next;
	return at;
}

static int64_t declared(const struct http_request *rq)
{
	int64_t bytes = http_declared_size(rq);
	return bytes > 0 ? bytes : 0;
}

/* Adds the upload; the bytes of the user's others. Without memory for the entry they are not known. */
static int64_t pending_add(struct api *api, const char *user, int64_t bytes)
{
	pthread_mutex_lock(&api->pending_lock);
	struct pending **at = find(api, user);
	int64_t others = *at ? (*at)->bytes : 0;
	if (!*at && (*at = calloc(1, sizeof **at)))
		snprintf((*at)->user, sizeof(*at)->user, "%s", user);
	if (*at) {
		(*at)->uploads++;
		(*at)->bytes += bytes;
	}
	pthread_mutex_unlock(&api->pending_lock);
	return others;
}

void quota_admit(struct http_request *rq)
{
	struct api *api = answer_api(rq);
	if (api->config->max_disk_mb_per_user == 0)
		return;
	int64_t others = pending_add(api, auth_user(rq), declared(rq));
	http_file_room(rq, store_disk_left(api->store, auth_user(rq)) - others, ERR_QUOTA_EXCEEDED);
}

void quota_over(struct http_request *rq)
{
	struct api *api = answer_api(rq);
	pthread_mutex_lock(&api->pending_lock);
	struct pending **at = find(api, auth_user(rq)), *entry = *at;
	if (entry) {
		entry->bytes -= declared(rq);
		if (--entry->uploads == 0) {
			*at = entry->next;
			free(entry);
		}
	}
	pthread_mutex_unlock(&api->pending_lock);
}

void quota_refuse(struct http_request *rq)
{
	http_reply_error(rq, ERR_QUOTA_EXCEEDED, "",
		"With this you would take more of the disk than a user may (max_disk_mb_per_user): delete data sets or "
		"jobs.");
}

json_t *quota_json(struct http_request *rq)
{
	const struct api *api = answer_api(rq);
	struct disk_use use;
	int64_t limit = api->config->max_disk_mb_per_user << 20;
	if (store_disk_use(api->store, auth_user(rq), &use) != STORE_OK)
		return NULL;
	return json_pack("{s:I, s:I, s:I, s:I, s:o}", "dataset_bytes", (json_int_t)use.datasets, "upload_bytes",
		(json_int_t)use.uploads, "checkpoint_bytes", (json_int_t)use.checkpoints, "total_bytes",
		(json_int_t)(use.datasets + use.uploads + use.checkpoints), "limit_bytes",
		limit ? json_integer((json_int_t)limit) : json_null());
}
