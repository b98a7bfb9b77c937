/* clock.c - see clock.h. */
#include "base/clock.h"

#include <time.h>

static double read_clock(clockid_t id)
{
	struct timespec ts = {0};
	clock_gettime(id, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

double clock_now(void)
{
	return read_clock(CLOCK_REALTIME);
}

double clock_mono(void)
{
	return read_clock(CLOCK_MONOTONIC);
}
