/* test_mistakes.c - descriptions of nets that make no sense or are too large, each refused with its layer and field. */
#include "base/item.h"
#include "net/exec.h"
#include "runner.h"
#include "spec_text.h"

#include <math.h>
#include <string.h>

static const struct {
	const char *text;
	enum bp_status status;
	int layer;
	const char *field;
} mistakes[] = {
	{"3x8x8 | ReLU | Conv2d out_channels=4 kernel_size=9", BP_EINVAL, 1, "kernel_size"},
	{"3x8x8 | Conv2d out_channels=4 kernel_size=3 dilation=4", BP_EINVAL, 0, "kernel_size"},
	{"3x8x8 | Conv2d out_channels=4 kernel_size=3 groups=2", BP_EINVAL, 0, "groups"},
	{"4x8x8 | Conv2d out_channels=3 kernel_size=3 groups=2", BP_EINVAL, 0, "groups"},
	{"4x8x8 | Conv2d out_channels=3 kernel_size=1,3 stride=2,1 algorithm=winograd", BP_EINVAL, 0, "algorithm"},
	{"4x12x12 | Conv2d out_channels=3 kernel_size=12 algorithm=winograd", BP_EINVAL, 0, "algorithm"},
	{"4x12x12 | Conv2d out_channels=3 kernel_size=3,12 algorithm=winograd", BP_EINVAL, 0, "algorithm"},
	{"4x8x8 | Conv2d out_channels=3 kernel_size=1 algorithm=winograd", BP_EINVAL, 0, "algorithm"},
	{"4x8x8 | Conv2d out_channels=3 kernel_size=5 padding=5,0 algorithm=winograd", BP_EINVAL, 0, "algorithm"},
	{"4x8x8 | Conv2d out_channels=3 kernel_size=1,3 padding=1 dilation=2 algorithm=winograd", BP_EINVAL, 0,
		"algorithm"},
	{"4x8x8 | Conv2d out_channels=3 kernel_size=3 stride=2 dilation=2 algorithm=winograd", BP_EINVAL, 0,
		"algorithm"},
	{"4x8x8 | Conv2d out_channels=3 kernel_size=4 stride=1,4 algorithm=winograd", BP_EINVAL, 0, "algorithm"},
	{"4x8x8 | Conv2d out_channels=3 kernel_size=3 dilation=2 padding=5 algorithm=winograd", BP_EINVAL, 0,
		"algorithm"},
	{"30x8x8 | Conv2d out_channels=32 kernel_size=3 groups=2 algorithm=winograd", BP_EINVAL, 0, "algorithm"},
	{"32x8x8 | Conv2d out_channels=30 kernel_size=3 groups=2 algorithm=winograd", BP_EINVAL, 0, "algorithm"},
	{"4x8x8 | Conv2d out_channels=4 kernel_size=3 padding=3 algorithm=winograd", BP_EINVAL, 0, "algorithm"},
	{"3x8x8 | Conv2d out_channels=4 kernel_size=3 padding=same stride=2", BP_EINVAL, 0, "padding"},
	{"3x8x8 | Conv2d out_channels=0 kernel_size=3", BP_EINVAL, 0, "out_channels"},
	{"3x8x8 | Conv2d out_channels=4 kernel_size=2.5", BP_EINVAL, 0, "kernel_size"},
	{"3x8x8 | Conv2d out_channels=4", BP_EINVAL, 0, "kernel_size"},
	{"3x8x8 | Conv2d out_channels=4 kernel_size=4096", BP_ELIMIT, 0, "kernel_size"},
	{"1x8192x8192 | Conv2d out_channels=1 kernel_size=1 stride=8192", BP_ELIMIT, 0, "stride"},
	{"1x2x2 | ConvTranspose2d out_channels=1 kernel_size=1 stride=4096", BP_ELIMIT, 0, "stride"},
	{"12 | Conv2d out_channels=4 kernel_size=1", BP_EINVAL, 0, "inputs"},
	{"3x8x8 | Linear out_features=4", BP_EINVAL, 0, "inputs"},
	{"3x8x8 | BatchNorm1d", BP_EINVAL, 0, "inputs"},
	{"12 | LayerNorm normalized_shape=[11]", BP_EINVAL, 0, "normalized_shape"},
	{"12 | LayerNorm", BP_EINVAL, 0, "normalized_shape"},
	{"3x4x5 | LayerNorm normalized_shape=[3,4]", BP_EINVAL, 0, "normalized_shape"},
	{"3x4 | LayerNorm normalized_shape=[1,3,4]", BP_EINVAL, 0, "normalized_shape"},
	{"3x4 | LayerNorm normalized_shape=[0]", BP_EINVAL, 0, "normalized_shape"},
	{"6x4 | GroupNorm num_groups=4", BP_EINVAL, 0, "num_groups"},
	{"6x4 | GroupNorm num_groups=0", BP_EINVAL, 0, "num_groups"},
	{"12 | Upsample scale_factor=2", BP_EINVAL, 0, "inputs"},
	{"3x4x4 | Upsample", BP_EINVAL, 0, "size"},
	{"3x4x4 | Upsample size=2 scale_factor=2", BP_EINVAL, 0, "scale_factor"},
	{"3x4x4 | Upsample size=0", BP_EINVAL, 0, "size"},
	{"3x4x4 | Upsample scale_factor=2 mode=linear", BP_EINVAL, 0, "mode"},
	{"3x4 | Upsample scale_factor=2 mode=bilinear", BP_EINVAL, 0, "mode"},
	{"3x4 | Upsample size=4,5", BP_EINVAL, 0, "size"},
	{"3x4x4 | Upsample scale_factor=2 align_corners=true", BP_EINVAL, 0, "align_corners"},
	{"3x4x4 | Upsample scale_factor=0.2", BP_EINVAL, 0, "scale_factor"},
	{"3x4x65536 | Upsample scale_factor=1000", BP_ELIMIT, 0, "scale_factor"},
	{"3x8 | ConvTranspose2d out_channels=2 kernel_size=2", BP_EINVAL, 0, "inputs"},
	{"3x8x8 | ConvTranspose2d out_channels=2 kernel_size=2 groups=2", BP_EINVAL, 0, "groups"},
	{"4x8x8 | ConvTranspose2d out_channels=3 kernel_size=2 groups=2", BP_EINVAL, 0, "groups"},
	{"3x8x8 | ConvTranspose2d out_channels=2 kernel_size=2 stride=2 output_padding=2", BP_EINVAL, 0,
		"output_padding"},
	{"3x8x8 | ConvTranspose2d out_channels=2 kernel_size=2 stride=2,3 output_padding=2", BP_EINVAL, 0,
		"output_padding"},
	{"3x2x2 | ConvTranspose2d out_channels=2 kernel_size=2 padding=2", BP_EINVAL, 0, "padding"},
	{"3x8x8 | ConvTranspose2d out_channels=2 kernel_size=300", BP_ELIMIT, 0, "kernel_size"},
	{"3x8x65536 | ConvTranspose2d out_channels=2 kernel_size=2 stride=65536", BP_ELIMIT, 0, "stride"},
	{"1x32768x32768 | ConvTranspose2d out_channels=65536 kernel_size=4 stride=4", BP_ELIMIT, 0, "out_channels"},
	{"2x12x12 | ConvTranspose2d out_channels=12 kernel_size=12 dilation=65535", BP_ELIMIT, 0, "dilation"},
	{"2x60000x60000 | ConvTranspose2d out_channels=3 kernel_size=2 stride=100", BP_ELIMIT, 0, "stride"},
	{"1x1x1 | Conv2d out_channels=700 kernel_size=1 padding=32768", BP_ELIMIT, 0, "padding"},
	{"3x8 | AdaptiveMaxPool2d output_size=2", BP_EINVAL, 0, "inputs"},
	{"3x8x8 | AdaptiveMaxPool1d output_size=2", BP_EINVAL, 0, "inputs"},
	{"3x300x300 | AdaptiveMaxPool2d output_size=1", BP_ELIMIT, 0, "output_size"},
	{"3x300x300 | AdaptiveMaxPool2d output_size=0", BP_EINVAL, 0, "output_size"},
	{"12 | BatchNorm2d", BP_EINVAL, 0, "inputs"},
	{"12 | BatchNorm1d momentum=1.5", BP_EINVAL, 0, "momentum"},
	{"12 | Dropout p=nan", BP_EINVAL, 0, "p"},
	{"12 | MaxPool2d kernel_size=2", BP_EINVAL, 0, "inputs"},
	{"3x8x8 | MaxPool2d kernel_size=9", BP_EINVAL, 0, "kernel_size"},
	{"3x8x8 | MaxPool2d kernel_size=3 padding=2", BP_EINVAL, 0, "padding"},
	{"3x8x8 | AvgPool2d kernel_size=9", BP_EINVAL, 0, "kernel_size"},
	{"3x8x8 | MaxPool2d kernel_size=300", BP_ELIMIT, 0, "kernel_size"},
	{"12 | AdaptiveAvgPool2d output_size=1", BP_EINVAL, 0, "inputs"},
	{"12 | Conv1d out_channels=2 kernel_size=1", BP_EINVAL, 0, "inputs"},
	{"3x8x8 | Conv1d out_channels=2 kernel_size=1", BP_EINVAL, 0, "inputs"},
	{"3x8 | Conv2d out_channels=2 kernel_size=1", BP_EINVAL, 0, "inputs"},
	{"3x8 | Conv1d out_channels=2 kernel_size=5 dilation=3 padding=2", BP_EINVAL, 0, "kernel_size"},
	{"3x8 | Conv1d out_channels=3 kernel_size=3 groups=2", BP_EINVAL, 0, "groups"},
	{"3x8 | Conv1d out_channels=3 kernel_size=3 padding=1,2", BP_EINVAL, 0, "padding"},
	{"3x8 | Conv1d out_channels=3 kernel_size=3 padding=same stride=2", BP_EINVAL, 0, "padding"},
	{"3x8 | Conv1d out_channels=3 kernel_size=2 stride=3 algorithm=winograd", BP_EINVAL, 0, "algorithm"},
	{"3x12 | Conv1d out_channels=3 kernel_size=12 algorithm=winograd", BP_EINVAL, 0, "algorithm"},
	{"3x8 | Conv1d out_channels=3 kernel_size=4 stride=4 algorithm=winograd", BP_EINVAL, 0, "algorithm"},
	{"3x8 | Conv1d out_channels=3 kernel_size=0", BP_EINVAL, 0, "kernel_size"},
	{"1x2147483647 | Conv1d out_channels=1 kernel_size=3 padding=1", BP_ELIMIT, 0, "padding"},
	{"1x2147483647 | Conv1d out_channels=65536 kernel_size=1", BP_ELIMIT, 0, "out_channels"},
	{"3x8x8 | MaxPool1d kernel_size=2", BP_EINVAL, 0, "inputs"},
	{"3x8 | MaxPool2d kernel_size=2", BP_EINVAL, 0, "inputs"},
	{"3x8 | MaxPool1d kernel_size=9", BP_EINVAL, 0, "kernel_size"},
	{"3x8 | AvgPool1d kernel_size=2 padding=2", BP_EINVAL, 0, "padding"},
	{"3x80000 | MaxPool1d kernel_size=65535", BP_ELIMIT, 0, "kernel_size"},
	{"3x8x8 | AdaptiveAvgPool1d output_size=2", BP_EINVAL, 0, "inputs"},
	{"3x8x8 | BatchNorm1d", BP_EINVAL, 0, "inputs"},
	{"12 | ELU alpha=-1", BP_EINVAL, 0, "alpha"},
	{"12 | Hardtanh min_val=2 max_val=2", BP_EINVAL, 0, "max_val"},
	{"12 | Hardtanh max_val=inf", BP_EINVAL, 0, "max_val"},
	{"12 | Softplus beta=0", BP_EINVAL, 0, "beta"},
	{"12 | Softplus threshold=-1", BP_EINVAL, 0, "threshold"},
	{"3x8x8 | PReLU num_parameters=2", BP_EINVAL, 0, "num_parameters"},
	{"3x8x8 | PReLU num_parameters=0", BP_EINVAL, 0, "num_parameters"},
	{"3x8x8 | PReLU init=nan", BP_EINVAL, 0, "init"},
	{"3x8x8 | Softmax dim=2", BP_EINVAL, 0, "dim"},
	{"3x8x8 | Softmax dim=-1", BP_EINVAL, 0, "dim"},
	{"12 | Softmax dim=0", BP_EINVAL, 0, "dim"},
	{"12 | ReLU | LogSoftmax dim=-2", BP_EINVAL, 1, "dim"},
	{"3x8 | LogSoftmax dim=-3", BP_EINVAL, 0, "dim"},
	{"3x8x8 | GLU", BP_EINVAL, 0, "dim"},
	{"12 | GLU dim=-2", BP_EINVAL, 0, "dim"},
	{"3x8x8 | GLU dim=1", BP_EINVAL, 0, "inputs"},
	{"1 | GLU", BP_EINVAL, 0, "inputs"},
	{"12 | Dropout2d", BP_EINVAL, 0, "inputs"},
	{"3x8 | Dropout2d", BP_EINVAL, 0, "inputs"},
	{"3x8x8 | Dropout1d", BP_EINVAL, 0, "inputs"},
	{"3x8x8 | Dropout2d p=1.01", BP_EINVAL, 0, "p"},
	{"12 | a: Linear out_features=3 | b: Linear out_features=4 < input | Add < a b", BP_EINVAL, 2, "inputs"},
	{"12 | Add < input", BP_EINVAL, 0, "inputs"},
	{"12 | Reshape", BP_EINVAL, 0, "shape"},
	{"12 | Reshape shape=[3,-1,-1]", BP_EINVAL, 0, "shape"},
	{"12 | Reshape shape=[5,-1,1]", BP_EINVAL, 0, "shape"},
	{"12 | Reshape shape=[3,2,3]", BP_EINVAL, 0, "shape"},
	{"12 | Reshape shape=[3,0,4]", BP_EINVAL, 0, "shape"},
	{"12 | Reshape shape=[3,-2,2]", BP_EINVAL, 0, "shape"},
	{"12 | Reshape shape=[3,2.5,2]", BP_EINVAL, 0, "shape"},
	{"12 | Reshape shape=[1,1,3,4]", BP_EINVAL, 0, "shape"},
	{"12 | Reshape shape=[2147483647,2147483647,2147483647]", BP_EINVAL, 0, "shape"},
	{"3x4x4 | a: ReLU | b: MaxPool2d kernel_size=2 | Concat < a b", BP_EINVAL, 2, "inputs"},
	{"12 | a: Reshape shape=[3,2,2] | Concat < a input", BP_EINVAL, 1, "inputs"},
	{"12 | a: Linear out_features=1 | Mul < input a", BP_EINVAL, 1, "inputs"},
	{"4x3x3 | a: Conv2d out_channels=3 kernel_size=3 | Mul < input a", BP_EINVAL, 1, "inputs"},
	{"3x4x4 | Mean", BP_EINVAL, 0, "dim"},
	{"3x4x4 | Mean dim=[0]", BP_EINVAL, 0, "dim"},
	{"3x4x4 | Mean dim=[-4]", BP_EINVAL, 0, "dim"},
	{"12 | Mean dim=[2]", BP_EINVAL, 0, "dim"},
	{"3x4x4 | Mean dim=[1,-3]", BP_EINVAL, 0, "dim"},
	{"3x4x4 | ZeroPad2d padding=[1,2]", BP_EINVAL, 0, "padding"},
	{"3x4x4 | ZeroPad2d padding=[-2,-2,0,0]", BP_EINVAL, 0, "padding"},
	{"3x4x4 | ZeroPad2d padding=[70000]", BP_EINVAL, 0, "padding"},
	{"12 | Embedding embedding_dim=3", BP_EINVAL, 0, "num_embeddings"},
	{"12 | Embedding num_embeddings=20000000 embedding_dim=3", BP_EINVAL, 0, "num_embeddings"},
	{"12 | Embedding num_embeddings=5 embedding_dim=3 padding_idx=5", BP_EINVAL, 0, "padding_idx"},
	{"3x4 | Embedding num_embeddings=5 embedding_dim=3", BP_EINVAL, 0, "inputs"},
	{"12 | ReLU | Embedding num_embeddings=5 embedding_dim=3", BP_EINVAL, 1, "inputs"},
	{"12 | ZeroPad2d padding=[1]", BP_EINVAL, 0, "inputs"},
	{"12 | a: ReLU | ReLU < input", BP_EINVAL, 0, "inputs"},
	{"12 | a: ReLU | a: ReLU", BP_EINVAL, 1, "name"},
	{"12 | a/b: ReLU", BP_EINVAL, 0, "name"},
	{"4x0 | ReLU", BP_EINVAL, -1, "shape"},
	{"0 | ReLU", BP_EINVAL, -1, "shape"},
	{"12", BP_EINVAL, -1, "layers"},
	{"3000000000 | ReLU", BP_ELIMIT, -1, "shape"},
	{"65536x65536x65536 | ReLU", BP_ELIMIT, -1, "shape"},
	{"2097152x2097152 | ReLU", BP_ELIMIT, -1, "shape"},
	{"64x65536x65536 | Conv2d out_channels=65536 kernel_size=1", BP_ELIMIT, 0, "out_channels"},
	{"2000000000 | Linear out_features=16777216", BP_ELIMIT, 0, "weight"},
	{"64x65536x65536 | Flatten", BP_ELIMIT, 0, "inputs"},
	{"1x8x8 | AdaptiveAvgPool2d output_size=65536 | Conv2d out_channels=65536 kernel_size=1", BP_ELIMIT, 1,
		"out_channels"},
};

START_TEST(a_mistake_is_told_with_its_layer_and_field)
{
	struct bp_error err = net_text_error(mistakes[_i].text);
	ck_assert_msg(err.status == mistakes[_i].status && err.layer == mistakes[_i].layer &&
			      strcmp(err.field, mistakes[_i].field) == 0,
		"%s: %d, layer %d, %s: %s", mistakes[_i].text, err.status, err.layer, err.field, err.message);
	ck_assert_int_gt((int)strlen(err.message), 10);
}
END_TEST

/* A value that no argument of this kind may have, number i of them; NaN past the end. */
static double bad_value(const struct bp_arg *arg, int i)
{
	bool real = arg->kind == BP_ARG_REAL || arg->kind == BP_ARG_REAL_PAIR;
	bool worded = arg->kind == BP_ARG_BOOL || arg->kind == BP_ARG_CHOICE;
	double step = fmax(1, fabs(arg->max)) / 2;
	switch (i) {
	case 0:
		return INFINITY;
	case 1:
		return -INFINITY;
	case 2:
		return worded ? 1000 : arg->max + step;
	case 3:
		return worded ? -2 : arg->min - step - 0.5;
	case 4:
		return real ? INFINITY : worded ? 0.5 : floor(arg->min) + 0.5;
	}
	return NAN;
}

START_TEST(every_argument_of_every_layer_has_bounds_that_are_told_by_its_name)
{
	for (int type = 0; type < bp_item_count(BP_LAYER); type++) {
		const struct bp_item_info *info = bp_item_info(BP_LAYER, type);
		struct bp_item good;
		bp_item_defaults(BP_LAYER, type, &good);
		for (int a = 0; a < info->nargs; a++)
			for (int v = 0; v < BP_MAX_VALUES && info->args[a].required; v++) {
				good.args[a].n = 1;
				good.args[a].v[v] = info->args[a].min;
			}
		ck_assert_int_eq(bp_item_check(BP_LAYER, &good, 5, NULL), BP_OK);
		for (int a = 0; a < info->nargs; a++)
			for (int i = 0; i < 6; i++) {
				struct bp_error err = {.status = BP_OK};
				struct bp_item bad = good;
				bad.args[a].n = 1;
				bad.args[a].v[0] = bad.args[a].v[1] = bad_value(&info->args[a], i);
				ck_assert_msg(bp_item_check(BP_LAYER, &bad, 5, &err) == BP_EINVAL && err.layer == 5 &&
						      strcmp(err.field, info->args[a].name) == 0,
					"%s takes %g as %s", info->name, bad.args[a].v[0], info->args[a].name);
			}
	}
}
END_TEST

START_TEST(inputs_must_be_layers_above)
{
	struct bp_net_spec spec;
	struct bp_net *net = NULL;
	struct bp_error err;
	static const int wrong[] = {1, 2, 7, -2};
	for (int i = 0; i < 4; i++) {
		spec_text("12 | ReLU | ReLU", &spec);
		((struct bp_layer_spec *)spec.layers)[1].inputs[0] = wrong[i];
		ck_assert_int_eq(bp_net_new(&spec, &net, &err), BP_EINVAL);
		ck_assert_int_eq(err.layer, 1);
		ck_assert_str_eq(err.field, "inputs");
		spec_text_done(&spec);
	}
}
END_TEST

/* Also where a plan's tables would be larger than memory. */
START_TEST(a_batch_beyond_the_limits_is_refused_before_anything_is_allocated)
{
	struct bp_net *net = net_text("16x8192x8192 | ReLU", 1),
		      *wide = net_text("1x1x2000000000 | MaxPool2d kernel_size=1", 1);
	struct bp_error err;
	int64_t a, w;
	const struct bp_kernels *k = bp_kernels_choose(BP_ISA_ALL);
	ck_assert_int_eq(bp_exec_memory(net, k, 65536, 1, true, &a, &w, &err), BP_ELIMIT);
	ck_assert_int_eq(bp_exec_memory(wide, k, 1, 1, true, &a, &w, &err), BP_ELIMIT);
	ck_assert_int_eq(err.layer, 0);
	bp_net_free(net);
	bp_net_free(wide);
}
END_TEST

TEST_SUITE(mistakes, 60)
{
	tcase_add_loop_test(tc, a_mistake_is_told_with_its_layer_and_field, 0, sizeof(mistakes) / sizeof(mistakes[0]));
	tcase_add_test(tc, every_argument_of_every_layer_has_bounds_that_are_told_by_its_name);
	tcase_add_test(tc, inputs_must_be_layers_above);
	tcase_add_test(tc, a_batch_beyond_the_limits_is_refused_before_anything_is_allocated);
}
