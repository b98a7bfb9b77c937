/* layer_case.c - see layer_case.h. Used by the tests of layers; one thread. */
#include "layer_case.h"

#include <check.h>
#include <stdio.h>

#include "spec_text.h"

int layer_cases(struct layer_case ret[LAYER_CASES_MAX])
{
	char line[2 * LAYER_CASE_TEXT];
	int n = 0;
	FILE *f = fopen("tests/fixtures/layer_cases.txt", "r");
	ck_assert_msg(f != NULL, "run from the top of the tree");
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#')
			continue;
		ck_assert_int_lt(n, LAYER_CASES_MAX);
		int got = sscanf(line, "%d %7s %255[^\n]", &ret[n].n, ret[n].mode, ret[n].net);
		ck_assert_msg(got == 3, "not a case: %s", line);
		n++;
	}
	fclose(f);
	return n;
}

bool layer_case_has(const struct layer_case *c, const char *type)
{
	return text_has(c->net, type);
}
