/*
 * clock.h - the real daemon with a wall clock that a test sets off: tests/clock/clock.c is loaded into it.
 */
#ifndef TESTS_HTTP_CLOCK_H
#define TESTS_HTTP_CLOCK_H

#include "http/daemon.h"

struct clock_rig {
	struct daemon d;
	char preload[300], file[128], variable[160];
	const char *env[3];
};

/* The daemon is prepared, with these flags (daemon_prepare), and its clock right; daemon_start_again starts it. */
void clock_open(struct clock_rig *r, const char *const *flags);
/* The daemon's wall clock is so many seconds ahead of the machine's, from now on and also while it does not run. */
void clock_set(struct clock_rig *r, double offset);

#endif
