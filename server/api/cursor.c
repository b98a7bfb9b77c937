/* cursor.c - see cursor.h. */
#include "api/cursor.h"

#include "http/http.h"

bool cursor_resume(const char *value, int64_t *after, struct problems *problems)
{
	int64_t id;
	if (!value || !value[0])
		return false;
	if (!http_integer(value, &id) || id < 0) {
		problems_add(problems, ERR_INVALID_REQUEST, "Last-Event-ID", "An event's id is a whole number from 0.");
		return false;
	}
	if (id > *after)
		*after = id;
	return true;
}
