/*
 * random_erasing.c - RandomErasing (Zhong et al., "Random Erasing Data Augmentation", 2017): a rectangle of the sample
 * becomes one value. Called by chain.c (augments/augment.h).
 */
#include "augments/augment.h"

#include <math.h>

#include "base/status.h"

enum { P, SCALE, RATIO, VALUE, NARGS };
enum { TOP, LEFT, HEIGHT, WIDTH };          /* drawn; height 0: nothing is erased */
enum { ATTEMPTS = 10 /* torchvision's */ }; /* rectangles drawn until one is smaller than the image */

static const struct bp_arg args[] = {
	[P] = {"p", BP_ARG_REAL, false, {0.5}, 0, 1, NULL, "How likely something is erased."},
	[SCALE] = {"scale", BP_ARG_REAL_PAIR, false, {0.02, 0.33}, 0, 1, NULL,
		"Least and largest share of the image's area."},
	[RATIO] = {"ratio", BP_ARG_REAL_PAIR, false, {0.3, 3.3}, 0.001, 1000, NULL,
		"Least and largest height of the rectangle, as a share of its width."},
	[VALUE] = {"value", BP_ARG_REAL, false, {0}, -1e6, 1e6, NULL,
		"What is there then, before normalisation: for bytes 0 is black and 1 white."},
};

static enum bp_status check_pair(const struct bp_item *item, int arg, struct bp_error *err)
{
	const double *v = item->args[arg].v;
	if (v[0] <= v[1])
		return BP_OK;
	return bp_fail(err, BP_EINVAL, -1, args[arg].name, "%s is the least and the largest, and %g is above %g",
		args[arg].name, v[0], v[1]);
}

static enum bp_status check(const struct bp_item *item, const struct bp_shape *sample, struct bp_error *err)
{
	(void)sample;
	enum bp_status st = check_pair(item, SCALE, err);
	return st ? st : check_pair(item, RATIO, err);
}

static void draw(const struct bp_item *item, const struct bp_image *im, struct bp_dice *dice, double ret[BP_DRAWN])
{
	const double *scale = item->args[SCALE].v, *ratio = item->args[RATIO].v;
	double area = (double)im->height * (double)im->width;
	ret[TOP] = ret[LEFT] = ret[HEIGHT] = ret[WIDTH] = 0;
	if (bp_dice_unit(dice) >= bp_item_real(item, P))
		return;
	for (int i = 0; i < ATTEMPTS; i++) {
		double erased = area * bp_dice_real(dice, scale[0], scale[1]);
		double aspect = exp(bp_dice_real(dice, log(ratio[0]), log(ratio[1])));
		double height = rint(sqrt(erased * aspect)), width = rint(sqrt(erased / aspect));
		if (height >= (double)im->height || width >= (double)im->width)
			continue;
		ret[TOP] = (double)bp_dice_int(dice, im->height - (int64_t)height + 1);
		ret[LEFT] = (double)bp_dice_int(dice, im->width - (int64_t)width + 1);
		ret[HEIGHT] = height;
		ret[WIDTH] = width;
		return;
	}
}

static void paint(const struct bp_item *item, const double *drawn, const struct bp_dice *dice, struct bp_image *im)
{
	(void)dice;
	const bp_real value = (bp_real)bp_item_real(item, VALUE);
	int64_t top = (int64_t)drawn[TOP], left = (int64_t)drawn[LEFT];
	for (int64_t y = top; y < top + (int64_t)drawn[HEIGHT]; y++) {
		bp_real *row = im->x + (y * im->width + left) * im->channels;
		for (int64_t i = 0; i < (int64_t)drawn[WIDTH] * im->channels; i++)
			row[i] = value;
	}
}

const struct bp_augment_ops bp_augment_random_erasing = {
	.info = {.name = "RandomErasing",
		.help = "Makes a rectangle of the image one value.",
		.args = args,
		.nargs = NARGS},
	.image = true,
	.check = check,
	.draw = draw,
	.paint = paint,
};
