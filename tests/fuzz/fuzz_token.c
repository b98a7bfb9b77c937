/*
 * fuzz_token.c - whatever comes as the value of an Authorization header, a token is found in it exactly when all of it
 * is "Bearer" and a token whose checksum fits. The checksum is computed here a second time, in another way.
 */
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "base/token.h"

enum { VALUE_MAX = 128, PREFIX = 4, SECRET = 32, CHECKSUM = 6, LENGTH = PREFIX + SECRET + CHECKSUM };
enum { MAKE_EVERY = 4 /* SHA-256 is what takes the time */ };
static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

/* The token of a secret. */
static void make(const char *secret, char ret[LENGTH + 1])
{
	char hex[SHA256_HEX];
	memcpy(ret, TOKEN_PREFIX, PREFIX);
	memcpy(ret + PREFIX, secret, SECRET);
	sha256_hex(ret, PREFIX + SECRET, hex);
	hex[8] = '\0';
	unsigned long bits = strtoul(hex, NULL, 16) >> 2;
	for (int i = CHECKSUM - 1; i >= 0; i--, bits /= 32)
		ret[PREFIX + SECRET + i] = alphabet[bits % 32];
	ret[LENGTH] = '\0';
}

static bool is_token(const char *text)
{
	char whole[LENGTH + 1];
	if (strlen(text) != LENGTH || strspn(text + PREFIX, alphabet) != LENGTH - PREFIX)
		return false;
	make(text + PREFIX, whole);
	return strcmp(text, whole) == 0;
}

/* Any secret has its token, and no other end belongs to it. */
static void check_made(const uint8_t *data, size_t size)
{
	char secret[SECRET], value[8 + LENGTH + 1] = "beaReR  ", *token = value + 8;
	for (size_t i = 0; i < SECRET; i++)
		secret[i] = alphabet[data[i % size] % 32];
	make(secret, token);
	must(token_in_header(value) == token, "a token is found");
	char *end = &token[LENGTH - 1 - data[0] % CHECKSUM], was = *end;
	*end = (char)data[size - 1];
	must(token_well_formed(token) == (*end == was), "a token has one checksum");
}

void fuzz_token(const uint8_t *data, size_t size)
{
	char value[VALUE_MAX + 1];
	size_t n = size < VALUE_MAX ? size : VALUE_MAX;
	if (n == 0)
		return;
	memcpy(value, data, n);
	value[n] = '\0';
	must(token_well_formed(value) == is_token(value), "a token is told from anything else");
	const char *token = token_in_header(value);
	must(!token || (token - value >= 7 && token[-1] == ' ' && is_token(token)), "what is found is a token");
	if (n % MAKE_EVERY == 0)
		check_made(data, n);
}
