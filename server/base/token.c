/* token.c - see token.h. */
#include "base/token.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/sha256.h"

enum { PREFIX = sizeof(TOKEN_PREFIX) - 1, SECRET = 32, SUM = 6 };

/* Crockford's base 32, as in ids: no letters that look like digits. */
static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

/* The first 30 bits of the SHA-256 of what comes before. */
static void checksum(const char *text, char ret[SUM])
{
	char hex[SHA256_HEX], head[9];
	unsigned bits = 0;
	sha256_hex(text, PREFIX + SECRET, hex);
	snprintf(head, sizeof head, "%.8s", hex);
	sscanf(head, "%x", &bits);
	for (int i = 0; i < SUM; i++)
		ret[i] = alphabet[bits >> (27 - 5 * i) & 31];
}

void token_new(char ret[TOKEN_SIZE])
{
	uint8_t random[SECRET];
	while (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		;
	memcpy(ret, TOKEN_PREFIX, PREFIX);
	for (int i = 0; i < SECRET; i++)
		ret[PREFIX + i] = alphabet[random[i] & 31];
	checksum(ret, ret + PREFIX + SECRET);
	ret[TOKEN_SIZE - 1] = '\0';
}

bool token_well_formed(const char *text)
{
	char sum[SUM];
	if (strlen(text) != TOKEN_SIZE - 1 || strncmp(text, TOKEN_PREFIX, PREFIX) != 0 ||
		strspn(text + PREFIX, alphabet) != SECRET + SUM)
		return false;
	checksum(text, sum);
	return memcmp(sum, text + PREFIX + SECRET, SUM) == 0;
}

const char *token_in_header(const char *value)
{
	static const char scheme[] = "Bearer ";
	if (strncasecmp(value, scheme, sizeof scheme - 1) != 0)
		return NULL;
	const char *text = value + sizeof scheme - 1;
	text += strspn(text, " ");
	return token_well_formed(text) ? text : NULL;
}
