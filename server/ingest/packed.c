/*
 * packed.c - packed data sets: where things lie in them, and how they are opened.
 *
 * Opened by work for training and by api for samples, on their own threads. Nothing in the file is believed: all
 * offsets are computed again from the header's numbers, and must end exactly where the file does.
 */
#include "ingest/packed.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sha256.h"

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

/* Read, not mapped: what the disk cannot give is an error here, and there a signal that ends the daemon. False: errno
 * says why it could not be read, 0: it is not. */
static bool is_named_by_content(const char *path, int fd)
{
	uint8_t chunk[CHUNK];
	char hex[SHA256_HEX];
	struct sha256 sum;
	const char *slash = strrchr(path, '/');
	off_t at = 0;
	ssize_t n;
	sha256_init(&sum);
	while ((n = pread(fd, chunk, CHUNK, at)) != 0) {
		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			sha256_add(&sum, chunk, (size_t)n);
			at += n;
		}
	}
	sha256_end(&sum, hex);
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

void packed_close(struct packed *p)
{
	if (p->map)
		munmap(p->map, p->map_size);
	*p = (struct packed){0};
}
