/* problems.c - see problems.h. */
#include "problems.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *json_of(const char *text)
{
	json_error_t error;
	char *copy = strdup(text);
	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	json_t *ret = json_loads(copy, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	ck_assert_msg(ret != NULL, "%s: %s", error.text, copy);
	free(copy);
	return ret;
}

void problem_expect(const struct problems *p, enum error_code code, const char *param, const char *part)
{
	char all[8192] = "";
	size_t n = 0;
	for (int i = 0; i < p->count; i++) {
		const struct problem *q = &p->list[i];
		if (q->code == code && strcmp(q->param, param) == 0 && strstr(q->detail, part))
			return;
		n += (size_t)snprintf(
			all + n, sizeof(all) - n, "\n  %s %s: %s", error_info(q->code)->code, q->param, q->detail);
	}
	ck_abort_msg("no %s at %s with \"%s\" among:%s", error_info(code)->code, param, part, all);
}

void problem_none(const struct problems *p)
{
	if (p->count > 0)
		ck_abort_msg("%s %s: %s", error_info(p->list[0].code)->code, p->list[0].param, p->list[0].detail);
}
