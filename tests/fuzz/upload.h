/* upload.h - an upload in memory on its way to a packed data set, for the targets of its formats. One thread. */
#ifndef TESTS_FUZZ_UPLOAD_H
#define TESTS_FUZZ_UPLOAD_H

#include "ingest/ingest.h"

enum { UPLOAD_FILES = 6 };

/* Which shape the client gives, by any byte; most say none. */
struct bp_shape upload_shape(uint8_t choice);
/* Takes in the files as ingest_run does, but for names on the disk; aborts when something is not as it should be. */
void upload_check(const struct ingest_file *files, int n, const struct bp_shape *shape);

#endif
