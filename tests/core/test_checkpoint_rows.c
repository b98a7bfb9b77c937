/*
 * test_checkpoint_rows.c - checkpoints of versions 3 to 5, which have the norms of layers' weights for their squares;
 * up to 4 the weights of Linear layers lie for features in PyTorch's order, in 3 in rows of all outputs: a training
 * goes on from one, and a net is loaded from it, as from a new one.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/panels.h"
#include "net/net.h"
#include "runner.h"
#include "train/crc32c.h"
#include "train/trainer.h"
#include "training.h"

enum { HEADER = 80, VERSION_AT = 8, IN = 7 * 6 * 7, OUT = 230 };

/* All vectors that a checkpoint can hold, in the middle of a step of several batches; a panel that is narrower, and
 * features of a map. */
static void start(struct training *t)
{
	training_init(t, "7x6x7 | Flatten | Linear out_features=230 | BatchNorm1d | Linear out_features=4", 40);
	t->params.epochs = 3;
	t->params.accumulate_steps = 2;
	t->params.ema_decay = 0.5;
	training_item(BP_OPTIMIZER, "Adam", NULL, &t->params.optimizer);
	training_start(t);
}

/* The first tensor, from how it lies in the net to how it lay: out of PyTorch's order, input by input. */
static void to_old(const struct bp_param *p, uint32_t version, bp_real *flat)
{
	bp_real *outside = malloc((size_t)p->size * sizeof(*outside));
	ck_assert_ptr_nonnull(outside);
	bp_param_get(p, flat, outside);
	for (int i = 0; i < IN; i++)
		for (int o = 0; o < OUT; o++)
			flat[p->offset + (version == 3 ? i * OUT + o : bp_panel_at(IN, OUT, i, o))] =
				outside[o * IN + i];
	free(outside);
}

static void to_norms(struct bp_health *h, int n)
{
	for (int i = 0; i < n; i++)
		h[i].weight_squares = sqrt(h[i].weight_squares);
}

/* Makes the file what an earlier build would have written. */
static void make_old(const struct bp_trainer *tr, uint32_t version, const char *path)
{
	const struct bp_net *net = tr->net;
	const size_t weights = (size_t)net->nweights * sizeof(bp_real), vectors[] = {1, 2, 1, 1}; /* in their order */
	FILE *f = fopen(path, "r+b");
	ck_assert_ptr_nonnull(f);
	fseek(f, 0, SEEK_END);
	const size_t size = (size_t)ftell(f);
	unsigned char *bytes = malloc(size);
	bp_real *flat = malloc(weights);
	ck_assert(bytes && flat);
	rewind(f);
	ck_assert_uint_eq(fread(bytes, 1, size, f), size);
	memcpy(bytes + VERSION_AT, &version, sizeof(version));
	size_t at = HEADER + sizeof(tr->progress);
	to_norms((struct bp_health *)(bytes + at), tr->layout.nslots);
	at += (size_t)tr->layout.nslots * sizeof(*tr->epoch_health);
	for (size_t kind = 0; kind < 4; kind++) {
		for (size_t i = 0; i < vectors[kind]; i++, at += weights) {
			memcpy(flat, bytes + at, weights);
			if (version < 5)
				to_old(&net->params[0], version, flat);
			memcpy(bytes + at, flat, weights);
		}
		at += kind == 0 ? (size_t)net->nbuffers * sizeof(bp_real) : 0;
	}
	ck_assert_uint_eq(at + sizeof(uint32_t), size);
	static struct bp_crc32c crc;
	bp_crc32c_init(&crc);
	bp_crc32c_add(&crc, bytes, at);
	const uint32_t sum = bp_crc32c_value(&crc);
	memcpy(bytes + at, &sum, sizeof(sum));
	rewind(f);
	ck_assert_uint_eq(fwrite(bytes, 1, size, f), size);
	fclose(f);
	free(bytes);
	free(flat);
}

static void vectors_equal(const struct bp_trainer *a, const struct bp_trainer *b)
{
	const size_t bytes = (size_t)a->net->nweights * sizeof(bp_real);
	ck_assert_int_eq(memcmp(a->net->weights, b->net->weights, bytes), 0);
	for (int s = 0; s < 2; s++)
		ck_assert_int_eq(memcmp(a->vectors.state[s], b->vectors.state[s], bytes), 0);
	ck_assert_int_eq(memcmp(a->vectors.sum, b->vectors.sum, bytes), 0);
	ck_assert_int_eq(memcmp(a->vectors.average, b->vectors.average, bytes), 0);
	for (int s = 0; s < a->layout.nslots; s++) {
		const double squares = a->epoch_health[s].weight_squares;
		ck_assert_double_gt(squares, 0);
		ck_assert_double_eq_tol(b->epoch_health[s].weight_squares / squares, 1, 1e-15);
	}
}

START_TEST(a_file_of_an_earlier_version_is_taken_up_as_a_new_one)
{
	char path[] = "/tmp/checkpoint-rows-XXXXXX";
	struct training t, other;
	struct report r = {.stop_batches = 5, .save = path};
	close(mkstemp(path));
	start(&t);
	training_run(&t, &r, false);
	ck_assert_int_eq(t.net->params[0].order, BP_ORDER_PANELS);
	ck_assert_int_eq(t.net->params[0].channels, 7);
	start(&other);
	ck_assert_int_eq(bp_trainer_restore(other.trainer, path, NULL), BP_OK);
	vectors_equal(t.trainer, other.trainer);
	make_old(t.trainer, (uint32_t)_i, path);
	training_done(&other);
	start(&other);
	ck_assert_int_eq(bp_trainer_restore(other.trainer, path, NULL), BP_OK);
	vectors_equal(t.trainer, other.trainer);
	ck_assert_int_eq(bp_net_load(other.net, path, NULL), BP_OK);
	ck_assert_int_eq(
		memcmp(other.net->weights, t.trainer->vectors.average, (size_t)t.net->nweights * sizeof(bp_real)), 0);
	unlink(path);
	training_done(&t);
	training_done(&other);
}
END_TEST

TEST_SUITE(checkpoint_rows, 60)
{
	tcase_add_loop_test(tc, a_file_of_an_earlier_version_is_taken_up_as_a_new_one, 3, 6);
}
