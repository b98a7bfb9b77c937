/*
 * gradcheck.h - compares a gradient with central differences of the function it belongs to. Meant for the double build.
 *
 * An element is certified when the two agree to a relative 1e-6 (or are both exactly 0). One that does not may be
 * excused as rounding noise, when the difference is below what the function's own rounding explains; but a check passes
 * only when nearly all elements are certified and at least one gradient is not 0.
 */
#ifndef TESTS_GRADCHECK_H
#define TESTS_GRADCHECK_H

#include "backprop.h"

struct gradcheck {
	const char *what; /* for a person */
	size_t n;
	bp_real *v;                  /* the variables; restored after the check */
	const bp_real *gradient;     /* claimed; must not lie where value writes */
	double (*value)(void *user); /* the function at v */
	void *user;
};

/* True when the gradient is right; else ret_why (200 bytes) says where it is not. */
bool gradcheck(const struct gradcheck *g, char *ret_why);
/* Fails the test unless it is right. */
void gradcheck_assert(const struct gradcheck *g);

#endif
