/* shuffle.h - the order of an epoch's samples. Called by the trainer as an epoch begins. */
#ifndef BP_TRAIN_SHUFFLE_H
#define BP_TRAIN_SHUFFLE_H

#include <stdint.h>

struct bp_kernels;

/* A permutation of 0..n-1 that follows from seed and epoch (from 0) alone, whatever the kernels. */
void bp_shuffle(const struct bp_kernels *k, uint64_t seed, uint32_t epoch, uint32_t n, uint32_t *ret);

#endif
