/*
 * fuzz_npz.c - whatever bytes come as one uploaded file, an npz most of all but any archive or array, they end as a
 * packed data set or as problems. An input: a byte that chooses the shape, then the file.
 */
#include "fuzz/fuzz.h"
#include "fuzz/upload.h"

void fuzz_npz(const uint8_t *data, size_t size)
{
	if (size == 0)
		return;
	struct bp_shape shape = upload_shape(data[0]);
	const struct ingest_file file = {.name = "data.npz", .bytes = data + 1, .size = size - 1};
	upload_check(&file, 1, &shape);
}
