/* sample.c - see sample.h. */
#include "http/sample.h"

#include <archive.h>
#include <archive_entry.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/daemon.h"
#include "http/talk.h"

void bytes_free(struct bytes *b)
{
	free(b->at);
	*b = (struct bytes){0};
}

static struct bytes bytes_new(size_t size)
{
	struct bytes b = {.at = calloc(1, size + 1), .size = size};
	ck_assert_ptr_nonnull(b.at);
	return b;
}

/* ---- images ---- */

int sample_label(int i)
{
	return (i * 7 + i / 5) % SAMPLE_CLASSES;
}

void sample_image(int i, uint8_t ret[SAMPLE_PIXELS])
{
	int label = sample_label(i);
	uint32_t noise = (uint32_t)i * 2654435761u + 12345u;
	for (int p = 0; p < SAMPLE_PIXELS; p++) {
		int y = p / SAMPLE_SIDE, x = p % SAMPLE_SIDE;
		bool bright = (y >= SAMPLE_SIDE / 2) == (label >= 2) && (x >= SAMPLE_SIDE / 2) == (label % 2 == 1);
		noise = noise * 1664525u + 1013904223u; /* Numerical Recipes' generator */
		ret[p] = (uint8_t)((bright ? 96 : 0) + (noise >> 24) % 128);
	}
}

static void put_u32(uint8_t *at, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(v >> (24 - 8 * i));
}

struct bytes sample_idx_images(int first, int n)
{
	struct bytes b = bytes_new(16 + (size_t)n * SAMPLE_PIXELS);
	memcpy(b.at, "\0\0\x08\x03", 4);
	put_u32(b.at + 4, (uint32_t)n);
	put_u32(b.at + 8, SAMPLE_SIDE);
	put_u32(b.at + 12, SAMPLE_SIDE);
	for (int i = 0; i < n; i++)
		sample_image(first + i, b.at + 16 + (size_t)i * SAMPLE_PIXELS);
	return b;
}

struct bytes sample_idx_labels(int first, int n)
{
	struct bytes b = bytes_new(8 + (size_t)n);
	memcpy(b.at, "\0\0\x08\x01", 4);
	put_u32(b.at + 4, (uint32_t)n);
	for (int i = 0; i < n; i++)
		b.at[8 + i] = (uint8_t)sample_label(first + i);
	return b;
}

/* ---- archives ---- */

static void write_member(struct archive *a, const char *name, const struct bytes *b)
{
	struct archive_entry *entry = archive_entry_new();
	archive_entry_set_pathname(entry, name);
	archive_entry_set_size(entry, (int64_t)b->size);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0600);
	ck_assert_int_eq(archive_write_header(a, entry), ARCHIVE_OK);
	ck_assert_int_eq(archive_write_data(a, b->at, b->size), (la_ssize_t)b->size);
	archive_entry_free(entry);
}

struct bytes sample_gzip(const struct bytes *b)
{
	struct bytes out = bytes_new(b->size + b->size / 8 + 4096);
	size_t used = 0;
	struct archive *a = archive_write_new();
	archive_write_set_format_raw(a);
	archive_write_add_filter_gzip(a);
	archive_write_set_bytes_in_last_block(a, 1);
	ck_assert_int_eq(archive_write_open_memory(a, out.at, out.size, &used), ARCHIVE_OK);
	write_member(a, "data", b);
	ck_assert_int_eq(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	out.size = used;
	return out;
}

struct bytes sample_npy(const char *descr, const char *shape, const void *data, size_t size)
{
	char head[128];
	int n = snprintf(head, sizeof head, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shape);
	size_t text = ((size_t)n + 1 + 10 + 63) / 64 * 64 - 10;
	struct bytes b = bytes_new(10 + text + size);
	memcpy(b.at, "\x93NUMPY\x01\x00", 8);
	b.at[8] = (uint8_t)(text & 255);
	b.at[9] = (uint8_t)(text >> 8);
	memset(b.at + 10, ' ', text);
	memcpy(b.at + 10, head, (size_t)n);
	b.at[10 + text - 1] = '\n';
	memcpy(b.at + 10 + text, data, size);
	return b;
}

struct bytes sample_npz(const char *const *names, struct bytes *arrays, int n)
{
	size_t room = 65536, used = 0;
	for (int i = 0; i < n; i++)
		room += arrays[i].size + 1024;
	struct bytes out = bytes_new(room);
	struct archive *a = archive_write_new();
	archive_write_set_format_zip(a);
	archive_write_set_options(a, "zip:compression=store");
	archive_write_set_bytes_in_last_block(a, 1);
	ck_assert_int_eq(archive_write_open_memory(a, out.at, out.size, &used), ARCHIVE_OK);
	for (int i = 0; i < n; i++) {
		char member[64];
		snprintf(member, sizeof member, "%s.npy", names[i]);
		write_member(a, member, &arrays[i]);
		bytes_free(&arrays[i]);
	}
	ck_assert_int_eq(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	out.size = used;
	return out;
}

struct bytes sample_npz_images(int train, int test)
{
	static const char *const names[] = {"x_train", "y_train", "x_test", "y_test"};
	struct bytes arrays[4];
	char shape[64];
	for (int split = 0; split < 2; split++) {
		int first = split ? train : 0, n = split ? test : train;
		struct bytes images = sample_idx_images(first, n), labels = sample_idx_labels(first, n);
		snprintf(shape, sizeof shape, "(%d, 8, 8)", n);
		arrays[2 * split] = sample_npy("|u1", shape, images.at + 16, images.size - 16);
		snprintf(shape, sizeof shape, "(%d,)", n);
		arrays[2 * split + 1] = sample_npy("|u1", shape, labels.at + 8, labels.size - 8);
		bytes_free(&images);
		bytes_free(&labels);
	}
	return sample_npz(names, arrays, test > 0 ? 4 : 2);
}

/* ---- through the daemon ---- */

static void put_file(int port, const char *dataset, const char *file, struct bytes b)
{
	char target[160];
	snprintf(target, sizeof target, "/v1/datasets/%s/files/%s", dataset, file);
	json_decref(talk_put(port, target, b.at, b.size, 201));
	bytes_free(&b);
}

void sample_upload(int port, const char *name, int train, int test)
{
	char target[160];
	struct bytes images = sample_idx_images(0, train);
	put_file(port, name, "train-images-idx3-ubyte.gz", sample_gzip(&images));
	bytes_free(&images);
	put_file(port, name, "train-labels-idx1-ubyte", sample_idx_labels(0, train));
	if (test > 0) {
		put_file(port, name, "t10k-images-idx3-ubyte", sample_idx_images(train, test));
		put_file(port, name, "t10k-labels-idx1-ubyte", sample_idx_labels(train, test));
	}
	snprintf(target, sizeof target, "/v1/datasets/%s/commit", name);
	json_decref(talk(port, "POST", target, NULL, 201));
}

const char *sample_model(void)
{
	return "{\"name\":\"quarters\",\"input\":{\"shape\":[1,8,8]},\"layers\":["
	       "{\"name\":\"conv\",\"type\":\"Conv2d\",\"out_channels\":4,\"kernel_size\":3,\"padding\":1},"
	       "{\"type\":\"ReLU\"},{\"type\":\"MaxPool2d\",\"kernel_size\":2},{\"type\":\"Dropout\",\"p\":0.1},"
	       "{\"type\":\"Flatten\"},{\"name\":\"fc\",\"type\":\"Linear\",\"out_features\":4}]}";
}

char *sample_job(const char *dataset, const char *training)
{
	char *text = NULL;
	ck_assert_int_gt(asprintf(&text, "{\"dataset\":\"%s\",\"model\":%s,\"training\":{%s}}", dataset, sample_model(),
				 training),
		0);
	return text;
}

const char *sample_submit(int port, const char *dataset, const char *training, char ret_id[64])
{
	char *body = sample_job(dataset, training);
	json_t *job = talk(port, "POST", "/v1/jobs", body, 201);
	snprintf(ret_id, 64, "%s", talk_text(job, "id"));
	json_decref(job);
	free(body);
	return ret_id;
}

json_t *sample_wait(int port, const char *id, const char *status)
{
	char target[128];
	snprintf(target, sizeof target, "/v1/jobs/%s?wait=5", id);
	for (;;) {
		json_t *job = talk_get(port, target);
		const char *now = talk_text(job, "status");
		if (strcmp(now, status) == 0)
			return job;
		if (strcmp(now, "succeeded") == 0 || strcmp(now, "failed") == 0 || strcmp(now, "cancelled") == 0)
			ck_abort_msg("the job is %s: %s", now, json_dumps(job, JSON_COMPACT));
		json_decref(job);
	}
}

struct client *sample_events(int port, const char *id, const char *type)
{
	char target[128];
	struct client *c = client_open(port);
	ck_assert_ptr_nonnull(c);
	snprintf(target, sizeof target, "/v1/jobs/%s/events?type=%s", id, type);
	ck_assert(client_request(c, "GET", target, "Accept: text/event-stream\r\n", NULL, 0));
	struct response head = client_read_head(c);
	ck_assert_int_eq(head.status, 200);
	response_free(&head);
	return c;
}

void sample_wait_epoch(int port, const char *id, int epoch)
{
	struct client_event event;
	struct client *c = sample_events(port, id, "epoch");
	for (int seen = 0; seen < epoch;) {
		ck_assert_msg(client_read_event(c, &event), "the job ended before epoch %d", epoch);
		json_t *data = json_loads(event.data, 0, NULL);
		seen = (int)talk_int(data, "epoch");
		json_decref(data);
	}
	client_close(c);
}

struct bytes sample_weights(int port, const char *id, const char *which)
{
	char target[160];
	snprintf(target, sizeof target, "/v1/jobs/%s/checkpoints/%s/weights", id, which);
	struct response r = request_get(port, target);
	ck_assert_msg(r.status == 200, "%s: %d %s", target, r.status, r.body ? r.body : "");
	struct bytes b = bytes_new(r.size);
	memcpy(b.at, r.body, r.size);
	response_free(&r);
	return b;
}

struct bytes sample_undisturbed(const char *const *flags, int n, const char *training)
{
	struct daemon d;
	char id[64];
	daemon_start(&d, flags);
	sample_upload(d.port, "quarters", n, 0);
	json_decref(sample_wait(d.port, sample_submit(d.port, "quarters", training, id), "succeeded"));
	struct bytes weights = sample_weights(d.port, id, "last");
	daemon_done(&d);
	return weights;
}
