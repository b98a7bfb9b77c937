/* test_params.c - tensors of a net between PyTorch's order outside and the order inside. */
#include <stdlib.h>

#include "net/net.h"
#include "runner.h"
#include "spec_text.h"

START_TEST(tensors_are_named_and_ordered_as_in_a_state_dict)
{
	struct bp_net *net = net_text("2x4x4 | c: Conv2d out_channels=3 kernel_size=2 | b: BatchNorm2d | Flatten"
				      " | f: Linear out_features=5",
		1);
	static const char *const names[] = {"c.weight", "c.bias", "b.weight", "b.bias", "f.weight", "f.bias",
		"b.running_mean", "b.running_var", "b.num_batches_tracked"};
	ck_assert_int_eq(bp_net_tensors(net), 9);
	for (int i = 0; i < 9; i++) {
		struct bp_tensor_info info;
		bp_net_tensor_info(net, i, &info);
		ck_assert_str_eq(info.name, names[i]);
		ck_assert_int_eq(info.trainable, i < 6);
	}
	bp_real outside[24];
	for (int i = 0; i < 24; i++)
		outside[i] = (bp_real)i;
	bp_net_tensor_set(net, 0, outside);
	/* OIHW (2, 1, 0, 1) lies at HWIO (0, 1, 1, 2). */
	ck_assert(net->weights[((0 * 2 + 1) * 2 + 1) * 3 + 2] == outside[((2 * 2 + 1) * 2 + 0) * 2 + 1]);
	bp_net_free(net);
}
END_TEST

/* The first tensor of each: (out, in) as one panel, as panels, and as panels of which the last is narrower; maps with
 * channels first, and sequences. */
static const char *const texts[] = {
	"7 | Linear out_features=5",
	"64 | Linear out_features=1056",
	"300 | Linear out_features=300",
	"5x6x7 | Conv2d out_channels=4 kernel_size=[2,3]",
	"5x6 | Conv1d out_channels=4 kernel_size=3",
	"3x4x5 | LayerNorm normalized_shape=[3,4,5]",
};

START_TEST(tensors_come_out_as_they_went_in_and_fill_their_place)
{
	struct bp_net *net = net_text(texts[_i], 1);
	const struct bp_param *p = &net->params[0];
	bp_real *in = malloc((size_t)p->size * sizeof(*in)), *out = malloc((size_t)p->size * sizeof(*out));
	ck_assert(in && out);
	for (int64_t i = 0; i < p->size; i++)
		in[i] = (bp_real)i;
	bp_net_tensor_set(net, 0, in);
	bp_net_tensor_get(net, 0, out);
	ck_assert_mem_eq(in, out, (size_t)p->size * sizeof(*in));
	double sum = 0;
	for (int64_t i = 0; i < p->size; i++)
		sum += net->weights[p->offset + i];
	ck_assert(sum == (double)p->size * (double)(p->size - 1) / 2);
	free(in);
	free(out);
	bp_net_free(net);
}
END_TEST

TEST_SUITE(params, 60)
{
	tcase_add_test(tc, tensors_are_named_and_ordered_as_in_a_state_dict);
	tcase_add_loop_test(
		tc, tensors_come_out_as_they_went_in_and_fill_their_place, 0, (int)(sizeof(texts) / sizeof(texts[0])));
}
