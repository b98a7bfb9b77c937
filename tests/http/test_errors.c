/*
 * test_errors.c - bad input over HTTP: each gets its status, code and place, nothing is queued or kept, and the daemon
 * goes on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/daemon.h"
#include "http/sample.h"
#include "http/talk.h"
#include "runner.h"

/* Whatever was sent before: the daemon answers, and there are no jobs, models or data sets beside "quarters". */
static void check_untouched(const struct daemon *d)
{
	json_t *jobs = talk_get(d->port, "/v1/jobs"), *models = talk_get(d->port, "/v1/models");
	json_t *ready = talk_get(d->port, "/readyz");
	ck_assert_uint_eq(json_array_size(talk_at(jobs, "data")), 0);
	ck_assert_uint_eq(json_array_size(talk_at(models, "data")), 0);
	json_decref(jobs);
	json_decref(models);
	json_decref(ready);
}

#define LINEAR "{\"type\":\"Linear\",\"out_features\":4}"
#define MODEL(layers) "{\"input\":{\"shape\":[1,8,8]},\"layers\":[" layers "]}"
#define FLAT MODEL("{\"type\":\"Flatten\"}," LINEAR)
#define JOB(model, training) "{\"dataset\":\"quarters\",\"model\":" model ",\"training\":{" training "}}"

struct bad {
	const char *body;
	int status;
	const char *code, *param;
};

static void refuse_all(const struct daemon *d, const char *target, const struct bad *cases, size_t n)
{
	for (size_t i = 0; i < n; i++)
		talk_refused(d->port, "POST", target, cases[i].body, cases[i].status, cases[i].code, cases[i].param);
	check_untouched(d);
}
#define REFUSE_ALL(d, target, cases) refuse_all(d, target, cases, sizeof cases / sizeof cases[0])

START_TEST(broken_json_is_refused)
{
	static const struct bad cases[] = {
		{"{", 400, "invalid_json", ""},
		{"", 400, "invalid_json", ""},
		{"{\"dataset\":\"a\",\"dataset\":\"b\"}", 400, "invalid_json", ""},
		{"{\"dataset\":\"\xff\"}", 400, "invalid_json", ""},
		{"{\"priority\":1e999}", 400, "invalid_json", ""},
		{"[1,2]", 400, "wrong_type", ""},
		{"{} {}", 400, "invalid_json", ""},
	};
	struct daemon d;
	daemon_start(&d, NULL);
	REFUSE_ALL(&d, "/v1/jobs", cases);
	char *deep = malloc(200001);
	memset(deep, '[', 200000);
	deep[200000] = '\0';
	talk_refused(d.port, "POST", "/v1/jobs", deep, 400, "invalid_json", "");
	free(deep);
	check_untouched(&d);
	daemon_done(&d);
}
END_TEST

START_TEST(an_oversized_body_is_refused)
{
	struct daemon d;
	size_t size = 64 << 10;
	daemon_start(&d, (const char *const[]){"--max-json-kb=16", "--max-upload-mb=1", NULL});
	char *body = malloc(size + 1);
	memset(body, ' ', size);
	body[size] = '\0';
	struct response r = request_json(d.port, "POST", "/v1/jobs", body);
	talk_problem(&r, 413, "body_too_large", "");
	response_free(&r);
	free(body);
	struct bytes big = {.at = calloc(1, 2 << 20), .size = 2 << 20};
	r = request_do(d.port, "PUT", "/v1/datasets/big", NULL, big.at, big.size);
	talk_problem(&r, 413, "body_too_large", "");
	response_free(&r);
	bytes_free(&big);
	ck_assert_int_eq(daemon_files(&d, "uploads"), 0);
	check_untouched(&d);
	daemon_done(&d);
}
END_TEST

START_TEST(fields_of_a_job_are_checked_with_their_place)
{
	static const struct bad cases[] = {
		{JOB(FLAT, "\"epoch\":3"), 400, "unknown_field", "/training/epoch"},
		{JOB(FLAT, "\"epochs\":0"), 400, "out_of_range", "/training/epochs"},
		{JOB(FLAT, "\"epochs\":\"three\""), 400, "wrong_type", "/training/epochs"},
		{JOB(FLAT, "\"batch_size\":1.5"), 400, "wrong_type", "/training/batch_size"},
		{JOB(FLAT, "\"optimizer\":{\"type\":\"Adam\",\"lr\":\"fast\"}"), 400, "wrong_type",
			"/training/optimizer/lr"},
		{JOB(FLAT, "\"optimizer\":{\"type\":\"Adam\",\"lr\":-1}"), 400, "out_of_range",
			"/training/optimizer/lr"},
		{JOB(FLAT, "\"optimizer\":{\"type\":\"Adma\"}"), 400, "unknown_name", "/training/optimizer/type"},
		{JOB(FLAT, "\"optimizer\":{\"type\":\"Adam\",\"momentum\":0.9}"), 400, "unknown_field",
			"/training/optimizer/momentum"},
		{JOB(FLAT, "\"augment\":[\"RandomCorp\"]"), 400, "unknown_name", "/training/augment/0"},
		{JOB(FLAT, "\"augment\":[{\"type\":\"RandomCrop\",\"padding\":9}]"), 400, "out_of_range",
			"/training/augment/0/padding"},
		{JOB(FLAT, "\"loss\":\"MSELoss\""), 400, "invalid_data", "/training/loss"},
		{JOB(FLAT, "\"batch_size\":65536"), 400, "out_of_range", "/training/batch_size"},
		{JOB(FLAT, "\"validation\":{\"split\":\"test\"}"), 400, "invalid_data", "/training/validation/split"},
		{"{\"dataset\":\"quarters\"}", 400, "missing_field", "/model"},
		{"{\"model\":" FLAT "}", 400, "missing_field", "/dataset"},
		{"{\"dataset\":\"quatrers\",\"model\":" FLAT "}", 400, "unknown_name", "/dataset"},
		{"{\"dataset\":\"../etc\",\"model\":" FLAT "}", 400, "invalid_name", "/dataset"},
		{"{\"dataset\":\"quarters\",\"model\":\"mdl_none\"}", 400, "unknown_name", "/model"},
		{"{\"dataset\":\"quarters\",\"model\":7}", 400, "wrong_type", "/model"},
		{"{\"dataset\":\"quarters\",\"model\":" FLAT ",\"resources\":{\"threads\":0}}", 400, "out_of_range",
			"/resources/threads"},
		{"{\"dataset\":\"quarters\",\"model\":" FLAT ",\"priority\":-1}", 400, "out_of_range", "/priority"},
	};
	struct daemon d;
	daemon_start(&d, NULL);
	sample_upload(d.port, "quarters", 64, 0);
	REFUSE_ALL(&d, "/v1/jobs", cases);
	REFUSE_ALL(&d, "/v1/jobs?dry_run=true", cases);
	daemon_done(&d);
}
END_TEST

START_TEST(models_are_checked_with_their_place)
{
	static const struct bad cases[] = {
		{MODEL("{\"type\":\"Conv2D\",\"out_channels\":4,\"kernel_size\":3}"), 400, "unknown_name",
			"/layers/0/type"},
		{MODEL("{\"type\":\"Conv2d\",\"kernel_size\":3}"), 400, "missing_field", "/layers/0/out_channels"},
		{MODEL("{\"type\":\"Conv2d\",\"out_channels\":4,\"kernel_size\":9}"), 400, "invalid_shape",
			"/layers/0/kernel_size"},
		{MODEL("{\"type\":\"Conv2d\",\"out_channels\":4,\"kernel_size\":3,\"strid\":2}"), 400, "unknown_field",
			"/layers/0/strid"},
		{MODEL("{\"name\":\"a\",\"type\":\"ReLU\",\"inputs\":[\"b\"]},{\"name\":\"b\",\"type\":\"ReLU\"}"), 400,
			"invalid_graph", "/layers/0/inputs/0"},
		{MODEL("{\"name\":\"a\",\"type\":\"ReLU\",\"inputs\":[\"a\"]}"), 400, "invalid_graph",
			"/layers/0/inputs/0"},
		{MODEL("{\"name\":\"a\",\"type\":\"ReLU\",\"inputs\":[\"c\"]}"), 400, "unknown_name",
			"/layers/0/inputs/0"},
		{MODEL("{\"name\":\"a\",\"type\":\"ReLU\"},{\"name\":\"a\",\"type\":\"ReLU\"}"), 400, "duplicate_name",
			"/layers/1/name"},
		{MODEL("{\"name\":\"a\",\"type\":\"ReLU\"},{\"type\":\"ReLU\",\"inputs\":[\"input\"]}"), 400,
			"invalid_graph", "/layers/0"},
		{"{\"input\":{\"shape\":[1,0,8]},\"layers\":[{\"type\":\"ReLU\"}]}", 400, "out_of_range",
			"/input/shape/1"},
		{"{\"layers\":[{\"type\":\"ReLU\"}]}", 400, "missing_field", "/input"},
		{"{\"input\":{\"shape\":[4]},\"layers\":[]}", 400, "out_of_range", "/layers"},
	};
	struct daemon d;
	daemon_start(&d, NULL);
	REFUSE_ALL(&d, "/v1/models", cases);
	REFUSE_ALL(&d, "/v1/models/validate", cases);
	daemon_done(&d);
}
END_TEST

START_TEST(a_model_must_fit_its_data_and_the_memory)
{
	static const struct bad cases[] = {
		{JOB("{\"input\":{\"shape\":[3,8,8]},\"layers\":[{\"type\":\"Flatten\"}," LINEAR "]}", ""), 400,
			"invalid_shape", "/model/input/shape"},
		{JOB(MODEL("{\"type\":\"Flatten\"},{\"type\":\"Linear\",\"out_features\":5}"), ""), 400,
			"invalid_shape", "/model/layers/1"},
		{JOB(MODEL("{\"type\":\"Flatten\"},{\"type\":\"Linear\",\"out_features\":100000}," LINEAR), ""), 400,
			"model_too_large", "/model"},
	};
	struct daemon d;
	daemon_start(&d, (const char *const[]){"--memory-limit-mb=16", NULL});
	sample_upload(d.port, "quarters", 64, 0);
	REFUSE_ALL(&d, "/v1/jobs", cases);
	daemon_done(&d);
}
END_TEST

START_TEST(all_problems_are_told_at_once)
{
	struct daemon d;
	daemon_start(&d, NULL);
	sample_upload(d.port, "quarters", 64, 0);
	struct response r = request_json(d.port, "POST", "/v1/jobs?dry_rum=true",
		"{\"dataset\":\"quarter\",\"model\":" MODEL(
			"{\"type\":\"Flaten\"}") ",\"training\":{\"epochs\":-1},\"prio\":1}");
	talk_problem(&r, 400, "invalid_query", "dry_rum");
	talk_problem(&r, 400, "unknown_name", "/dataset");
	talk_problem(&r, 400, "unknown_name", "/model/layers/0/type");
	talk_problem(&r, 400, "out_of_range", "/training/epochs");
	talk_problem(&r, 400, "unknown_field", "/prio");
	ck_assert_ptr_nonnull(strstr(r.body, "Did you mean 'quarters'?"));
	response_free(&r);
	check_untouched(&d);
	daemon_done(&d);
}
END_TEST

/* ---- data files ---- */

static void refuse_idx(const struct daemon *d, struct bytes images, struct bytes labels, const char *param)
{
	json_decref(talk_put(d->port, "/v1/datasets/bad/files/train-images-idx3-ubyte", images.at, images.size, 201));
	json_decref(talk_put(d->port, "/v1/datasets/bad/files/train-labels-idx1-ubyte", labels.at, labels.size, 201));
	talk_refused(d->port, "POST", "/v1/datasets/bad/commit", NULL, 400, "invalid_data", param);
	talk(d->port, "DELETE", "/v1/datasets/bad", NULL, 204);
	ck_assert_int_eq(daemon_files(d, "uploads"), 0);
	ck_assert_int_eq(daemon_files(d, "datasets"), 0);
	bytes_free(&images);
	bytes_free(&labels);
}

START_TEST(idx_files_that_lie_are_refused)
{
	static const char images[] = "train-images-idx3-ubyte", labels[] = "train-labels-idx1-ubyte";
	static const struct {
		size_t at;
		uint8_t value;
		const char *param;
	} lies[] = {{4, 0x7f, labels}, {4, 0xff, labels}, {7, 11, labels}, {8, 0x40, images}, {11, 9, images},
		{15, 0, images}, {2, 0x0d, images}, {3, 2, images}};
	struct daemon d;
	daemon_start(&d, NULL);
	for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
		struct bytes b = sample_idx_images(0, 10);
		b.at[lies[i].at] = lies[i].value;
		refuse_idx(&d, b, sample_idx_labels(0, 10), lies[i].param);
	}
	for (int n = 11; n < 13; n++) { /* both lie alike */
		struct bytes b = sample_idx_images(0, 10), l = sample_idx_labels(0, 10);
		b.at[n == 11 ? 7 : 4] = l.at[n == 11 ? 7 : 4] = (uint8_t)n;
		refuse_idx(&d, b, l, images);
	}
	for (size_t size = 0; size < 16 + 640; size += size < 20 ? 3 : 127) {
		struct bytes b = sample_idx_images(0, 10);
		b.size = size;
		refuse_idx(&d, b, sample_idx_labels(0, 10), images);
	}
	refuse_idx(&d, sample_idx_images(0, 10), sample_idx_labels(0, 9), labels);
	check_untouched(&d);
	daemon_done(&d);
}
END_TEST

START_TEST(a_cut_gzip_is_refused)
{
	struct daemon d;
	daemon_start(&d, NULL);
	struct bytes images = sample_idx_images(0, 100), labels = sample_idx_labels(0, 100);
	struct bytes packed = sample_gzip(&images);
	json_decref(
		talk_put(d.port, "/v1/datasets/bad/files/train-images-idx3-ubyte.gz", packed.at, packed.size / 2, 201));
	json_decref(talk_put(d.port, "/v1/datasets/bad/files/train-labels-idx1-ubyte", labels.at, labels.size, 201));
	talk_refused(
		d.port, "POST", "/v1/datasets/bad/commit", NULL, 400, "invalid_data", "train-images-idx3-ubyte.gz");
	bytes_free(&images);
	bytes_free(&labels);
	bytes_free(&packed);
	check_untouched(&d);
	daemon_done(&d);
}
END_TEST

/* An npz of x_train (2 x 3 floats) and y_train as told; it must be refused in one request, and leave nothing. */
static void refuse_npz(const struct daemon *d, struct bytes x, struct bytes y)
{
	static const char *const names[] = {"x_train", "y_train"};
	struct bytes arrays[] = {x, y};
	struct bytes npz = sample_npz(names, arrays, 2);
	struct response r = request_do(d->port, "PUT", "/v1/datasets/bad?filename=bad.npz", NULL, npz.at, npz.size);
	talk_problem(&r, 400, "invalid_data", "bad.npz");
	response_free(&r);
	talk_refused(d->port, "GET", "/v1/datasets/bad", NULL, 404, "not_found", "");
	ck_assert_int_eq(daemon_files(d, "uploads"), 0);
	ck_assert_int_eq(daemon_files(d, "datasets"), 0);
	bytes_free(&npz);
}

static struct bytes good_x(void)
{
	static const float x[6] = {0, 1, 2, 3, 4, 5};
	return sample_npy("<f4", "(2, 3)", x, sizeof x);
}

static struct bytes good_y(void)
{
	return sample_npy("|u1", "(2,)", "\0\1", 2);
}

START_TEST(npz_files_that_lie_are_refused)
{
	static const float x[6] = {0, 1, 2, 3, 4, 5}, nan[6] = {0, 1, __builtin_nanf(""), 3, 4, 5};
	static const int64_t negative[2] = {0, -1}, huge[2] = {0, 1ll << 40};
	struct daemon d;
	daemon_start(&d, NULL);
	refuse_npz(&d, sample_npy("<f4", "(3, 3)", x, sizeof x), good_y());
	refuse_npz(&d, sample_npy("<f4", "(1, 3)", x, sizeof x), good_y());
	refuse_npz(&d, sample_npy("<f4", "(9223372036854775807, 3)", x, sizeof x), good_y());
	refuse_npz(&d, sample_npy("<f4", "(4294967296, 4294967296)", x, sizeof x), good_y());
	refuse_npz(&d, sample_npy("<f4", "(-2, 3)", x, sizeof x), good_y());
	refuse_npz(&d, sample_npy("<f4", "(0, 3)", x, 0), sample_npy("|u1", "(0,)", "", 0));
	refuse_npz(&d, sample_npy("|O", "(2, 3)", x, sizeof x), good_y());
	refuse_npz(&d, sample_npy("<f4", "(2, 3)", nan, sizeof nan), good_y());
	refuse_npz(&d, good_x(), sample_npy("<i8", "(2,)", negative, sizeof negative));
	refuse_npz(&d, good_x(), sample_npy("<i8", "(2,)", huge, sizeof huge));
	refuse_npz(&d, good_x(), sample_npy("|u1", "(3,)", "\0\1\2", 3));
	check_untouched(&d);
	daemon_done(&d);
}
END_TEST

START_TEST(an_npz_that_is_cut_anywhere_is_refused)
{
	static const char *const names[] = {"x_train", "y_train"};
	struct daemon d;
	daemon_start(&d, NULL);
	struct bytes arrays[] = {good_x(), good_y()};
	struct bytes npz = sample_npz(names, arrays, 2);
	for (size_t size = 0; size < npz.size / 2; size += 29) {
		struct response r = request_do(d.port, "PUT", "/v1/datasets/bad", NULL, npz.at, size);
		ck_assert_msg(r.status == 400, "%zu of %zu bytes: %d", size, npz.size, r.status);
		response_free(&r);
	}
	json_decref(talk_put(d.port, "/v1/datasets/good", npz.at, npz.size, 201));
	bytes_free(&npz);
	ck_assert_int_eq(daemon_files(&d, "uploads"), 0);
	ck_assert_int_eq(daemon_files(&d, "datasets"), 1);
	check_untouched(&d);
	daemon_done(&d);
}
END_TEST

START_TEST(names_that_are_no_names_are_refused)
{
	struct daemon d;
	daemon_start(&d, NULL);
	struct response r = request_do(d.port, "PUT", "/v1/datasets/.hidden", NULL, "x", 1);
	talk_problem(&r, 400, "invalid_name", "name");
	response_free(&r);
	r = request_do(d.port, "PUT", "/v1/datasets/a/files/-rf", NULL, "x", 1);
	talk_problem(&r, 400, "invalid_name", "file");
	response_free(&r);
	r = request_do(d.port, "PUT", "/v1/datasets/a?filename=../x", NULL, "x", 1);
	talk_problem(&r, 400, "invalid_name", "filename");
	response_free(&r);
	ck_assert_int_eq(daemon_files(&d, "uploads"), 0);
	check_untouched(&d);
	daemon_done(&d);
}
END_TEST

START_TEST(unknown_objects_routes_and_methods_are_told_apart)
{
	static const struct {
		const char *method, *target;
		int status;
		const char *code;
	} cases[] = {{"GET", "/v1/jobs/job_none", 404, "not_found"}, {"DELETE", "/v1/jobs/job_none", 404, "not_found"},
		{"POST", "/v1/jobs/job_none/cancel", 404, "not_found"},
		{"GET", "/v1/jobs/job_none/events", 404, "not_found"},
		{"GET", "/v1/jobs/job_none/metrics", 404, "not_found"},
		{"GET", "/v1/jobs/job_none/layers", 404, "not_found"},
		{"GET", "/v1/jobs/job_none/checkpoints", 404, "not_found"},
		{"GET", "/v1/jobs/job_none/checkpoints/best/weights", 404, "not_found"},
		{"GET", "/v1/models/mdl_none", 404, "not_found"}, {"GET", "/v1/datasets/none", 404, "not_found"},
		{"DELETE", "/v1/datasets/none", 404, "not_found"}, {"GET", "/v1/nothing", 404, "route_not_found"},
		{"DELETE", "/v1/jobs", 405, "method_not_allowed"}, {"PUT", "/v1/system", 405, "method_not_allowed"}};
	struct daemon d;
	daemon_start(&d, NULL);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct response r = request_do(d.port, cases[i].method, cases[i].target, NULL, NULL, 0);
		talk_problem(&r, cases[i].status, cases[i].code, "");
		response_free(&r);
	}
	check_untouched(&d);
	daemon_done(&d);
}
END_TEST

TEST_SUITE(errors, 60)
{
	tcase_add_test(tc, broken_json_is_refused);
	tcase_add_test(tc, an_oversized_body_is_refused);
	tcase_add_test(tc, fields_of_a_job_are_checked_with_their_place);
	tcase_add_test(tc, models_are_checked_with_their_place);
	tcase_add_test(tc, a_model_must_fit_its_data_and_the_memory);
	tcase_add_test(tc, all_problems_are_told_at_once);
	tcase_add_test(tc, idx_files_that_lie_are_refused);
	tcase_add_test(tc, a_cut_gzip_is_refused);
	tcase_add_test(tc, npz_files_that_lie_are_refused);
	tcase_add_test(tc, an_npz_that_is_cut_anywhere_is_refused);
	tcase_add_test(tc, names_that_are_no_names_are_refused);
	tcase_add_test(tc, unknown_objects_routes_and_methods_are_told_apart);
}
