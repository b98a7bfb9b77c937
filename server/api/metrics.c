/* metrics.c - a job's metrics by epoch: in columns for charts, as CSV for tables; and the health of its layers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/columns.h"
#include "api/handlers.h"
#include "api/history.h"
#include "api/job.h"
#include "base/sink.h"
#include "spec/spec.h"

static const char *const metric_names[] = {"loss", "accuracy", "val_loss", "val_accuracy", "lr", "grad_norm",
	"grad_norm_clipped", "seconds", "samples_per_second"};
enum { NMETRICS = sizeof metric_names / sizeof metric_names[0], POINTS_DEFAULT = 2000, POINTS_MAX = 100000 };
enum { POINTS_MIN = 2 + 2 * NMETRICS }; /* the two ends and the extremes of each metric */

struct metrics {
	struct columns columns;
	json_t *nonfinite; /* [{"epoch":3,"loss":"nan"}] */
};

static bool add_epoch(void *user, const struct history_epoch *epoch)
{
	struct metrics *m = user;
	double *row = columns_add(&m->columns, epoch->epoch);
	if (!row)
		return false;
	for (int k = 0; k < NMETRICS; k++) {
		const json_t *v = json_object_get(epoch->data, metric_names[k]);
		if (json_is_number(v))
			row[k] = json_number_value(v);
	}
	json_t *nonfinite = json_object_get(epoch->data, "nonfinite");
	if (json_is_object(nonfinite) && json_array_size(m->nonfinite) < LIST_MAX) {
		json_t *entry = json_pack("{s:i}", "epoch", epoch->epoch);
		json_object_update_missing(entry, nonfinite);
		json_array_append_new(m->nonfinite, entry);
	}
	return true;
}

static void reply_csv(struct http_request *rq, const struct columns *c)
{
	char *text = NULL;
	size_t size = 0;
	struct sink sink;
	FILE *out = sink_open(&sink);
	if (!out) {
		http_reply_json(rq, 500, NULL);
		return;
	}
	fputs("epoch", out);
	for (int k = 0; k < NMETRICS; k++)
		fprintf(out, ",%s", metric_names[k]);
	for (int i = 0; i < c->rows; i++) {
		fprintf(out, "\n%d", c->epochs[i]);
		for (int k = 0; k < NMETRICS; k++) {
			double v = c->values[i * NMETRICS + k];
			if (isnan(v))
				fputc(',', out);
			else
				fprintf(out, ",%.9g", v);
		}
	}
	fputc('\n', out);
	if (!sink_close(&sink, out, &text, &size)) {
		http_reply_json(rq, 500, NULL);
		return;
	}
	http_reply_bytes(rq, 200, "text/csv; charset=utf-8", text, size);
}

static json_t *series_json(const struct columns *c, int k)
{
	json_t *list = json_array();
	for (int i = 0; i < c->rows; i++)
		json_array_append_new(list, spec_number(c->values[i * NMETRICS + k]));
	return list;
}

static void reply_columns(struct http_request *rq, const char *id, const struct metrics *m, int64_t last_seq)
{
	json_t *names = json_array(), *x = json_array(), *series = json_object();
	for (int k = 0; k < NMETRICS; k++) {
		json_array_append_new(names, json_string(metric_names[k]));
		json_object_set_new(series, metric_names[k], series_json(&m->columns, k));
	}
	for (int i = 0; i < m->columns.rows; i++)
		json_array_append_new(x, json_integer(m->columns.epochs[i]));
	http_reply_json(rq, 200,
		json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:O, s:I}", "object", "metrics", "job_id", id, "x_name",
			"epoch", "x", x, "names", names, "series", series, "nonfinite", m->nonfinite, "last_seq",
			(json_int_t)last_seq));
}

void api_job_metrics(struct http_request *rq)
{
	static const char *const names[] = {"since_seq", "max_points", "format"};
	static const char *const formats[] = {"json", "csv"}, *const types[] = {"application/json", "text/csv"};
	struct problems problems = {0};
	int64_t since = 0, points = POINTS_DEFAULT, last = 0;
	http_query_only(rq, names, 3, &problems);
	http_query_int(rq, "since_seq", 0, INT64_MAX, &since, &problems);
	http_query_int(rq, "max_points", POINTS_MIN, POINTS_MAX, &points, &problems);
	int format = answer_query_word(rq, "format", formats, 2, &problems);
	if (!http_query(rq, "format") && (format = http_accept(rq, types, 2)) < 0)
		problems_add(&problems, ERR_NOT_ACCEPTABLE, "Accept", "Metrics come as application/json or text/csv.");
	struct job_row row;
	if (answer_refused(rq, &problems) || !job_find(rq, &row))
		return;
	struct metrics m = {.nonfinite = json_array()};
	columns_init(&m.columns, NMETRICS, (int)points);
	enum store_status st = history_read(answer_api(rq)->store, row.id, since, add_epoch, &m, &last);
	if (st != STORE_OK)
		answer_store(rq, st, "job", "");
	else if (!columns_finish(&m.columns))
		http_reply_json(rq, 500, NULL);
	else if (format == 1)
		reply_csv(rq, &m.columns);
	else
		reply_columns(rq, row.id, &m, last);
	columns_done(&m.columns);
	json_decref(m.nonfinite);
	job_row_done(&row);
}

/* The newest epochs' layers; older ones fall out at the front. */
struct layers {
	json_t *data;
	size_t limit;
	bool dropped;
};

static bool add_layers(void *user, const struct history_epoch *epoch)
{
	struct layers *l = user;
	json_t *layers = json_object_get(epoch->data, "layers");
	while (json_array_size(l->data) > 0) { /* an epoch that was trained again after a restart */
		size_t end = json_array_size(l->data) - 1;
		if (json_integer_value(json_object_get(json_array_get(l->data, end), "epoch")) < epoch->epoch)
			break;
		json_array_remove(l->data, end);
	}
	json_array_append_new(l->data,
		json_pack("{s:I, s:i, s:O?}", "seq", (json_int_t)epoch->seq, "epoch", epoch->epoch, "layers", layers));
	if (json_array_size(l->data) > l->limit) {
		json_array_remove(l->data, 0);
		l->dropped = true;
	}
	return true;
}

/*
 * Where to begin so that limit epochs follow: events are dense, and beside its epoch event an epoch has a checkpoint
 * and at most a few progress events; so look further and further back.
 */
static int64_t layers_start(struct store *s, const struct job_row *row, int64_t since, int limit)
{
	for (int64_t window = 4 * (int64_t)limit + 16;; window *= 4) {
		int64_t after = row->last_seq - window;
		if (after <= since)
			return since;
		struct event_row *events = NULL;
		int n = 0;
		if (store_event_list(s, row->id, after, "epoch", limit + 1, &events, &n) != STORE_OK)
			return since;
		for (int i = 0; i < n; i++)
			event_row_done(&events[i]);
		free(events);
		if (n > limit)
			return after;
	}
}

void api_job_layers(struct http_request *rq)
{
	struct problems problems = {0};
	int64_t since = 0, limit = LIST_DEFAULT, last = 0;
	http_query_only(rq, (const char *const[]){"since_seq", "limit"}, 2, &problems);
	http_query_int(rq, "since_seq", 0, INT64_MAX, &since, &problems);
	http_query_int(rq, "limit", 1, LIST_MAX, &limit, &problems);
	struct job_row row;
	if (answer_refused(rq, &problems) || !job_find(rq, &row))
		return;
	struct store *s = answer_api(rq)->store;
	struct layers layers = {.data = json_array(), .limit = (size_t)limit};
	int64_t start = layers_start(s, &row, since, (int)limit);
	enum store_status st = history_read(s, row.id, start, add_layers, &layers, &last);
	if (st == STORE_OK) {
		json_t *list = answer_list(layers.data, layers.dropped);
		if (list)
			json_object_set_new(list, "last_seq", json_integer((json_int_t)(last > since ? last : since)));
		http_reply_json(rq, 200, list);
	} else {
		json_decref(layers.data);
		answer_store(rq, st, "job", "");
	}
	job_row_done(&row);
}
