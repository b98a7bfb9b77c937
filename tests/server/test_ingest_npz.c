/* test_ingest_npz.c - .npz and .npy, the shapes and types of their arrays, and files that lie. */
#include "runner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "upload.h"

static const uint8_t six[6] = {0, 1, 2, 3, 4, 5};
static const int64_t zero_one[2] = {0, 1};

/* x_train and y_train in a stored zip. */
static void add_npz(struct upload *u, struct bytes x, struct bytes y)
{
	struct upload_member members[] = {{"x_train.npy", x}, {"y_train.npy", y}};
	upload_take(u, "data.npz", bytes_zip(members, 2, false));
}

static struct bytes two_labels(void)
{
	return bytes_npy("<i8", "2,", zero_one, sizeof(zero_one));
}

START_TEST(all_four_arrays_of_an_npz_are_read_stored_or_deflated)
{
	char first[65] = "";
	for (int deflated = 0; deflated < 2; deflated++) {
		struct upload u;
		struct packed p;
		float x[8] = {1, 2, 3, 4, 5, 6, 7, 8};
		int32_t y[2] = {1, 0};
		struct upload_member members[] = {
			{"X_train.npy", bytes_npy("<f4", "2, 2, 2", x, sizeof(x))},
			{"y_train.npy", bytes_npy("<i4", "2, 1", y, sizeof(y))},
			{"x_test.npy", bytes_npy("<f4", "1, 2, 2", x, 16)},
			{"y_test.npy", bytes_npy("|u1", "1,", "\1", 1)},
		};
		upload_begin(&u);
		upload_take(&u, "data.npz", bytes_zip(members, 4, deflated));
		ck_assert_msg(upload_ingest(&u), "%s", u.problems.list[0].detail);
		upload_open(&u, &p);
		ck_assert_int_eq(p.split[0].count, 2);
		ck_assert_int_eq(p.split[1].count, 1);
		ck_assert_int_eq(p.split[0].dtype, BP_F32);
		ck_assert_float_eq(((const float *)p.split[0].samples)[7], 8);
		ck_assert_int_eq(p.split[0].labels[0], 1);
		ck_assert_float_eq(p.split[0].mean[0], 4.5f);
		ck_assert_float_eq_tol(p.split[0].std[0], 2.29128785f, 1e-6f);
		ck_assert(deflated == 0 || strcmp(first, u.result.sha256) == 0);
		memcpy(first, u.result.sha256, sizeof(first));
		packed_close(&p);
		upload_end(&u);
	}
}
END_TEST

START_TEST(channels_last_is_turned_to_channels_first)
{
	struct upload u;
	struct packed p;
	uint8_t x[2 * 2 * 4 * 3];
	for (size_t i = 0; i < sizeof(x); i++)
		x[i] = (uint8_t)i;
	upload_begin(&u);
	add_npz(&u, bytes_npy("|u1", "2, 2, 4, 3", x, sizeof(x)), two_labels());
	ck_assert_msg(upload_ingest(&u), "%s", u.problems.list[0].detail);
	ck_assert_str_eq(json_string_value(json_object_get(u.result.info, "layout")), "NHWC converted");
	upload_open(&u, &p);
	ck_assert_int_eq(p.split[0].shape.dim[0], 3);
	ck_assert_int_eq(p.split[0].shape.dim[1], 2);
	const uint8_t *s = p.split[0].samples;
	for (int n = 0; n < 2; n++)
		for (int c = 0; c < 3; c++)
			for (int pixel = 0; pixel < 8; pixel++)
				ck_assert_int_eq(s[n * 24 + c * 8 + pixel], n * 24 + pixel * 3 + c);
	packed_close(&p);
	upload_end(&u);
}
END_TEST

/* What info says of the range: "[min, max] whole". */
static void expect_range(const struct upload *u, double min, double max, bool whole)
{
	const json_t *range = json_object_get(u->result.info, "range");
	ck_assert_double_eq(json_number_value(json_array_get(range, 0)), min);
	ck_assert_double_eq(json_number_value(json_array_get(range, 1)), max);
	ck_assert_int_eq(json_is_true(json_object_get(u->result.info, "whole")), whole);
}

START_TEST(the_range_is_of_all_samples_and_tells_whole_numbers)
{
	static const uint8_t bytes[4] = {7, 200, 3, 9};
	for (int fraction = 0; fraction < 2; fraction++) {
		struct upload u;
		float train[4] = {1, 2, 3, 4}, test[2] = {fraction ? -0.5f : -2, 9};
		struct upload_member members[] = {
			{"x_train.npy", bytes_npy("<f4", "2, 2", train, sizeof(train))},
			{"y_train.npy", two_labels()},
			{"x_test.npy", bytes_npy("<f4", "1, 2", test, sizeof(test))},
			{"y_test.npy", bytes_npy("|u1", "1,", "\1", 1)},
		};
		upload_begin(&u);
		upload_take(&u, "data.npz", bytes_zip(members, 4, false));
		ck_assert_msg(upload_ingest(&u), "%s", u.problems.list[0].detail);
		expect_range(&u, fraction ? -0.5 : -2, 9, !fraction);
		upload_end(&u);
	}
	struct upload u;
	upload_begin(&u);
	add_npz(&u, bytes_npy("|u1", "2, 2", bytes, sizeof(bytes)), two_labels());
	ck_assert_msg(upload_ingest(&u), "%s", u.problems.list[0].detail);
	expect_range(&u, 3, 200, true);
	upload_end(&u);
}
END_TEST

START_TEST(channels_first_stays)
{
	struct upload u;
	struct packed p;
	uint8_t x[2 * 3 * 4 * 3] = {7};
	upload_begin(&u);
	add_npz(&u, bytes_npy("|u1", "2, 3, 4, 3", x, sizeof(x)), two_labels());
	ck_assert_msg(upload_ingest(&u), "%s", u.problems.list[0].detail);
	upload_open(&u, &p);
	ck_assert_int_eq(p.split[0].shape.dim[1], 4);
	packed_close(&p);
	upload_end(&u);
}
END_TEST

START_TEST(a_shape_that_was_given_is_taken)
{
	static const struct bp_shape given[] = {{2, {2, 12}}, {1, {24}}, {3, {2, 4, 3}}, {2, {8, 3}}};
	uint8_t x[2 * 2 * 4 * 3];
	for (size_t i = 0; i < sizeof(x); i++)
		x[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
		struct upload u;
		struct packed p;
		upload_begin(&u);
		u.limits.shape = given[i];
		add_npz(&u, bytes_npy("|u1", "2, 2, 4, 3", x, sizeof(x)), two_labels());
		ck_assert_msg(upload_ingest(&u), "%s", u.problems.list[0].detail);
		ck_assert_uint_eq(json_array_size(json_object_get(u.result.info, "mean")), (size_t)given[i].dim[0]);
		upload_open(&u, &p);
		ck_assert_int_eq(p.split[0].shape.ndim, given[i].ndim);
		ck_assert_mem_eq(p.split[0].shape.dim, given[i].dim, (size_t)given[i].ndim * sizeof(int64_t));
		ck_assert_mem_eq(p.split[0].samples, x, sizeof(x));
		packed_close(&p);
		upload_end(&u);
	}
}
END_TEST

START_TEST(a_shape_of_another_size_is_refused)
{
	struct upload u;
	uint8_t x[2 * 12] = {0};
	upload_begin(&u);
	u.limits.shape = (struct bp_shape){2, {3, 5}};
	add_npz(&u, bytes_npy("|u1", "2, 12", x, sizeof(x)), two_labels());
	upload_refused(&u, ERR_INVALID_DATA, "data.npz", "has 12 values in a sample");
	upload_end(&u);
}
END_TEST

START_TEST(every_type_of_element_is_read_in_both_byte_orders)
{
	static const char *const types[] = {"|b1", "|i1", "<u2", "<i2", "<u4", "<i4", "<i8", "<f4", "<f8"};
	for (int big = 0; big < 2; big++)
		for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
			struct upload u;
			struct packed p;
			char descr[4];
			uint8_t x[16] = {0};
			snprintf(descr, sizeof(descr), "%s", types[t]);
			int size = descr[2] - '0';
			double one = 1;
			float one_f = 1;
			int64_t one_i = 1;
			memcpy(x + size,
				descr[1] != 'f' ? (void *)&one_i
				: size == 4     ? (void *)&one_f
						: (void *)&one,
				(size_t)size);
			if (big && descr[0] == '<') {
				descr[0] = '>';
				for (int k = 0; k < size / 2; k++) {
					uint8_t b = x[size + k];
					x[size + k] = x[2 * size - 1 - k];
					x[2 * size - 1 - k] = b;
				}
			}
			upload_begin(&u);
			add_npz(&u, bytes_npy(descr, "2, 1", x, (size_t)size * 2), two_labels());
			ck_assert_msg(upload_ingest(&u), "%s: %s", descr, u.problems.list[0].detail);
			upload_open(&u, &p);
			ck_assert_float_eq(((const float *)p.split[0].samples)[0], 0);
			ck_assert_msg(((const float *)p.split[0].samples)[1] == 1, "%s", descr);
			packed_close(&p);
			upload_end(&u);
		}
}
END_TEST

START_TEST(float_labels_are_targets_of_a_regression)
{
	struct upload u;
	struct packed p;
	double y[4] = {0.5, 1.5, -2, 3};
	upload_begin(&u);
	add_npz(&u, bytes_npy("|u1", "2, 3", six, 6), bytes_npy("<f8", "2, 2", y, sizeof(y)));
	ck_assert_msg(upload_ingest(&u), "%s", u.problems.list[0].detail);
	upload_open(&u, &p);
	ck_assert_int_eq(p.classes, 0);
	ck_assert_int_eq(p.split[0].ntargets, 2);
	ck_assert_ptr_null(p.split[0].labels);
	ck_assert_float_eq(p.split[0].targets[2], -2);
	packed_close(&p);
	upload_end(&u);
}
END_TEST

START_TEST(a_value_that_is_not_finite_is_refused_with_its_sample)
{
	struct upload u;
	float x[6] = {0, 1, 2, 3, NAN, 5};
	double huge[6] = {0, 1, 2, 3, 4, 1e300};
	float y[2] = {0, INFINITY};
	upload_begin(&u);
	add_npz(&u, bytes_npy("<f4", "2, 3", x, sizeof(x)), two_labels());
	upload_refused(&u, ERR_INVALID_DATA, "data.npz", "in sample (index 1)");
	upload_end(&u);
	upload_begin(&u);
	add_npz(&u, bytes_npy("<f8", "2, 3", huge, sizeof(huge)), two_labels());
	upload_refused(&u, ERR_INVALID_DATA, "data.npz", "\"x_train.npy\" has a value");
	upload_end(&u);
	upload_begin(&u);
	add_npz(&u, bytes_npy("|u1", "2, 3", six, 6), bytes_npy("<f4", "2,", y, sizeof(y)));
	upload_refused(&u, ERR_INVALID_DATA, "data.npz", "for sample (index 1)");
	upload_end(&u);
}
END_TEST

START_TEST(headers_that_are_not_a_plain_array_are_refused)
{
	static const struct {
		const char *descr, *shape, *part;
	} cases[] = {
		{"|O", "2, 3", "elements of another type"},
		{"<U5", "2, 3", "elements of another type"},
		{"<f2", "2, 3", "elements of another type"},
		{"<c8", "2, 3", "elements of another type"},
		{"=f4", "2, 3", "elements of another type"},
		{"|u1", "2, 3, 1, 1, 1", "at most 4 dimensions"},
		{"|u1", "2, -3", "shape"},
		{"|u1", "99999999999999999999, 3", "shape"},
		{"|u1", "9223372036854775807, 3", ""},
		{"|u1", "2 3", "shape"},
		{"|u1", "", "shape"},
		{"|u1", "2, 0", "shape"},
		{"|u1', 'descr': '|u1", "2, 3", "not understood"},
		{"|u1', 'x': 'y", "2, 3", "not understood"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct upload u;
		upload_begin(&u);
		add_npz(&u, bytes_npy(cases[i].descr, cases[i].shape, six, 6), two_labels());
		upload_refused(&u, ERR_INVALID_DATA, "data.npz", cases[i].part);
		upload_end(&u);
	}
}
END_TEST

START_TEST(fortran_order_is_refused_with_advice)
{
	struct upload u;
	struct bytes x = bytes_npy("|u1", "2, 3", six, 6);
	memcpy(strstr((char *)x.data + 10, "False"), "True ", 5);
	upload_begin(&u);
	add_npz(&u, x, two_labels());
	upload_refused(&u, ERR_INVALID_DATA, "data.npz", "ascontiguousarray");
	upload_end(&u);
}
END_TEST

START_TEST(a_validation_split_in_an_npz_is_passed_over_and_told)
{
	struct upload u;
	struct upload_member members[] = {{"train_images.npy", bytes_npy("|u1", "2, 3", six, 6)},
		{"train_labels.npy", two_labels()}, {"val_images.npy", bytes_npy("|u1", "2, 3", six, 6)}};
	upload_begin(&u);
	upload_take(&u, "data.npz", bytes_zip(members, 3, true));
	ck_assert_msg(upload_ingest(&u), "%s", u.problems.list[0].detail);
	ck_assert_str_eq(
		json_string_value(json_array_get(json_object_get(u.result.info, "ignored"), 0)), "val_images.npy");
	upload_end(&u);
}
END_TEST

START_TEST(a_flipped_byte_in_an_npz_is_found_by_its_checksum)
{
	struct upload u;
	float x[64];
	for (int i = 0; i < 64; i++)
		x[i] = (float)i / 7;
	struct upload_member members[] = {
		{"x_train.npy", bytes_npy("<f4", "2, 32", x, sizeof(x))}, {"y_train.npy", two_labels()}};
	struct bytes zip = bytes_zip(members, 2, true);
	zip.data[200] ^= 0x04; /* within the deflated floats */
	upload_begin(&u);
	upload_take(&u, "data.npz", zip);
	upload_refused(&u, ERR_INVALID_DATA, "data.npz", "damaged");
	upload_end(&u);
}
END_TEST

START_TEST(an_archive_that_unpacks_to_too_much_is_refused)
{
	for (int unsized = 0; unsized < 2; unsized++) {
		struct upload u;
		struct upload_member junk = {"junk", {calloc(1, 18 << 20), 18 << 20}};
		upload_begin(&u);
		u.limits.max_bytes = 1 << 19;
		struct bytes zip = bytes_zip(&junk, 1, true);
		ck_assert_int_eq(zip.data[6] & 8, 8); /* the sizes come after the data as well */
		if (unsized)
			memset(zip.data + 18, 0, 8);
		upload_take(&u, "data.npz", zip);
		upload_refused(&u, ERR_INVALID_DATA, "data.npz", "more bytes than this server accepts");
		upload_end(&u);
	}
}
END_TEST

/* Whatever one byte becomes and wherever the file ends, ingest answers and leaves nothing behind or a whole data set.
 */
START_TEST(a_member_compressed_otherwise_than_by_deflate_is_refused)
{
	enum { METHOD = 8, PPMD = 98 }; /* place in the local header; a method whose memory the archive decides */
	struct upload u;
	struct upload_member members[] = {{"x_train.npy", bytes_npy("|u1", "2,3", six, sizeof(six))}};
	struct bytes zip = bytes_zip(members, 1, true);
	zip.data[METHOD] = PPMD;
	upload_begin(&u);
	upload_take(&u, "data.npz", zip);
	upload_refused(&u, ERR_INVALID_DATA, "data.npz", "otherwise than by deflate");
	upload_end(&u);
}
END_TEST

START_TEST(no_single_byte_or_cut_of_an_npz_breaks_ingest)
{
	for (int deflated = 0; deflated < 2; deflated++) {
		struct upload_member members[] = {
			{"x_train.npy", bytes_npy("|u1", "2, 3", six, 6)}, {"y_train.npy", two_labels()}};
		struct bytes zip = bytes_zip(members, 2, deflated);
		unsigned state = 1;
		for (size_t at = 0; at < zip.size; at++) {
			struct upload u;
			struct packed p;
			state = state * 1103515245u + 12345u;
			uint8_t flip = (uint8_t)(state >> 16 | 1);
			upload_begin(&u);
			zip.data[at] ^= flip;
			upload_add(&u, "data.npz", zip.data, zip.size);
			zip.data[at] ^= flip;
			if (upload_ingest(&u)) {
				upload_open(&u, &p);
				packed_close(&p);
			} else {
				ck_assert_int_gt(u.problems.count, 0);
			}
			u.n = 0;
			upload_add(&u, "data.npz", zip.data, at);
			ck_assert(!upload_ingest(&u) || at > 200);
			upload_end(&u);
		}
		bytes_free(&zip);
	}
}
END_TEST

TEST_SUITE(ingest_npz, 60)
{
	tcase_add_test(tc, all_four_arrays_of_an_npz_are_read_stored_or_deflated);
	tcase_add_test(tc, channels_last_is_turned_to_channels_first);
	tcase_add_test(tc, channels_first_stays);
	tcase_add_test(tc, the_range_is_of_all_samples_and_tells_whole_numbers);
	tcase_add_test(tc, a_shape_that_was_given_is_taken);
	tcase_add_test(tc, a_shape_of_another_size_is_refused);
	tcase_add_test(tc, every_type_of_element_is_read_in_both_byte_orders);
	tcase_add_test(tc, float_labels_are_targets_of_a_regression);
	tcase_add_test(tc, a_value_that_is_not_finite_is_refused_with_its_sample);
	tcase_add_test(tc, headers_that_are_not_a_plain_array_are_refused);
	tcase_add_test(tc, fortran_order_is_refused_with_advice);
	tcase_add_test(tc, a_validation_split_in_an_npz_is_passed_over_and_told);
	tcase_add_test(tc, a_flipped_byte_in_an_npz_is_found_by_its_checksum);
	tcase_add_test(tc, an_archive_that_unpacks_to_too_much_is_refused);
	tcase_add_test(tc, a_member_compressed_otherwise_than_by_deflate_is_refused);
	tcase_add_test(tc, no_single_byte_or_cut_of_an_npz_breaks_ingest);
}
