/* scan.c - finds the arrays in the uploaded files and reads their headers. Called by ingest.c. */
#include "ingest/run.h"
#include "base/jsonmem.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CLASSES_BYTES = 1 << 20, CLASSES_FIRST = 1 << 12, CLASS_NAME_MAX = 256, IGNORED_MAX = 20, SCRATCH = 1 << 16 };

/* A word of one letter, such as x in "x_train", "X.npy" and "xtest". */
static bool begins_with_letter(const char *name, char letter)
{
	return name[0] == letter && (!isalpha((unsigned char)name[1]) || strncmp(name + 1, "train", 5) == 0 ||
					    strncmp(name + 1, "test", 4) == 0);
}

static int role_of(const char *name)
{
	char low[SOURCE_LABEL];
	size_t n = 0;
	for (; name[n] && n < sizeof(low) - 1; n++)
		low[n] = (char)tolower((unsigned char)name[n]);
	low[n] = '\0';
	bool test = strstr(low, "test") || strstr(low, "t10k");
	if (strstr(low, "val") && !test)
		return ROLE_NONE;
	int split = test ? SPLIT_TEST : SPLIT_TRAIN;
	if (strstr(low, "label") || strstr(low, "target") || begins_with_letter(low, 'y'))
		return 2 * split + ANSWERS;
	if (strstr(low, "image") || strstr(low, "feature") || begins_with_letter(low, 'x'))
		return 2 * split + SAMPLES;
	return ROLE_NONE;
}

static bool is_class_name(const json_t *v)
{
	size_t n = json_string_length(v);
	return json_is_string(v) && n > 0 && n <= CLASS_NAME_MAX;
}

/* One name a line; a last line without its end counts. NULL when the text is not UTF-8. */
static json_t *names_of_lines(const char *text, size_t size)
{
	json_t *ret = json_array();
	while (size > 0) {
		const char *end = memchr(text, '\n', size);
		size_t line = end ? (size_t)(end - text) : size;
		size_t length = line > 0 && text[line - 1] == '\r' ? line - 1 : line;
		if (json_array_append_new(ret, json_stringn(text, length)) != 0) {
			json_decref(ret);
			return NULL;
		}
		text += end ? line + 1 : line;
		size -= end ? line + 1 : line;
	}
	return ret;
}

/* All of a short text; NULL when it is longer than CLASSES_BYTES or damaged, or there is no memory. */
static char *read_text(struct source *s, size_t *ret_size)
{
	char *text = NULL;
	size_t room = 0, size = 0;
	do {
		room = room ? 2 * room : CLASSES_FIRST;
		char *more = room <= 2 * CLASSES_BYTES ? realloc(text, room) : NULL;
		if (!more) {
			free(text);
			return NULL;
		}
		text = more;
		size += source_read(s, text + size, room - size);
	} while (size == room);
	*ret_size = size;
	if (size <= CLASSES_BYTES && !s->damaged)
		return text;
	free(text);
	return NULL;
}

static bool scan_class_names(struct run *r, struct source *s, const struct ingest_file *file, bool is_json)
{
	if (r->class_names)
		return run_problem(r, file, s->label, "names the classes a second time.");
	size_t size = 0;
	char *text = read_text(s, &size);
	if (text)
		r->class_names =
			is_json ? jsonmem_loadb(text, size, JSON_REJECT_DUPLICATES, NULL) : names_of_lines(text, size);
	free(text);
	r->class_names_file = file;
	bool ok = json_is_array(r->class_names) && json_array_size(r->class_names) <= PACKED_MAX_CLASSES;
	for (size_t i = 0; ok && i < json_array_size(r->class_names); i++)
		ok = is_class_name(json_array_get(r->class_names, i));
	if (ok)
		return true;
	return run_problem(r, file, s->label,
		"must hold the names of at most %d classes, each 1 to %d bytes of UTF-8, %s.", PACKED_MAX_CLASSES,
		CLASS_NAME_MAX, is_json ? "as a JSON array" : "one a line");
}

/* What is in an archive beside the arrays does no harm; a file that was uploaded by itself was meant. */
static bool scan_unknown(struct run *r, struct source *s, const struct ingest_file *file, const char *why)
{
	if (!s->is_archive)
		return run_problem(r, file, "", "%s", why);
	if (json_array_size(r->ignored) < IGNORED_MAX)
		json_array_append_new(r->ignored, json_string(s->label));
	return true;
}

static bool scan_member(struct run *r, struct source *s, const struct ingest_file *file)
{
	const char *name = s->is_archive ? s->label : file->name;
	bool is_json = strcasecmp(name, "classes.json") == 0;
	if (is_json || strcasecmp(name, "classes.txt") == 0)
		return scan_class_names(r, s, file, is_json);
	const struct importer *importer = importer_find(s->head, s->nhead);
	if (!importer)
		return scan_unknown(r, s, file, "is neither IDX, npy nor npz, plain or gzipped.");
	int role = role_of(name);
	if (role == ROLE_NONE)
		return scan_unknown(r, s, file,
			"has a name that does not tell what it is: it needs \"images\" or \"labels\", "
			"x or y, and \"test\" or \"t10k\" for test data.");
	struct found *f = &r->found[role];
	if (f->file)
		return run_problem(r, file, s->label, "holds the %s of the %s data, and so does \"%s\".",
			role % 2 == SAMPLES ? "samples" : "labels", role / 2 == SPLIT_TRAIN ? "training" : "test",
			f->label[0] ? f->label : f->file->name);
	const char *why = "is damaged.";
	*f = (struct found){.file = file, .member = s->member, .importer = importer};
	memcpy(f->label, s->label, sizeof(f->label));
	if (!importer->header(s, &f->header, &why))
		return run_problem(r, file, s->label, "%s", s->damaged ? "is damaged or truncated." : why);
	return true;
}

/* Passes over the rest of a member, at most as far as the budget allows; its end is checked when it is packed. */
static bool pass_over(struct run *r, struct source *s, const struct ingest_file *file)
{
	uint8_t scratch[SCRATCH];
	bool ok = s->declared <= r->budget;
	if (s->declared >= 0) {
		r->budget -= s->declared;
	} else if (s->is_archive) {
		size_t n = 0;
		while (ok && (n = source_read(s, scratch, sizeof(scratch))) > 0) {
			r->budget -= (int64_t)n;
			ok = r->budget >= 0;
		}
	}
	return ok || run_problem(r, file, s->label, "unpacks to more bytes than this server accepts.");
}

static bool scan_file(struct run *r, const struct ingest_file *file)
{
	struct source s;
	if (!source_open(&s, file)) {
		r->error = s.error;
		return run_problem(r, file, "", "is damaged or truncated.");
	}
	int status = 0;
	bool ok = true;
	while (ok && (status = source_next(&s)) > 0)
		ok = scan_member(r, &s, file) && pass_over(r, &s, file);
	if (ok && status < 0)
		ok = run_problem(r, file, "",
			s.member >= SOURCE_MEMBERS ? "has more than %d members."
			: s.refused ? "has a member that is compressed otherwise than by deflate (member %d)."
				    : "is damaged or truncated (member %d).",
			s.member >= SOURCE_MEMBERS ? SOURCE_MEMBERS : s.member + 1);
	if (ok && s.member < 0)
		ok = run_problem(r, file, "", "is empty.");
	if (s.error)
		r->error = s.error;
	source_close(&s);
	return ok;
}

bool run_scan(struct run *r)
{
	bool ok = true;
	for (int i = 0; i < r->nfiles; i++)
		ok = scan_file(r, &r->files[i]) && ok;
	return ok;
}
