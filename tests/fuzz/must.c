/* must.c - see fuzz.h. */
#include "fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "not so: %s\n", what);
	abort();
}

void must_tell(const struct problems *p)
{
	for (int i = 0; i < p->count; i++) {
		json_t *param = json_string(p->list[i].param), *detail = json_string(p->list[i].detail);
		must(p->list[i].code < ERR_COUNT && error_info(p->list[i].code)->status >= 400,
			"a problem has its code");
		must(param && detail && p->list[i].detail[0], "a problem is text");
		json_decref(param);
		json_decref(detail);
	}
}

void must_point(const struct problems *p)
{
	for (int i = 0; i < p->count; i++)
		must(!p->list[i].param[0] || p->list[i].param[0] == '/', "a problem points into the body");
}
