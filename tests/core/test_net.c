/*
 * test_net.c - nets and their passes: shapes, counts, errors that name layer and field, memory as planned, and the same
 * bits for any number of threads.
 */
#include "runner.h"

#include "base/rng.h"
#include "base/shape.h"
#include "draw.h"
#include "net_run.h"
#include "spec_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A residual net with everything that is cut into blocks, and large enough for parallel regions. */
static const char residual[] =
	"3x16x16 | Conv2d out_channels=16 kernel_size=3 padding=same bias=false | BatchNorm2d | r: ReLU"
	" | Conv2d out_channels=16 kernel_size=3 padding=1 bias=false | b: BatchNorm2d | Add < b r | s: ReLU"
	" | MaxPool2d kernel_size=3 stride=2 padding=1 | Dropout p=0.3 | Conv2d out_channels=24 kernel_size=1 | Tanh"
	" | AvgPool2d kernel_size=2 | LeakyReLU | Flatten | Linear out_features=64 | BatchNorm1d | ReLU | Dropout"
	" | Linear out_features=10";
/* What makes maps larger again. */
static const char widening[] =
	"3x16x16 | Conv2d out_channels=8 kernel_size=4 stride=4 | GroupNorm num_groups=2 | ReLU"
	" | ConvTranspose2d out_channels=24 kernel_size=4 stride=4 | GroupNorm num_groups=3 | w: ReLU"
	" | LayerNorm normalized_shape=[16,16] | AdaptiveMaxPool2d output_size=5 | Flatten | p: Linear out_features=10"
	" | ConvTranspose2d out_channels=6 kernel_size=3 stride=2 groups=3 < w"
	" | LayerNorm normalized_shape=[6,33,33] | Upsample scale_factor=1.4 mode=bilinear"
	" | AdaptiveMaxPool2d output_size=4,3 | Flatten | LayerNorm normalized_shape=[72]"
	" | q: Linear out_features=10 | Add < p q";
/* One whose batch norms are done by the convolutions beside them. */
static const char separable[] =
	"3x18x14 | Conv2d out_channels=16 kernel_size=3 padding=1 bias=false | BatchNorm2d | ReLU"
	" | Conv2d out_channels=16 kernel_size=3 padding=1 groups=16 bias=false | BatchNorm2d | ReLU"
	" | Conv2d out_channels=40 kernel_size=1 | b: BatchNorm2d"
	" | Conv2d out_channels=40 kernel_size=3 padding=1 groups=40 | BatchNorm2d | ReLU6"
	" | Conv2d out_channels=40 kernel_size=1 | d: BatchNorm2d | Add < d b | ReLU"
	" | Conv2d out_channels=40 kernel_size=3 stride=2 padding=1 groups=40 bias=false | BatchNorm2d | ReLU"
	" | Conv2d out_channels=24 kernel_size=1 | BatchNorm2d | ReLU | AdaptiveAvgPool2d output_size=1 | Flatten"
	" | Linear out_features=10";
static const char *const texts[] = {residual, separable, widening};
enum { BATCH = 24 };

static void same_bits(const bp_real *a, const bp_real *b, size_t n)
{
	ck_assert_mem_eq(a, b, n * sizeof(*a));
}

static void same_results(const struct run *a, const struct run *b)
{
	same_bits(a->y, b->y, a->nout);
	same_bits(a->dx, b->dx, a->nin);
	same_bits(a->grads, b->grads, (size_t)a->net->nweights);
	same_bits(a->net->buffers, b->net->buffers, (size_t)a->net->nbuffers);
}

START_TEST(any_number_of_threads_gives_the_same_bits)
{
	static const int threads[] = {2, 3, 4, 7};
	struct run one, many;
	run_init(&one, texts[_i / 4], BATCH);
	run_passes(&one, BATCH, 1, true);
	run_init(&many, texts[_i / 4], BATCH);
	run_passes(&many, BATCH, threads[_i % 4], true);
	same_results(&one, &many);
	for (size_t i = 0; i < one.nout; i++)
		ck_assert(isfinite(one.y[i]));
	run_done(&one);
	run_done(&many);
}
END_TEST

START_TEST(the_same_passes_again_give_the_same_bits_and_leave_the_input_alone)
{
	struct run a, b;
	run_init(&a, texts[_i], BATCH);
	run_init(&b, texts[_i], BATCH);
	run_passes(&a, BATCH, 1, true);
	run_passes(&b, BATCH, 2, true);
	bp_real *input = calloc(b.nin, sizeof(bp_real));
	memcpy(input, bp_exec_input(b.ex), b.nin * sizeof(bp_real));
	bp_net_init(a.net, 11);
	bp_net_init(b.net, 11);
	run_passes(&a, BATCH, 1, true);
	run_passes(&b, BATCH, 1, true);
	same_results(&a, &b);
	same_bits(input, bp_exec_input(b.ex), b.nin);
	free(input);
	run_done(&a);
	run_done(&b);
}
END_TEST

START_TEST(gradients_do_not_depend_on_whether_the_inputs_gradient_is_wanted)
{
	struct run with, without;
	run_init(&with, texts[_i], BATCH);
	run_init(&without, texts[_i], BATCH);
	run_passes(&with, BATCH, 1, true);
	run_passes(&without, BATCH, 1, false);
	same_bits(with.grads, without.grads, (size_t)with.net->nweights);
	run_done(&with);
	run_done(&without);
}
END_TEST

START_TEST(every_gradient_is_overwritten)
{
	struct run clean, dirty;
	run_init(&clean, texts[_i], BATCH);
	run_init(&dirty, texts[_i], BATCH);
	for (int t = 0; t < dirty.net->nparams; t++)
		for (int64_t i = 0; i < dirty.net->params[t].size && dirty.net->params[t].trainable; i++)
			dirty.grads[dirty.net->params[t].offset + i] = NAN;
	for (size_t i = 0; i < dirty.nin; i++)
		dirty.dx[i] = NAN;
	run_passes(&clean, BATCH, 1, true);
	run_passes(&dirty, BATCH, 1, true);
	same_results(&clean, &dirty);
	run_done(&clean);
	run_done(&dirty);
}
END_TEST

START_TEST(a_net_without_changes_hands_the_gradient_back)
{
	struct run r;
	run_init(&r, "6x1x1 | Flatten", 3);
	run_passes(&r, 3, 1, true);
	same_bits(r.y, bp_exec_input(r.ex), r.nin);
	same_bits(r.dx, bp_exec_output_gradient(r.ex), r.nin);
	run_done(&r);
}
END_TEST

START_TEST(a_smaller_batch_is_the_beginning_of_a_larger_one)
{
	struct run r;
	struct bp_ctx ctx = {bp_kernels_choose(BP_ISA_ALL), 1};
	struct bp_pass pass = {.n = BATCH, .training = false};
	struct draw d = {5};
	run_init(&r, texts[_i], BATCH);
	draw_reals(&d, bp_exec_input(r.ex), r.nin);
	memcpy(r.y, bp_exec_forward(r.ex, &ctx, &pass), r.nout * sizeof(bp_real));
	pass.n = 5;
	const bp_real *y = bp_exec_forward(r.ex, &ctx, &pass);
	for (size_t i = 0; i < 5 * r.nout / BATCH; i++)
		ck_assert(fabs((double)y[i] - r.y[i]) < 1e-5);
	run_done(&r);
}
END_TEST

START_TEST(evaluation_is_the_same_in_an_executor_for_training_and_in_one_without)
{
	struct run r;
	struct bp_exec *bare;
	struct bp_error err;
	struct bp_ctx ctx = {bp_kernels_choose(BP_ISA_ALL), 1};
	struct bp_pass pass = {.n = BATCH};
	struct draw d = {5};
	run_init(&r, texts[_i], BATCH);
	run_passes(&r, BATCH, 1, false);
	ck_assert_int_eq(bp_exec_new(r.net, ctx.k, BATCH, 1, false, &bare, &err), BP_OK);
	draw_reals(&d, bp_exec_input(bare), r.nin);
	memcpy(bp_exec_input(r.ex), bp_exec_input(bare), r.nin * sizeof(bp_real));
	memcpy(r.y, bp_exec_forward(r.ex, &ctx, &pass), r.nout * sizeof(bp_real));
	same_bits(bp_exec_forward(bare, &ctx, &pass), r.y, r.nout);
	bp_exec_free(bare);
	run_done(&r);
}
END_TEST

START_TEST(memory_is_allocated_as_planned)
{
	struct run r;
	struct bp_error err;
	int64_t activations, workspace, bare, bare_workspace;
	const struct bp_kernels *k = bp_kernels_choose(BP_ISA_ALL);
	run_init(&r, residual, BATCH);
	ck_assert_int_eq(bp_exec_memory(r.net, k, BATCH, 8, true, &activations, &workspace, &err), BP_OK);
	ck_assert_int_eq(activations + workspace, bp_exec_allocated(r.ex));
	ck_assert_int_eq(bp_exec_memory(r.net, k, BATCH, 8, false, &bare, &bare_workspace, &err), BP_OK);
	/* Without backward two maps of 16x16x16 and the input are the most that live at once. */
	int64_t map = BATCH * 16 * 16 * 16 * (int64_t)sizeof(bp_real);
	ck_assert_int_le(bare, 3 * map + map / 2);
	ck_assert_int_gt(activations, 4 * map);
	ck_assert_int_eq(bp_exec_memory(r.net, k, BP_MAX_BATCH + 1, 1, true, &bare, &bare, &err), BP_ELIMIT);
	ck_assert_str_eq(err.field, "batch_size");
	run_done(&r);
}
END_TEST

/* The same net, but for a LeakyReLU that keeps the second norm's output apart. */
START_TEST(a_norm_that_convolutions_do_has_no_output_in_memory)
{
	struct run done, apart;
	struct bp_error err;
	int64_t activations, workspace, map = BATCH * 20 * 20 * 32 * (int64_t)sizeof(bp_real);
	run_init(&done,
		"3x20x20 | Conv2d out_channels=32 kernel_size=1 | BatchNorm2d | ReLU"
		" | Conv2d out_channels=32 kernel_size=3 padding=1 groups=32 | BatchNorm2d | ReLU"
		" | Conv2d out_channels=32 kernel_size=1",
		BATCH);
	run_init(&apart,
		"3x20x20 | Conv2d out_channels=32 kernel_size=1 | BatchNorm2d | ReLU"
		" | Conv2d out_channels=32 kernel_size=3 padding=1 groups=32 | BatchNorm2d"
		" | LeakyReLU negative_slope=0 | Conv2d out_channels=32 kernel_size=1",
		BATCH);
	const struct bp_kernels *k = bp_kernels_choose(BP_ISA_ALL);
	ck_assert_int_eq(bp_exec_memory(done.net, k, BATCH, 8, true, &activations, &workspace, &err), BP_OK);
	ck_assert_int_eq(activations + workspace, bp_exec_allocated(done.ex));
	ck_assert_int_le(bp_exec_allocated(done.ex) + map - map / 16, bp_exec_allocated(apart.ex));
	run_done(&done);
	run_done(&apart);
}
END_TEST

static int64_t resident_bytes(void)
{
	long long size, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%lld %lld", &size, &resident), 2);
	fclose(f);
	return resident * sysconf(_SC_PAGESIZE);
}

/* Else anyone could fill the machine's memory by asking what a net would need. */
START_TEST(weights_of_a_net_that_is_only_described_take_no_memory)
{
	int64_t before = resident_bytes();
	struct bp_net_spec spec;
	struct bp_net *net = NULL;
	spec_text("20000 | Linear out_features=10000 | Linear out_features=10", &spec);
	ck_assert_int_eq(bp_net_new(&spec, &net, NULL), BP_OK);
	ck_assert_int_eq(bp_net_parameters(net), 200000000 + 10000 + 100000 + 10);
	ck_assert_int_lt(resident_bytes() - before, 64 << 20);
	bp_net_free(net);
	spec_text_done(&spec);
}
END_TEST

START_TEST(shapes_parameters_and_flops_are_those_of_the_definition)
{
	struct bp_net *net = net_text(residual, 1);
	struct bp_layer_info first, last, pool;
	ck_assert_int_eq(bp_net_layers(net), 19);
	bp_net_layer_info(net, 0, &first);
	bp_net_layer_info(net, 7, &pool);
	bp_net_layer_info(net, 18, &last);
	ck_assert_str_eq(first.type, "Conv2d");
	ck_assert_int_eq(first.parameters, 16 * 3 * 9);
	ck_assert_int_eq(first.flops, 2 * 16 * 16 * 16 * 3 * 9);
	ck_assert(pool.out.ndim == 3 && pool.out.dim[0] == 16 && pool.out.dim[1] == 8 && pool.out.dim[2] == 8);
	ck_assert_int_eq(last.parameters, 10 * 64 + 10);
	ck_assert_int_eq(bp_net_output_shape(net).dim[0], 10);
	int64_t c2 = 16 * 16 * 9, c3 = 24 * 16 + 24, fc1 = 64 * 24 * 16 + 64;
	ck_assert_int_eq(bp_net_parameters(net), 16 * 27 + 32 + c2 + 32 + c3 + fc1 + 128 + 650);
	int64_t m1 = 16 * 27 * 256, m = m1 + c2 * 256 + 24 * 16 * 64 + 64 * 24 * 16 + 640;
	ck_assert_int_eq(bp_net_flops(net), 2 * m);
	ck_assert_int_eq(bp_net_training_flops(net), 2 * (3 * m - m1));
	bp_net_free(net);
}
END_TEST

START_TEST(weights_start_within_pytorchs_bounds_and_follow_the_seed)
{
	static bp_real a[9000], b[9000];
	struct bp_net *one = net_text("10x8x8 | Conv2d out_channels=100 kernel_size=3 | BatchNorm2d", 1);
	struct bp_net *two = net_text("10x8x8 | Conv2d out_channels=100 kernel_size=3 | BatchNorm2d", 2);
	double bound = 1 / sqrt(90), sum = 0, squares = 0;
	bp_net_tensor_get(one, 0, a);
	bp_net_tensor_get(two, 0, b);
	ck_assert(memcmp(a, b, sizeof(a)) != 0);
	for (int i = 0; i < 9000; i++) {
		ck_assert(fabs(a[i]) <= bound);
		sum += a[i];
		squares += a[i] * a[i];
	}
	/* Of a uniform distribution: mean 0, variance bound^2 / 3, both within a few standard errors. */
	ck_assert(fabs(sum / 9000) < 4 * bound / sqrt(3 * 9000.0));
	ck_assert(fabs(squares / 9000 - bound * bound / 3) < 0.03 * bound * bound / 3);
	/* Element i of PyTorch's order is number i of tensor 0. */
	uint32_t r[4];
	bp_rng_block(1, BP_RNG_INIT, 0, 100 / 4, r);
	ck_assert(fabs(a[101] - bound * (2.0 * bp_rng_unit(r[1]) - 1)) < 1e-7);
	bp_net_tensor_get(one, 2, a);
	bp_net_tensor_get(one, 3, b);
	ck_assert(a[0] == 1 && a[99] == 1 && b[0] == 0 && b[99] == 0);
	bp_net_free(one);
	bp_net_free(two);
}
END_TEST

START_TEST(a_fingerprint_tells_nets_apart_but_not_their_names)
{
	struct bp_net *a = net_text("3x8x8 | Conv2d out_channels=4 kernel_size=3", 1);
	struct bp_net *b = net_text("3x8x8 | other: Conv2d out_channels=4 kernel_size=3", 2);
	struct bp_net *c = net_text("3x8x8 | Conv2d out_channels=4 kernel_size=3 padding=1", 1);
	struct bp_net *d = net_text("3x8x9 | Conv2d out_channels=4 kernel_size=3", 1);
	ck_assert(bp_net_fingerprint(a) == bp_net_fingerprint(b));
	ck_assert(bp_net_fingerprint(a) != bp_net_fingerprint(c));
	ck_assert(bp_net_fingerprint(a) != bp_net_fingerprint(d));
	bp_net_free(a);
	bp_net_free(b);
	bp_net_free(c);
	bp_net_free(d);
}
END_TEST

TEST_SUITE(net, 60)
{
	tcase_add_loop_test(tc, any_number_of_threads_gives_the_same_bits, 0, 12);
	tcase_add_loop_test(tc, the_same_passes_again_give_the_same_bits_and_leave_the_input_alone, 0, 2);
	tcase_add_loop_test(tc, gradients_do_not_depend_on_whether_the_inputs_gradient_is_wanted, 0, 2);
	tcase_add_loop_test(tc, every_gradient_is_overwritten, 0, 2);
	tcase_add_test(tc, a_net_without_changes_hands_the_gradient_back);
	tcase_add_loop_test(tc, a_smaller_batch_is_the_beginning_of_a_larger_one, 0, 2);
	tcase_add_loop_test(tc, evaluation_is_the_same_in_an_executor_for_training_and_in_one_without, 0, 2);
	tcase_add_test(tc, memory_is_allocated_as_planned);
	tcase_add_test(tc, a_norm_that_convolutions_do_has_no_output_in_memory);
	tcase_add_test(tc, weights_of_a_net_that_is_only_described_take_no_memory);
	tcase_add_test(tc, shapes_parameters_and_flops_are_those_of_the_definition);
	tcase_add_test(tc, weights_start_within_pytorchs_bounds_and_follow_the_seed);
	tcase_add_test(tc, a_fingerprint_tells_nets_apart_but_not_their_names);
}
