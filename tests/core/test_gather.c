/* test_gather.c - samples that lie ready as the net reads them are read where they are, and all comes out the same. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "draw.h"
#include "runner.h"
#include "spec_text.h"
#include "train/trainer.h"
#include "training.h"

enum { COUNT = 41, BATCH = 16, ONE_BEHIND = 1 /* element: between two lines */ };

/* What may come first: a product, what may work in place, what takes no place at all, a norm that the convolution after
 * it applies, two that read the same. 16 of a sample are a whole line; of 20, every second batch begins between two. */
static const char *const texts[] = {
	"16 | Linear out_features=9 | Tanh | Linear out_features=4",
	"16 | ReLU | Linear out_features=4",
	"20 | Dropout p=0.3 | Linear out_features=4",
	"16 | BatchNorm1d | Linear out_features=4",
	"1x4x8 | Flatten | Linear out_features=70 | ReLU | Linear out_features=4",
	"1x4x8 | BatchNorm2d | Conv2d out_channels=17 kernel_size=1 | BatchNorm2d | ReLU | Flatten"
	" | Linear out_features=4",
	"1x8x8 | a: Conv2d out_channels=1 kernel_size=3 padding=1 | b: Add < a input | Flatten | Linear out_features=4",
	"1x32 | Conv1d out_channels=5 kernel_size=3 | Flatten | Linear out_features=4",
};
enum { TEXTS = sizeof(texts) / sizeof(texts[0]) };

static void add_up(void *user, int node, const bp_real *y, int64_t units)
{
	double *sum = user;
	for (int64_t i = 0; i < units; i++)
		*sum += (node + 1) * (double)y[i];
}

/* Trains on what lies at `samples`, in its order, looks at what the layers then put out, and lets all be predicted. */
static struct bp_net *trained(const char *text, const float *samples, bp_real *ret_out, double *ret_seen)
{
	struct training t;
	training_init(&t, text, COUNT);
	const struct bp_data made = t.train, made_val = t.val;
	t.train.dtype = t.val.dtype = BP_F32;
	t.train.samples = t.val.samples = samples;
	t.params.batch_size = BATCH;
	t.params.shuffle = false;
	t.params.epochs = 2;
	training_start(&t);
	struct report r = {0};
	training_run(&t, &r, true);
	const bool wanted[TRAINING_LAYERS] = {true, true, true, true, true, true, true, true};
	*ret_seen = 0;
	bp_trainer_look(t.trainer, COUNT, wanted, add_up, ret_seen);
	t.train = made;
	t.val = made_val;
	struct bp_net *net = t.net;
	t.net = NULL;
	training_done(&t);

	struct bp_predictor *p;
	struct bp_error err;
	struct bp_data data = made;
	data.dtype = BP_F32;
	data.samples = samples;
	data.labels = NULL;
	data.targets = NULL;
	ck_assert_int_eq(bp_predictor_new(net, BATCH, 1, &p, &err), BP_OK);
	ck_assert_int_eq(bp_predictor_run(p, &data, 0, COUNT, ret_out, &err), BP_OK);
	bp_predictor_free(p);
	return net;
}

START_TEST(a_training_and_its_predictions_are_the_same_where_samples_lie_ready)
{
	struct bp_net *net = net_text(texts[_i], 1);
	const struct bp_shape in = bp_net_input_shape(net), out = bp_net_output_shape(net);
	const size_t n = (size_t)bp_shape_size(&in) * COUNT, nout = (size_t)bp_shape_size(&out) * COUNT;
	bp_net_free(net);
	float *ready = bp_mem_new(n * sizeof(*ready)), *kept = malloc(n * sizeof(*kept));
	float *room = bp_mem_new((n + ONE_BEHIND) * sizeof(*room)), *apart = room + ONE_BEHIND;
	bp_real *outputs = malloc(2 * nout * sizeof(*outputs));
	ck_assert(ready && kept && room && outputs);
	struct draw d = {(uint64_t)_i};
	for (size_t i = 0; i < n; i++)
		ready[i] = apart[i] = kept[i] = (float)draw_real(&d);
	double seen[2];
	struct bp_net *read = trained(texts[_i], ready, outputs, &seen[0]);
	struct bp_net *gathered = trained(texts[_i], apart, outputs + nout, &seen[1]);
	ck_assert(seen[0] == seen[1]);
	nets_equal(read, gathered, texts[_i]);
	ck_assert_mem_eq(outputs, outputs + nout, nout * sizeof(*outputs));
	ck_assert_mem_eq(ready, kept, n * sizeof(*ready));
	bp_net_free(read);
	bp_net_free(gathered);
	free(outputs);
	bp_mem_free(room);
	free(kept);
	bp_mem_free(ready);
}
END_TEST

START_TEST(an_executor_reads_from_where_it_is_told_and_its_own_memory_again)
{
	struct bp_net *net = net_text("12 | Flatten", 1);
	struct bp_exec *ex;
	struct bp_error err;
	const bp_real other[12] = {1, 2, 3};
	const struct bp_kernels *k = bp_kernels_choose(BP_ISA_ALL);
	const struct bp_ctx ctx = {.k = k, .threads = 1};
	const struct bp_pass pass = {.n = 1};
	ck_assert_int_eq(bp_exec_new(net, k, 1, 1, false, &ex, &err), BP_OK);
	bp_exec_input(ex)[0] = 7;
	bp_exec_read_from(ex, other);
	ck_assert(bp_exec_forward(ex, &ctx, &pass)[2] == 3);
	bp_exec_read_from(ex, NULL);
	ck_assert(bp_exec_forward(ex, &ctx, &pass)[0] == 7);
	bp_exec_free(ex);
	bp_net_free(net);
}
END_TEST

TEST_SUITE(gather, 30)
{
	tcase_add_loop_test(tc, a_training_and_its_predictions_are_the_same_where_samples_lie_ready, 0, TEXTS);
	tcase_add_test(tc, an_executor_reads_from_where_it_is_told_and_its_own_memory_again);
}
