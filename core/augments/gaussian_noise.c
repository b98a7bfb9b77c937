/*
 * gaussian_noise.c - GaussianNoise: each value of the sample and a number of a normal distribution are added up. Called
 * by chain.c (augments/augment.h).
 */
#include "augments/augment.h"

enum { MEAN, SIGMA, CLIP, NARGS };

static const struct bp_arg args[] = {
	[MEAN] = {"mean", BP_ARG_REAL, false, {0}, -1e6, 1e6, NULL,
		"Mean of the noise, before normalisation: for bytes 1 is from black to white."},
	[SIGMA] = {"sigma", BP_ARG_REAL, false, {0.1}, 0, 1e6, NULL, "Its standard deviation."},
	[CLIP] = {"clip", BP_ARG_BOOL, false, {1}, 0, 1, NULL,
		"Whether the sum is kept between 0 and 1; false for samples that are not."},
};

/* NaN stays. Two steps, which vectors have: noise makes a branch a guess. */
static void clip(bp_real *x, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		bp_real low = x[i] < 0 ? 0 : x[i];
		x[i] = low > 1 ? 1 : low;
	}
}

static void paint(const struct bp_item *item, const double *drawn, const struct bp_dice *dice, struct bp_image *im)
{
	(void)drawn;
	const bp_real mean = (bp_real)bp_item_real(item, MEAN), sigma = (bp_real)bp_item_real(item, SIGMA);
	const int64_t n = im->height * im->width * im->channels;
	for (int64_t i = 0; i < n; i += BP_NORMALS) {
		const int64_t left = n - i < BP_NORMALS ? n - i : BP_NORMALS;
		bp_real z[BP_NORMALS];
		bp_dice_normals(dice, i / BP_NORMALS, z);
		for (int64_t k = 0; k < left; k++)
			im->x[i + k] += mean + sigma * z[k];
	}
	if (bp_item_bool(item, CLIP))
		clip(im->x, n);
}

const struct bp_augment_ops bp_augment_gaussian_noise = {
	.info = {.name = "GaussianNoise", .help = "Adds normal noise to each value.", .args = args, .nargs = NARGS},
	.paint = paint,
};
