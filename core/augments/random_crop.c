/*
 * random_crop.c - RandomCrop: the sample is padded and then cut to its own size at a random place. Called by chain.c
 * (augments/augment.h).
 */
#include "augments/augment.h"

#include "base/shape.h"
#include "base/status.h"

enum { SIZE, PADDING, FILL, PADDING_MODE, NARGS };
enum { CONSTANT, EDGE, REFLECT, SYMMETRIC }; /* the words' order */
enum { TOP, LEFT };                          /* drawn: the cut's first row and column in the padded image */

static const struct bp_arg args[] = {
	[SIZE] = {"size", BP_ARG_PAIR, false, {BP_UNSET, BP_UNSET}, 1, INT32_MAX, NULL,
		"Height and width of what is cut: those of the model's input, and so are they without it."},
	[PADDING] = {"padding", BP_ARG_INTS, false, {0}, 0, 65536, NULL,
		"Pixels around the image before it is cut: one number for all sides, two for left and right, and top "
		"and bottom, or four for left, top, right and bottom. Without it nothing is cut away."},
	[FILL] = {"fill", BP_ARG_REAL, false, {0}, -1e6, 1e6, NULL,
		"What the padding is, as the samples are stored (bytes 0 to 255)."},
	[PADDING_MODE] = {"padding_mode", BP_ARG_CHOICE, false, {CONSTANT}, 0, 0, "constant|edge|reflect|symmetric",
		"What the padding shows: fill, the last pixel, or the mirrored image without or with its last pixel."},
};

/* torchvision's order: left, top, right, bottom. */
static int64_t side(const struct bp_item *item, int at)
{
	const struct bp_value *v = &item->args[PADDING];
	return v->n == 0 ? 0 : (int64_t)v->v[v->n == 1 ? 0 : v->n == 2 ? at % 2 : at];
}

static enum bp_status check(const struct bp_item *item, const struct bp_shape *sample, struct bp_error *err)
{
	static const char *const names[] = {"left", "top", "right", "bottom"};
	int n = item->args[PADDING].n;
	const double *size = item->args[SIZE].v;
	int64_t h = bp_shape_h(sample), w = bp_shape_w(sample);
	if (size[0] != BP_UNSET && ((int64_t)size[0] != h || (int64_t)size[1] != w))
		return bp_fail(err, BP_EINVAL, -1, "size",
			"RandomCrop must give the model's input, %lld x %lld, not %.0f x %.0f", (long long)h,
			(long long)w, size[0], size[1]);
	if (n == 3 || n > 4)
		return bp_fail(err, BP_EINVAL, -1, "padding", "padding is 1, 2 or 4 numbers, not %d", n);
	for (int i = 0; i < 4; i++) {
		/* Mirrored without its last pixel, an image of n has n - 1 to show. */
		int64_t most = (i % 2 ? h : w) - (item->args[PADDING_MODE].v[0] == REFLECT);
		if (side(item, i) > most)
			return bp_fail(err, BP_EINVAL, -1, "padding",
				"padding at the %s must be at most %lld, not %lld", names[i], (long long)most,
				(long long)side(item, i));
	}
	return BP_OK;
}

static void draw(const struct bp_item *item, const struct bp_image *im, struct bp_dice *dice, double ret[BP_DRAWN])
{
	(void)im;
	ret[TOP] = (double)bp_dice_int(dice, side(item, 1) + side(item, 3) + 1);
	ret[LEFT] = (double)bp_dice_int(dice, side(item, 0) + side(item, 2) + 1);
}

/* The n of one axis, begun `shift` later; what is outside then is as mode says, the code `outside` for CONSTANT. */
static void cut(const int32_t *from, int32_t *to, int64_t n, int64_t shift, const int mode, int32_t outside)
{
	for (int64_t i = 0; i < n; i++) {
		int64_t at = i + shift;
		if (at >= 0 && at < n)
			to[i] = from[at];
		else if (mode == CONSTANT)
			to[i] = outside;
		else if (mode == EDGE)
			to[i] = from[at < 0 ? 0 : n - 1];
		else if (mode == REFLECT)
			to[i] = from[at < 0 ? -at : 2 * (n - 1) - at];
		else
			to[i] = from[at < 0 ? -1 - at : 2 * n - 1 - at];
	}
}

static void place(const struct bp_item *item, const double *drawn, int entry, struct bp_places *p)
{
	const int mode = (int)bp_item_int(item, PADDING_MODE);
	int32_t *rows = p->rows, *columns = p->columns;
	cut(rows, p->spare_rows, p->height, (int64_t)drawn[TOP] - side(item, 1), mode, -1 - entry);
	cut(columns, p->spare_columns, p->width, (int64_t)drawn[LEFT] - side(item, 0), mode, -1 - entry);
	p->fills[entry] = bp_item_real(item, FILL);
	p->rows = p->spare_rows;
	p->columns = p->spare_columns;
	p->spare_rows = rows;
	p->spare_columns = columns;
}

const struct bp_augment_ops bp_augment_random_crop = {
	.info = {.name = "RandomCrop",
		.help = "Pads the image and cuts it to its size at a random place.",
		.args = args,
		.nargs = NARGS},
	.image = true,
	.check = check,
	.draw = draw,
	.place = place,
};
