/* exposition.c - /metrics in Prometheus' text format 0.0.4: the queue, HTTP and the process. Names end in their unit.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/answer.h"
#include "api/handlers.h"
#include "base/sink.h"

enum { LEASES_MAX = 128 };

static void head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(FILE *out, const char *name, const char *type, const char *help, double value)
{
	head(out, name, type, help);
	fprintf(out, "%s %.17g\n", name, value);
}

static void write_jobs(FILE *out, const struct api *api)
{
	struct job_counts counts;
	if (store_job_counts(api->store, &counts) != STORE_OK)
		return;
	head(out, "backpropd_jobs", "gauge", "Jobs by status.");
	for (int i = 0; i < JOB_STATUS_COUNT; i++)
		fprintf(out, "backpropd_jobs{status=\"%s\"} %lld\n", job_status_name((enum job_status)i),
			(long long)counts.by_status[i]);
	one(out, "backpropd_memory_reserved_bytes", "gauge", "Memory that running jobs were planned to need.",
		(double)counts.reserved_bytes);
	one(out, "backpropd_memory_limit_bytes", "gauge", "Memory that running jobs may need together.",
		(double)api->memory_limit);
	one(out, "backpropd_workers", "gauge", "Jobs that may train at the same time.", api->workers);
	one(out, "backpropd_threads", "gauge", "Threads that jobs may use.", api->threads);
	struct lease_view leases[LEASES_MAX];
	int n = leases_list(api->leases, leases, LEASES_MAX), held = 0;
	for (int i = 0; i < n; i++)
		held += leases[i].threads;
	one(out, "backpropd_threads_leased", "gauge", "Threads that jobs hold at the moment.", held);
	one(out, "backpropd_leases", "gauge", "Jobs that hold threads or wait for their first.", n);
}

static void write_kept(FILE *out, const struct api *api)
{
	struct keep_totals n;
	if (store_keep_totals(api->store, &n) != STORE_OK)
		return;
	head(out, "backpropd_retention_removed_total", "counter", "What retention has removed.");
	fprintf(out,
		"backpropd_retention_removed_total{what=\"jobs\"} %lld\n"
		"backpropd_retention_removed_total{what=\"checkpoints\"} %lld\n"
		"backpropd_retention_removed_total{what=\"datasets\"} %lld\n"
		"backpropd_retention_removed_total{what=\"uploads\"} %lld\n",
		(long long)n.jobs, (long long)n.weights, (long long)n.datasets, (long long)n.uploads);
	one(out, "backpropd_retention_removed_bytes_total", "counter", "Their bytes.", (double)n.bytes);
}

static void write_http(FILE *out, const struct http_server *http)
{
	struct http_stats stats;
	http_stats(http, &stats);
	one(out, "backpropd_http_requests_total", "counter", "Requests.", (double)stats.requests_total);
	head(out, "backpropd_http_responses_total", "counter", "Responses by class of status.");
	for (int i = 1; i < 6; i++)
		fprintf(out, "backpropd_http_responses_total{class=\"%dxx\"} %lld\n", i,
			(long long)stats.responses_by_class[i]);
	one(out, "backpropd_http_connections", "gauge", "Open connections.", (double)stats.connections);
	one(out, "backpropd_http_streams", "gauge", "Open event streams.", (double)stats.streams);
	one(out, "backpropd_http_received_bytes_total", "counter", "Bytes of bodies received.", (double)stats.bytes_in);
	one(out, "backpropd_http_sent_bytes_total", "counter", "Bytes of bodies sent.", (double)stats.bytes_out);
	one(out, "backpropd_http_timeouts_total", "counter", "Connections cut off at a deadline.",
		(double)stats.timeouts);
	one(out, "backpropd_http_refused_total", "counter", "Malformed requests refused.", (double)stats.guard_refused);
}

static void write_process(FILE *out, const struct api *api)
{
	struct rusage usage;
	long long pages = 0, resident = 0;
	FILE *statm = fopen("/proc/self/statm", "re");
	if (statm) {
		if (fscanf(statm, "%lld %lld", &pages, &resident) == 2)
			one(out, "process_resident_memory_bytes", "gauge", "Resident memory.",
				(double)resident * (double)sysconf(_SC_PAGESIZE));
		fclose(statm);
	}
	if (getrusage(RUSAGE_SELF, &usage) == 0)
		one(out, "process_cpu_seconds_total", "counter", "Processor time, user and system.",
			(double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
				1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec));
	one(out, "process_start_time_seconds", "gauge", "When the process started, in unix seconds.", api->started_at);
}

void api_exposition(struct http_request *rq)
{
	const struct api *api = answer_api(rq);
	char *text = NULL;
	size_t size = 0;
	struct sink sink;
	FILE *out = sink_open(&sink);
	if (!out) {
		http_reply_json(rq, 500, NULL);
		return;
	}
	head(out, "backpropd_info", "gauge", "The version, as a label.");
	fprintf(out, "backpropd_info{version=\"%s\"} 1\n", BACKPROPD_VERSION);
	write_jobs(out, api);
	write_kept(out, api);
	if (api->http)
		write_http(out, api->http);
	write_process(out, api);
	if (!sink_close(&sink, out, &text, &size)) {
		http_reply_json(rq, 500, NULL);
		return;
	}
	http_reply_bytes(rq, 200, "text/plain; version=0.0.4; charset=utf-8", text, size);
}
