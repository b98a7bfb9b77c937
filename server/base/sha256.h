/*
 * sha256.h - SHA-256 (FIPS 180-4): names packed data sets, guards migrations, recognises a repeated request.
 * Plain data, any thread.
 */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_HEX = 65 }; /* 64 digits and the end */

struct sha256 {
	uint32_t state[8];
	uint64_t bytes;
	uint8_t block[64];
};
void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t size);
void sha256_end(struct sha256 *s, char ret_hex[SHA256_HEX]); /* s is used up */

/* All at once. */
void sha256_hex(const void *data, size_t size, char ret_hex[SHA256_HEX]);

#endif
