/*
 * fixture.h - numbers that PyTorch made (tests/fixtures/make_*.py), and the generator both sides draw their inputs
 * from. Tests run from the project's directory.
 */
#ifndef TESTS_FIXTURE_H
#define TESTS_FIXTURE_H

#include "backprop.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

/* tests/fixtures/draw.py says the same. */
struct fixture_draw {
	uint32_t state;
};

static inline uint32_t fixture_bits(struct fixture_draw *d)
{
	d->state = d->state * 1664525u + 1013904223u;
	return d->state >> 8;
}
/* In [-1, 1). */
static inline double fixture_real(struct fixture_draw *d)
{
	return fixture_bits(d) / 8388608.0 - 1;
}

/* Reads the n numbers that follow the line `name` in a text fixture. */
static inline void fixture_text(const char *path, const char *name, double *ret, int n)
{
	char line[8192];
	FILE *f = fopen(path, "r");
	ck_assert_msg(f, "%s is missing: run the tests from the project's directory", path);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (strcmp(line, name) == 0)
			break;
	}
	for (int i = 0; i < n; i++)
		ck_assert_msg(fscanf(f, "%lf", &ret[i]) == 1, "%s ends within %s", path, name);
	fclose(f);
}

#endif
