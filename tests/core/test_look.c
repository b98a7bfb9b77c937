/*
 * test_look.c - what a trainer shows of its layers between epochs: the outputs that a net ending there gives, without
 * an allocation and without moving a bit of the training.
 */
#include "allocation.h"
#include "base/shape.h"
#include "net/net.h"
#include "runner.h"
#include "training.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 60, LOOKED = 11, NODES = 16, VALUES = 1 << 14, RELU = 2, TANH = 8 /* nodes */ };

/* A norm that the 1x1 convolution after it applies, one that is its own, ReLUs that are absorbed, one that is not. */
static const char net_words[] =
	"3x6x6 | Conv2d out_channels=8 kernel_size=1 bias=false | BatchNorm2d | ReLU | Conv2d out_channels=8 "
	"kernel_size=1"
	" | ReLU | MaxPool2d kernel_size=2 | Conv2d out_channels=6 kernel_size=3 padding=1 | BatchNorm2d | Tanh"
	" | Dropout p=0.3 | ReLU | Flatten | Linear out_features=4";

struct shown {
	struct bp_net *net;
	int64_t n[NODES];
	bp_real *values[NODES];
};

static void keep(void *user, int layer, const bp_real *values, int64_t units)
{
	struct shown *s = user;
	if (s->n[layer] + units <= VALUES)
		memcpy(s->values[layer] + s->n[layer], values, (size_t)units * sizeof(*values));
	s->n[layer] += units;
}

static void shown_init(struct shown *s, struct bp_net *net)
{
	memset(s, 0, sizeof(*s));
	s->net = net;
	for (int i = 0; i < net->nnodes; i++)
		ck_assert_ptr_nonnull(s->values[i] = calloc(VALUES, sizeof(bp_real)));
}

static void shown_done(struct shown *s)
{
	for (int i = 0; i < NODES; i++)
		free(s->values[i]);
}

static const bool all[NODES] = {true, true, true, true, true, true, true, true, true, true, true, true, true};

/* Looks after each epoch, as often as there are. */
static enum bp_answer look_each_epoch(void *user, struct bp_trainer *tr, const struct bp_event *ev)
{
	struct shown *s = user;
	if (ev->kind == BP_EVENT_EPOCH) {
		memset(s->n, 0, sizeof(s->n));
		bp_trainer_look(tr, LOOKED, all, keep, s);
	}
	return BP_CONTINUE;
}

static enum bp_answer go_on(void *user, struct bp_trainer *tr, const struct bp_event *ev)
{
	(void)user;
	(void)tr;
	(void)ev;
	return BP_CONTINUE;
}

static void start(struct training *t)
{
	training_init(t, net_words, SAMPLES);
	t->params.epochs = 2;
	t->params.seed = 3;
	training_augment(t, "RandomHorizontalFlip");
	training_start(t);
}

START_TEST(looking_allocates_nothing_and_moves_no_bit)
{
	struct training t, other;
	struct shown s;
	start(&t);
	start(&other);
	shown_init(&s, t.net);
	struct allocation before = allocation_now();
	enum bp_status st = bp_trainer_run(t.trainer, look_each_epoch, &s, NULL, NULL);
	int64_t calls = allocation_now().calls - before.calls,
		bytes = allocation_now().block_bytes - before.block_bytes;
	ck_assert_int_eq(st, BP_OK);
	ck_assert_int_eq(calls, 0);
	ck_assert_int_eq(bytes, 0);
	ck_assert_int_eq(bp_trainer_run(other.trainer, go_on, NULL, NULL, NULL), BP_OK);
	nets_equal(t.net, other.net, "a training that was looked at");
	shown_done(&s);
	training_done(&t);
	training_done(&other);
}
END_TEST

/* The last layer's outputs, which a predictor gives too; and that what follows from a layer's follows: a ReLU's. */
START_TEST(what_is_shown_is_what_the_layers_give)
{
	struct training t;
	struct shown s;
	struct bp_predictor *p;
	bp_real out[LOOKED * 4];
	start(&t);
	shown_init(&s, t.net);
	ck_assert_int_eq(bp_trainer_run(t.trainer, look_each_epoch, &s, NULL, NULL), BP_OK);
	ck_assert_int_eq(bp_predictor_new(t.net, 8, 1, &p, NULL), BP_OK);
	ck_assert_int_eq(bp_predictor_run(p, &t.val, 0, LOOKED, out, NULL), BP_OK);
	bp_predictor_free(p);
	int last = t.net->nnodes - 1, zeros = 0;
	for (int i = 0; i < LOOKED * 4; i++)
		ck_assert_double_eq_tol((double)s.values[last][i], (double)out[i], 1e-5);
	for (int i = 0; i <= last; i++)
		ck_assert_int_eq(s.n[i], LOOKED * bp_shape_size(&t.net->nodes[i].out));
	for (int64_t j = 0; j < s.n[RELU]; j++) {
		ck_assert(s.values[RELU][j] >= 0);
		zeros += s.values[RELU][j] == 0;
	}
	ck_assert_int_gt(zeros, 0);
	ck_assert_int_lt(zeros, (int)s.n[RELU]);
	for (int64_t j = 0; j < s.n[TANH]; j++)
		ck_assert_double_eq_tol((double)s.values[TANH][j], tanh((double)s.values[TANH - 1][j]), 1e-5);
	shown_done(&s);
	training_done(&t);
}
END_TEST

TEST_SUITE(look, 20)
{
	tcase_add_test(tc, looking_allocates_nothing_and_moves_no_bit);
	tcase_add_test(tc, what_is_shown_is_what_the_layers_give);
}
