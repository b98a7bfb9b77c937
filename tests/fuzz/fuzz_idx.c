/*
 * fuzz_idx.c - whatever bytes come as an upload of IDX files, plain or gzipped, they end as a packed data set or as
 * problems. An input: a byte that chooses the shape, then of each file a byte for its name, its length in two (the
 * smaller first) and its bytes.
 */
#include "fuzz/fuzz.h"
#include "fuzz/parts.h"
#include "fuzz/upload.h"

void fuzz_idx(const uint8_t *data, size_t size)
{
	struct parts parts;
	struct ingest_file files[UPLOAD_FILES];
	struct bp_shape shape = upload_shape(size ? data[0] : 0);
	parts_of_files(data, size, &parts);
	for (int i = 0; i < parts.n; i++)
		files[i] = (struct ingest_file){.name = parts_file_name(parts.list[i].name),
			.bytes = parts.list[i].bytes,
			.size = parts.list[i].size};
	if (parts.n > 0)
		upload_check(files, parts.n, &shape);
}
