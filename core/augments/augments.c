/* augments.c - the table of augmentations, built from augments.def, and the random numbers they draw. Any thread. */
#include "augments/augment.h"

#include "base/rng.h"

static const struct bp_item_info *const infos[] = {
#define AUGMENT(id) &bp_augment_##id.info,
#include "augments/augments.def"
};
const struct bp_item_table bp_augment_items = BP_ITEM_TABLE(infos);

static const struct bp_augment_ops *const augments[] = {
#define AUGMENT(id) &bp_augment_##id,
#include "augments/augments.def"
};

const struct bp_augment_ops *bp_augment_at(int type)
{
	return type >= 0 && type < bp_augment_items.count ? augments[type] : NULL;
}

/* The generator has 96 bits for what is neither seed nor use: 4 of the entry, 28 of the epoch, 32 of the sample, and
 * 32 to count blocks by, of which the upper half is the normal numbers'. */
void bp_dice_init(struct bp_dice *d, const struct bp_augment_key *key, int entry)
{
	*d = (struct bp_dice){
		.seed = key->seed, .counter = key->sample << 32, .sub = (uint32_t)(key->epoch << 4) | (uint32_t)entry};
}

static uint32_t next(struct bp_dice *d)
{
	if (d->left == 0) {
		bp_rng_block(d->seed, BP_RNG_AUGMENT, d->sub, d->counter++, d->r);
		d->left = 4;
	}
	return d->r[4 - d->left--];
}

double bp_dice_unit(struct bp_dice *d)
{
	return next(d) / 4294967296.0;
}

double bp_dice_real(struct bp_dice *d, double low, double high)
{
	return low + (high - low) * bp_dice_unit(d);
}

int64_t bp_dice_int(struct bp_dice *d, int64_t n)
{
	/* 64 random bits make the bias of the product's high part at most n * 2^-64. */
	uint64_t high = next(d), wide = high << 32 | next(d);
	return (int64_t)(((unsigned __int128)wide * (uint64_t)n) >> 64);
}
