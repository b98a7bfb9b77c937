/* layer_case.h - the lines of tests/fixtures/layer_cases.txt. Programs run from the top of the tree. */
#ifndef TESTS_LAYER_CASE_H
#define TESTS_LAYER_CASE_H

#include <stdbool.h>

enum { LAYER_CASE_TEXT = 256, LAYER_CASES_MAX = 256 };

struct layer_case {
	int n;
	char mode[8]; /* train, eval, own */
	char net[LAYER_CASE_TEXT];
};

/* Reads all cases; returns how many. Fails the test when the file is not as it should be. */
int layer_cases(struct layer_case ret[LAYER_CASES_MAX]);
/* Whether the net of the case has a layer of this type. */
bool layer_case_has(const struct layer_case *c, const char *type);

#endif
