/*
 * color_jitter.c - ColorJitter: brightness, contrast and saturation by random factors, in random order. Called by
 * chain.c (augments/augment.h).
 *
 * As torchvision does it for tensors of 0 to 1: each mixes the image with another by its factor, which is black, the
 * mean of the gray image, or the gray image; the result is kept within 0 and 1. An image of one channel is gray itself.
 */
#include "augments/augment.h"

#include "base/shape.h"
#include "base/status.h"

enum { BRIGHTNESS, CONTRAST, SATURATION, CHANGES, NARGS = CHANGES };
enum { ORDER = CHANGES }; /* drawn: the factors, and which of the orders */

static const struct bp_arg args[] = {
	[BRIGHTNESS] = {"brightness", BP_ARG_REAL, false, {0}, 0, 100, NULL,
		"The factor lies between 1 minus so much, but 0 at least, and 1 plus so much."},
	[CONTRAST] = {"contrast", BP_ARG_REAL, false, {0}, 0, 100, NULL, "The same for the contrast."},
	[SATURATION] = {"saturation", BP_ARG_REAL, false, {0}, 0, 100, NULL,
		"The same for the saturation; nothing for one channel."},
};

static const uint8_t orders[][CHANGES] = {{BRIGHTNESS, CONTRAST, SATURATION}, {BRIGHTNESS, SATURATION, CONTRAST},
	{CONTRAST, BRIGHTNESS, SATURATION}, {CONTRAST, SATURATION, BRIGHTNESS}, {SATURATION, BRIGHTNESS, CONTRAST},
	{SATURATION, CONTRAST, BRIGHTNESS}};
enum { ORDERS = sizeof(orders) / sizeof(orders[0]) };

static enum bp_status check(const struct bp_item *item, const struct bp_shape *sample, struct bp_error *err)
{
	(void)item;
	if (bp_shape_c(sample) != 1 && bp_shape_c(sample) != 3)
		return bp_fail(err, BP_EINVAL, -1, "type", "ColorJitter needs images of 1 or 3 channels, not %lld",
			(long long)bp_shape_c(sample));
	return BP_OK;
}

static void draw(const struct bp_item *item, const struct bp_image *im, struct bp_dice *dice, double ret[BP_DRAWN])
{
	(void)im;
	for (int i = 0; i < CHANGES; i++) {
		double most = bp_item_real(item, i);
		ret[i] = bp_dice_real(dice, most < 1 ? 1 - most : 0, 1 + most);
	}
	ret[ORDER] = (double)bp_dice_int(dice, ORDERS);
}

/* ITU-R BT.601, with torchvision's digits. */
static bp_real gray(const struct bp_image *im, const bp_real *p)
{
	if (im->channels == 1)
		return p[0];
	return (bp_real)0.2989 * p[0] + (bp_real)0.587 * p[1] + (bp_real)0.114 * p[2];
}

static bp_real mix(bp_real factor, bp_real a, bp_real b)
{
	bp_real v = factor * a + (1 - factor) * b;
	return v < 0 ? 0 : v > 1 ? 1 : v; /* NaN stays */
}

static void mix_all(struct bp_image *im, bp_real factor, bp_real with)
{
	for (int64_t i = 0; i < im->height * im->width * im->channels; i++)
		im->x[i] = mix(factor, im->x[i], with);
}

static bp_real mean_gray(const struct bp_image *im)
{
	double sum = 0;
	for (int64_t i = 0; i < im->height * im->width; i++)
		sum += (double)gray(im, im->x + i * im->channels);
	return (bp_real)(sum / (double)(im->height * im->width));
}

static void saturate(struct bp_image *im, bp_real factor)
{
	bp_real *p = im->x;
	for (int64_t i = 0; im->channels > 1 && i < im->height * im->width; i++, p += im->channels) {
		bp_real with = gray(im, p);
		for (int64_t c = 0; c < im->channels; c++)
			p[c] = mix(factor, p[c], with);
	}
}

static void paint(const struct bp_item *item, const double *drawn, const struct bp_dice *dice, struct bp_image *im)
{
	(void)dice;
	for (int i = 0; i < CHANGES; i++) {
		int change = orders[(int)drawn[ORDER]][i];
		bp_real factor = (bp_real)drawn[change];
		if (bp_item_real(item, change) == 0)
			continue;
		if (change == BRIGHTNESS)
			mix_all(im, factor, 0);
		else if (change == CONTRAST)
			mix_all(im, factor, mean_gray(im));
		else
			saturate(im, factor);
	}
}

const struct bp_augment_ops bp_augment_color_jitter = {
	.info = {.name = "ColorJitter",
		.help = "Changes brightness, contrast and saturation of images between 0 and 1, which they stay.",
		.args = args,
		.nargs = NARGS},
	.image = true,
	.check = check,
	.draw = draw,
	.paint = paint,
};
