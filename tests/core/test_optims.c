/* test_optims.c - every optimizer against ten steps of PyTorch's, with clipping, on every instruction set. */
#include <math.h>

#include "base/item.h"
#include "fixture.h"
#include "runner.h"
#include "train/update.h"

enum { N = 37, STEPS = 10, OFFSET = 16 };

/* Arguments by name, as many as a case gives. */
struct setting {
	const char *name;
	double v[2];
};

static const struct {
	const char *name; /* in optims.txt */
	const char *type;
	struct setting settings[7];
	double clip_norm, clip_value;
} cases[] = {
	{"sgd", "SGD", {{0}}, 0, 0},
	{"sgd_decay", "SGD", {{"weight_decay", {0.1}}}, 0, 0},
	{"sgd_momentum", "SGD", {{"momentum", {0.9}}}, 0, 0},
	{"sgd_dampening", "SGD", {{"momentum", {0.8}}, {"dampening", {0.3}}, {"weight_decay", {0.01}}}, 0, 0},
	{"sgd_nesterov", "SGD", {{"momentum", {0.9}}, {"nesterov", {1}}, {"weight_decay", {0.01}}}, 0, 0},
	{"sgd_clip_norm", "SGD", {{"momentum", {0.9}}}, 0.7, 0},
	{"sgd_clip_value", "SGD", {{0}}, 0, 0.25},
	{"adam", "Adam", {{0}}, 0, 0},
	{"adam_decay", "Adam", {{"betas", {0.8, 0.95}}, {"eps", {1e-3}}, {"weight_decay", {0.1}}}, 0, 0},
	{"adam_clip_both", "Adam", {{0}}, 1.1, 0.5},
	{"adamw", "AdamW", {{0}}, 0, 0},
	{"adamw_decay", "AdamW", {{"betas", {0.7, 0.9}}, {"weight_decay", {0.3}}}, 0, 0},
	{"adam_amsgrad", "Adam", {{"amsgrad", {1}}, {"betas", {0.9, 0.5}}}, 0, 0},
	{"adamw_amsgrad", "AdamW", {{"amsgrad", {1}}, {"betas", {0.8, 0.6}}, {"weight_decay", {0.1}}}, 0, 0},
	{"nadam", "NAdam", {{0}}, 0, 0},
	{"nadam_decay", "NAdam", {{"betas", {0.8, 0.95}}, {"weight_decay", {0.1}}, {"momentum_decay", {0.3}}}, 0, 0},
	{"nadam_decoupled", "NAdam",
		{{"weight_decay", {0.2}}, {"decoupled_weight_decay", {1}}, {"momentum_decay", {0}}, {"eps", {1e-3}}}, 0,
		0},
	{"rmsprop", "RMSprop", {{0}}, 0, 0},
	{"rmsprop_momentum", "RMSprop", {{"alpha", {0.9}}, {"momentum", {0.8}}, {"weight_decay", {0.1}}}, 0.9, 0},
	{"rmsprop_centered", "RMSprop", {{"alpha", {0.8}}, {"centered", {1}}, {"eps", {1e-3}}}, 0, 0},
	{"rmsprop_both", "RMSprop", {{"alpha", {0.7}}, {"centered", {1}}, {"momentum", {0.5}}, {"eps", {1e-2}}}, 0, 0},
	{"adagrad", "Adagrad", {{0}}, 0, 0},
	{"adagrad_all", "Adagrad",
		{{"lr_decay", {0.2}}, {"weight_decay", {0.1}}, {"initial_accumulator_value", {0.3}}, {"eps", {1e-4}}},
		0, 0},
	{"adadelta", "Adadelta", {{0}}, 0, 0},
	{"adadelta_all", "Adadelta", {{"rho", {0.7}}, {"eps", {1e-3}}, {"weight_decay", {0.1}}}, 0, 0.4},
	{"lion", "Lion", {{0}}, 0, 0},
	{"lion_decay", "Lion", {{"betas", {0.6, 0.8}}, {"weight_decay", {0.3}}}, 0, 0},
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

static void item_set(enum bp_item_kind kind, struct bp_item *item, const char *name, const double v[2])
{
	const struct bp_value *arg = bp_item_arg(kind, item, name);
	ck_assert_msg(arg, "there is no argument %s", name);
	memcpy(item->args[arg - item->args].v, v, 2 * sizeof(double));
}

static struct bp_train_params params_of(int i)
{
	struct bp_train_params p;
	bp_train_params_defaults(&p);
	bp_item_defaults(BP_OPTIMIZER, bp_item_find(BP_OPTIMIZER, cases[i].type), &p.optimizer);
	item_set(BP_OPTIMIZER, &p.optimizer, "lr", (double[2]){0.05, 0});
	for (const struct setting *s = cases[i].settings; s->name; s++)
		item_set(BP_OPTIMIZER, &p.optimizer, s->name, s->v);
	p.clip_grad_norm = cases[i].clip_norm;
	p.clip_grad_value = cases[i].clip_value;
	ck_assert_int_eq(bp_item_check(BP_OPTIMIZER, &p.optimizer, -1, NULL), BP_OK);
	return p;
}

/* One tensor of N weights amid a vector, and what an updater needs of it. */
struct rig {
	bp_real weights[OFFSET + N + OFFSET], grads[OFFSET + N + OFFSET], state[BP_UPDATE_STATES][OFFSET + N + OFFSET];
	struct bp_param param;
	struct bp_node nodes[4];
	struct bp_net net;
	struct bp_update_block block;
	struct bp_block_sums sums;
	struct bp_health health;
	int layer, group_of;
	struct bp_update_group group;
	struct bp_updater updater;
	struct bp_vectors vectors;
};

static void rig_init(struct rig *r, const struct bp_train_params *p)
{
	memset(r, 0, sizeof(*r));
	r->param = (struct bp_param){.layer = 3, .trainable = true, .offset = OFFSET, .size = N, .ndim = 1, .dim = {N}};
	r->net = (struct bp_net){
		.nnodes = 4, .nodes = r->nodes, .nparams = 1, .params = &r->param, .nweights = OFFSET + N + OFFSET};
	r->updater = (struct bp_updater){.params = p,
		.nblocks = bp_updater_blocks(&r->net),
		.nslots = bp_updater_slots(&r->net),
		.blocks = &r->block,
		.sums = &r->sums,
		.layers = &r->layer,
		.groups = &r->group,
		.group_of = &r->group_of,
		.health = &r->health};
	ck_assert_int_eq(r->updater.nblocks, 1);
	bp_updater_init(&r->updater, &r->net);
	ck_assert_int_eq(r->layer, 3);
	int states = bp_optim_at(p->optimizer.type)->states(&p->optimizer);
	r->vectors = (struct bp_vectors){.weights = r->weights, .grads = r->grads, .n = r->net.nweights};
	ck_assert_int_le(states, BP_UPDATE_STATES);
	for (int s = 0; s < states; s++)
		r->vectors.state[s] = r->state[s];
}

static void take_step(struct rig *r, const struct bp_ctx *ctx, int64_t step, double lr)
{
	bp_updater_begin(&r->updater, ctx->k, &r->vectors, step, lr);
	bp_updater_end(&r->updater, ctx->threads);
}

static void agree(const char *name, const char *isa, int step, const bp_real *got, const double *want)
{
	double tolerance = sizeof(bp_real) == 8 ? 1e-8 : 2e-6;
	for (int i = 0; i < N; i++)
		ck_assert_msg(fabs((double)got[i] - want[i]) <= tolerance,
			"%s, %s, step %d: weight %d is %.9g, not %.9g", name, isa, step, i, (double)got[i], want[i]);
}

START_TEST(every_optimizer_takes_the_steps_of_pytorch)
{
	double want[3 * N];
	struct bp_train_params p = params_of(_i);
	fixture_text("tests/fixtures/optims.txt", cases[_i].name, want, 3 * N);
	for (int isa = 0; bp_kernels_at(isa); isa++) {
		if (!bp_kernels_runs(isa))
			continue;
		struct bp_ctx ctx = {.k = bp_kernels_at(isa), .threads = 1};
		struct fixture_draw d = {1};
		struct rig r;
		rig_init(&r, &p);
		for (int i = 0; i < N; i++)
			r.weights[OFFSET + i] = (bp_real)fixture_real(&d);
		for (int step = 1, saved = 0; step <= STEPS; step++) {
			for (int i = 0; i < N; i++)
				r.grads[OFFSET + i] = (bp_real)fixture_real(&d);
			take_step(&r, &ctx, step - 1, 0.05);
			if (step == 1 || step == 2 || step == STEPS)
				agree(cases[_i].name, ctx.k->name, step, r.weights + OFFSET, want + N * saved++);
		}
		for (int i = 0; i < OFFSET; i++)
			ck_assert_msg(r.weights[i] == 0 && r.weights[OFFSET + N + i] == 0, "a step left its tensor");
	}
}
END_TEST

START_TEST(every_optimizer_has_a_case)
{
	for (int type = 0; type < bp_item_count(BP_OPTIMIZER); type++) {
		const char *name = bp_item_info(BP_OPTIMIZER, type)->name;
		bool found = false;
		for (int i = 0; i < CASES; i++)
			found |= strcmp(cases[i].type, name) == 0;
		ck_assert_msg(found, "%s has no case", name);
	}
}
END_TEST

/* The product of NAdam's momenta has a closed form in its file; here it is multiplied out, as PyTorch does. */
START_TEST(nadam_knows_the_product_of_its_momenta_without_a_state)
{
	static const double betas[] = {0, 0.5, 0.9, 0.999}, decays[] = {0, 4e-3, 1, 50};
	struct bp_update_coef coef;
	struct bp_item item;
	double beta = betas[_i / 4], decay = decays[_i % 4], product = 1;
	bp_item_defaults(BP_OPTIMIZER, bp_item_find(BP_OPTIMIZER, "NAdam"), &item);
	item_set(BP_OPTIMIZER, &item, "betas", (double[2]){beta, 0.9});
	item_set(BP_OPTIMIZER, &item, "momentum_decay", (double[2]){decay, 0});
	for (int step = 0; step < 3000; step++) {
		double mu = beta * (1 - 0.5 * pow(0.96, (step + 1) * decay));
		double next = beta * (1 - 0.5 * pow(0.96, (step + 2) * decay));
		product *= mu;
		bp_optim_nadam.prepare(&item, step, 0.1, &coef);
		double look = 0.1 * (1 - mu) / (1 - product), lr = 0.1 * next / (1 - product * next);
		double tolerance = sizeof(bp_real) == 8 ? 1e-13 : 1e-7;
		ck_assert_double_le(fabs((double)coef.look - look), tolerance * look);
		ck_assert_double_le(fabs((double)coef.lr - lr), tolerance * lr);
	}
}
END_TEST

/* A steady gradient has no variance; what rounding makes of it must not become NaN. */
START_TEST(centered_rmsprop_bears_a_steady_gradient)
{
	struct bp_train_params p;
	struct bp_ctx ctx = {.k = bp_kernels_choose(BP_ISA_ALL), .threads = 1};
	struct rig r;
	bp_train_params_defaults(&p);
	bp_item_defaults(BP_OPTIMIZER, bp_item_find(BP_OPTIMIZER, "RMSprop"), &p.optimizer);
	item_set(BP_OPTIMIZER, &p.optimizer, "centered", (double[2]){1, 0});
	item_set(BP_OPTIMIZER, &p.optimizer, "alpha", (double[2]){0.3, 0});
	rig_init(&r, &p);
	for (int step = 0; step < 60; step++) {
		for (int i = 0; i < N; i++)
			r.grads[OFFSET + i] = (bp_real)(0.1 + i * 0.37);
		take_step(&r, &ctx, step, 1e-6);
	}
	for (int i = 0; i < N; i++)
		ck_assert(isfinite(r.weights[OFFSET + i]));
}
END_TEST

/* Weights 1, gradients as given, one plain step of 0.5. */
static struct bp_health step_health(struct rig *r, const struct bp_train_params *p, const double *grads)
{
	struct bp_ctx ctx = {.k = bp_kernels_choose(BP_ISA_ALL), .threads = 1};
	rig_init(r, p);
	for (int i = 0; i < N; i++) {
		r->weights[OFFSET + i] = 1;
		r->grads[OFFSET + i] = (bp_real)grads[i];
	}
	take_step(r, &ctx, 0, 0.5);
	bp_updater_see(&r->updater);
	return r->health;
}

START_TEST(a_step_reports_the_health_of_its_layer)
{
	struct bp_train_params p;
	struct rig r;
	double grads[N] = {[0] = 0.3, [5] = -0.4};
	bp_train_params_defaults(&p);
	struct bp_health h = step_health(&r, &p, grads);
	double weights = sqrt(35 + 0.85 * 0.85 + 1.2 * 1.2);
	ck_assert_double_eq_tol(h.grad_norm, 0.5, 1e-6);
	ck_assert_double_eq_tol(h.grad_norm_clipped, 0.5, 1e-6);
	ck_assert_double_eq_tol(h.grad_max_abs, 0.4, 1e-6);
	ck_assert_double_eq_tol(sqrt(h.weight_squares), weights, 1e-5);
	ck_assert_double_eq_tol(h.update_ratio, 0.25 / weights, 1e-6);
	ck_assert_int_eq(h.nonfinite, 0);

	p.clip_grad_norm = 0.1;
	h = step_health(&r, &p, grads);
	ck_assert_double_eq_tol(h.grad_norm, 0.5, 1e-6);
	ck_assert_double_eq_tol(h.grad_norm_clipped, 0.1, 1e-6);
	ck_assert_double_eq_tol(h.grad_max_abs, 0.4, 1e-6);
	ck_assert_double_eq_tol((double)r.grads[OFFSET + 5], -0.08, 1e-6);
	ck_assert_double_eq_tol(r.updater.grad_norm_clipped, 0.1, 1e-6);

	p.clip_grad_value = 0.3; /* before the norm, whose limit is then not reached */
	p.clip_grad_norm = 1;
	h = step_health(&r, &p, grads);
	ck_assert_double_eq_tol(h.grad_norm_clipped, sqrt(0.18), 1e-6);
	ck_assert_double_eq_tol(h.grad_norm, 0.5, 1e-6);
}
END_TEST

START_TEST(gradients_that_are_not_numbers_are_counted_and_shown)
{
	struct bp_train_params p;
	struct rig r;
	double grads[N] = {[0] = 2, [3] = NAN, [36] = -INFINITY};
	bp_train_params_defaults(&p);
	struct bp_health h = step_health(&r, &p, grads);
	ck_assert_int_eq(h.nonfinite, 2);
	ck_assert(isnan(h.grad_norm));
	ck_assert(isinf(h.grad_max_abs));
}
END_TEST

START_TEST(nesterov_without_momentum_is_refused)
{
	struct bp_item item;
	struct bp_error err;
	const struct bp_optim_ops *sgd = &bp_optim_sgd;
	bp_item_defaults(BP_OPTIMIZER, bp_item_find(BP_OPTIMIZER, "SGD"), &item);
	ck_assert_int_eq(sgd->check(&item, &err), BP_OK);
	item_set(BP_OPTIMIZER, &item, "nesterov", (double[2]){1, 0});
	ck_assert_int_eq(sgd->check(&item, &err), BP_EINVAL);
	ck_assert_str_eq(err.field, "nesterov");
	item_set(BP_OPTIMIZER, &item, "momentum", (double[2]){0.9, 0});
	ck_assert_int_eq(sgd->check(&item, &err), BP_OK);
	item_set(BP_OPTIMIZER, &item, "dampening", (double[2]){0.1, 0});
	ck_assert_int_eq(sgd->check(&item, &err), BP_EINVAL);
}
END_TEST

TEST_SUITE(optims, 30)
{
	tcase_add_loop_test(tc, every_optimizer_takes_the_steps_of_pytorch, 0, CASES);
	tcase_add_test(tc, every_optimizer_has_a_case);
	tcase_add_loop_test(tc, nadam_knows_the_product_of_its_momenta_without_a_state, 0, 16);
	tcase_add_test(tc, centered_rmsprop_bears_a_steady_gradient);
	tcase_add_test(tc, a_step_reports_the_health_of_its_layer);
	tcase_add_test(tc, gradients_that_are_not_numbers_are_counted_and_shown);
	tcase_add_test(tc, nesterov_without_momentum_is_refused);
}
