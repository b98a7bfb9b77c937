/* test_dataset.c - data sets over HTTP: uploads, samples, lists, sharing and deletion. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/daemon.h"
#include "http/sample.h"
#include "http/talk.h"
#include "runner.h"

START_TEST(four_idx_files_become_a_data_set)
{
	struct daemon d;
	daemon_start(&d, NULL);
	sample_upload(d.port, "quarters", 100, 20);
	json_t *set = talk_get(d.port, "/v1/datasets/quarters");
	ck_assert_str_eq(talk_text(set, "status"), "ready");
	ck_assert_int_eq(talk_int(set, "info.train"), 100);
	ck_assert_int_eq(talk_int(set, "info.test"), 20);
	ck_assert_int_eq(talk_int(set, "info.classes"), SAMPLE_CLASSES);
	ck_assert_int_eq(talk_int(set, "info.shape.0"), 1);
	ck_assert_int_eq(talk_int(set, "info.shape.2"), SAMPLE_SIDE);
	ck_assert_str_eq(talk_text(set, "info.dtype"), "u8");
	json_decref(set);
	ck_assert_int_eq(daemon_files(&d, "uploads"), 0);
	ck_assert_int_eq(daemon_files(&d, "datasets"), 1);
	daemon_done(&d);
}
END_TEST

START_TEST(a_sample_is_shown_as_it_was_uploaded)
{
	struct daemon d;
	uint8_t image[SAMPLE_PIXELS];
	daemon_start(&d, NULL);
	sample_upload(d.port, "quarters", 100, 20);
	json_t *train = talk_get(d.port, "/v1/datasets/quarters/samples/7");
	json_t *test = talk_get(d.port, "/v1/datasets/quarters/samples/7?split=test");
	ck_assert_int_eq(talk_int(train, "label"), sample_label(7));
	ck_assert_int_eq(talk_int(test, "label"), sample_label(107));
	sample_image(107, image);
	ck_assert_uint_eq(json_array_size(talk_at(test, "values")), SAMPLE_PIXELS);
	for (int i = 0; i < SAMPLE_PIXELS; i++)
		ck_assert_int_eq(json_integer_value(json_array_get(talk_at(test, "values"), (size_t)i)), image[i]);
	json_decref(train);
	json_decref(test);
	talk_refused(d.port, "GET", "/v1/datasets/quarters/samples/20?split=test", NULL, 404, "not_found", "i");
	talk_refused(d.port, "GET", "/v1/datasets/quarters/samples/x", NULL, 404, "not_found", "i");
	talk_refused(d.port, "GET", "/v1/datasets/quarters/samples/0?split=val", NULL, 400, "invalid_query", "split");
	daemon_done(&d);
}
END_TEST

START_TEST(an_npz_is_uploaded_in_one_request)
{
	struct daemon d;
	daemon_start(&d, NULL);
	struct bytes npz = sample_npz_images(60, 10);
	struct response r = request_do(d.port, "PUT", "/v1/datasets/one", NULL, npz.at, npz.size);
	ck_assert_int_eq(r.status, 201);
	ck_assert_str_eq(response_header(&r, "Location"), "/v1/datasets/one");
	json_t *set = json_loads(r.body, 0, NULL);
	ck_assert_int_eq(talk_int(set, "info.train"), 60);
	ck_assert_int_eq(talk_int(set, "info.test"), 10);
	json_decref(set);
	response_free(&r);
	bytes_free(&npz);
	ck_assert_int_eq(daemon_files(&d, "uploads"), 0);
	daemon_done(&d);
}
END_TEST

/* From the upload to a prediction of values in the body. */
START_TEST(a_shape_makes_sequences_of_the_samples)
{
	static const char *const wrong[] = {"", "8,", ",8", "8,x", "0,64", "8,8,1,1", "-8,8", "99999999999,1", "4,4"};
	struct daemon d;
	daemon_start(&d, NULL);
	struct bytes npz = sample_npz_images(64, 10);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char target[64];
		snprintf(target, sizeof(target), "/v1/datasets/rows?shape=%s", wrong[i]);
		json_decref(talk_put(d.port, target, npz.at, npz.size, 400));
	}
	json_t *set = talk_put(d.port, "/v1/datasets/rows?shape=8,8", npz.at, npz.size, 201);
	ck_assert_uint_eq(json_array_size(talk_at(set, "info.shape")), 2);
	ck_assert_uint_eq(json_array_size(talk_at(set, "info.mean")), 8);
	json_decref(set);
	json_t *job = talk(d.port, "POST", "/v1/jobs",
		"{\"dataset\":\"rows\",\"model\":{\"input\":{\"shape\":[8,8]},\"layers\":["
		"{\"type\":\"Conv1d\",\"out_channels\":6,\"kernel_size\":3,\"padding\":\"same\"},{\"type\":\"ReLU\"},"
		"{\"type\":\"Flatten\"},{\"type\":\"Linear\",\"out_features\":4}]},"
		"\"training\":{\"epochs\":30,\"batch_size\":16,\"optimizer\":{\"type\":\"Adam\",\"lr\":0.01}}}",
		201);
	char target[96], body[2048] = "{\"instances\":[";
	json_decref(sample_wait(d.port, talk_text(job, "id"), "succeeded"));
	snprintf(target, sizeof(target), "/v1/jobs/%s/predict", talk_text(job, "id"));
	for (int n = 0; n < 4; n++) {
		uint8_t image[SAMPLE_PIXELS];
		sample_image(n, image);
		for (int p = 0; p < SAMPLE_PIXELS; p++)
			sprintf(body + strlen(body), "%s%s%d%s", p || !n ? "" : ",",
				p == 0       ? "[["
				: p % 8 == 0 ? ",["
					     : ",",
				image[p],
				p == 63      ? "]]"
				: p % 8 == 7 ? "]"
					     : "");
	}
	strcat(body, "]}");
	json_t *answer = talk(d.port, "POST", target, body, 200);
	for (int n = 0; n < 4; n++)
		ck_assert_int_eq(
			talk_int(json_array_get(talk_at(answer, "predictions"), (size_t)n), "class"), sample_label(n));
	json_decref(answer);
	json_decref(job);
	bytes_free(&npz);
	daemon_done(&d);
}
END_TEST

START_TEST(a_name_is_taken_once)
{
	struct daemon d;
	daemon_start(&d, NULL);
	struct bytes npz = sample_npz_images(60, 10);
	json_decref(talk_put(d.port, "/v1/datasets/one", npz.at, npz.size, 201));
	struct response again = request_do(d.port, "PUT", "/v1/datasets/one", NULL, npz.at, npz.size);
	talk_problem(&again, 409, "conflict", "");
	response_free(&again);
	struct response file = request_do(d.port, "PUT", "/v1/datasets/one/files/x_train.npy", NULL, npz.at, npz.size);
	talk_problem(&file, 409, "conflict", "");
	response_free(&file);
	talk_refused(d.port, "POST", "/v1/datasets/one/commit", NULL, 409, "conflict", "");
	ck_assert_int_eq(daemon_files(&d, "uploads"), 0);
	bytes_free(&npz);
	daemon_done(&d);
}
END_TEST

START_TEST(an_upload_is_replaced_under_its_name)
{
	struct daemon d;
	daemon_start(&d, NULL);
	struct bytes wrong = sample_idx_images(0, 9), right = sample_idx_images(0, 10),
		     labels = sample_idx_labels(0, 10);
	json_decref(talk_put(d.port, "/v1/datasets/q/files/train-labels-idx1-ubyte", labels.at, labels.size, 201));
	json_decref(talk_put(d.port, "/v1/datasets/q/files/train-images-idx3-ubyte", wrong.at, wrong.size, 201));
	struct response commit = request_do(d.port, "POST", "/v1/datasets/q/commit", NULL, NULL, 0);
	ck_assert_int_eq(commit.status, 400);
	response_free(&commit);
	json_decref(talk_put(d.port, "/v1/datasets/q/files/train-images-idx3-ubyte", right.at, right.size, 200));
	ck_assert_int_eq(daemon_files(&d, "uploads"), 2);
	json_t *set = talk_get(d.port, "/v1/datasets/q");
	ck_assert_str_eq(talk_text(set, "status"), "receiving");
	ck_assert_uint_eq(json_array_size(talk_at(set, "files")), 2);
	json_decref(set);
	json_decref(talk(d.port, "POST", "/v1/datasets/q/commit", NULL, 201));
	ck_assert_int_eq(daemon_files(&d, "uploads"), 0);
	bytes_free(&wrong);
	bytes_free(&right);
	bytes_free(&labels);
	daemon_done(&d);
}
END_TEST

START_TEST(a_data_set_that_is_still_received_cannot_be_used)
{
	struct daemon d;
	daemon_start(&d, NULL);
	struct bytes images = sample_idx_images(0, 10);
	talk_refused(d.port, "POST", "/v1/datasets/q/commit", NULL, 404, "not_found", "");
	json_decref(talk_put(d.port, "/v1/datasets/q/files/train-images-idx3-ubyte", images.at, images.size, 201));
	char *job = sample_job("q", "\"epochs\":1");
	talk_refused(d.port, "POST", "/v1/jobs", job, 409, "conflict", "/dataset");
	talk_refused(d.port, "GET", "/v1/datasets/q/samples/0", NULL, 409, "conflict", "");
	talk(d.port, "DELETE", "/v1/datasets/q", NULL, 204);
	ck_assert_int_eq(daemon_files(&d, "uploads"), 0);
	free(job);
	bytes_free(&images);
	daemon_done(&d);
}
END_TEST

START_TEST(equal_uploads_share_one_file_until_the_last_goes)
{
	struct daemon d;
	daemon_start(&d, NULL);
	struct bytes npz = sample_npz_images(60, 10);
	json_decref(talk_put(d.port, "/v1/datasets/a", npz.at, npz.size, 201));
	json_decref(talk_put(d.port, "/v1/datasets/b", npz.at, npz.size, 201));
	ck_assert_int_eq(daemon_files(&d, "datasets"), 1);
	talk(d.port, "DELETE", "/v1/datasets/a", NULL, 204);
	ck_assert_int_eq(daemon_files(&d, "datasets"), 1);
	json_decref(talk_get(d.port, "/v1/datasets/b/samples/0"));
	talk(d.port, "DELETE", "/v1/datasets/b", NULL, 204);
	ck_assert_int_eq(daemon_files(&d, "datasets"), 0);
	talk_refused(d.port, "GET", "/v1/datasets/b", NULL, 404, "not_found", "");
	bytes_free(&npz);
	daemon_done(&d);
}
END_TEST

START_TEST(a_data_set_is_kept_while_a_job_uses_it)
{
	struct daemon d;
	char id[64], target[128];
	daemon_start(&d, NULL);
	sample_upload(d.port, "quarters", 512, 0);
	sample_submit(d.port, "quarters", "\"epochs\":100000", id);
	talk_refused(d.port, "DELETE", "/v1/datasets/quarters", NULL, 409, "dataset_in_use", "");
	snprintf(target, sizeof target, "/v1/jobs/%s/cancel", id);
	struct response r = request_do(d.port, "POST", target, NULL, NULL, 0);
	ck_assert(r.status == 200 || r.status == 202);
	response_free(&r);
	json_decref(sample_wait(d.port, id, "cancelled"));
	talk(d.port, "DELETE", "/v1/datasets/quarters", NULL, 204);
	daemon_done(&d);
}
END_TEST

START_TEST(lists_are_read_page_by_page)
{
	struct daemon d;
	char target[160];
	daemon_start(&d, NULL);
	for (int i = 0; i < 3; i++) {
		struct bytes npz = sample_npz_images(10 + i, 0);
		snprintf(target, sizeof target, "/v1/datasets/set%d", i);
		json_decref(talk_put(d.port, target, npz.at, npz.size, 201));
		bytes_free(&npz);
	}
	json_t *first = talk_get(d.port, "/v1/datasets?limit=2");
	ck_assert_uint_eq(json_array_size(talk_at(first, "data")), 2);
	ck_assert(json_is_true(talk_at(first, "has_more")));
	ck_assert_str_eq(talk_text(first, "data.0.name"), "set2");
	snprintf(target, sizeof target, "/v1/datasets?limit=2&after=%s", talk_text(first, "data.1.id"));
	json_t *second = talk_get(d.port, target);
	ck_assert_uint_eq(json_array_size(talk_at(second, "data")), 1);
	ck_assert(json_is_false(talk_at(second, "has_more")));
	ck_assert_str_eq(talk_text(second, "data.0.name"), "set0");
	json_decref(first);
	json_decref(second);
	talk_refused(d.port, "GET", "/v1/datasets?limit=0", NULL, 400, "invalid_query", "limit");
	talk_refused(d.port, "GET", "/v1/datasets?limt=5", NULL, 400, "invalid_query", "limt");
	daemon_done(&d);
}
END_TEST

TEST_SUITE(dataset, 60)
{
	tcase_add_test(tc, four_idx_files_become_a_data_set);
	tcase_add_test(tc, a_sample_is_shown_as_it_was_uploaded);
	tcase_add_test(tc, an_npz_is_uploaded_in_one_request);
	tcase_add_test(tc, a_shape_makes_sequences_of_the_samples);
	tcase_add_test(tc, a_name_is_taken_once);
	tcase_add_test(tc, an_upload_is_replaced_under_its_name);
	tcase_add_test(tc, a_data_set_that_is_still_received_cannot_be_used);
	tcase_add_test(tc, equal_uploads_share_one_file_until_the_last_goes);
	tcase_add_test(tc, a_data_set_is_kept_while_a_job_uses_it);
	tcase_add_test(tc, lists_are_read_page_by_page);
}
