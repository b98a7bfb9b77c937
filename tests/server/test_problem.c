/* test_problem.c - gathering problems, and the nearest word. */
#include <stdio.h>
#include <string.h>

#include "base/problem.h"
#include "runner.h"

START_TEST(every_error_has_a_status_a_code_and_a_title)
{
	for (int i = 0; i < ERR_COUNT; i++) {
		const struct error_info *info = error_info((enum error_code)i);
		ck_assert_int_ge(info->status, 400);
		ck_assert_int_le(info->status, 599);
		ck_assert_str_ne(info->code, "");
		ck_assert_int_eq(info->title[strlen(info->title) - 1], '.');
		for (int k = 0; k < i; k++)
			ck_assert_str_ne(error_info((enum error_code)k)->code, info->code);
	}
}
END_TEST

START_TEST(the_first_problem_stays_first_and_the_text_is_formatted)
{
	struct problems p = {0};
	ck_assert(!problems_any(&p));
	problems_add(&p, ERR_OUT_OF_RANGE, "/training/epochs", "must be %d to %d", 1, 100000);
	problems_add(&p, ERR_UNKNOWN_FIELD, NULL, "x");
	ck_assert(problems_any(&p));
	ck_assert_int_eq(p.count, 2);
	ck_assert_int_eq(p.list[0].code, ERR_OUT_OF_RANGE);
	ck_assert_str_eq(p.list[0].param, "/training/epochs");
	ck_assert_str_eq(p.list[0].detail, "must be 1 to 100000");
	ck_assert_str_eq(p.list[1].param, "");
}
END_TEST

START_TEST(problems_beyond_the_limit_are_counted_as_more)
{
	struct problems p = {0};
	for (int i = 0; i < PROBLEMS_MAX; i++)
		problems_add(&p, ERR_WRONG_TYPE, "/x", "number %d", i);
	ck_assert(!p.more);
	problems_add(&p, ERR_WRONG_TYPE, "/x", "one too many");
	ck_assert(p.more);
	ck_assert_int_eq(p.count, PROBLEMS_MAX);
	ck_assert_str_eq(p.list[PROBLEMS_MAX - 1].detail, "number 19");
}
END_TEST

START_TEST(a_long_param_or_detail_is_cut_and_stays_a_string)
{
	char lengthy[1000];
	memset(lengthy, 'a', sizeof lengthy - 1);
	lengthy[sizeof lengthy - 1] = '\0';
	struct problems p = {0};
	problems_add(&p, ERR_INVALID_NAME, lengthy, "%s", lengthy);
	ck_assert_uint_eq(strlen(p.list[0].param), sizeof p.list[0].param - 1);
	ck_assert_uint_eq(strlen(p.list[0].detail), sizeof p.list[0].detail - 1);
}
END_TEST

static const char *const layers[] = {
	"Conv2d", "Linear", "ReLU", "MaxPool2d", "AvgPool2d", "BatchNorm2d", "Adam", "Add"};
enum { NLAYERS = sizeof layers / sizeof layers[0] };

START_TEST(a_slip_finds_its_word)
{
	static const char *const slips[][2] = {{"Conv2D", "Conv2d"}, {"Cnov2d", "Conv2d"}, {"conv2", "Conv2d"},
		{"relu", "ReLU"}, {"Linaer", "Linear"}, {"Liner", "Linear"}, {"MaxPool", "MaxPool2d"},
		{"BatchNorm", "BatchNorm2d"}, {"adm", "Adam"}, {"avgpool2", "AvgPool2d"}};
	for (size_t i = 0; i < sizeof slips / sizeof slips[0]; i++) {
		const char *near = nearest_word(slips[i][0], layers, NLAYERS);
		ck_assert_msg(
			near && strcmp(near, slips[i][1]) == 0, "%s gave %s", slips[i][0], near ? near : "nothing");
	}
}
END_TEST

START_TEST(another_word_finds_nothing)
{
	static const char *const words[] = {"", "x", "Transformer", "LSTM", "Softmax", "Re", "batch"};
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		ck_assert_ptr_null(nearest_word(words[i], layers, NLAYERS));
	char lengthy[100000];
	memset(lengthy, 'R', sizeof lengthy - 1);
	lengthy[sizeof lengthy - 1] = '\0';
	ck_assert_ptr_null(nearest_word(lengthy, layers, NLAYERS));
	ck_assert_ptr_null(nearest_word("ReLU", layers, 0));
}
END_TEST

START_TEST(the_nearest_of_several_wins)
{
	static const char *const words[] = {"weight_decay", "lr", "lr_factor", "betas"};
	ck_assert_str_eq(nearest_word("weight_deacy", words, 4), "weight_decay");
	ck_assert_str_eq(nearest_word("lr_facto", words, 4), "lr_factor");
	ck_assert_str_eq(nearest_word("beta", words, 4), "betas");
	ck_assert_str_eq(nearest_word("rl", words, 4), "lr"); /* a swap is one slip */
}
END_TEST

enum { DRAWN = 12, DRAWS = 20000 };

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* By the definition, with the whole table and without giving up early. */
static int distance(const char *a, size_t na, const char *b, size_t nb)
{
	if (na == 0 || nb == 0)
		return (int)(na + nb);
	int d[DRAWN + 1][DRAWN + 1];
	for (size_t i = 0; i <= na; i++)
		for (size_t j = 0; j <= nb; j++) {
			if (i == 0 || j == 0) {
				d[i][j] = (int)(i + j);
				continue;
			}
			int best = d[i - 1][j - 1] + (lower(a[i - 1]) != lower(b[j - 1]));
			best = d[i - 1][j] + 1 < best ? d[i - 1][j] + 1 : best;
			best = d[i][j - 1] + 1 < best ? d[i][j - 1] + 1 : best;
			if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
				lower(a[i - 2]) == lower(b[j - 1]) && d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	return d[na][nb];
}

/* Of few letters, so that many are near each other. */
static void draw_word(uint32_t *state, char ret[DRAWN + 1])
{
	static const char alphabet[] = "aBcA_2";
	*state = *state * 1664525u + 1013904223u;
	size_t n = 1 + (*state >> 8) % DRAWN;
	for (size_t i = 0; i < n; i++) {
		*state = *state * 1664525u + 1013904223u;
		ret[i] = alphabet[(*state >> 8) % (sizeof alphabet - 1)];
	}
	ret[n] = '\0';
}

START_TEST(what_is_not_looked_at_closely_was_not_near)
{
	uint32_t state = 1;
	int found = 0;
	for (int k = 0; k < DRAWS; k++) {
		char given[DRAWN + 1], words[5][DRAWN + 1];
		const char *list[5], *want = NULL;
		draw_word(&state, given);
		size_t n = strlen(given);
		int best = (n <= 4 ? 1 : n <= 8 ? 2 : 3) + 1;
		for (int i = 0; i < 5; i++) {
			draw_word(&state, words[i]);
			list[i] = words[i];
			int d = distance(given, n, words[i], strlen(words[i]));
			if (d < best) {
				best = d;
				want = words[i];
			}
		}
		found += want != NULL;
		ck_assert_ptr_eq(nearest_word(given, list, 5), want);
	}
	ck_assert_int_gt(found, DRAWS / 20);
	ck_assert_int_lt(found, DRAWS / 2);
}
END_TEST

TEST_SUITE(problem, 10)
{
	tcase_add_test(tc, every_error_has_a_status_a_code_and_a_title);
	tcase_add_test(tc, the_first_problem_stays_first_and_the_text_is_formatted);
	tcase_add_test(tc, problems_beyond_the_limit_are_counted_as_more);
	tcase_add_test(tc, a_long_param_or_detail_is_cut_and_stays_a_string);
	tcase_add_test(tc, a_slip_finds_its_word);
	tcase_add_test(tc, another_word_finds_nothing);
	tcase_add_test(tc, the_nearest_of_several_wins);
	tcase_add_test(tc, what_is_not_looked_at_closely_was_not_near);
}
