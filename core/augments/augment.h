/*
 * augment.h - what an augmentation is: a row in a table, with the names, arguments, defaults and meaning of
 * torchvision.transforms.v2 (Normalize excepted, which is the data's mean and std).
 *
 * An augmentation draws a few numbers for a sample, and then does what those say; so tests can say them too. Numbers
 * come from Philox4x32-10 keyed by the seed, the epoch, the sample's place in the data set and the entry's place in the
 * list: a sample is changed in the same way wherever in a batch it is, and on whichever thread.
 *
 * Images are bp_real, channels-last, and not normalised yet: a byte is 0 to 1 there (torchvision's ToTensor), other
 * samples are as they lie. Called by chain.c on the threads that gather a batch; one image is one thread's.
 */
#ifndef BP_AUGMENTS_AUGMENT_H
#define BP_AUGMENTS_AUGMENT_H

#include "base/item.h"

enum {
	BP_DRAWN = 5,    /* numbers drawn for a sample, at most */
	BP_NORMALS = 32, /* numbers of bp_dice_normals */
};

/* Whose numbers they are. */
struct bp_augment_key {
	uint64_t seed, epoch, sample; /* epoch below 2^28, sample below 2^32 */
};

/* The numbers of one entry of the list, one after the other. */
struct bp_dice {
	uint64_t seed, counter;
	uint32_t sub, r[4];
	int left; /* of r */
};
void bp_dice_init(struct bp_dice *d, const struct bp_augment_key *key, int entry);
/* In [0, 1), with 32 bits. */
double bp_dice_unit(struct bp_dice *d);
/* In [low, high). */
double bp_dice_real(struct bp_dice *d, double low, double high);
/* 0 to n - 1. */
int64_t bp_dice_int(struct bp_dice *d, int64_t n);
/* Numbers of the standard normal distribution for elements BP_NORMALS * group on, of 2^33 at most; these are apart from
 * the others, which go on as if they had not been asked for (normals.c). */
void bp_dice_normals(const struct bp_dice *d, int64_t group, bp_real ret[BP_NORMALS]);
#define BP_DICE_NORMALS ((uint64_t)1 << 31) /* their blocks' counter: where it begins */

/* A sequence has height 1, a flat sample height and width 1. */
struct bp_image {
	int64_t channels, height, width;
	bp_real whole; /* what 1 is in the sample as it lies: 255 for bytes, 1 for others */
	bp_real *x;    /* height x width x channels */
};

/* Where an image's pixels come from, when they are only moved: row y, column x is row rows[y], column columns[x] of the
 * sample, unless one is below 0: then it is fills[-1 - the less of both]. */
struct bp_places {
	int64_t height, width;
	int32_t *rows, *columns;             /* height, width */
	int32_t *spare_rows, *spare_columns; /* as many, for who makes them anew and swaps */
	double fills[BP_MAX_AUGMENTS];       /* by entry of the list: in units of the sample as it lies */
};

struct bp_augment_ops {
	struct bp_item_info info;
	bool image; /* needs samples (channels, height, width) */
	/* Arguments that exclude each other or do not fit the sample; NULL when there is nothing to check. */
	enum bp_status (*check)(const struct bp_item *item, const struct bp_shape *sample, struct bp_error *err);
	/* NULL when nothing is drawn. */
	void (*draw)(const struct bp_item *item, const struct bp_image *im, struct bp_dice *dice, double ret[BP_DRAWN]);
	/* One of these. Moves whole pixels: changes p, and p->fills[entry] when it fills any. */
	void (*place)(const struct bp_item *item, const double *drawn, int entry, struct bp_places *p);
	/* Changes an image in place. */
	void (*paint)(const struct bp_item *item, const double *drawn, const struct bp_dice *dice, struct bp_image *im);
	/* Makes another image of the same shape of it. */
	void (*warp)(const struct bp_item *item, const double *drawn, const struct bp_image *from, struct bp_image *to);
};

#define AUGMENT(id) extern const struct bp_augment_ops bp_augment_##id;
#include "augments/augments.def"

/* NULL when type is out of range. Static. */
const struct bp_augment_ops *bp_augment_at(int type);

#endif
