/*
 * random_rotation.c - RandomRotation: the sample is turned about its middle. Called by chain.c (augments/augment.h).
 *
 * As torchvision does it for tensors, without expand and center: a pixel of the result looks into the image at the
 * place that the inverse rotation gives, as grid_sample without align_corners and with zeros around; and the same is
 * done with a mask of ones, m, which says how much of the pixel is the image: m (v - fill) + fill, or by the nearest
 * pixel fill where there is none. (So a pixel at the edge takes m twice. That is torchvision's result.)
 */
#include "augments/augment.h"

#include <math.h>

enum { DEGREES, INTERPOLATION, FILL, NARGS };
enum { NEAREST, BILINEAR };

static const struct bp_arg args[] = {
	[DEGREES] = {"degrees", BP_ARG_REAL, true, {0}, 0, 180, NULL,
		"The image is turned by an angle between minus and plus so many degrees."},
	[INTERPOLATION] = {"interpolation", BP_ARG_CHOICE, false, {NEAREST}, 0, 0, "nearest|bilinear",
		"A pixel of the result is the nearest one of the image, or between the four around its place."},
	[FILL] = {"fill", BP_ARG_REAL, false, {0}, -1e6, 1e6, NULL,
		"What shows where there was no image, as the samples are stored (bytes 0 to 255)."},
};

static void draw(const struct bp_item *item, const struct bp_image *im, struct bp_dice *dice, double ret[BP_DRAWN])
{
	(void)im;
	double degrees = bp_item_real(item, DEGREES);
	ret[0] = bp_dice_real(dice, -degrees, degrees);
}

static const bp_real *pixel(const struct bp_image *im, int64_t y, int64_t x)
{
	bool inside = y >= 0 && y < im->height && x >= 0 && x < im->width;
	return inside ? im->x + (y * im->width + x) * im->channels : NULL;
}

static void take_nearest(const struct bp_image *im, double y, double x, bp_real fill, bp_real *to)
{
	const bp_real *from = pixel(im, (int64_t)rint(y), (int64_t)rint(x));
	for (int64_t c = 0; c < im->channels; c++)
		to[c] = from ? from[c] : fill;
}

static void take_between(const struct bp_image *im, double y, double x, bp_real fill, bp_real *to)
{
	int64_t y0 = (int64_t)floor(y), x0 = (int64_t)floor(x);
	bp_real down = (bp_real)(y - (double)y0), right = (bp_real)(x - (double)x0), mask = 0;
	const bp_real weights[4] = {(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right};
	for (int64_t c = 0; c < im->channels; c++)
		to[c] = 0;
	for (int i = 0; i < 4; i++) {
		const bp_real *from = pixel(im, y0 + i / 2, x0 + i % 2);
		mask += from ? weights[i] : 0;
		for (int64_t c = 0; from && c < im->channels; c++)
			to[c] += weights[i] * from[c];
	}
	for (int64_t c = 0; c < im->channels; c++)
		to[c] = mask * (to[c] - fill) + fill;
}

/* A positive angle turns counter-clockwise; y points down. */
static void warp(const struct bp_item *item, const double *drawn, const struct bp_image *from, struct bp_image *to)
{
	const double angle = drawn[0] * (M_PI / 180), cosine = cos(angle), sine = sin(angle);
	const double middle_y = (double)(from->height - 1) / 2, middle_x = (double)(from->width - 1) / 2;
	const bp_real fill = (bp_real)bp_item_real(item, FILL) / from->whole;
	const bool nearest = bp_item_int(item, INTERPOLATION) == NEAREST;
	bp_real *out = to->x;
	for (int64_t i = 0; i < to->height; i++)
		for (int64_t j = 0; j < to->width; j++, out += to->channels) {
			double v = (double)i - middle_y, u = (double)j - middle_x;
			double y = sine * u + cosine * v + middle_y, x = cosine * u - sine * v + middle_x;
			if (nearest)
				take_nearest(from, y, x, fill, out);
			else
				take_between(from, y, x, fill, out);
		}
}

const struct bp_augment_ops bp_augment_random_rotation = {
	.info = {.name = "RandomRotation",
		.help = "Turns the image about its middle by a random angle.",
		.args = args,
		.nargs = NARGS},
	.image = true,
	.draw = draw,
	.warp = warp,
};
