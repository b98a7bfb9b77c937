/*
 * color_jitter.c - ColorJitter: brightness, contrast, saturation and hue by random factors, in random order. Called by
 * chain.c (augments/augment.h).
 *
 * As torchvision does it for tensors of 0 to 1: the first three mix the image with another by their factor, which is
 * black, the mean of the gray image, or the gray image; the result is kept within 0 and 1. The hue is turned in HSV
 * (Smith, "Color gamut transform pairs", 1978). An image of one channel is gray itself.
 */
#include "augments/augment.h"

#include <math.h>

#include "base/shape.h"
#include "base/status.h"

enum { BRIGHTNESS, CONTRAST, SATURATION, HUE, CHANGES, NARGS = CHANGES };
enum { ORDER = CHANGES, ORDERS = 4 * 3 * 2 }; /* drawn: the factors, and which of the orders */

static const struct bp_arg args[] = {
	[BRIGHTNESS] = {"brightness", BP_ARG_REAL, false, {0}, 0, 100, NULL,
		"The factor lies between 1 minus so much, but 0 at least, and 1 plus so much."},
	[CONTRAST] = {"contrast", BP_ARG_REAL, false, {0}, 0, 100, NULL, "The same for the contrast."},
	[SATURATION] = {"saturation", BP_ARG_REAL, false, {0}, 0, 100, NULL,
		"The same for the saturation; nothing for one channel."},
	[HUE] = {"hue", BP_ARG_REAL, false, {0}, 0, 0.5, NULL,
		"The hue is turned by an angle between minus and plus this share of a turn; nothing for one channel."},
};

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
	for (int i = 0; i < HUE; i++) {
		double most = bp_item_real(item, i);
		ret[i] = bp_dice_real(dice, most < 1 ? 1 - most : 0, 1 + most);
	}
	ret[HUE] = bp_dice_real(dice, -bp_item_real(item, HUE), bp_item_real(item, HUE));
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

/* red, green and blue of that hue, in turns, to p. */
static void put_hue(bp_real hue, bp_real saturation, bp_real value, bp_real p[3])
{
	int sector = (int)(hue * 6) % 6;
	bp_real f = hue * 6 - (bp_real)(int)(hue * 6);
	const bp_real low = value * (1 - saturation), fall = value * (1 - saturation * f),
		      rise = value * (1 - saturation * (1 - f));
	const bp_real rgb[6][3] = {{value, rise, low}, {fall, value, low}, {low, value, rise}, {low, fall, value},
		{rise, low, value}, {value, low, fall}};
	for (int c = 0; c < 3; c++)
		p[c] = rgb[sector][c] < 0 ? 0 : rgb[sector][c] > 1 ? 1 : rgb[sector][c];
}

/* Pixels without a hue, and those that are no colour, stay as they are. */
static void turn_hue(struct bp_image *im, bp_real turns)
{
	bp_real *p = im->x;
	for (int64_t i = 0; im->channels > 1 && i < im->height * im->width; i++, p += im->channels) {
		bp_real high = p[0], low = p[0];
		for (int c = 1; c < 3; c++) {
			high = p[c] > high ? p[c] : high;
			low = p[c] < low ? p[c] : low;
		}
		bp_real chroma = high - low, hue;
		if (!(chroma > 0) || !(high > 0) || !isfinite(p[0] + p[1] + p[2]))
			continue;
		if (high == p[0])
			hue = (p[1] - p[2]) / chroma;
		else if (high == p[1])
			hue = 2 + (p[2] - p[0]) / chroma;
		else
			hue = 4 + (p[0] - p[1]) / chroma;
		hue = hue / 6 + turns;
		put_hue(hue - (bp_real)floor((double)hue), chroma / high, high, p);
	}
}

/* Number n of the orders, as a dictionary has them. */
static void order_of(int n, int ret[CHANGES])
{
	int left[CHANGES] = {BRIGHTNESS, CONTRAST, SATURATION, HUE};
	for (int i = 0, orders = ORDERS; i < CHANGES; i++) {
		orders /= CHANGES - i;
		int at = n / orders;
		n %= orders;
		ret[i] = left[at];
		for (; at + 1 < CHANGES - i; at++)
			left[at] = left[at + 1];
	}
}

static void paint(const struct bp_item *item, const double *drawn, const struct bp_dice *dice, struct bp_image *im)
{
	(void)dice;
	int order[CHANGES];
	order_of((int)drawn[ORDER], order);
	for (int i = 0; i < CHANGES; i++) {
		int change = order[i];
		bp_real factor = (bp_real)drawn[change];
		if (bp_item_real(item, change) == 0)
			continue;
		if (change == BRIGHTNESS)
			mix_all(im, factor, 0);
		else if (change == CONTRAST)
			mix_all(im, factor, mean_gray(im));
		else if (change == SATURATION)
			saturate(im, factor);
		else
			turn_hue(im, factor);
	}
}

const struct bp_augment_ops bp_augment_color_jitter = {
	.info = {.name = "ColorJitter",
		.help = "Changes brightness, contrast, saturation and hue of images between 0 and 1, which they stay.",
		.args = args,
		.nargs = NARGS},
	.image = true,
	.check = check,
	.draw = draw,
	.paint = paint,
};
