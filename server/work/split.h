/* split.h - which samples of a data set train and which validate. Pure; worker threads. */
#ifndef WORK_SPLIT_H
#define WORK_SPLIT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Draws nval of n samples for validation, keyed by seed alone: a job that goes on after a restart sees the same split.
 * ret_index (n entries, caller's) gets the n - nval training samples in rising order, then the validation samples in
 * rising order. False when memory is out. Wants nval <= n.
 */
bool split_draw(uint64_t seed, uint32_t n, uint32_t nval, uint32_t *ret_index);

#endif
