/* test_checkpoint.c - checkpoints, weights as files, metrics in columns and the health of layers over HTTP. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/daemon.h"
#include "http/sample.h"
#include "http/talk.h"
#include "runner.h"

static void finished_job(struct daemon *d, int epochs, char id[64])
{
	char training[96];
	daemon_start(d, (const char *const[]){"--keep-checkpoints=2", NULL});
	sample_upload(d->port, "quarters", 256, 50);
	snprintf(training, sizeof training, "\"epochs\":%d,\"clip_grad_norm\":0.5", epochs);
	sample_submit(d->port, "quarters", training, id);
	json_decref(sample_wait(d->port, id, "succeeded"));
}

static const char *job_target(const char *id, const char *rest, char buf[200])
{
	snprintf(buf, 200, "/v1/jobs/%s%s", id, rest);
	return buf;
}

START_TEST(the_newest_checkpoints_and_the_best_are_kept)
{
	struct daemon d;
	char id[64], target[200];
	int best = 0, last = 0;
	finished_job(&d, 6, id);
	json_t *list = talk_get(d.port, job_target(id, "/checkpoints", target));
	const json_t *data = talk_at(list, "data");
	ck_assert_int_eq(talk_int(list, "data.0.epoch"), 6);
	ck_assert(json_is_true(talk_at(list, "data.0.is_last")));
	for (size_t i = 0; i < json_array_size(data); i++) {
		const json_t *c = json_array_get(data, i);
		best += json_is_true(talk_at(c, "is_best"));
		last += json_is_true(talk_at(c, "is_last"));
		ck_assert_int_gt(talk_int(c, "bytes"), 0);
		ck_assert_int_eq(talk_int(c, "step"), talk_int(c, "epoch") * 4);
	}
	ck_assert_int_eq(best, 1);
	ck_assert_int_eq(last, 1);
	ck_assert_uint_le(json_array_size(data), 3);
	char folder[128];
	snprintf(folder, sizeof folder, "checkpoints/%s", id);
	ck_assert_int_eq(daemon_files(&d, folder), (int)json_array_size(data));
	json_decref(list);
	daemon_done(&d);
}
END_TEST

START_TEST(weights_are_safetensors_with_pytorch_names_and_shapes)
{
	struct daemon d;
	char id[64], target[200];
	finished_job(&d, 1, id);
	struct response r = request_get(d.port, job_target(id, "/checkpoints/last/weights", target));
	ck_assert_int_eq(r.status, 200);
	ck_assert_ptr_nonnull(strstr(response_header(&r, "Content-Disposition"), "-epoch1.safetensors\""));
	uint64_t size = 0;
	for (int i = 7; i >= 0; i--)
		size = size << 8 | (uint8_t)r.body[i];
	ck_assert_uint_lt(size, r.size);
	json_t *header = json_loadb(r.body + 8, size, 0, NULL);
	ck_assert_ptr_nonnull(header);
	static const char *const names[] = {"conv.weight", "conv.bias", "fc.weight", "fc.bias"};
	static const long long ends[] = {4 * 36, 4 * 4, 4 * 256, 4 * 4};
	for (int i = 0; i < 4; i++) {
		const json_t *t = json_object_get(header, names[i]);
		ck_assert_msg(t != NULL, "%s", names[i]);
		ck_assert_str_eq(talk_text(t, "dtype"), "F32");
		ck_assert_int_eq(talk_int(t, "data_offsets.1") - talk_int(t, "data_offsets.0"), ends[i]);
	}
	ck_assert_int_eq(
		json_integer_value(json_array_get(json_object_get(json_object_get(header, "conv.weight"), "shape"), 3)),
		3);
	json_decref(header);
	response_free(&r);
	daemon_done(&d);
}
END_TEST

START_TEST(weights_come_as_npz_too_and_in_no_other_format)
{
	struct daemon d;
	char id[64], target[200];
	finished_job(&d, 1, id);
	struct response r = request_get(d.port, job_target(id, "/checkpoints/1/weights?format=npz", target));
	ck_assert_int_eq(r.status, 200);
	ck_assert_int_eq(memcmp(r.body, "PK\3\4", 4), 0);
	response_free(&r);
	talk_refused(d.port, "GET", job_target(id, "/checkpoints/best/weights?format=pickle", target), NULL, 400,
		"invalid_query", "format");
	talk_refused(
		d.port, "GET", job_target(id, "/checkpoints/7/weights", target), NULL, 404, "not_found", "checkpoint");
	talk_refused(d.port, "GET", job_target(id, "/checkpoints/worst/weights", target), NULL, 404, "not_found",
		"checkpoint");
	daemon_done(&d);
}
END_TEST

START_TEST(metrics_are_columns_that_can_be_continued)
{
	struct daemon d;
	char id[64], target[200], more[64];
	finished_job(&d, 4, id);
	json_t *m = talk_get(d.port, job_target(id, "/metrics", target));
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(json_integer_value(json_array_get(talk_at(m, "x"), (size_t)i)), i + 1);
	const json_t *names = talk_at(m, "names");
	for (size_t i = 0; i < json_array_size(names); i++) {
		const json_t *series =
			json_object_get(talk_at(m, "series"), json_string_value(json_array_get(names, i)));
		ck_assert_uint_eq(json_array_size(series), 4);
		ck_assert(json_is_number(json_array_get(series, 3)));
	}
	ck_assert(talk_number(m, "series.grad_norm_clipped.0") <= 0.5 + 1e-6);
	snprintf(more, sizeof more, "/metrics?since_seq=%lld", talk_int(m, "last_seq"));
	json_t *rest = talk_get(d.port, job_target(id, more, target));
	ck_assert_uint_eq(json_array_size(talk_at(rest, "x")), 0);
	ck_assert_int_eq(talk_int(rest, "last_seq"), talk_int(m, "last_seq"));
	json_decref(m);
	json_decref(rest);
	daemon_done(&d);
}
END_TEST

START_TEST(metrics_are_csv_for_those_who_ask)
{
	struct daemon d;
	char id[64], target[200];
	int lines = 0, epoch = 0;
	finished_job(&d, 3, id);
	struct response r =
		request_do(d.port, "GET", job_target(id, "/metrics", target), "Accept: text/csv\r\n", NULL, 0);
	struct response same = request_get(d.port, job_target(id, "/metrics?format=csv", target));
	ck_assert_int_eq(r.status, 200);
	ck_assert_str_eq(r.body, same.body);
	ck_assert_int_eq(strncmp(r.body, "epoch,loss,accuracy,val_loss,", 29), 0);
	for (const char *p = r.body; *p; p = strchr(p, '\n') + 1, lines++)
		if (lines > 0) {
			ck_assert_int_eq(sscanf(p, "%d,", &epoch), 1);
			ck_assert_int_eq(epoch, lines);
		}
	ck_assert_int_eq(lines, 4);
	response_free(&r);
	response_free(&same);
	daemon_done(&d);
}
END_TEST

static void extremes(const json_t *series, double *low, double *high)
{
	*low = INFINITY;
	*high = -INFINITY;
	for (size_t i = 0; i < json_array_size(series); i++) {
		const json_t *v = json_array_get(series, i);
		if (!json_is_number(v))
			continue;
		*low = fmin(*low, json_number_value(v));
		*high = fmax(*high, json_number_value(v));
	}
}

START_TEST(thinned_metrics_keep_the_extremes_of_every_column)
{
	struct daemon d;
	char id[64], target[200];
	finished_job(&d, 120, id);
	json_t *all = talk_get(d.port, job_target(id, "/metrics", target));
	json_t *thin = talk_get(d.port, job_target(id, "/metrics?max_points=40", target));
	ck_assert_uint_eq(json_array_size(talk_at(all, "x")), 120);
	ck_assert_uint_le(json_array_size(talk_at(thin, "x")), 40);
	ck_assert_int_eq(talk_int(thin, "x.0"), 1);
	ck_assert_int_eq(
		json_integer_value(json_array_get(talk_at(thin, "x"), json_array_size(talk_at(thin, "x")) - 1)), 120);
	const json_t *names = talk_at(all, "names");
	for (size_t i = 0; i < json_array_size(names); i++) {
		double low[2], high[2];
		const char *name = json_string_value(json_array_get(names, i));
		extremes(json_object_get(talk_at(all, "series"), name), &low[0], &high[0]);
		extremes(json_object_get(talk_at(thin, "series"), name), &low[1], &high[1]);
		ck_assert_msg(low[0] == low[1] && high[0] == high[1], "%s", name);
	}
	json_decref(all);
	json_decref(thin);
	talk_refused(d.port, "GET", job_target(id, "/metrics?max_points=3", target), NULL, 400, "invalid_query",
		"max_points");
	daemon_done(&d);
}
END_TEST

START_TEST(layers_show_the_health_of_the_newest_epochs)
{
	struct daemon d;
	char id[64], target[200];
	finished_job(&d, 5, id);
	json_t *newest = talk_get(d.port, job_target(id, "/layers?limit=2", target));
	ck_assert_uint_eq(json_array_size(talk_at(newest, "data")), 2);
	ck_assert(json_is_true(talk_at(newest, "has_more")));
	ck_assert_int_eq(talk_int(newest, "data.1.epoch"), 5);
	ck_assert_str_eq(talk_text(newest, "data.1.layers.1.name"), "fc");
	ck_assert(talk_number(newest, "data.1.layers.1.grad_norm") > 0);
	ck_assert(talk_number(newest, "data.1.layers.1.weight_norm") > 0);
	ck_assert(talk_number(newest, "data.1.layers.1.update_ratio") > 0);
	ck_assert_int_eq(talk_int(newest, "data.1.layers.1.nonfinite"), 0);
	json_t *all = talk_get(d.port, job_target(id, "/layers", target));
	ck_assert_uint_eq(json_array_size(talk_at(all, "data")), 5);
	ck_assert(json_is_false(talk_at(all, "has_more")));
	json_decref(newest);
	json_decref(all);
	daemon_done(&d);
}
END_TEST

TEST_SUITE(checkpoint, 60)
{
	tcase_add_test(tc, the_newest_checkpoints_and_the_best_are_kept);
	tcase_add_test(tc, weights_are_safetensors_with_pytorch_names_and_shapes);
	tcase_add_test(tc, weights_come_as_npz_too_and_in_no_other_format);
	tcase_add_test(tc, metrics_are_columns_that_can_be_continued);
	tcase_add_test(tc, metrics_are_csv_for_those_who_ask);
	tcase_add_test(tc, thinned_metrics_keep_the_extremes_of_every_column);
	tcase_add_test(tc, layers_show_the_health_of_the_newest_epochs);
}
