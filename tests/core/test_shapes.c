/*
 * test_shapes.c - layers that join, reduce and reshape: the same bits for any number of threads, nothing spent where
 * nothing moves, and arguments that are lists.
 */
#include "runner.h"

#include "base/item.h"
#include "base/shape.h"
#include "draw.h"
#include "net/exec.h"
#include "spec_text.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 16, THREADS = 8 };

/* Each kind of pass is large enough to run in parallel. */
static const char mixed[] =
	"6x16x16 | a: Conv2d out_channels=10 kernel_size=3 padding=1 | p: ZeroPad2d padding=[1,-1,-1,1] < input"
	" | c: Concat < a p | m: Mean dim=[2,3] keepdim=true | g: Sigmoid | u: Mul < c g | v: Tanh < c | w: Mul < u v c"
	" | r: Reshape shape=[4,64,-1] | x: Mean dim=[1] < r | y: Mean dim=[2] < r | z: Mean dim=[3] < r"
	" | xf: Flatten < x | yf: Flatten < y | zf: Flatten < z | Concat < xf yf zf | Linear out_features=5";

/* Forward and backward of a net on random data; to be freed: outputs, input gradients and weight gradients in a row. */
static bp_real *run_net(const char *text, int threads, size_t *ret_n)
{
	struct draw d = {5};
	struct bp_error err;
	struct bp_net *net = net_text(text, 11);
	struct bp_ctx ctx = {bp_kernels_choose(BP_ISA_ALL), threads};
	struct bp_pass pass = {.n = BATCH, .training = true, .seed = 1};
	struct bp_exec *ex;
	ck_assert_int_eq(bp_exec_new(net, ctx.k, BATCH, THREADS, true, &ex, &err), BP_OK);
	struct bp_shape in = bp_net_input_shape(net), out = bp_net_output_shape(net);
	size_t nin = (size_t)bp_shape_size(&in) * BATCH, nout = (size_t)bp_shape_size(&out) * BATCH;
	bp_real *ret = calloc(nout + nin + (size_t)net->nweights, sizeof(*ret));
	draw_reals(&d, bp_exec_input(ex), nin);
	memcpy(ret, bp_exec_forward(ex, &ctx, &pass), nout * sizeof(*ret));
	draw_reals(&d, bp_exec_output_gradient(ex), nout);
	bp_exec_backward(ex, &ctx, &pass, ret + nout + nin, ret + nout);
	*ret_n = nout + nin + (size_t)net->nweights;
	bp_exec_free(ex);
	bp_net_free(net);
	return ret;
}

START_TEST(joined_and_reduced_maps_have_the_same_bits_from_any_threads)
{
	static const int threads[] = {2, 3, 4, 7};
	size_t n, m;
	bp_real *one = run_net(mixed, 1, &n), *many = run_net(mixed, threads[_i], &m);
	ck_assert_uint_eq(n, m);
	ck_assert_mem_eq(one, many, n * sizeof(*one));
	free(one);
	free(many);
}
END_TEST

static int64_t activations_of(const char *text)
{
	int64_t activations, workspace;
	struct bp_error err;
	struct bp_net *net = net_text(text, 1);
	const struct bp_kernels *k = bp_kernels_choose(BP_ISA_ALL);
	ck_assert_int_eq(bp_exec_memory(net, k, BATCH, 1, true, &activations, &workspace, &err), BP_OK);
	bp_net_free(net);
	return activations;
}

START_TEST(what_moves_no_element_costs_no_memory)
{
	int64_t bare = activations_of("4x6x6 | Tanh | Conv2d out_channels=4 kernel_size=1 | Tanh | Flatten");
	ck_assert_int_eq(bare, activations_of("4x6x6 | Identity | Tanh | Identity | Conv2d out_channels=4 kernel_size=1"
					      " | ZeroPad2d padding=[0] | Tanh | Reshape shape=[4,9,4] | Flatten"));
	ck_assert_int_lt(activations_of("4x6x6 | Tanh | Reshape shape=[4,9,4]"),
		activations_of("4x6x6 | Tanh | Reshape shape=[6,6,4]"));
	/* Features and maps of one channel lie in PyTorch's order. */
	ck_assert_int_eq(activations_of("12 | Tanh"), activations_of("12 | Reshape shape=[1,3,4] | Tanh | Flatten"));
}
END_TEST

START_TEST(a_list_has_one_to_eight_whole_numbers_within_bounds)
{
	struct bp_item item;
	struct bp_error err;
	int type = bp_item_find(BP_LAYER, "Mean");
	bp_item_defaults(BP_LAYER, type, &item);
	ck_assert_int_eq(item.args[0].n, 0);
	static const struct {
		int n;
		double last;
		enum bp_status status;
	} cases[] = {{0, 1, BP_EINVAL}, {-1, 1, BP_EINVAL}, {BP_MAX_VALUES + 1, 1, BP_EINVAL}, {1000000, 1, BP_EINVAL},
		{1, 1.5, BP_EINVAL}, {3, 4, BP_EINVAL}, {3, 0.0 / 0.0, BP_EINVAL}, {1, 3, BP_OK},
		{BP_MAX_VALUES, -3, BP_OK}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		item.args[0].n = cases[i].n;
		for (int j = 0; j < BP_MAX_VALUES; j++)
			item.args[0].v[j] = j == cases[i].n - 1 ? cases[i].last : 1;
		ck_assert_int_eq(bp_item_check(BP_LAYER, &item, 2, &err), cases[i].status);
		if (cases[i].status == BP_OK)
			continue;
		ck_assert_str_eq(err.field, "dim");
		ck_assert_int_eq(err.layer, 2);
	}
}
END_TEST

START_TEST(a_fingerprint_holds_all_of_a_list)
{
	static const char *const nets[] = {"2x3x4 | Mean dim=[1,2]", "2x3x4 | Mean dim=[2,1]", "2x3x4 | Mean dim=[1]",
		"2x3x4 | Mean dim=[1,2,3] keepdim=true", "2x3x4 | Mean dim=[1,2,-1] keepdim=true"};
	uint64_t prints[5];
	for (int i = 0; i < 5; i++) {
		struct bp_net *net = net_text(nets[i], 1);
		prints[i] = bp_net_fingerprint(net);
		bp_net_free(net);
		for (int j = 0; j < i; j++)
			ck_assert_msg(prints[i] != prints[j], "%s and %s", nets[i], nets[j]);
	}
}
END_TEST

TEST_SUITE(shapes, 60)
{
	tcase_add_loop_test(tc, joined_and_reduced_maps_have_the_same_bits_from_any_threads, 0, 4);
	tcase_add_test(tc, what_moves_no_element_costs_no_memory);
	tcase_add_test(tc, a_list_has_one_to_eight_whole_numbers_within_bounds);
	tcase_add_test(tc, a_fingerprint_holds_all_of_a_list);
}
