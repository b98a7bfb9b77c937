/* inits.c - the table of initialisations, built from inits.def, and the random numbers they share. Any thread. */
#include "inits/init.h"

#include <math.h>

#include "base/rng.h"

static const struct bp_item_info *const infos[] = {
#define INIT(id) &bp_init_##id.info,
#include "inits/inits.def"
};
const struct bp_item_table bp_init_items = BP_ITEM_TABLE(infos);

static const struct bp_init_ops *const inits[] = {
#define INIT(id) &bp_init_##id,
#include "inits/inits.def"
};

const struct bp_init_ops *bp_init_at(int type)
{
	return type >= 0 && type < bp_init_items.count ? inits[type] : NULL;
}

void bp_init_put(const struct bp_init_target *t, int64_t i, double v)
{
	t->flat[t->param->offset + bp_param_at(t->param, i)] = (bp_real)v;
}

void bp_init_units(const struct bp_init_target *t, int64_t group, double ret[4])
{
	uint32_t r[4];
	bp_rng_block(t->seed, BP_RNG_INIT, t->tensor, (uint64_t)group, r);
	for (int i = 0; i < 4; i++)
		ret[i] = ((double)r[i] + 0.5) / 4294967296.0;
}

void bp_init_normals(const struct bp_init_target *t, int64_t group, double ret[4])
{
	double u[4];
	bp_init_units(t, group, u);
	for (int i = 0; i < 4; i += 2) {
		double radius = sqrt(-2 * log(u[i])), angle = 6.283185307179586 * u[i + 1];
		ret[i] = radius * cos(angle);
		ret[i + 1] = radius * sin(angle);
	}
}

void bp_init_fill_uniform(const struct bp_init_target *t, double low, double high)
{
	double u[4];
	for (int64_t i = 0; i < t->param->size; i++) {
		if (i % 4 == 0)
			bp_init_units(t, i / 4, u);
		bp_init_put(t, i, low + (high - low) * u[i % 4]);
	}
}

void bp_init_fill_normal(const struct bp_init_target *t, double mean, double std)
{
	double z[4];
	for (int64_t i = 0; i < t->param->size; i++) {
		if (i % 4 == 0)
			bp_init_normals(t, i / 4, z);
		bp_init_put(t, i, mean + std * z[i % 4]);
	}
}
