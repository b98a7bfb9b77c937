/* source.c - see source.h. */
#include "ingest/source.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "ingest/ingest.h"

enum { BLOCK = 1 << 16 };

/* For libarchive. Only here can be told what the disk did from what the file is. */
static la_ssize_t read_block(struct archive *a, void *user, const void **ret)
{
	struct source *s = user;
	ssize_t n = IO_TRY(read(s->fd, s->block, BLOCK));
	*ret = s->block;
	if (n >= 0)
		return n;
	s->error = errno;
	archive_set_error(a, errno, "the file cannot be read");
	return ARCHIVE_FATAL;
}

static bool begin(struct source *s, const struct ingest_file *file)
{
	s->archive = archive_read_new();
	s->block = file->path ? malloc(BLOCK) : NULL;
	if (!s->archive || (file->path && !s->block)) {
		s->error = ENOMEM;
		return false;
	}
	s->fd = file->path ? open(file->path, O_RDONLY | O_CLOEXEC) : -1;
	if (file->path && s->fd < 0) {
		s->error = errno;
		return false;
	}
	/* Only what is decoded in this process: some filters would run a program. The streaming zip reader does not
	 * load the central directory, whose size a client controls. */
	archive_read_support_filter_gzip(s->archive);
	archive_read_support_format_zip_streamable(s->archive);
	archive_read_support_format_tar(s->archive);
	archive_read_support_format_raw(s->archive);
	archive_read_support_format_empty(s->archive);
	int status = file->path ? archive_read_open(s->archive, s, NULL, read_block, NULL)
				: archive_read_open_memory(s->archive, file->bytes, file->size);
	if (status == ARCHIVE_OK)
		return true;
	if (!s->error && archive_errno(s->archive) == ENOMEM)
		s->error = ENOMEM;
	return false;
}

bool source_open(struct source *s, const struct ingest_file *file)
{
	*s = (struct source){.member = -1, .fd = -1};
	if (begin(s, file))
		return true;
	source_close(s);
	return false;
}

void source_close(struct source *s)
{
	if (s->archive)
		archive_read_free(s->archive);
	if (s->fd >= 0)
		close(s->fd);
	free(s->block);
	s->archive = NULL;
	s->block = NULL;
	s->fd = -1;
}

/* Memory that libarchive did not get is no fault of the file. */
static int note_failure(struct source *s)
{
	s->damaged = true;
	if (!s->error && archive_errno(s->archive) == ENOMEM)
		s->error = ENOMEM;
	return -1;
}

static void set_label(struct source *s, const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	const char *name = slash ? slash + 1 : path ? path : "";
	size_t n = 0;
	for (; name[n] && n < SOURCE_LABEL - 1; n++)
		s->label[n] = name[n] > ' ' && name[n] < 0x7f && name[n] != '"' && name[n] != '\\' ? name[n] : '?';
	s->label[n] = '\0';
}

/* archive_read_data may hand out less than asked at an inner boundary. */
static size_t read_fully(struct source *s, uint8_t *ret, size_t size)
{
	size_t done = 0;
	while (done < size) {
		la_ssize_t n = archive_read_data(s->archive, ret + done, size - done);
		if (n < 0)
			note_failure(s);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

/* Zip's other methods take as much memory as the archive asks for: PPMd up to 256 MiB, LZMA and xz as much as their
 * dictionaries. libarchive tells the method in the format's name alone. */
static bool is_plain_zip(struct archive *archive)
{
	const char *name = archive_format_name(archive);
	if ((archive_format(archive) & ARCHIVE_FORMAT_BASE_MASK) != ARCHIVE_FORMAT_ZIP)
		return true;
	return name && (strstr(name, "(uncompressed)") || strstr(name, "(deflation)"));
}

int source_next(struct source *s)
{
	struct archive_entry *entry = NULL;
	for (;;) {
		int status = archive_read_next_header(s->archive, &entry);
		if (status == ARCHIVE_EOF)
			return 0;
		if (status != ARCHIVE_OK && status != ARCHIVE_WARN)
			return note_failure(s);
		if (++s->member >= SOURCE_MEMBERS)
			return -1;
		s->refused = !is_plain_zip(s->archive);
		if (s->refused)
			return -1;
		if (archive_entry_filetype(entry) == AE_IFREG)
			break;
	}
	s->is_archive = archive_format(s->archive) != ARCHIVE_FORMAT_RAW;
	set_label(s, s->is_archive ? archive_entry_pathname(entry) : "");
	s->declared = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : -1;
	s->position = 0;
	s->damaged = false;
	s->nhead = read_fully(s, s->head, SOURCE_HEAD);
	return s->damaged ? -1 : 1;
}

size_t source_read(struct source *s, void *ret, size_t size)
{
	uint8_t *out = ret;
	size_t done = 0;
	if (s->position < (int64_t)s->nhead) {
		done = s->nhead - (size_t)s->position;
		if (done > size)
			done = size;
		memcpy(out, s->head + s->position, done);
	}
	if (done < size)
		done += read_fully(s, out + done, size - done);
	s->position += (int64_t)done;
	return done;
}
