/* test_spec_lint.c - warnings about models: each with its code, its place and what to change, and none without reason.
 */
#include "runner.h"

#include <stdio.h>
#include <string.h>

#include "problems.h"
#include "spec/spec.h"

/* The warnings as "code param", separated by blanks, are as wanted; each has a suggestion. */
static void warned(const char *input, const char *layers, const char *want)
{
	char text[4096], got[1000] = "";
	size_t n = 0, i = 0;
	const json_t *warning = NULL;
	struct problems problems = {0};
	struct spec_model m;
	ck_assert_int_lt(
		snprintf(text, sizeof(text), "{'input':{'shape':%s},'layers':[%s]}", input, layers), (int)sizeof(text));
	json_t *json = json_of(text);
	ck_assert(spec_model_parse(json, "/model", &problems, &m));
	struct bp_net *net = spec_model_build(&m, "/model", &problems);
	problem_none(&problems);
	json_t *summary = spec_model_summary(&m, net);
	json_array_foreach(json_object_get(summary, "warnings"), i, warning)
	{
		n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%s %s", i ? " " : "",
			json_string_value(json_object_get(warning, "code")),
			json_string_value(json_object_get(warning, "param")));
		ck_assert_uint_gt(json_string_length(json_object_get(warning, "suggestion")), 10);
		ck_assert_uint_gt(json_string_length(json_object_get(warning, "detail")), 20);
		ck_assert_uint_gt(json_string_length(json_object_get(warning, "layer")), 0);
	}
	ck_assert_str_eq(got, want);
	json_decref(summary);
	bp_net_free(net);
	spec_model_done(&m);
	json_decref(json);
}

#define FC "{'type':'Linear','out_features':4}"

START_TEST(five_saturating_activations_in_a_row_are_told)
{
	warned("[4]", FC ",{'type':'Repeat','n':4,'body':[{'type':'Tanh'}," FC "]}", "");
	warned("[4]", FC ",{'type':'Repeat','n':7,'body':[{'type':'Tanh'}," FC "]}",
		"vanishing_gradients /layers/1/body/0");
	warned("[4]",
		FC ",{'type':'Repeat','n':3,'body':[{'type':'Sigmoid'}," FC "]},{'type':'ReLU'}," FC
		   ",{'type':'Repeat','n':3,'body':[{'type':'Tanh'}," FC "]}",
		"");
	/* A sum lets the gradient pass. */
	warned("[4]", FC ",{'type':'Repeat','n':7,'body':[{'type':'Residual','body':[{'type':'Tanh'}," FC "]}]}", "");
}
END_TEST

START_TEST(a_deep_net_without_a_norm_is_told)
{
	warned("[4]", FC ",{'type':'Repeat','n':11,'body':[{'type':'ReLU'}," FC "]}", "");
	warned("[4]", FC ",{'type':'Repeat','n':12,'body':[{'type':'ReLU'}," FC "]}",
		"no_normalisation /layers/1/body/1");
	warned("[4]", FC ",{'type':'BatchNorm1d'},{'type':'Repeat','n':12,'body':[{'type':'ReLU'}," FC "]}",
		"bias_before_norm /layers/0");
}
END_TEST

START_TEST(a_linear_that_holds_nearly_all_parameters_is_told)
{
	warned("[16,64,64]", "{'type':'Flatten'},{'type':'Linear','out_features':256},{'type':'ReLU'}," FC,
		"huge_linear /layers/1");
	warned("[16,32,32]", "{'type':'Flatten'},{'type':'Linear','out_features':256},{'type':'ReLU'}," FC, "");
}
END_TEST

START_TEST(the_last_layer_and_biases_are_told)
{
	warned("[4]", FC ",{'type':'Sigmoid'}", "softmax_before_loss /layers/1");
	warned("[4]", FC ",{'type':'ReLU'}", "activation_at_the_end /layers/1");
	warned("[4]", FC ",{'type':'Dropout'}", "dropout_at_the_end /layers/1");
	warned("[4]", FC "," FC, "no_activation /layers/1");
	warned("[4]", "{'type':'Repeat','n':3,'body':[" FC ",{'type':'BatchNorm1d'},{'type':'ReLU'}]}," FC,
		"bias_before_norm /layers/0/body/0");
}
END_TEST

TEST_SUITE(spec_lint, 60)
{
	tcase_add_test(tc, five_saturating_activations_in_a_row_are_told);
	tcase_add_test(tc, a_deep_net_without_a_norm_is_told);
	tcase_add_test(tc, a_linear_that_holds_nearly_all_parameters_is_told);
	tcase_add_test(tc, the_last_layer_and_biases_are_told);
}
