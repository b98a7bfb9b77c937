/* test_ingest_sha256.c - the hash that names packed data sets, against the vectors of FIPS 180-4. */
#include "runner.h"

#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"

START_TEST(sha256_gives_the_digests_of_the_standard)
{
	static const struct {
		const char *text, *digest;
	} vectors[] = {
		{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
			"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
		{"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopq"
		 "rstnop"
		 "qrstu",
			"cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
	};
	char hex[SHA256_HEX];
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		sha256_hex(vectors[i].text, strlen(vectors[i].text), hex);
		ck_assert_str_eq(hex, vectors[i].digest);
	}
}
END_TEST

START_TEST(sha256_of_a_million_letters_does_not_depend_on_the_pieces)
{
	char *text = malloc(1000000);
	ck_assert_ptr_nonnull(text);
	memset(text, 'a', 1000000);
	static const size_t pieces[] = {1000000, 1, 63, 64, 65, 4097};
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct sha256 s;
		char hex[SHA256_HEX];
		sha256_init(&s);
		for (size_t at = 0; at < 1000000; at += pieces[i])
			sha256_add(&s, text + at, 1000000 - at < pieces[i] ? 1000000 - at : pieces[i]);
		sha256_end(&s, hex);
		ck_assert_str_eq(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	}
	free(text);
}
END_TEST

TEST_SUITE(sha256, 10)
{
	tcase_add_test(tc, sha256_gives_the_digests_of_the_standard);
	tcase_add_test(tc, sha256_of_a_million_letters_does_not_depend_on_the_pieces);
}
