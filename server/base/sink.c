/* sink.c - see sink.h. */
#include "base/sink.h"

#include <stdlib.h>
#include <string.h>

/* What stdio calls: 0 is its word for a failure. */
static ssize_t take(void *cookie, const char *bytes, size_t n)
{
	struct sink *s = cookie;
	if (n >= s->room - s->size) {
		size_t room = (s->size + n + 1) * 2;
		char *grown = realloc(s->bytes, room);
		if (!grown)
			return 0;
		s->bytes = grown;
		s->room = room;
	}
	memcpy(s->bytes + s->size, bytes, n);
	s->size += n;
	s->bytes[s->size] = '\0';
	return (ssize_t)n;
}

FILE *sink_open(struct sink *s)
{
	*s = (struct sink){0};
	return fopencookie(s, "w", (cookie_io_functions_t){.write = take});
}

bool sink_close(struct sink *s, FILE *f, char **ret, size_t *ret_size)
{
	bool ok = fflush(f) == 0 && !ferror(f);
	ok = fclose(f) == 0 && ok && s->bytes;
	if (!ok)
		free(s->bytes);
	*ret = ok ? s->bytes : NULL;
	*ret_size = ok ? s->size : 0;
	return ok;
}
