/*
 * random_flip.c - RandomHorizontalFlip and RandomVerticalFlip: the sample is mirrored, or not. Called by chain.c
 * (augments/augment.h).
 */
#include "augments/augment.h"

static const struct bp_arg args[] = {
	{"p", BP_ARG_REAL, false, {0.5}, 0, 1, NULL, "How likely a sample is mirrored."},
};

static void draw(const struct bp_item *item, const struct bp_image *im, struct bp_dice *dice, double ret[BP_DRAWN])
{
	(void)im;
	ret[0] = bp_dice_unit(dice) < bp_item_real(item, 0);
}

static void turn(int32_t *v, int64_t n)
{
	for (int64_t i = 0; i < n / 2; i++) {
		int32_t swap = v[i];
		v[i] = v[n - 1 - i];
		v[n - 1 - i] = swap;
	}
}

static void place_horizontal(const struct bp_item *item, const double *drawn, int entry, struct bp_places *p)
{
	(void)item, (void)entry;
	if (drawn[0] != 0)
		turn(p->columns, p->width);
}

static void place_vertical(const struct bp_item *item, const double *drawn, int entry, struct bp_places *p)
{
	(void)item, (void)entry;
	if (drawn[0] != 0)
		turn(p->rows, p->height);
}

const struct bp_augment_ops bp_augment_horizontal_flip = {
	.info = {.name = "RandomHorizontalFlip",
		.help = "Mirrors the image, left for right. Not for what is read, such as digits.",
		.args = args,
		.nargs = BP_ARG_COUNT(args)},
	.image = true,
	.draw = draw,
	.place = place_horizontal,
};
const struct bp_augment_ops bp_augment_vertical_flip = {
	.info = {.name = "RandomVerticalFlip",
		.help = "Mirrors the image, top for bottom.",
		.args = args,
		.nargs = BP_ARG_COUNT(args)},
	.image = true,
	.draw = draw,
	.place = place_vertical,
};
