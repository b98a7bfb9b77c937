/* system.c - what the server is, what can be asked of it, and whether it is well. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/answer.h"
#include "api/auth.h"
#include "api/handlers.h"
#include "base/clock.h"
#include "infer/infer.h"
#include "spec/spec.h"

enum { LEASES_MAX = 128 };

/* Paths are the administrator's business. */
static bool setting_private(const char *name)
{
	static const char *const names[] = {"state_dir", "unix_socket", "port_file"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static json_t *settings_json(const struct config *config)
{
	json_t *settings = json_object();
	for (int i = 0; i < config_count(); i++) {
		struct config_item item = config_item_at(config, i);
		if (!setting_private(item.name))
			json_object_set_new(settings, item.name,
				item.text ? json_string(item.text) : json_integer((json_int_t)item.number));
	}
	return settings;
}

static json_t *counts_json(const struct job_counts *counts)
{
	json_t *json = json_object();
	for (int i = 0; i < JOB_STATUS_COUNT; i++)
		json_object_set_new(
			json, job_status_name((enum job_status)i), json_integer((json_int_t)counts->by_status[i]));
	return json;
}

/* Who trains on how many threads; others' jobs have no id. */
static json_t *leases_json(const struct http_request *rq, const struct api *api)
{
	struct lease_view views[LEASES_MAX];
	json_t *list = json_array();
	int n = leases_list(api->leases, views, LEASES_MAX);
	for (int i = 0; i < n; i++)
		json_array_append_new(
			list, json_pack("{s:s?, s:s, s:i}", "job", auth_sees(rq, views[i].user) ? views[i].job : NULL,
				      "owner", views[i].user, "threads", views[i].threads));
	return list;
}

void api_system(struct http_request *rq)
{
	struct api *api = answer_api(rq);
	struct job_counts counts;
	if (answer_query_refused(rq))
		return;
	enum store_status st = store_job_counts(api->store, &counts);
	if (st != STORE_OK) {
		answer_store(rq, st, "system", "");
		return;
	}
	json_t *memory = json_pack("{s:I, s:I, s:I}", "machine_bytes",
		(json_int_t)sysconf(_SC_PHYS_PAGES) * (json_int_t)sysconf(_SC_PAGESIZE), "job_limit_bytes",
		(json_int_t)api->memory_limit, "reserved_bytes", (json_int_t)counts.reserved_bytes);
	http_reply_json(rq, 200,
		json_pack("{s:s, s:s, s:s, s:s, s:f, s:f, s:I, s:i, s:i, s:o, s:o, s:o, s:o}", "object", "system",
			"version", BACKPROPD_VERSION, "boot_id", api->boot_id, "isa", spec_isa(), "started_at",
			api->started_at, "uptime_seconds", clock_mono() - api->started_mono, "cores",
			(json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "threads", api->threads, "workers", api->workers,
			"leases", leases_json(rq, api), "memory", memory, "settings", settings_json(api->config),
			"jobs", counts_json(&counts)));
}

static json_t *errors_json(void)
{
	json_t *list = json_array();
	for (int i = 0; i < ERR_COUNT; i++) {
		const struct error_info *e = error_info((enum error_code)i);
		json_array_append_new(
			list, json_pack("{s:s, s:i, s:s}", "code", e->code, "status", e->status, "title", e->title));
	}
	return list;
}

static json_t *statuses_json(void)
{
	json_t *list = json_array();
	for (int i = 0; i < JOB_STATUS_COUNT; i++)
		json_array_append_new(list, json_pack("{s:s, s:b}", "name", job_status_name((enum job_status)i),
						    "terminal", (int)job_status_terminal((enum job_status)i)));
	return list;
}

static json_t *reasons_json(void)
{
	json_t *list = json_array();
	for (int i = 0; job_reason_at(i); i++)
		json_array_append_new(
			list, json_pack("{s:s, s:s}", "code", job_reason_at(i)->code, "help", job_reason_at(i)->help));
	return list;
}

static json_t *queue_reasons_json(void)
{
	json_t *list = json_array();
	for (int i = 0; i < ORDER_VERDICT_COUNT; i++)
		json_array_append_new(list, json_pack("{s:s, s:s}", "code", order_code((enum order_verdict)i), "help",
						    order_help((enum order_verdict)i)));
	return list;
}

static json_t *routes_json(void)
{
	json_t *list = json_array();
	for (int i = 0; i < api_nroutes; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "method", api_routes[i].method, "path",
						    api_routes[i].path, "summary", api_routes[i].summary, "scope",
						    scope_name((enum scope)api_routes[i].scope)));
	return list;
}

void api_catalog(struct http_request *rq)
{
	if (answer_query_refused(rq))
		return;
	json_t *formats = json_array();
	for (int i = 0; i < WEIGHTS_FORMAT_COUNT; i++)
		json_array_append_new(formats, json_string(weights_formats[i]));
	json_t *catalog = spec_catalog();
	json_t *more = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "object", "catalog", "errors", errors_json(),
		"job_statuses", statuses_json(), "status_reasons", reasons_json(), "queue_reasons",
		queue_reasons_json(), "routes", routes_json(), "weights_formats", formats);
	if (json_object_update(catalog, more) < 0) {
		json_decref(catalog);
		catalog = NULL;
	}
	json_decref(more);
	http_reply_json(rq, 200, catalog);
}

void api_healthz(struct http_request *rq)
{
	http_reply_json(rq, 200, json_pack("{s:s}", "status", "ok"));
}

void api_readyz(struct http_request *rq)
{
	struct api *api = answer_api(rq);
	struct job_counts counts;
	if (hub_closed(api->hub))
		http_reply_error(rq, ERR_UNAVAILABLE, "", "The server is stopping.");
	else if (store_job_counts(api->store, &counts) != STORE_OK)
		http_reply_error(rq, ERR_UNAVAILABLE, "", "The server's database does not answer.");
	else
		http_reply_json(rq, 200, json_pack("{s:s}", "status", "ready"));
}
