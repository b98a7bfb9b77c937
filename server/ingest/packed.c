/*
 * packed.c - packed data sets: where things lie in them, and how they are opened.
 *
 * Mapped by work for training, read row by row by api, on their own threads. Nothing in the file is believed: all
 * offsets are computed again from the header's numbers, and must end exactly where the file does.
 */
#include "ingest/packed.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

enum { CHUNK = 1 << 16 /* bytes read at a time by the verification */ };

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "packed files are mapped as they lie");

static const char magic[8] = "BPPACKED";

enum {
	F_VERSION,
	F_SIZE,
	F_DTYPE,
	F_CLASSES,
	F_TARGETS,
	F_NDIM,
	F_DIM,
	F_COUNT = F_DIM + BP_MAX_DIMS,
	F_MEAN = F_COUNT + SPLIT_COUNT,
	F_STD,
	F_SAMPLES,
	F_ANSWERS = F_SAMPLES + SPLIT_COUNT,
	F_FIELDS = F_ANSWERS + SPLIT_COUNT
};
_Static_assert(sizeof(magic) + F_FIELDS * 8 <= PACKED_HEADER && PACKED_HEADER % PACKED_ALIGN == 0, "the header fits");

/* The next section: aligned, of count x size bytes. The bounds of the numbers keep all products below 2^63. */
static int64_t section(int64_t *end, int64_t count, int64_t size)
{
	int64_t at = (*end + PACKED_ALIGN - 1) / PACKED_ALIGN * PACKED_ALIGN;
	*end = at + count * size;
	return at;
}

bool packed_plan(const struct packed_numbers *n, struct packed_layout *ret)
{
	if (n->shape.ndim < 1 || n->shape.ndim > BP_MAX_DIMS || (n->dtype != BP_U8 && n->dtype != BP_F32))
		return false;
	int64_t sample = 1;
	for (int i = 0; i < n->shape.ndim; i++) {
		if (n->shape.dim[i] < 1 || n->shape.dim[i] > PACKED_MAX_DIM)
			return false;
		sample *= n->shape.dim[i];
		if (sample > PACKED_MAX_SAMPLE)
			return false;
	}
	if (n->classes < 0 || n->classes > PACKED_MAX_CLASSES || n->ntargets < 0 || n->ntargets > PACKED_MAX_TARGETS ||
		(n->classes > 0) == (n->ntargets > 0) || n->count[SPLIT_TRAIN] < 1)
		return false;
	int64_t answer = 4 * (n->classes > 0 ? 1 : n->ntargets);
	int64_t end = PACKED_HEADER;
	ret->mean = section(&end, n->shape.dim[0], 4);
	ret->std = section(&end, n->shape.dim[0], 4);
	for (int i = 0; i < SPLIT_COUNT; i++) {
		if (n->count[i] < 0 || n->count[i] > UINT32_MAX)
			return false;
		ret->samples[i] = section(&end, n->count[i], sample * (n->dtype == BP_U8 ? 1 : 4));
		ret->answers[i] = section(&end, n->count[i], answer);
	}
	ret->size = end;
	return end < (int64_t)1 << 50;
}

void packed_encode(const struct packed_numbers *n, const struct packed_layout *layout, uint8_t ret[PACKED_HEADER])
{
	uint64_t f[F_FIELDS] = {0};
	f[F_VERSION] = PACKED_VERSION;
	f[F_SIZE] = (uint64_t)layout->size;
	f[F_DTYPE] = (uint64_t)n->dtype;
	f[F_CLASSES] = (uint64_t)n->classes;
	f[F_TARGETS] = (uint64_t)n->ntargets;
	f[F_NDIM] = (uint64_t)n->shape.ndim;
	for (int i = 0; i < n->shape.ndim; i++)
		f[F_DIM + i] = (uint64_t)n->shape.dim[i];
	f[F_MEAN] = (uint64_t)layout->mean;
	f[F_STD] = (uint64_t)layout->std;
	for (int i = 0; i < SPLIT_COUNT; i++) {
		f[F_COUNT + i] = (uint64_t)n->count[i];
		f[F_SAMPLES + i] = (uint64_t)layout->samples[i];
		f[F_ANSWERS + i] = (uint64_t)layout->answers[i];
	}
	memset(ret, 0, PACKED_HEADER);
	memcpy(ret, magic, sizeof(magic));
	memcpy(ret + sizeof(magic), f, sizeof(f));
}

/* Reads the numbers, and accepts them when encoding them again gives the same header and the size is the file's. */
static bool decode(const uint8_t *header, size_t size, struct packed_numbers *ret, struct packed_layout *ret_layout)
{
	uint64_t f[F_FIELDS];
	uint8_t again[PACKED_HEADER];
	memcpy(f, header + sizeof(magic), sizeof(f));
	if (f[F_DTYPE] > BP_F32 || f[F_NDIM] > BP_MAX_DIMS || f[F_CLASSES] > PACKED_MAX_CLASSES ||
		f[F_TARGETS] > PACKED_MAX_TARGETS)
		return false;
	*ret = (struct packed_numbers){.dtype = (enum bp_dtype)f[F_DTYPE],
		.classes = (int)f[F_CLASSES],
		.ntargets = (int)f[F_TARGETS],
		.shape.ndim = (int)f[F_NDIM]};
	for (int i = 0; i < ret->shape.ndim; i++)
		ret->shape.dim[i] = (int64_t)f[F_DIM + i];
	for (int i = 0; i < SPLIT_COUNT; i++)
		ret->count[i] = (int64_t)f[F_COUNT + i];
	if (!packed_plan(ret, ret_layout) || (uint64_t)ret_layout->size != size)
		return false;
	packed_encode(ret, ret_layout, again);
	return memcmp(header, again, PACKED_HEADER) == 0;
}

/* Read, not mapped: what the disk cannot give is an error here, and there a signal that ends the daemon. */
bool packed_sha256(int fd, char ret[SHA256_HEX])
{
	uint8_t chunk[CHUNK];
	struct sha256 sum;
	off_t at = 0;
	ssize_t n;
	sha256_init(&sum);
	while ((n = IO_TRY(pread(fd, chunk, CHUNK, at))) != 0) {
		if (n < 0)
			return false;
		sha256_add(&sum, chunk, (size_t)n);
		at += n;
	}
	sha256_end(&sum, ret);
	return true;
}

/* False: errno says why it could not be read, 0: it is not. */
static bool is_named_by_content(const char *path, int fd)
{
	char hex[SHA256_HEX];
	const char *slash = strrchr(path, '/');
	if (!packed_sha256(fd, hex))
		return false;
	errno = 0;
	return strcmp(slash ? slash + 1 : path, hex) == 0;
}

static bool normalization_is_usable(const float *mean, const float *std, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		if (!isfinite(mean[i]) || !isfinite(std[i]) || std[i] <= 0)
			return false;
	return true;
}

static void fill(
	struct packed *p, const uint8_t *base, const struct packed_numbers *n, const struct packed_layout *layout)
{
	p->classes = n->classes;
	for (int i = 0; i < SPLIT_COUNT; i++) {
		struct bp_data *d = &p->split[i];
		*d = (struct bp_data){
			.shape = n->shape, .dtype = n->dtype, .count = n->count[i], .ntargets = n->ntargets};
		d->samples = base + layout->samples[i];
		d->mean = (const float *)(const void *)(base + layout->mean);
		d->std = (const float *)(const void *)(base + layout->std);
		if (n->classes > 0)
			d->labels = (const int32_t *)(const void *)(base + layout->answers[i]);
		else
			d->targets = (const float *)(const void *)(base + layout->answers[i]);
	}
}

bool packed_view(const void *bytes, size_t size, struct packed *ret)
{
	struct packed_numbers numbers;
	struct packed_layout layout;
	*ret = (struct packed){0};
	if (size < PACKED_HEADER || !decode(bytes, size, &numbers, &layout))
		return false;
	fill(ret, bytes, &numbers, &layout);
	return normalization_is_usable(ret->split[0].mean, ret->split[0].std, numbers.shape.dim[0]);
}

bool packed_open(const char *path, bool verify, struct packed *ret)
{
	struct stat st;
	void *map = MAP_FAILED;
	*ret = (struct packed){0};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	int error = fstat(fd, &st) == 0 ? 0 : errno;
	bool whole = !error && S_ISREG(st.st_mode) && st.st_size >= PACKED_HEADER;
	if (whole && verify && !is_named_by_content(path, fd)) {
		error = errno;
		whole = false;
	}
	if (whole) {
		map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
		error = map == MAP_FAILED ? errno : 0;
	}
	close(fd);
	errno = error;
	if (map == MAP_FAILED)
		return false;
	whole = packed_view(map, (size_t)st.st_size, ret);
	ret->map = map;
	ret->map_size = (size_t)st.st_size;
	if (!whole) {
		packed_close(ret);
		errno = 0;
	}
	return whole;
}

/* All of it; a file that ends before is EIO. */
static bool read_at(int fd, void *to, size_t size, int64_t at)
{
	uint8_t *p = to;
	while (size > 0) {
		ssize_t n = IO_TRY(pread(fd, p, size, at));
		if (n <= 0) {
			errno = n < 0 ? errno : EIO;
			return false;
		}
		p += n;
		size -= (size_t)n;
		at += n;
	}
	return true;
}

/* The rows themselves: samples in one piece, answers behind. */
static bool read_rows(int fd, const struct packed_numbers *n, const struct packed_layout *layout, int split,
	int64_t first, struct packed_rows *ret)
{
	size_t sample = n->dtype == BP_U8 ? 1 : 4, answer = 4 * (size_t)(n->classes > 0 ? 1 : n->ntargets);
	for (int i = 0; i < n->shape.ndim; i++)
		sample *= (size_t)n->shape.dim[i];
	size_t samples = (sample * (size_t)ret->data.count + 3) / 4 * 4, answers = answer * (size_t)ret->data.count;
	uint8_t *bytes = malloc(samples + answers + 1);
	ret->bytes = bytes;
	if (ret->data.count == 0)
		first = 0; /* it may be any number then */
	if (!bytes ||
		!read_at(fd, bytes, sample * (size_t)ret->data.count,
			layout->samples[split] + first * (int64_t)sample) ||
		!read_at(fd, bytes + samples, answers, layout->answers[split] + first * (int64_t)answer))
		return false;
	ret->data.samples = bytes;
	if (n->classes > 0)
		ret->data.labels = (const int32_t *)(const void *)(bytes + samples);
	else
		ret->data.targets = (const float *)(const void *)(bytes + samples);
	return true;
}

bool packed_read(const char *path, int split, int64_t first, int64_t n, struct packed_rows *ret)
{
	struct stat st;
	struct packed_numbers numbers;
	struct packed_layout layout;
	uint8_t header[PACKED_HEADER];
	*ret = (struct packed_rows){0};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool ok = fstat(fd, &st) == 0 && read_at(fd, header, sizeof(header), 0);
	if (ok && !decode(header, (size_t)st.st_size, &numbers, &layout)) {
		errno = 0;
		ok = false;
	}
	if (ok) {
		int64_t there = first < numbers.count[split] ? numbers.count[split] - first : 0;
		ret->total = numbers.count[split];
		ret->data = (struct bp_data){.shape = numbers.shape,
			.dtype = numbers.dtype,
			.count = n < there ? n : there,
			.ntargets = numbers.ntargets};
		ok = read_rows(fd, &numbers, &layout, split, first, ret);
	}
	int error = errno;
	close(fd);
	if (!ok)
		packed_rows_done(ret);
	errno = error;
	return ok;
}

void packed_rows_done(struct packed_rows *rows)
{
	free(rows->bytes);
	*rows = (struct packed_rows){0};
}

void packed_close(struct packed *p)
{
	if (p->map)
		munmap(p->map, p->map_size);
	*p = (struct packed){0};
}
