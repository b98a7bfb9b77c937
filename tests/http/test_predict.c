/* test_predict.c - predictions over HTTP, from a job that has ended and from one that trains. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/daemon.h"
#include "http/sample.h"
#include "http/talk.h"
#include "runner.h"

static void trained(struct daemon *d, char id[64], char target[160])
{
	daemon_start(d, NULL);
	sample_upload(d->port, "quarters", 1024, 100);
	sample_submit(d->port, "quarters",
		"\"epochs\":6,\"batch_size\":32,\"optimizer\":{\"type\":\"Adam\",\"lr\":0.01}", id);
	json_decref(sample_wait(d->port, id, "succeeded"));
	snprintf(target, 160, "/v1/jobs/%s/predict", id);
}

/* {"instances":[...]} of samples [first, first + n), nested as [1][8][8] or flat. */
static char *instances(int first, int n, bool nested)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	fputs("{\"instances\":[", out);
	for (int i = 0; i < n; i++) {
		uint8_t image[SAMPLE_PIXELS];
		sample_image(first + i, image);
		fprintf(out, "%s[%s", i ? "," : "", nested ? "[" : "");
		for (int p = 0; p < SAMPLE_PIXELS; p++)
			fprintf(out, "%s%s%d%s", p ? "," : "", nested && p % SAMPLE_SIDE == 0 ? "[" : "", image[p],
				nested && p % SAMPLE_SIDE == SAMPLE_SIDE - 1 ? "]" : "");
		fputs(nested ? "]]" : "]", out);
	}
	fputs("]}", out);
	fclose(out);
	return text;
}

START_TEST(most_classes_are_right_and_probabilities_add_up)
{
	struct daemon d;
	char id[64], target[160];
	int right = 0;
	trained(&d, id, target);
	json_t *answer =
		talk(d.port, "POST", target, "{\"dataset\":\"quarters\",\"split\":\"test\",\"count\":100}", 200);
	const json_t *predictions = talk_at(answer, "predictions");
	ck_assert_uint_eq(json_array_size(predictions), 100);
	for (int i = 0; i < 100; i++) {
		const json_t *p = json_array_get(predictions, (size_t)i);
		double sum = 0;
		const json_t *probabilities = talk_at(p, "probabilities");
		for (size_t k = 0; k < json_array_size(probabilities); k++)
			sum += json_number_value(json_array_get(probabilities, k));
		ck_assert_msg(fabs(sum - 1) < 1e-4, "%f", sum);
		right += talk_int(p, "class") == sample_label(1024 + i);
	}
	ck_assert_int_gt(right, 95);
	ck_assert_str_eq(talk_text(answer, "job_id"), id);
	ck_assert(json_is_true(talk_at(answer, "checkpoint.is_best")));
	json_decref(answer);
	daemon_done(&d);
}
END_TEST

START_TEST(values_in_the_body_give_what_the_data_set_gives)
{
	struct daemon d;
	char id[64], target[160];
	trained(&d, id, target);
	json_t *stored = talk(d.port, "POST", target, "{\"dataset\":\"quarters\",\"first\":3,\"count\":4}", 200);
	for (int nested = 0; nested < 2; nested++) {
		char *body = instances(1024 + 3, 4, nested);
		json_t *sent = talk(d.port, "POST", target, body, 200);
		for (size_t i = 0; i < 4; i++) {
			const json_t *a = json_array_get(talk_at(stored, "predictions"), i);
			const json_t *b = json_array_get(talk_at(sent, "predictions"), i);
			ck_assert(json_equal(talk_at(a, "probabilities"), talk_at(b, "probabilities")));
		}
		json_decref(sent);
		free(body);
	}
	json_decref(stored);
	daemon_done(&d);
}
END_TEST

START_TEST(a_job_predicts_while_it_trains)
{
	struct daemon d;
	char id[64], target[160];
	daemon_start(&d, NULL);
	sample_upload(d.port, "quarters", 512, 50);
	sample_submit(d.port, "quarters", "\"epochs\":1000000", id);
	snprintf(target, sizeof target, "/v1/jobs/%s/predict", id);
	sample_wait_epoch(d.port, id, 2);
	for (int i = 0; i < 10; i++)
		json_decref(talk(d.port, "POST", target, "{\"dataset\":\"quarters\",\"count\":50}", 200));
	snprintf(target, sizeof target, "/v1/jobs/%s/predict?checkpoint=last", id);
	json_t *last = talk(d.port, "POST", target, "{\"dataset\":\"quarters\",\"count\":50}", 200);
	ck_assert_int_ge(talk_int(last, "checkpoint.epoch"), 2);
	json_decref(last);
	daemon_done(&d);
}
END_TEST

START_TEST(a_job_without_a_checkpoint_cannot_predict)
{
	struct daemon d;
	char first[64], id[64], target[160];
	daemon_start(&d, (const char *const[]){"--workers=1", NULL});
	sample_upload(d.port, "quarters", 512, 50);
	sample_submit(d.port, "quarters", "\"epochs\":1000000", first);
	sample_submit(d.port, "quarters", "\"epochs\":1", id);
	snprintf(target, sizeof target, "/v1/jobs/%s/predict", id);
	talk_refused(d.port, "POST", target, "{\"dataset\":\"quarters\"}", 404, "not_found", "checkpoint");
	daemon_done(&d);
}
END_TEST

START_TEST(samples_that_do_not_fit_are_refused)
{
	static const struct {
		const char *body;
		int status;
		const char *code, *param;
	} cases[] = {
		{"{}", 400, "missing_field", "/instances"},
		{"{\"instances\":[]}", 400, "out_of_range", "/instances"},
		{"{\"instances\":5}", 400, "wrong_type", "/instances"},
		{"{\"instances\":[[1,2,3]]}", 400, "invalid_shape", "/instances/0"},
		{"{\"dataset\":\"quatrers\"}", 400, "unknown_name", "/dataset"},
		{"{\"dataset\":\"quarters\",\"count\":1001}", 400, "out_of_range", "/count"},
		{"{\"dataset\":\"quarters\",\"first\":99,\"count\":2}", 400, "out_of_range", "/count"},
		{"{\"dataset\":\"quarters\",\"first\":100}", 400, "out_of_range", "/first"},
		{"{\"dataset\":\"quarters\",\"split\":\"val\"}", 400, "unknown_name", "/split"},
		{"{\"dataset\":\"quarters\",\"frist\":1}", 400, "unknown_field", "/frist"},
		{"{\"dataset\":\"wide\",\"split\":\"train\",\"count\":1}", 400, "invalid_shape", "/dataset"},
	};
	struct daemon d;
	char id[64], target[160];
	static const char *const names[] = {"x_train", "y_train"};
	trained(&d, id, target);
	struct bytes arrays[] = {
		sample_npy("|u1", "(4, 3)", "abcdefghijkl", 12), sample_npy("|u1", "(4,)", "\0\1\2\3", 4)};
	struct bytes npz = sample_npz(names, arrays, 2);
	json_decref(talk_put(d.port, "/v1/datasets/wide", npz.at, npz.size, 201));
	bytes_free(&npz);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		talk_refused(d.port, "POST", target, cases[i].body, cases[i].status, cases[i].code, cases[i].param);
	snprintf(target, sizeof target, "/v1/jobs/%s/predict?checkpoint=worst", id);
	talk_refused(d.port, "POST", target, "{\"dataset\":\"quarters\"}", 400, "invalid_query", "checkpoint");
	daemon_done(&d);
}
END_TEST

TEST_SUITE(predict, 60)
{
	tcase_add_test(tc, most_classes_are_right_and_probabilities_add_up);
	tcase_add_test(tc, values_in_the_body_give_what_the_data_set_gives);
	tcase_add_test(tc, a_job_predicts_while_it_trains);
	tcase_add_test(tc, a_job_without_a_checkpoint_cannot_predict);
	tcase_add_test(tc, samples_that_do_not_fit_are_refused);
}
