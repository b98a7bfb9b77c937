/* upload.c - see upload.h. */
#include "upload.h"

#include <archive.h>
#include <archive_entry.h>
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void upload_begin(struct upload *u)
{
	memset(u, 0, sizeof(*u));
	/* In memory where that is possible: ingest syncs every file. */
	char dir[UPLOAD_PATH / 2];
	snprintf(dir, sizeof(dir), "%s/backpropd-test-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(u->dir, sizeof(u->dir), "%s", dir);
	snprintf(u->out, sizeof(u->out), "%s/out", dir);
	ck_assert_int_eq(mkdir(u->out, 0700), 0);
	u->limits = (struct ingest_limits){.max_bytes = 1 << 24, .max_samples = 100000};
}

void upload_end(struct upload *u)
{
	DIR *d = opendir(u->out);
	for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
		unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	for (int i = 0; i < u->n; i++)
		unlink(u->paths[i]);
	rmdir(u->out);
	rmdir(u->dir);
	json_decref(u->result.info);
}

void upload_add(struct upload *u, const char *name, const void *data, size_t size)
{
	ck_assert_int_lt(u->n, UPLOAD_FILES);
	char path[UPLOAD_PATH];
	size_t length = strlen(u->dir);
	memcpy(path, u->dir, length);
	snprintf(path + length, sizeof(path) - length, "/%d", u->n);
	memcpy(u->paths[u->n], path, sizeof(path));
	FILE *f = fopen(path, "wb");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(data, 1, size, f), size);
	fclose(f);
	u->files[u->n] = (struct ingest_file){.name = name, .path = u->paths[u->n]};
	u->n++;
}

void bytes_free(struct bytes *b)
{
	free(b->data);
	*b = (struct bytes){0};
}

struct bytes bytes_idx(uint8_t type, const int64_t *dims, const void *data, size_t size)
{
	struct bytes b = {calloc(1, 4 + 16 + size), 4};
	b.data[2] = type;
	for (; *dims >= 0; dims++, b.data[3]++)
		for (int k = 24; k >= 0; k -= 8)
			b.data[b.size++] = (uint8_t)(*dims >> k);
	if (data)
		memcpy(b.data + b.size, data, size);
	b.size += size;
	return b;
}

struct bytes bytes_npy(const char *descr, const char *shape, const void *data, size_t size)
{
	struct bytes b = {calloc(1, 512 + size), 0};
	char text[400];
	int n = snprintf(
		text, sizeof(text), "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }\n", descr, shape);
	memcpy(b.data, "\x93NUMPY\x01\x00", 8);
	b.data[8] = (uint8_t)n;
	b.data[9] = (uint8_t)(n >> 8);
	memcpy(b.data + 10, text, (size_t)n);
	if (data)
		memcpy(b.data + 10 + n, data, size);
	b.size = 10 + (size_t)n + size;
	return b;
}

static struct archive *begin_archive(bool zip, struct bytes *ret, size_t room)
{
	struct archive *a = archive_write_new();
	ret->data = malloc(room);
	if (zip) {
		archive_write_set_format_zip(a);
	} else {
		archive_write_add_filter_gzip(a);
		archive_write_set_format_raw(a);
	}
	archive_write_set_bytes_in_last_block(a, 1);
	ck_assert_int_eq(archive_write_open_memory(a, ret->data, room, &ret->size), ARCHIVE_OK);
	return a;
}

static void write_member(struct archive *a, const char *name, const void *data, size_t size)
{
	struct archive_entry *e = archive_entry_new();
	archive_entry_set_pathname(e, name);
	archive_entry_set_size(e, (la_int64_t)size);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0644);
	ck_assert_int_eq(archive_write_header(a, e), ARCHIVE_OK);
	ck_assert_int_eq(archive_write_data(a, data, size), (la_ssize_t)size);
	archive_entry_free(e);
}

struct bytes bytes_gzip(const void *data, size_t size)
{
	struct bytes b = {0};
	struct archive *a = begin_archive(false, &b, size + 4096);
	write_member(a, "data", data, size);
	ck_assert_int_eq(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	return b;
}

struct bytes bytes_zip(struct upload_member *members, int n, bool deflated)
{
	struct bytes b = {0};
	size_t room = 8192;
	for (int i = 0; i < n; i++)
		room += members[i].bytes.size + 1024;
	struct archive *a = begin_archive(true, &b, room);
	if (deflated)
		archive_write_zip_set_compression_deflate(a);
	else
		archive_write_zip_set_compression_store(a);
	for (int i = 0; i < n; i++) {
		write_member(a, members[i].name, members[i].bytes.data, members[i].bytes.size);
		bytes_free(&members[i].bytes);
	}
	ck_assert_int_eq(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	return b;
}

void upload_take(struct upload *u, const char *name, struct bytes b)
{
	upload_add(u, name, b.data, b.size);
	bytes_free(&b);
}

bool upload_ingest(struct upload *u)
{
	json_decref(u->result.info);
	u->problems = (struct problems){0};
	return ingest_run(u->files, u->n, u->out, &u->limits, &u->problems, &u->result);
}

void upload_refused(struct upload *u, enum error_code code, const char *param, const char *part)
{
	ck_assert(!upload_ingest(u));
	const struct problem *p = &u->problems.list[0];
	ck_assert_int_ge(u->problems.count, 1);
	ck_assert_msg(strstr(p->detail, part), "\"%s\" is not in \"%s\"", part, p->detail);
	ck_assert_str_eq(error_info(p->code)->code, error_info(code)->code);
	ck_assert_str_eq(p->param, param);
	ck_assert_ptr_null(u->result.info);
	/* Nothing is left behind. */
	DIR *d = opendir(u->out);
	for (struct dirent *e = readdir(d); e; e = readdir(d))
		ck_assert_msg(strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0, "%s was left", e->d_name);
	closedir(d);
}

void upload_open(struct upload *u, struct packed *ret)
{
	char path[UPLOAD_PATH + 80];
	snprintf(path, sizeof(path), "%s/%s", u->out, u->result.sha256);
	ck_assert(packed_open(path, true, ret));
}

static void add_idx(struct upload *u, const char *name, bool gzip, struct bytes b)
{
	static char names[UPLOAD_FILES][64];
	snprintf(names[u->n], sizeof(names[u->n]), "%s%s", name, gzip ? ".gz" : "");
	char *label = names[u->n];
	if (!gzip) {
		upload_take(u, label, b);
		return;
	}
	upload_take(u, label, bytes_gzip(b.data, b.size));
	bytes_free(&b);
}

void upload_add_mnist(struct upload *u, bool gzip)
{
	uint8_t pixels[4 * 6], labels[4];
	for (size_t i = 0; i < sizeof(pixels); i++)
		pixels[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(labels); i++)
		labels[i] = i % 3;
	const int64_t train[] = {4, 2, 3, -1}, test[] = {2, 2, 3, -1}, four[] = {4, -1}, two[] = {2, -1};
	add_idx(u, "train-images-idx3-ubyte", gzip, bytes_idx(8, train, pixels, 24));
	add_idx(u, "train-labels-idx1-ubyte", gzip, bytes_idx(8, four, labels, 4));
	add_idx(u, "t10k-images-idx3-ubyte", gzip, bytes_idx(8, test, pixels + 6, 12));
	add_idx(u, "t10k-labels-idx1-ubyte", gzip, bytes_idx(8, two, labels + 1, 2));
}
