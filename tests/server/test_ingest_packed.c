/* test_ingest_packed.c - packed files: flipped bytes, wrong sizes, and large flat samples. */
#include "runner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ingest/packed.h"
#include "spec/spec.h"
#include "upload.h"

/* The packed file in memory, to be written again changed. */
struct copy {
	struct upload u;
	char path[UPLOAD_PATH + 80];
	uint8_t *data;
	size_t size;
};

static void copy_begin(struct copy *c)
{
	upload_begin(&c->u);
	upload_add_mnist(&c->u, false);
	ck_assert(upload_ingest(&c->u));
	snprintf(c->path, sizeof(c->path), "%s/%s", c->u.out, c->u.result.sha256);
	c->size = (size_t)c->u.result.bytes;
	c->data = malloc(c->size);
	FILE *f = fopen(c->path, "rb");
	ck_assert_uint_eq(fread(c->data, 1, c->size, f), c->size);
	fclose(f);
	ck_assert_int_eq(chmod(c->path, 0600), 0);
}

static void copy_write(const struct copy *c, size_t size)
{
	FILE *f = fopen(c->path, "wb");
	ck_assert_ptr_nonnull(f);
	fwrite(c->data, 1, size, f);
	fclose(f);
}

static void copy_end(struct copy *c)
{
	free(c->data);
	upload_end(&c->u);
}

/* Reads all that the header promises, so that a wrong promise is a fault. */
static uint64_t touch(const struct packed *p)
{
	uint64_t sum = 0;
	for (int i = 0; i < SPLIT_COUNT; i++) {
		const struct bp_data *d = &p->split[i];
		size_t bytes = (size_t)bp_shape_size(&d->shape) * (d->dtype == BP_U8 ? 1 : 4);
		for (int64_t k = 0; k < d->count; k++) {
			for (size_t b = 0; b < bytes; b++)
				sum += ((const uint8_t *)d->samples)[(size_t)k * bytes + b];
			sum += d->labels ? (uint64_t)d->labels[k] : 0;
			for (int t = 0; d->targets && t < d->ntargets; t++)
				sum += ((const uint32_t *)(const void *)d->targets)[k * d->ntargets + t];
		}
	}
	for (int64_t c = 0; c < p->split[0].shape.dim[0]; c++)
		sum += p->split[0].mean[c] > 0 && p->split[0].std[c] > 0;
	return sum;
}

START_TEST(a_whole_file_opens_and_is_read_only)
{
	struct upload u;
	struct stat st;
	char path[UPLOAD_PATH + 80];
	upload_begin(&u);
	upload_add_mnist(&u, false);
	ck_assert(upload_ingest(&u));
	snprintf(path, sizeof(path), "%s/%s", u.out, u.result.sha256);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0440);
	ck_assert_int_eq(st.st_size, u.result.bytes);
	upload_end(&u);
}
END_TEST

START_TEST(every_flipped_byte_is_found_when_verifying_and_harmless_when_not)
{
	struct copy c;
	struct packed p;
	uint64_t sum = 0;
	copy_begin(&c);
	for (size_t at = 0; at < c.size; at++) {
		for (int bit = 0; bit < 8; bit++) {
			c.data[at] ^= (uint8_t)(1 << bit);
			copy_write(&c, c.size);
			ck_assert_msg(!packed_open(c.path, true, &p), "byte %zu bit %d", at, bit);
			if (packed_open(c.path, false, &p)) {
				sum += touch(&p);
				packed_close(&p);
			}
			c.data[at] ^= (uint8_t)(1 << bit);
		}
	}
	ck_assert_uint_gt(sum, 0);
	copy_end(&c);
}
END_TEST

/* The row that was read is the mapped one. */
static void check_row(const struct packed *p, int split, int64_t row, const struct packed_rows *got, int64_t at)
{
	const struct bp_data *d = &p->split[split];
	size_t bytes = (size_t)bp_shape_size(&d->shape);
	const uint8_t *want = (const uint8_t *)d->samples + (size_t)row * bytes;
	ck_assert(memcmp((const uint8_t *)got->data.samples + (size_t)at * bytes, want, bytes) == 0);
	ck_assert_int_eq(got->data.labels[at], d->labels[row]);
}

START_TEST(rows_are_read_as_they_are_mapped_and_only_those_that_there_are)
{
	struct copy c;
	struct packed p;
	struct packed_rows rows;
	copy_begin(&c);
	ck_assert(packed_open(c.path, true, &p));
	for (int split = 0; split < SPLIT_COUNT; split++) {
		int64_t count = p.split[split].count;
		for (int64_t first = 0; first < count + 2; first++) {
			for (int64_t n = 0; n < count + 2; n++) {
				int64_t there = first < count ? count - first : 0;
				ck_assert(packed_read(c.path, split, first, n, &rows));
				ck_assert_int_eq(rows.total, count);
				ck_assert_int_eq(rows.data.count, n < there ? n : there);
				for (int64_t i = 0; i < rows.data.count; i++)
					check_row(&p, split, first + i, &rows, i);
				packed_rows_done(&rows);
			}
		}
	}
	ck_assert(packed_read(c.path, SPLIT_TRAIN, INT64_MAX, INT64_MAX, &rows));
	ck_assert_int_eq(rows.data.count, 0);
	packed_rows_done(&rows);
	packed_close(&p);
	copy_write(&c, c.size - 1);
	ck_assert(!packed_read(c.path, SPLIT_TRAIN, 0, 1, &rows));
	ck_assert_int_eq(errno, 0);
	c.data[8]++;
	copy_write(&c, c.size);
	ck_assert(!packed_read(c.path, SPLIT_TRAIN, 0, 1, &rows));
	ck_assert_int_eq(errno, 0);
	ck_assert(!packed_read("/nonexistent/file", SPLIT_TRAIN, 0, 1, &rows));
	ck_assert_int_eq(errno, ENOENT);
	copy_end(&c);
}
END_TEST

START_TEST(a_file_of_any_other_length_does_not_open)
{
	struct copy c;
	struct packed p;
	copy_begin(&c);
	for (size_t size = 0; size < c.size; size++) {
		copy_write(&c, size);
		ck_assert(!packed_open(c.path, false, &p));
	}
	c.data = realloc(c.data, c.size + 1);
	c.data[c.size] = 0;
	copy_write(&c, c.size + 1);
	ck_assert(!packed_open(c.path, false, &p));
	copy_write(&c, c.size);
	ck_assert(packed_open(c.path, true, &p));
	packed_close(&p);
	copy_end(&c);
}
END_TEST

START_TEST(hostile_numbers_in_the_header_never_open)
{
	static const uint64_t hostile[] = {
		0, 1, 2, 5, 1ull << 16, 1ull << 31, (1ull << 32) - 1, 1ull << 32, 1ull << 63, ~0ull};
	struct copy c;
	struct packed p;
	int opened = 0;
	copy_begin(&c);
	for (size_t at = 8; at + 8 <= PACKED_HEADER; at += 8)
		for (size_t k = 0; k < sizeof(hostile) / sizeof(hostile[0]); k++) {
			uint64_t was;
			memcpy(&was, c.data + at, 8);
			memcpy(c.data + at, &hostile[k], 8);
			copy_write(&c, c.size);
			if (packed_open(c.path, false, &p)) {
				touch(&p);
				packed_close(&p);
				opened++;
			}
			memcpy(c.data + at, &was, 8);
		}
	/* Only numbers that were there before, and another count of classes, describe the same file. */
	ck_assert_int_lt(opened, 40);
	copy_end(&c);
}
END_TEST

START_TEST(a_plan_bounds_every_number)
{
	struct packed_layout layout;
	const struct packed_numbers good = {.shape = {3, {1, 28, 28}}, .classes = 10, .count = {60000, 10000}};
	ck_assert(packed_plan(&good, &layout));
	ck_assert_int_eq(layout.samples[0] % 64, 0);
	ck_assert_int_eq(layout.size, layout.answers[1] + 40000);
	struct packed_numbers bad = good;
	bad.count[0] = 0;
	ck_assert(!packed_plan(&bad, &layout));
	bad = good;
	bad.count[1] = INT64_MAX;
	ck_assert(!packed_plan(&bad, &layout));
	bad = good;
	bad.shape.dim[1] = INT64_MAX / 2;
	ck_assert(!packed_plan(&bad, &layout));
	bad = good;
	bad.shape.ndim = 0;
	ck_assert(!packed_plan(&bad, &layout));
	bad.shape.ndim = BP_MAX_DIMS + 1;
	ck_assert(!packed_plan(&bad, &layout));
	bad = good;
	bad.ntargets = 1;
	ck_assert(!packed_plan(&bad, &layout));
	bad = good;
	bad.classes = PACKED_MAX_CLASSES + 1;
	ck_assert(!packed_plan(&bad, &layout));
}
END_TEST

START_TEST(a_directory_or_nothing_does_not_open)
{
	struct packed p;
	ck_assert(!packed_open("/", false, &p));
	ck_assert(!packed_open("/nonexistent/file", true, &p));
	packed_close(&p);
}
END_TEST

START_TEST(many_features_share_one_mean)
{
	struct upload u;
	struct packed p;
	const int64_t x[] = {2, 5000, -1}, y[] = {2, -1};
	uint8_t *values = calloc(2, 5000);
	memset(values, 51, 5000);
	upload_begin(&u);
	upload_take(&u, "train-images", bytes_idx(8, x, values, 10000));
	upload_take(&u, "train-labels", bytes_idx(8, y, NULL, 2));
	ck_assert(upload_ingest(&u));
	ck_assert_uint_eq(json_array_size(json_object_get(u.result.info, "mean")), 1);
	upload_open(&u, &p);
	ck_assert_float_eq_tol(p.split[0].mean[0], 0.1f, 1e-7f);
	ck_assert_float_eq_tol(p.split[0].mean[4999], 0.1f, 1e-7f);
	ck_assert_float_eq_tol(p.split[0].std[4999], 0.1f, 1e-7f);
	packed_close(&p);
	free(values);
	upload_end(&u);
}
END_TEST

/* ---- what a training makes of it ------------------------------------------------------------------------ */

enum { TINY_ROOM = 4096, TINY_TRAIN = 5, TINY_TEST = 2 };

/* Seven maps of 2x2 in two classes, or with one target each. Returns the size. */
static size_t tiny_file(bool classes, uint8_t ret[TINY_ROOM])
{
	struct packed_numbers n = {.shape = {3, {1, 2, 2}},
		.dtype = classes ? BP_U8 : BP_F32,
		.classes = classes ? 2 : 0,
		.ntargets = classes ? 0 : 1,
		.count = {TINY_TRAIN, TINY_TEST}};
	struct packed_layout layout;
	float one = 1;
	ck_assert(packed_plan(&n, &layout));
	ck_assert_int_lt(layout.size, TINY_ROOM);
	memset(ret, 0, TINY_ROOM);
	packed_encode(&n, &layout, ret);
	memcpy(ret + layout.std, &one, sizeof one);
	for (int i = 0; i < SPLIT_COUNT; i++)
		for (int64_t k = 0; k < n.count[i]; k++)
			if (classes)
				ret[layout.answers[i] + 4 * k] = (uint8_t)(k % 2);
			else
				memcpy(ret + layout.answers[i] + 4 * k, &one, sizeof one);
	return (size_t)layout.size;
}

static struct bp_net *tiny_net(int outputs)
{
	char text[200];
	struct problems problems = {0};
	struct spec_model model;
	snprintf(text, sizeof text,
		"{\"input\":{\"shape\":[1,2,2]},\"layers\":[{\"type\":\"Flatten\"},"
		"{\"type\":\"Linear\",\"out_features\":%d}]}",
		outputs);
	json_t *json = json_loads(text, 0, NULL);
	ck_assert(spec_model_parse(json, "", &problems, &model));
	struct bp_net *net = spec_model_build(&model, "", &problems);
	ck_assert(net && bp_net_init(net, 1) == BP_OK);
	spec_model_done(&model);
	json_decref(json);
	return net;
}

/* An epoch with validation on the other split, as if the file had been verified. False: it was refused. */
static bool trains(struct bp_net *net, const struct packed *p)
{
	struct bp_train_params params;
	struct bp_trainer *trainer = NULL;
	struct bp_error err = {.status = BP_OK};
	bool done = false;
	const char *loss = p->classes ? "CrossEntropyLoss" : "MSELoss";
	bp_train_params_defaults(&params);
	params.epochs = 1;
	params.batch_size = 2;
	params.threads = params.max_threads = 1;
	bp_item_defaults(BP_LOSS, bp_item_find(BP_LOSS, loss), &params.loss);
	bp_item_defaults(BP_OPTIMIZER, bp_item_find(BP_OPTIMIZER, "SGD"), &params.optimizer);
	enum bp_status st = bp_trainer_new(net, &params, &p->split[SPLIT_TRAIN],
		p->split[SPLIT_TEST].count ? &p->split[SPLIT_TEST] : NULL, &trainer, &err);
	ck_assert_msg(st == err.status && (st == BP_OK || err.message[0]), "refused without a reason");
	if (st == BP_OK)
		ck_assert_msg(bp_trainer_run(trainer, NULL, NULL, &done, &err) == BP_OK && done, "%s", err.message);
	bp_trainer_free(trainer);
	return st == BP_OK;
}

START_TEST(with_any_byte_changed_and_no_checksum_a_training_runs_or_is_refused)
{
	static const uint8_t flips[] = {0x01, 0x10, 0x40, 0x80, 0xff};
	uint8_t whole[TINY_ROOM], *changed = NULL;
	struct packed p;
	int ran = 0, refused = 0;
	size_t size = tiny_file(_i == 0, whole);
	struct bp_net *net = tiny_net(_i == 0 ? 2 : 1);
	/* Of its size to the byte, and aligned as a mapping is. */
	ck_assert_int_eq(posix_memalign((void **)&changed, PACKED_ALIGN, size), 0);
	memcpy(changed, whole, size);
	ck_assert(packed_view(changed, size, &p) && trains(net, &p));
	for (size_t at = 0; at < size; at++)
		for (size_t k = 0; k < sizeof flips; k++) {
			changed[at] ^= flips[k];
			bool ok = packed_view(changed, size, &p) && trains(net, &p);
			ran += ok;
			refused += !ok;
			changed[at] = whole[at];
		}
	ck_assert_int_gt(ran, TINY_TRAIN * 4);
	ck_assert_int_gt(refused, PACKED_HEADER);
	bp_net_free(net);
	free(changed);
}
END_TEST

TEST_SUITE(ingest_packed, 60)
{
	tcase_add_test(tc, a_whole_file_opens_and_is_read_only);
	tcase_add_test(tc, every_flipped_byte_is_found_when_verifying_and_harmless_when_not);
	tcase_add_loop_test(tc, with_any_byte_changed_and_no_checksum_a_training_runs_or_is_refused, 0, 2);
	tcase_add_test(tc, rows_are_read_as_they_are_mapped_and_only_those_that_there_are);
	tcase_add_test(tc, a_file_of_any_other_length_does_not_open);
	tcase_add_test(tc, hostile_numbers_in_the_header_never_open);
	tcase_add_test(tc, a_plan_bounds_every_number);
	tcase_add_test(tc, a_directory_or_nothing_does_not_open);
	tcase_add_test(tc, many_features_share_one_mean);
}
