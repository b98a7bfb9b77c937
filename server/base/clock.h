/* clock.h - time: the wall clock for people, the monotonic clock for durations. Any thread. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

double clock_now(void);  /* unix seconds */
double clock_mono(void); /* seconds since some start, never backwards */

#endif
