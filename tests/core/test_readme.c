/* test_readme.c - README.md names all that can be trained. Run from the top of the tree. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backprop.h"
#include "runner.h"

static char *file_text(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;
	ck_assert_msg(f != NULL, "run from the top of the tree");
	ssize_t n = getdelim(&text, &size, '\0', f);
	ck_assert_int_gt(n, 0);
	fclose(f);
	return text;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* As a word: ReLU is no part of PReLU. */
static bool has_word(const char *text, const char *word)
{
	for (const char *at = text; (at = strstr(at, word)); at++)
		if ((at == text || !is_letter(at[-1])) && !is_letter(at[strlen(word)]))
			return true;
	return false;
}

START_TEST(every_item_is_named)
{
	char *text = file_text("README.md");
	for (int type = 0; type < bp_item_count((enum bp_item_kind)_i); type++) {
		const char *name = bp_item_info((enum bp_item_kind)_i, type)->name;
		ck_assert_msg(has_word(text, name), "README.md does not name %s", name);
	}
	free(text);
}
END_TEST

TEST_SUITE(readme, 10)
{
	tcase_add_loop_test(tc, every_item_is_named, BP_LAYER, BP_AUGMENT + 1);
}
