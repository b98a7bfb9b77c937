/* test_ingest_idx.c - IDX files, plain, gzipped and in archives, and files that lie. */
#include "runner.h"

#include <stdio.h>
#include <string.h>

#include "ingest/stats.h"
#include "spec/spec.h"
#include "upload.h"

static void check_mnist(struct upload *u)
{
	struct packed p;
	struct spec_dataset ds;
	ck_assert_msg(upload_ingest(u), "%s", u->problems.list[0].detail);
	upload_open(u, &p);
	ck_assert_int_eq(p.classes, 3);
	const struct bp_data *train = &p.split[SPLIT_TRAIN], *test = &p.split[SPLIT_TEST];
	ck_assert_int_eq(train->count, 4);
	ck_assert_int_eq(test->count, 2);
	ck_assert_int_eq(train->dtype, BP_U8);
	ck_assert_int_eq(train->shape.ndim, 3);
	for (int i = 0; i < 24; i++)
		ck_assert_int_eq(((const uint8_t *)train->samples)[i], i);
	for (int i = 0; i < 12; i++)
		ck_assert_int_eq(((const uint8_t *)test->samples)[i], i + 6);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(train->labels[i], i % 3);
	ck_assert_int_eq(test->labels[0], 1);
	/* 0..23: mean 11.5, variance (24^2 - 1) / 12. */
	ck_assert_float_eq_tol(train->mean[0], 11.5f / 255, 1e-7f);
	ck_assert_float_eq_tol(train->std[0], 6.92218655f / 255, 1e-7f);
	packed_close(&p);
	ck_assert(spec_dataset_parse(u->result.info, &ds));
	ck_assert_int_eq(ds.shape.dim[2], 3);
	ck_assert_int_eq(ds.classes, 3);
	ck_assert_int_eq(ds.train, 4);
	ck_assert_int_eq(ds.test, 2);
	ck_assert(ds.u8);
	ck_assert_int_eq(ds.nmean, 1);
	ck_assert_ptr_null(ds.class_names);
	const json_t *counts = json_object_get(json_object_get(u->result.info, "class_counts"), "train");
	ck_assert_int_eq(json_integer_value(json_array_get(counts, 0)), 2);
}

START_TEST(mnist_files_become_a_data_set)
{
	struct upload u;
	upload_begin(&u);
	upload_add_mnist(&u, false);
	check_mnist(&u);
	upload_end(&u);
}
END_TEST

START_TEST(gzipped_files_give_the_same_packed_file_as_plain_ones)
{
	struct upload plain, zipped;
	upload_begin(&plain);
	upload_begin(&zipped);
	upload_add_mnist(&plain, false);
	upload_add_mnist(&zipped, true);
	check_mnist(&plain);
	check_mnist(&zipped);
	ck_assert_str_eq(plain.result.sha256, zipped.result.sha256);
	upload_end(&plain);
	upload_end(&zipped);
}
END_TEST

START_TEST(idx_files_may_come_in_one_zip_with_other_things)
{
	struct upload u;
	const int64_t x[] = {3, 2, 2, -1}, y[] = {3, -1};
	uint8_t pixels[12] = {0}, labels[3] = {1, 0, 1};
	struct upload_member members[] = {
		{"set/README", bytes_gzip("hello", 5)},
		{"set/train-images.idx", bytes_idx(8, x, pixels, 12)},
		{"set/train-labels.idx", bytes_idx(8, y, labels, 3)},
	};
	upload_begin(&u);
	upload_take(&u, "set.zip", bytes_zip(members, 3, true));
	ck_assert_msg(upload_ingest(&u), "%s", u.problems.list[0].detail);
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(u.result.info, "ignored"), 0)), "README");
	ck_assert_int_eq(json_integer_value(json_object_get(u.result.info, "train")), 3);
	upload_end(&u);
}
END_TEST

START_TEST(floats_keep_their_values_and_flat_samples_their_features)
{
	struct upload u;
	struct packed p;
	const int64_t x[] = {2, 3, -1}, y[] = {2, -1};
	/* Big-endian 1, 2, 3 and -1, 2, 5. */
	const uint8_t values[24] = {
		0x3f, 0x80, 0, 0, 0x40, 0, 0, 0, 0x40, 0x40, 0, 0, 0xbf, 0x80, 0, 0, 0x40, 0, 0, 0, 0x40, 0xa0, 0, 0};
	const uint8_t labels[2] = {0, 1};
	upload_begin(&u);
	upload_take(&u, "train-images", bytes_idx(0x0d, x, values, 24));
	upload_take(&u, "train-labels", bytes_idx(8, y, labels, 2));
	ck_assert_msg(upload_ingest(&u), "%s", u.problems.list[0].detail);
	upload_open(&u, &p);
	const float *f = p.split[0].samples;
	ck_assert_int_eq(p.split[0].shape.ndim, 1);
	ck_assert_float_eq(f[0], 1);
	ck_assert_float_eq(f[3], -1);
	ck_assert_float_eq(f[5], 5);
	ck_assert_float_eq(p.split[0].mean[0], 0);
	ck_assert_float_eq(p.split[0].std[0], 1);
	ck_assert_float_eq(p.split[0].std[1], 1); /* constant: left as it is */
	ck_assert_float_eq(p.split[0].mean[2], 4);
	ck_assert_int_eq(p.split[SPLIT_TEST].count, 0);
	packed_close(&p);
	upload_end(&u);
}
END_TEST

/* A pair of training files; the images are cut or grown, the labels are given. */
static void add_pair(struct upload *u, int64_t images, int delta, const uint8_t *labels, int64_t nlabels)
{
	const int64_t x[] = {images, 2, 2, -1}, y[] = {nlabels, -1};
	upload_take(u, "train-images", bytes_idx(8, x, NULL, (size_t)(images * 4 + delta)));
	upload_take(u, "train-labels", bytes_idx(8, y, labels, (size_t)nlabels));
}

START_TEST(a_file_shorter_than_its_header_says_is_refused)
{
	struct upload u;
	upload_begin(&u);
	add_pair(&u, 3, -1, (const uint8_t *)"\0\1\0", 3);
	upload_refused(&u, ERR_INVALID_DATA, "train-images", "only 2 are there");
	upload_end(&u);
}
END_TEST

START_TEST(a_file_longer_than_its_header_says_is_refused)
{
	struct upload u;
	upload_begin(&u);
	add_pair(&u, 3, 1, (const uint8_t *)"\0\1\0", 3);
	upload_refused(&u, ERR_INVALID_DATA, "train-images", "too long");
	upload_end(&u);
}
END_TEST

START_TEST(a_truncated_gzip_is_refused)
{
	struct upload u;
	upload_begin(&u);
	upload_add_mnist(&u, true);
	struct bytes whole = bytes_gzip("\0\0\x08\3\0\0\0\4\0\0\0\2\0\0\0\3abcdefghijklmnopqrstuvwx", 40);
	u.n = 0;
	upload_add(&u, "train-images.gz", whole.data, whole.size - 14);
	bytes_free(&whole);
	u.n = 4;
	upload_refused(&u, ERR_INVALID_DATA, "train-images.gz", "truncated");
	upload_end(&u);
}
END_TEST

START_TEST(huge_declared_sizes_are_refused_before_anything_is_written)
{
	static const int64_t sizes[][4] = {{0xffffffff, 2, 2, -1}, {4, 65536, 65536, -1}, {4, 0xffffffff, 1, -1},
		{0x7fffffff, 255, 255, -1}, {0, 2, 2, -1}, {4, 0, 2, -1}};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct upload u;
		const int64_t y[] = {sizes[i][0], -1};
		upload_begin(&u);
		upload_take(&u, "train-images", bytes_idx(8, sizes[i], NULL, 16));
		upload_take(&u, "train-labels", bytes_idx(8, y, NULL, 4));
		upload_refused(&u, ERR_INVALID_DATA, "train-images", "");
		upload_end(&u);
	}
}
END_TEST

START_TEST(more_bytes_than_the_limit_are_refused)
{
	struct upload u;
	upload_begin(&u);
	u.limits.max_bytes = 600;
	add_pair(&u, 200, 0, (const uint8_t[200]){0}, 200);
	upload_refused(&u, ERR_INVALID_DATA, "train-images", "larger than the 600 bytes");
	upload_end(&u);
}
END_TEST

START_TEST(a_bomb_is_refused_by_its_ratio)
{
	struct upload u;
	const int64_t x[] = {30000, 32, 32, -1}, y[] = {30000, -1};
	upload_begin(&u);
	u.limits.max_bytes = 1 << 30;
	upload_take(&u, "train-images", bytes_idx(8, x, NULL, 100));
	upload_take(&u, "train-labels", bytes_idx(8, y, NULL, 100));
	upload_refused(&u, ERR_INVALID_DATA, "train-images", "times what was uploaded");
	upload_end(&u);
}
END_TEST

START_TEST(counts_of_images_and_labels_must_agree)
{
	struct upload u;
	upload_begin(&u);
	add_pair(&u, 3, 0, (const uint8_t *)"\0\1", 2);
	upload_refused(&u, ERR_INVALID_DATA, "train-labels", "2 entries, but there are 3");
	upload_end(&u);
}
END_TEST

START_TEST(a_label_out_of_range_is_refused_with_its_sample)
{
	struct upload u;
	const int64_t x[] = {3, 2, 2, -1}, y[] = {3, -1};
	static const struct {
		uint8_t type, bytes[12];
		size_t size;
		const char *label;
	} cases[] = {
		{0x09, {0, 0, 0xff}, 3, "the label -1 for sample 2"},
		{0x0b, {0, 0, 0x27, 0x10, 0, 0}, 6, "the label 10000 for sample 1"},
		{0x0c, {0x7f, 0xff, 0xff, 0xff}, 12, "the label 2147483647 for sample 0"},
	};
	for (size_t i = 0; i < 3; i++) {
		upload_begin(&u);
		upload_take(&u, "train-images", bytes_idx(8, x, NULL, 12));
		upload_take(&u, "train-labels", bytes_idx(cases[i].type, y, cases[i].bytes, cases[i].size));
		upload_refused(&u, ERR_INVALID_DATA, "train-labels", cases[i].label);
		upload_end(&u);
	}
}
END_TEST

START_TEST(names_tell_what_a_file_is)
{
	struct upload u;
	const int64_t x[] = {3, 2, 2, -1};
	upload_begin(&u);
	upload_take(&u, "stuff", bytes_idx(8, x, NULL, 12));
	upload_refused(&u, ERR_INVALID_DATA, "stuff", "does not tell what it is");
	upload_end(&u);
	upload_begin(&u);
	upload_take(&u, "train-images", bytes_idx(8, x, NULL, 12));
	upload_refused(&u, ERR_INVALID_DATA, "train-images", "no training labels");
	upload_end(&u);
	upload_begin(&u);
	upload_take(&u, "train-images", bytes_idx(8, x, NULL, 12));
	upload_take(&u, "train-images-2", bytes_idx(8, x, NULL, 12));
	upload_refused(&u, ERR_INVALID_DATA, "train-images-2", "and so does \"train-images\"");
	upload_end(&u);
	upload_begin(&u);
	upload_add(&u, "x.csv", "1,2,3\n", 6);
	upload_refused(&u, ERR_INVALID_DATA, "x.csv", "neither IDX, npy nor npz");
	upload_end(&u);
	upload_begin(&u);
	upload_add(&u, "x_train.npy", "", 0);
	upload_refused(&u, ERR_INVALID_DATA, "x_train.npy", "");
	upload_end(&u);
}
END_TEST

START_TEST(test_samples_must_have_the_shape_of_the_training_samples)
{
	struct upload u;
	const int64_t x[] = {2, 3, 3, -1}, y[] = {2, -1};
	upload_begin(&u);
	add_pair(&u, 3, 0, (const uint8_t *)"\0\1\0", 3);
	upload_take(&u, "t10k-images", bytes_idx(8, x, NULL, 18));
	upload_take(&u, "t10k-labels", bytes_idx(8, y, NULL, 2));
	upload_refused(&u, ERR_INVALID_DATA, "t10k-images", "another shape");
	upload_end(&u);
}
END_TEST

START_TEST(classes_may_be_named_by_lines_or_json)
{
	static const struct {
		const char *name, *text;
	} good[] = {{"classes.txt", "cat\ndog\r\nb\xc3\xa4r"}, {"classes.json", "[\"cat\",\"dog\",\"b\xc3\xa4r\"]"}};
	struct upload u;
	for (size_t i = 0; i < 2; i++) {
		upload_begin(&u);
		add_pair(&u, 2, 0, (const uint8_t *)"\0\1", 2);
		upload_add(&u, good[i].name, good[i].text, strlen(good[i].text));
		ck_assert_msg(upload_ingest(&u), "%s", u.problems.list[0].detail);
		ck_assert_int_eq(json_integer_value(json_object_get(u.result.info, "classes")), 3);
		const json_t *names = json_object_get(u.result.info, "class_names");
		ck_assert_str_eq(json_string_value(json_array_get(names, 1)), "dog");
		ck_assert_str_eq(json_string_value(json_array_get(names, 2)), "b\xc3\xa4r");
		upload_end(&u);
	}
	static const char *const bad[] = {"cat\n", "\xff\n\n", "cat\n\ndog\n"};
	for (size_t i = 0; i < 3; i++) {
		upload_begin(&u);
		add_pair(&u, 2, 0, (const uint8_t *)"\0\1", 2);
		upload_add(&u, "classes.txt", bad[i], strlen(bad[i]));
		upload_refused(&u, ERR_INVALID_DATA, "classes.txt", "class");
		upload_end(&u);
	}
}
END_TEST

START_TEST(the_rooms_agree_on_how_many_channels_have_a_mean)
{
	ck_assert_int_eq(STATS_MAX_CHANNELS, SPEC_MAX_CHANNELS);
}
END_TEST

TEST_SUITE(ingest_idx, 20)
{
	tcase_add_test(tc, mnist_files_become_a_data_set);
	tcase_add_test(tc, gzipped_files_give_the_same_packed_file_as_plain_ones);
	tcase_add_test(tc, idx_files_may_come_in_one_zip_with_other_things);
	tcase_add_test(tc, floats_keep_their_values_and_flat_samples_their_features);
	tcase_add_test(tc, a_file_shorter_than_its_header_says_is_refused);
	tcase_add_test(tc, a_file_longer_than_its_header_says_is_refused);
	tcase_add_test(tc, a_truncated_gzip_is_refused);
	tcase_add_test(tc, huge_declared_sizes_are_refused_before_anything_is_written);
	tcase_add_test(tc, more_bytes_than_the_limit_are_refused);
	tcase_add_test(tc, a_bomb_is_refused_by_its_ratio);
	tcase_add_test(tc, counts_of_images_and_labels_must_agree);
	tcase_add_test(tc, a_label_out_of_range_is_refused_with_its_sample);
	tcase_add_test(tc, names_tell_what_a_file_is);
	tcase_add_test(tc, test_samples_must_have_the_shape_of_the_training_samples);
	tcase_add_test(tc, classes_may_be_named_by_lines_or_json);
	tcase_add_test(tc, the_rooms_agree_on_how_many_channels_have_a_mean);
}
