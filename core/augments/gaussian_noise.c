/*
 * gaussian_noise.c - GaussianNoise: each value of the sample and a number of a normal distribution are added up. Called
 * by chain.c (augments/augment.h).
 */
#include "augments/augment.h"

enum { MEAN, SIGMA, CLIP, NARGS };
enum { GROUP = 4 }; /* numbers that are drawn together */

static const struct bp_arg args[] = {
	[MEAN] = {"mean", BP_ARG_REAL, false, {0}, -1e6, 1e6, NULL,
		"Mean of the noise, before normalisation: for bytes 1 is from black to white."},
	[SIGMA] = {"sigma", BP_ARG_REAL, false, {0.1}, 0, 1e6, NULL, "Its standard deviation."},
	[CLIP] = {"clip", BP_ARG_BOOL, false, {1}, 0, 1, NULL,
		"Whether the sum is kept between 0 and 1; false for samples that are not."},
};

static void paint(const struct bp_item *item, const double *drawn, const struct bp_dice *dice, struct bp_image *im)
{
	(void)drawn;
	const bp_real mean = (bp_real)bp_item_real(item, MEAN), sigma = (bp_real)bp_item_real(item, SIGMA);
	const int64_t n = im->height * im->width * im->channels;
	for (int64_t i = 0; i < n; i += GROUP) {
		bp_real z[GROUP];
		bp_dice_normals(dice, i / GROUP, z);
		for (int64_t k = 0; k < GROUP && i + k < n; k++)
			im->x[i + k] += mean + sigma * z[k];
	}
	for (int64_t i = 0; bp_item_bool(item, CLIP) && i < n; i++)
		im->x[i] = im->x[i] < 0 ? 0 : im->x[i] > 1 ? 1 : im->x[i]; /* NaN stays */
}

const struct bp_augment_ops bp_augment_gaussian_noise = {
	.info = {.name = "GaussianNoise", .help = "Adds normal noise to each value.", .args = args, .nargs = NARGS},
	.paint = paint,
};
