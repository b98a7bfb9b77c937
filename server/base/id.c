/* id.c - see id.h. Crockford base 32: the digits and letters without I, L, O, U, in ASCII order, so ids sort as text.
 */
#include "base/id.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { ID_BYTES = 16, ID_CHARS = 26 };
static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

/* The id made last, under its lock: what makes "strictly increasing within a process" true. */
static pthread_mutex_t last_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned char last[ID_BYTES];

static void fill_random(unsigned char *buf, size_t size)
{
	/* Up to 256 bytes never come short once the kernel's pool is ready; before that the call waits. */
	while (getrandom(buf, size, 0) != (ssize_t)size)
		;
}

static uint64_t milliseconds_now(void)
{
	struct timespec ts = {0};
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void increment(unsigned char *number)
{
	for (int i = ID_BYTES - 1; i >= 0; i--)
		if (++number[i] != 0)
			return;
}

static void next_number(unsigned char ret[ID_BYTES])
{
	uint64_t ms = milliseconds_now();
	for (int i = 0; i < 6; i++)
		ret[i] = (unsigned char)(ms >> (40 - 8 * i));
	fill_random(ret + 6, ID_BYTES - 6);
	pthread_mutex_lock(&last_lock);
	/* The same millisecond, or a clock that was set back: go on from the last one. */
	if (memcmp(ret, last, ID_BYTES) <= 0) {
		memcpy(ret, last, ID_BYTES);
		increment(ret);
	}
	memcpy(last, ret, ID_BYTES);
	pthread_mutex_unlock(&last_lock);
}

void id_new(const char *prefix, char *ret, size_t size)
{
	unsigned char number[ID_BYTES];
	char text[ID_CHARS + 1] = "";
	next_number(number);
	/* 128 bits, most significant first, in groups of five; the first group has the three bits that are left over.
	 */
	for (int i = 0; i < ID_CHARS; i++) {
		int value = 0;
		for (int b = 0; b < 5; b++) {
			int bit = i * 5 + b - 2;
			int set = bit < 0 ? 0 : number[bit / 8] >> (7 - bit % 8) & 1;
			value = value << 1 | set;
		}
		text[i] = alphabet[value];
	}
	snprintf(ret, size, "%s%s", prefix, text);
}

void id_follow(const char *id)
{
	unsigned char number[ID_BYTES] = {0};
	size_t length = strlen(id);
	const char *text = id + (length < ID_CHARS ? length : length - ID_CHARS);
	if (strlen(text) != ID_CHARS || strspn(text, alphabet) != ID_CHARS || text[0] > '7')
		return;
	for (int i = 0; i < ID_CHARS; i++) {
		int value = (int)(strchr(alphabet, text[i]) - alphabet);
		for (int b = 0; b < 5; b++) {
			int bit = i * 5 + b - 2;
			if (bit >= 0 && value >> (4 - b) & 1)
				number[bit / 8] |= (unsigned char)(1 << (7 - bit % 8));
		}
	}
	pthread_mutex_lock(&last_lock);
	if (memcmp(number, last, ID_BYTES) > 0)
		memcpy(last, number, ID_BYTES);
	pthread_mutex_unlock(&last_lock);
}
