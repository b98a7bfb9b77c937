/* test_token.c - the text of tokens, and tokens as rows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/token.h"
#include "runner.h"
#include "scratch.h"
#include "seed.h"

static struct store *s;

static void open_it(void)
{
	scratch_make();
	s = seed_open("boot_1");
}

static void close_it(void)
{
	store_close(s);
	scratch_remove();
}

static struct token_row add(const char *user, const char *sha256)
{
	struct token_row row;
	struct token_new n = {.user = user, .name = "laptop", .scope = SCOPE_WRITE, .sha256 = sha256};
	ck_assert_int_eq(store_token_add(s, &n, &row), STORE_OK);
	return row;
}

START_TEST(tokens_differ_and_their_checksum_finds_every_changed_letter)
{
	char a[TOKEN_SIZE], b[TOKEN_SIZE];
	token_new(a);
	token_new(b);
	ck_assert_str_ne(a, b);
	ck_assert(token_well_formed(a));
	ck_assert_uint_eq(strlen(a), TOKEN_SIZE - 1);
	for (size_t i = 0; i < TOKEN_SIZE - 1; i++) {
		char wrong[TOKEN_SIZE];
		memcpy(wrong, a, TOKEN_SIZE);
		wrong[i] = wrong[i] == 'q' ? 'r' : 'q';
		ck_assert(!token_well_formed(wrong));
	}
	a[TOKEN_SIZE - 2] = '\0';
	ck_assert(!token_well_formed(a));
	ck_assert(!token_well_formed(""));
}
END_TEST

START_TEST(a_token_is_found_by_its_hash_alone)
{
	struct token_row made = add("ann", "aa11"), got;
	ck_assert_int_eq(store_token_find(s, "aa11", &got), STORE_OK);
	ck_assert_str_eq(got.id, made.id);
	ck_assert_str_eq(got.user, "ann");
	ck_assert_int_eq(got.scope, SCOPE_WRITE);
	ck_assert(got.expires_at == 0 && got.revoked_at == 0 && got.last_used_at == 0);
	ck_assert_int_eq(store_token_find(s, "aa12", &got), STORE_NOT_FOUND);
	ck_assert_int_eq(store_token_used(s, made.id), STORE_OK);
	ck_assert_int_eq(store_token_find(s, "aa11", &got), STORE_OK);
	ck_assert(got.last_used_at > 1.6e9);
}
END_TEST

START_TEST(a_token_is_revoked_once_and_by_its_user)
{
	struct token_row made = add("ann", "aa11"), first, again;
	ck_assert_int_eq(store_token_revoke(s, "bob", made.id), STORE_NOT_FOUND);
	ck_assert_int_eq(store_token_revoke(s, "ann", made.id), STORE_OK);
	ck_assert_int_eq(store_token_find(s, "aa11", &first), STORE_OK);
	ck_assert(first.revoked_at > 1.6e9);
	ck_assert_int_eq(store_token_revoke(s, NULL, made.id), STORE_OK);
	ck_assert_int_eq(store_token_find(s, "aa11", &again), STORE_OK);
	ck_assert(again.revoked_at == first.revoked_at);
}
END_TEST

START_TEST(lists_are_of_one_user_or_of_all)
{
	struct token_row *rows;
	struct page page = {.limit = 10, .owner = "ann"};
	int n;
	add("ann", "1");
	add("bob", "2");
	add("ann", "3");
	ck_assert_int_eq(store_token_list(s, &page, &rows, &n), STORE_OK);
	ck_assert_int_eq(n, 2);
	ck_assert_str_eq(rows[0].user, "ann");
	ck_assert_str_eq(rows[1].user, "ann");
	free(rows);
	page.owner = NULL;
	ck_assert_int_eq(store_token_list(s, &page, &rows, &n), STORE_OK);
	ck_assert_int_eq(n, 3);
	free(rows);
}
END_TEST

TEST_SUITE(token, 30)
{
	tcase_add_checked_fixture(tc, open_it, close_it);
	tcase_add_test(tc, tokens_differ_and_their_checksum_finds_every_changed_letter);
	tcase_add_test(tc, a_token_is_found_by_its_hash_alone);
	tcase_add_test(tc, a_token_is_revoked_once_and_by_its_user);
	tcase_add_test(tc, lists_are_of_one_user_or_of_all);
}
