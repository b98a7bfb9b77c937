/*
 * mover.h - who moves the weights while backward goes on, and their gradients still lie in a near cache.
 *
 * Layers tell it of as many gradients as they like, from any thread: `move` that those of the n weights at w are there,
 * and that neither they nor the weights are read or written again in this pass. Gradients may lie anywhere, and be
 * forgotten afterwards. `ahead`, before, is byte `at` of what that will read, to be asked for; NULL past the end.
 */
#ifndef BP_BASE_MOVER_H
#define BP_BASE_MOVER_H

#include "backprop.h"

struct bp_mover {
	void (*move)(void *arg, const bp_real *w, size_t n, bp_real *grads);
	const void *(*ahead)(void *arg, const bp_real *w, size_t n, size_t at);
	void *arg;
};

#endif
