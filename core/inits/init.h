/*
 * init.h - what an initialisation is: a row in a table, with the names, arguments and defaults of torch.nn.init.
 *
 * A number is drawn from Philox4x32-10 by the seed, the tensor and its place in PyTorch's order, so it depends on
 * nothing else. Called by net/start.c when a net's weights are set, and by net.c to check a description; any thread.
 */
#ifndef BP_INITS_INIT_H
#define BP_INITS_INIT_H

#include "base/item.h"
#include "net/net.h"

/* A tensor to fill. */
struct bp_init_target {
	const struct bp_param *param;
	bp_real *flat; /* the vector that holds it */
	uint64_t seed;
	uint32_t tensor; /* separates random streams */
};

struct bp_init_ops {
	struct bp_item_info info;
	bool flat; /* fills tensors of one dimension too */
	/* Arguments that exclude each other, and tensors it cannot fill; NULL when there is nothing to check. */
	enum bp_status (*check)(const struct bp_item *item, const struct bp_param *p, struct bp_error *err);
	/* BP_OK or BP_ENOMEM. */
	enum bp_status (*fill)(const struct bp_item *item, const struct bp_init_target *t);
};

#define INIT(id) extern const struct bp_init_ops bp_init_##id;
#include "inits/inits.def"

/* NULL when type is out of range. Static. */
const struct bp_init_ops *bp_init_at(int type);

/* Element i of PyTorch's order becomes v. */
void bp_init_put(const struct bp_init_target *t, int64_t i, double v);
/* Four numbers in (0, 1), for elements 4 * group to 4 * group + 3. */
void bp_init_units(const struct bp_init_target *t, int64_t group, double ret[4]);
/* Four numbers of the standard normal distribution (Box and Muller, 1958). */
void bp_init_normals(const struct bp_init_target *t, int64_t group, double ret[4]);
/* Fills with U(low, high), or N(mean, std^2). */
void bp_init_fill_uniform(const struct bp_init_target *t, double low, double high);
void bp_init_fill_normal(const struct bp_init_target *t, double mean, double std);

#endif
