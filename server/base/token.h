/*
 * token.h - the text of an API token: made from random bytes, with a prefix that secret scanners can look for and a
 * checksum that tells a mistyped token from a revoked one without asking the database (the form of GitHub's tokens,
 * 2021). Plain data, any thread.
 */
#ifndef BASE_TOKEN_H
#define BASE_TOKEN_H

#include <stdbool.h>

#define TOKEN_PREFIX "bpt_"
enum { TOKEN_SIZE = 4 + 32 + 6 + 1 }; /* prefix, 160 random bits and 30 of checksum in base 32, the end */

void token_new(char ret[TOKEN_SIZE]);
/* Whether it has the form of a token and its checksum fits. */
bool token_well_formed(const char *text);
/* The token in the value of an Authorization header (RFC 6750: "Bearer", spaces, the token), within it; NULL when it
 * is anything else. */
const char *token_in_header(const char *value);

#endif
