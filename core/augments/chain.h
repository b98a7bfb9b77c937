/*
 * chain.h - a training's augmentations on a sample's way from the data set into the net's input.
 *
 * What only moves whole pixels (RandomCrop, flips) and stands first is done while the sample is read, which normalises
 * it too. Anything else works on the image before normalisation, which then comes last. A 32x32 picture takes 2.4 us
 * with RandomCrop and a flip, 10 with ColorJitter, 26 with GaussianNoise, 37 with a bilinear RandomRotation: of a step
 * of ResNet-20 less than can be measured, and 1.5 % (bench_train --compare augment). Made by the trainer, called by
 * train/batch.c on the threads that gather, each with scratch memory of its own.
 */
#ifndef BP_AUGMENTS_CHAIN_H
#define BP_AUGMENTS_CHAIN_H

#include "augments/augment.h"

struct bp_chain {
	const struct bp_item *items; /* borrowed */
	int n;
	int first; /* so many only move pixels while the sample is read */
	int moves; /* times that an image becomes another after that */
	bool late; /* normalised last; else while the sample is read */
	uint64_t seed;
	int64_t channels, height, width;
	bool bytes;
	bp_real whole;           /* as in struct bp_image */
	const void *samples;     /* channels first, borrowed as the next three */
	const bp_real *table;    /* of bytes in maps, channels x 256, normalised unless late; else NULL */
	const float *mean, *std; /* of channels, or NULL */
	char *scratch;           /* of each thread, scratch_bytes apart */
	size_t scratch_bytes;
};

/* x of channel c as a net takes it. */
static inline bp_real bp_normal(bp_real x, const float *mean, const float *std, int64_t c)
{
	return (x - (mean ? (bp_real)mean[c] : 0)) / (std ? (bp_real)std[c] : 1);
}

/* The list against the net, entry by entry; the message says which, and the error's field its argument. */
enum bp_status bp_chain_check(const struct bp_item *items, int n, const struct bp_net *net, struct bp_error *err);
/* Bytes for each thread, a multiple of BP_ALIGN; 0 for no augmentations. The list has been checked. */
size_t bp_chain_scratch(const struct bp_item *items, int n, const struct bp_shape *sample);
/* The list and the data have been checked. scratch: bp_chain_scratch() for each thread. The table is the caller's to
 * set, once it knows whether it is to be normalised. */
void bp_chain_init(struct bp_chain *c, const struct bp_train_params *params, const struct bp_data *data, char *scratch);
/* Sample number `sample` of the data set as the epoch has it, channels-last and normalised. thread: whose scratch. */
void bp_chain_gather(const struct bp_chain *c, int thread, uint64_t epoch, int64_t sample, bp_real *to);

#endif
