/* test_system.c - what the server tells of itself, and the dashboard. */
#include <stdlib.h>
#include <string.h>

#include "http/daemon.h"
#include "http/sample.h"
#include "http/talk.h"
#include "runner.h"

START_TEST(it_answers_on_a_free_port_and_stops_cleanly)
{
	struct daemon d;
	daemon_start(&d, NULL);
	json_t *health = talk_get(d.port, "/healthz"), *ready = talk_get(d.port, "/readyz");
	ck_assert_str_eq(talk_text(health, "status"), "ok");
	ck_assert_str_eq(talk_text(ready, "status"), "ready");
	json_decref(health);
	json_decref(ready);
	daemon_stop(&d);
	daemon_done(&d);
}
END_TEST

START_TEST(system_tells_version_threads_and_counts_but_no_path)
{
	struct daemon d;
	daemon_start(&d, (const char *const[]){"--threads=2", NULL});
	struct response r = request_get(d.port, "/v1/system");
	ck_assert_int_eq(r.status, 200);
	ck_assert_ptr_null(strstr(r.body, d.dir));
	json_t *system = json_loads(r.body, 0, NULL);
	ck_assert_uint_gt(strlen(talk_text(system, "version")), 0);
	ck_assert_int_eq(talk_int(system, "threads"), 2);
	ck_assert_uint_gt(strlen(talk_text(system, "isa")), 0);
	ck_assert_int_eq(talk_int(system, "jobs.queued"), 0);
	ck_assert_int_eq(talk_int(system, "settings.workers"), 0);
	ck_assert_int_eq(talk_int(system, "workers"), 2);
	ck_assert(json_is_array(talk_at(system, "leases")));
	ck_assert_int_gt(talk_int(system, "memory.job_limit_bytes"), 0);
	ck_assert(talk_number(system, "uptime_seconds") >= 0);
	json_decref(system);
	response_free(&r);
	daemon_done(&d);
}
END_TEST

static bool lists_name(const json_t *catalog, const char *kind, const char *name)
{
	const json_t *list = talk_at(catalog, kind);
	for (size_t i = 0; i < json_array_size(list); i++)
		if (strcmp(talk_text(json_array_get(list, i), "name"), name) == 0)
			return true;
	return false;
}

START_TEST(the_catalog_lists_what_can_be_asked_for)
{
	struct daemon d;
	daemon_start(&d, NULL);
	json_t *catalog = talk_get(d.port, "/v1/catalog");
	ck_assert(lists_name(catalog, "layers", "Conv2d"));
	ck_assert(lists_name(catalog, "losses", "CrossEntropyLoss"));
	ck_assert(lists_name(catalog, "optimizers", "AdamW"));
	ck_assert(lists_name(catalog, "schedulers", "CosineAnnealingLR"));
	ck_assert(lists_name(catalog, "augmentations", "RandomCrop"));
	ck_assert(lists_name(catalog, "job_statuses", "cancelling"));
	ck_assert_uint_gt(json_array_size(talk_at(catalog, "status_reasons")), 10);
	ck_assert_uint_gt(json_array_size(talk_at(catalog, "errors")), 20);
	json_decref(catalog);
	daemon_done(&d);
}
END_TEST

START_TEST(prometheus_reads_every_line_of_the_metrics)
{
	struct daemon d;
	daemon_start(&d, NULL);
	struct response r = request_get(d.port, "/metrics");
	ck_assert_int_eq(r.status, 200);
	ck_assert_ptr_nonnull(strstr(response_header(&r, "Content-Type"), "version=0.0.4"));
	ck_assert_ptr_nonnull(strstr(r.body, "\nbackpropd_jobs{status=\"queued\"} 0\n"));
	ck_assert_ptr_nonnull(strstr(r.body, "\nbackpropd_http_requests_total "));
	ck_assert_ptr_nonnull(strstr(r.body, "\nprocess_resident_memory_bytes "));
	char type[128] = "", *save = NULL;
	for (char *line = strtok_r(r.body, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "# TYPE ", 7) == 0)
			snprintf(type, sizeof type, "%.*s", (int)strcspn(line + 7, " "), line + 7);
		if (line[0] == '#')
			continue;
		size_t name = strcspn(line, "{ ");
		ck_assert_msg(strlen(type) == name && strncmp(line, type, name) == 0, "%s", line);
		char *end = NULL, *value = strrchr(line, ' ');
		strtod(value + 1, &end);
		ck_assert_msg(value[1] && !*end, "%s", line);
	}
	response_free(&r);
	daemon_done(&d);
}
END_TEST

START_TEST(the_dashboard_and_all_its_assets_are_served)
{
	struct daemon d;
	int assets = 0;
	daemon_start(&d, NULL);
	struct response page = request_get(d.port, "/");
	ck_assert_int_eq(page.status, 200);
	ck_assert_ptr_nonnull(strstr(response_header(&page, "Content-Type"), "text/html"));
	ck_assert_ptr_nonnull(strstr(response_header(&page, "Content-Security-Policy"), "default-src 'none'"));
	for (const char *p = page.body; (p = strstr(p, "\"/assets/")); assets++) {
		char target[128];
		snprintf(target, sizeof target, "%.*s", (int)strcspn(p + 1, "\""), p + 1);
		struct response r = request_get(d.port, target);
		ck_assert_msg(r.status == 200 && r.size > 0, "%s: %d", target, r.status);
		response_free(&r);
		p++;
	}
	ck_assert_int_gt(assets, 2);
	response_free(&page);
	struct response missing = request_get(d.port, "/assets/missing.js");
	talk_problem(&missing, 404, "not_found", "");
	response_free(&missing);
	daemon_done(&d);
}
END_TEST

START_TEST(an_asset_that_is_known_is_not_sent_again)
{
	struct daemon d;
	char header[160];
	daemon_start(&d, NULL);
	struct response first = request_get(d.port, "/openapi.json");
	snprintf(header, sizeof header, "If-None-Match: %s\r\n", response_header(&first, "ETag"));
	struct response again = request_do(d.port, "GET", "/openapi.json", header, NULL, 0);
	ck_assert_int_eq(first.status, 200);
	ck_assert_int_eq(again.status, 304);
	ck_assert_uint_eq(again.size, 0);
	response_free(&first);
	response_free(&again);
	daemon_done(&d);
}
END_TEST

START_TEST(the_queue_runs_by_priority_and_says_what_jobs_wait_for)
{
	struct daemon d;
	char first[64], low[64], high[64];
	daemon_start(&d, (const char *const[]){"--workers=1", NULL});
	sample_upload(d.port, "quarters", 512, 0);
	sample_submit(d.port, "quarters", "\"epochs\":100000", first);
	sample_wait_epoch(d.port, first, 1);
	sample_submit(d.port, "quarters", "\"epochs\":1", low);
	char *body = NULL;
	ck_assert_int_gt(asprintf(&body, "{\"dataset\":\"quarters\",\"model\":%s,\"priority\":90}", sample_model()), 0);
	json_t *job = talk(d.port, "POST", "/v1/jobs", body, 201);
	snprintf(high, sizeof high, "%s", talk_text(job, "id"));
	json_t *queue = talk_get(d.port, "/v1/queue");
	ck_assert_int_eq(talk_int(queue, "running"), 1);
	ck_assert_int_eq(talk_int(queue, "queued"), 2);
	ck_assert_str_eq(talk_text(queue, "data.0.id"), high);
	ck_assert_int_eq(talk_int(queue, "data.0.position"), 1);
	ck_assert_str_eq(talk_text(queue, "data.0.reason"), "waiting_for_cores");
	ck_assert_str_eq(talk_text(queue, "data.1.id"), low);
	ck_assert_str_eq(talk_text(queue, "data.1.reason"), "waiting_in_queue");
	double starts = talk_number(queue, "data.0.starts_in_seconds");
	ck_assert_double_gt(starts, 0); /* the first has many epochs left */
	ck_assert_double_gt(talk_number(queue, "data.0.eta_seconds"), starts);
	ck_assert_double_eq_tol(
		talk_number(queue, "data.1.starts_in_seconds"), talk_number(queue, "data.0.eta_seconds"), 1e-6);
	json_decref(queue);
	json_decref(job);
	free(body);
	daemon_done(&d);
}
END_TEST

TEST_SUITE(system, 60)
{
	tcase_add_test(tc, it_answers_on_a_free_port_and_stops_cleanly);
	tcase_add_test(tc, system_tells_version_threads_and_counts_but_no_path);
	tcase_add_test(tc, the_catalog_lists_what_can_be_asked_for);
	tcase_add_test(tc, prometheus_reads_every_line_of_the_metrics);
	tcase_add_test(tc, the_dashboard_and_all_its_assets_are_served);
	tcase_add_test(tc, an_asset_that_is_known_is_not_sent_again);
	tcase_add_test(tc, the_queue_runs_by_priority_and_says_what_jobs_wait_for);
}
