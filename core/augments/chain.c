/* chain.c - see chain.h. */
#include "augments/chain.h"

#include <string.h>

#include "base/mem.h"
#include "base/shape.h"
#include "base/status.h"

enum { MAX_SIDE = 1 << 30 }; /* pixels; places are 32 bits wide */

enum bp_status bp_augment_check(const struct bp_item *item, const struct bp_net *net, struct bp_error *err)
{
	const struct bp_augment_ops *ops = bp_augment_at(item->type);
	const struct bp_shape in = bp_net_input_shape(net);
	char text[BP_SHAPE_TEXT];
	enum bp_status st = bp_item_check(BP_AUGMENT, item, -1, err);
	if (st)
		return st;
	if (bp_net_input_indices(net) > 0)
		return bp_fail(
			err, BP_EINVAL, -1, "type", "%s cannot change indices, which the net takes", ops->info.name);
	if (ops->image && in.ndim != 3)
		return bp_fail(err, BP_EINVAL, -1, "type", "%s needs images (channels, height, width), not %s",
			ops->info.name, bp_shape_text(&in, text));
	if (bp_shape_size(&in) > MAX_SIDE)
		return bp_fail(err, BP_ELIMIT, -1, "type", "%s takes samples of at most %d values, not %s",
			ops->info.name, MAX_SIDE, bp_shape_text(&in, text));
	return ops->check ? ops->check(item, &in, err) : BP_OK;
}

enum bp_status bp_chain_check(const struct bp_item *items, int n, const struct bp_net *net, struct bp_error *err)
{
	struct bp_error inner;
	if (n < 0 || n > BP_MAX_AUGMENTS || (n > 0 && !items))
		return bp_fail(err, BP_ELIMIT, -1, "augment", "there may be 0 to %d augmentations, not %d",
			BP_MAX_AUGMENTS, n);
	for (int i = 0; i < n; i++) {
		enum bp_status st = bp_augment_check(&items[i], net, &inner);
		if (st)
			return bp_fail(err, st, -1, inner.field, "augmentation %d: %s", i, inner.message);
	}
	return BP_OK;
}

/* How many of a list's first only move pixels, and how often an image becomes another after them. A run of what moves
 * pixels is one such time. */
static void count(const struct bp_item *items, int n, int *ret_first, int *ret_moves)
{
	int first = 0;
	while (first < n && bp_augment_at(items[first].type)->place)
		first++;
	*ret_first = first;
	*ret_moves = 0;
	for (int i = first; i < n; i++) {
		const struct bp_augment_ops *ops = bp_augment_at(items[i].type);
		*ret_moves += ops->warp || (ops->place && !bp_augment_at(items[i - 1].type)->place);
	}
}

/* Rows and columns, twice: see struct bp_places. */
static size_t places_bytes(int64_t height, int64_t width)
{
	size_t bytes = 2 * (size_t)(height + width) * sizeof(int32_t);
	return (bytes + BP_ALIGN - 1) / BP_ALIGN * BP_ALIGN;
}

size_t bp_chain_scratch(const struct bp_item *items, int n, const struct bp_shape *sample)
{
	int first, moves;
	if (n == 0)
		return 0;
	count(items, n, &first, &moves);
	size_t image = moves > 0 ? (size_t)bp_shape_size(sample) * sizeof(bp_real) : 0;
	return places_bytes(bp_shape_h(sample), bp_shape_w(sample)) + (image + BP_ALIGN - 1) / BP_ALIGN * BP_ALIGN;
}

void bp_chain_init(struct bp_chain *c, const struct bp_train_params *params, const struct bp_data *data, char *scratch)
{
	*c = (struct bp_chain){.items = params->augment,
		.n = params->naugment,
		.seed = params->seed,
		.channels = bp_shape_c(&data->shape),
		.height = bp_shape_h(&data->shape),
		.width = bp_shape_w(&data->shape),
		.bytes = data->dtype == BP_U8,
		.whole = data->dtype == BP_U8 ? 255 : 1,
		.samples = data->samples,
		.mean = data->mean,
		.std = data->std,
		.scratch = scratch,
		.scratch_bytes = bp_chain_scratch(params->augment, params->naugment, &data->shape)};
	count(c->items, c->n, &c->first, &c->moves);
	c->late = c->first < c->n;
}

static void draw(const struct bp_chain *c, const struct bp_augment_key *key, int entry, struct bp_dice *dice,
	double ret[BP_DRAWN])
{
	const struct bp_augment_ops *ops = bp_augment_at(c->items[entry].type);
	const struct bp_image im = {.channels = c->channels, .height = c->height, .width = c->width, .whole = c->whole};
	bp_dice_init(dice, key, entry);
	if (ops->draw)
		ops->draw(&c->items[entry], &im, dice, ret);
}

/* Where pixels come from after the run of entries that move them, from entry `at` on. Returns the entry behind it. */
static int follow(
	const struct bp_chain *c, const struct bp_augment_key *key, int at, char *scratch, struct bp_places *p)
{
	struct bp_dice dice;
	double drawn[BP_DRAWN] = {0};
	memset(p->fills, 0, sizeof(p->fills));
	p->height = c->height;
	p->width = c->width;
	p->rows = (int32_t *)scratch;
	p->columns = p->rows + c->height;
	p->spare_rows = p->columns + c->width;
	p->spare_columns = p->spare_rows + c->height;
	for (int64_t y = 0; y < c->height; y++)
		p->rows[y] = (int32_t)y;
	for (int64_t x = 0; x < c->width; x++)
		p->columns[x] = (int32_t)x;
	for (; at < c->n && bp_augment_at(c->items[at].type)->place; at++) {
		draw(c, key, at, &dice, drawn);
		bp_augment_at(c->items[at].type)->place(&c->items[at], drawn, at, p);
	}
	return at;
}

/* A channel that is read: its values are table[byte], or (value / whole - mean) / std. */
struct reading {
	const struct bp_chain *c;
	const struct bp_places *p;
	const bp_real *table;
	bp_real mean, std, fills[BP_MAX_AUGMENTS];
};

/* A row of the image from the row of the sample that begins at element `from`. */
static void read_row(const struct reading *r, int64_t from, bp_real *restrict to)
{
	const struct bp_chain *c = r->c;
	const int32_t *columns = r->p->columns;
	const uint8_t *bytes = c->bytes ? (const uint8_t *)c->samples + from : NULL;
	const float *floats = c->bytes ? NULL : (const float *)c->samples + from;
	if (r->table) {
		for (int64_t x = 0; x < c->width; x++, to += c->channels)
			*to = columns[x] < 0 ? r->fills[-1 - columns[x]] : r->table[bytes[columns[x]]];
		return;
	}
	for (int64_t x = 0; x < c->width; x++, to += c->channels) {
		int32_t at = columns[x];
		if (at < 0)
			*to = r->fills[-1 - at];
		else
			*to = ((bytes ? (bp_real)bytes[at] / c->whole : (bp_real)floats[at]) - r->mean) / r->std;
	}
}

/* Of two fills the later entry's lies above. */
static int fill_of(int32_t row, int32_t column)
{
	return -1 - (row < column ? row : column);
}

static void read_sample(const struct bp_chain *c, const struct bp_places *p, int64_t sample, bp_real *to)
{
	const float *mean = c->late ? NULL : c->mean, *std = c->late ? NULL : c->std;
	const int64_t area = c->height * c->width;
	for (int64_t k = 0; k < c->channels; k++) {
		struct reading r = {.c = c,
			.p = p,
			.table = c->table ? c->table + k * 256 : NULL,
			.mean = mean ? (bp_real)mean[k] : 0,
			.std = std ? (bp_real)std[k] : 1};
		for (int i = 0; i < c->first; i++)
			r.fills[i] = bp_normal((bp_real)p->fills[i] / c->whole, mean, std, k);
		for (int64_t y = 0; y < c->height; y++) {
			bp_real *row = to + y * c->width * c->channels + k;
			if (p->rows[y] >= 0)
				read_row(&r, (sample * c->channels + k) * area + p->rows[y] * c->width, row);
			for (int64_t x = 0; p->rows[y] < 0 && x < c->width; x++)
				row[x * c->channels] = r.fills[fill_of(p->rows[y], p->columns[x])];
		}
	}
}

/* The same from an image to another. */
static void move(const struct bp_chain *c, const struct bp_places *p, const bp_real *from, bp_real *restrict to)
{
	for (int64_t y = 0; y < c->height; y++)
		for (int64_t x = 0; x < c->width; x++, to += c->channels) {
			int32_t row = p->rows[y], column = p->columns[x];
			bool filled = row < 0 || column < 0;
			bp_real fill = filled ? (bp_real)p->fills[fill_of(row, column)] / c->whole : 0;
			const bp_real *at = from + (filled ? 0 : (row * c->width + column) * c->channels);
			for (int64_t k = 0; k < c->channels; k++)
				to[k] = filled ? fill : at[k];
		}
}

static void normalise(const struct bp_chain *c, bp_real *x)
{
	for (int64_t i = 0; (c->mean || c->std) && i < c->height * c->width; i++, x += c->channels)
		for (int64_t k = 0; k < c->channels; k++)
			x[k] = bp_normal(x[k], c->mean, c->std, k);
}

void bp_chain_gather(const struct bp_chain *c, int thread, uint64_t epoch, int64_t sample, bp_real *to)
{
	const struct bp_augment_key key = {.seed = c->seed, .epoch = epoch, .sample = (uint64_t)sample};
	char *scratch = c->scratch + (size_t)thread * c->scratch_bytes;
	bp_real *spare = (bp_real *)(scratch + places_bytes(c->height, c->width)); /* there is none without moves */
	struct bp_places places;
	struct bp_image now = {c->channels, c->height, c->width, c->whole, c->moves % 2 ? spare : to}, other = now;
	other.x = c->moves % 2 ? to : spare;
	int at = follow(c, &key, 0, scratch, &places);
	read_sample(c, &places, sample, now.x);
	while (at < c->n) {
		const struct bp_augment_ops *ops = bp_augment_at(c->items[at].type);
		struct bp_dice dice;
		double drawn[BP_DRAWN] = {0};
		if (ops->place) {
			at = follow(c, &key, at, scratch, &places);
			move(c, &places, now.x, other.x);
		} else {
			draw(c, &key, at, &dice, drawn);
			if (ops->warp)
				ops->warp(&c->items[at], drawn, &now, &other);
			else
				ops->paint(&c->items[at], drawn, &dice, &now);
			at++;
		}
		if (!ops->paint) {
			bp_real *swap = now.x;
			now.x = other.x;
			other.x = swap;
		}
	}
	if (c->late)
		normalise(c, to);
}
