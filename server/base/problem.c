/* problem.c - see problem.h. */
#include "base/problem.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct error_info *error_info(enum error_code code)
{
	static const struct error_info table[ERR_COUNT] = {
#define ERROR(name, http_status, slug, text) [ERR_##name] = {.status = http_status, .code = slug, .title = text},
#include "base/errors.def"
	};
	return &table[code];
}

size_t whole_characters(const char *s, size_t max)
{
	size_t n = strnlen(s, max + 1);
	if (n <= max)
		return n;
	n = max;
	while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
		n--;
	return n;
}

static void copy_whole(char *ret, size_t size, const char *text)
{
	size_t n = whole_characters(text, size - 1);
	memcpy(ret, text, n);
	ret[n] = '\0';
}

void problems_add(struct problems *p, enum error_code code, const char *param, const char *detail_fmt, ...)
{
	if (p->count == PROBLEMS_MAX) {
		p->more = true;
		return;
	}
	struct problem *problem = &p->list[p->count++];
	problem->code = code;
	copy_whole(problem->param, sizeof problem->param, param ? param : "");
	char detail[sizeof problem->detail + 4];
	va_list ap;
	va_start(ap, detail_fmt);
	vsnprintf(detail, sizeof detail, detail_fmt, ap);
	va_end(ap);
	copy_whole(problem->detail, sizeof problem->detail, detail);
}

/* Words longer than this have no near one; it also bounds the work a client can ask for. */
enum { WORD_MAX = 64 };

static bool same_letter(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static int min_of(int a, int b)
{
	return a < b ? a : b;
}

/*
 * Optimal string alignment distance (Damerau 1964 with the restriction of Boytsov 2011): the insertions, deletions,
 * replacements and swaps of neighbours from a to b. Letters of either case are equal. Three rows of the table suffice.
 */
static int word_distance(const char *a, size_t na, const char *b, size_t nb)
{
	int rows[3][WORD_MAX + 1];
	int *before = rows[0], *above = rows[1], *row = rows[2];
	for (size_t j = 0; j <= nb; j++)
		above[j] = before[j] = (int)j;
	for (size_t i = 1; i <= na; i++) {
		row[0] = (int)i;
		for (size_t j = 1; j <= nb; j++) {
			int replace = above[j - 1] + !same_letter(a[i - 1], b[j - 1]);
			row[j] = min_of(replace, min_of(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) && same_letter(a[i - 2], b[j - 1]))
				row[j] = min_of(row[j], before[j - 2] + 1);
		}
		int *oldest = before;
		before = above;
		above = row;
		row = oldest;
	}
	return above[nb];
}

/* Which letters a word has, of either case, one bit each; others share a bit. */
static uint64_t letters(const char *s, size_t n)
{
	uint64_t set = 0;
	for (size_t i = 0; i < n; i++)
		set |= (uint64_t)1 << (tolower((unsigned char)s[i]) & 63);
	return set;
}

const char *nearest_word(const char *given, const char *const *words, int n)
{
	size_t length = strnlen(given, WORD_MAX + 1);
	if (length == 0 || length > WORD_MAX)
		return NULL;
	/* One slip in a short word, two in a middling one, three in a long one: more is another word. */
	int best = length <= 4 ? 1 : length <= 8 ? 2 : 3;
	const char *nearest = NULL;
	uint64_t given_letters = letters(given, length);
	for (int i = 0; i < n; i++) {
		size_t size = strnlen(words[i], WORD_MAX + 1);
		/* A slip changes the length by one at most, and brings or takes one letter. Hardly a word passes, which
		 * matters as one request may ask for many. */
		size_t most = (size_t)(nearest ? best - 1 : best);
		if (size > WORD_MAX || size > length + most || length > size + most)
			continue;
		uint64_t word_letters = letters(words[i], size);
		if ((size_t)__builtin_popcountll(given_letters & ~word_letters) > most ||
			(size_t)__builtin_popcountll(word_letters & ~given_letters) > most)
			continue;
		int distance = word_distance(given, length, words[i], size);
		if (distance < best || (distance == best && !nearest)) {
			best = distance;
			nearest = words[i];
		}
	}
	return nearest;
}
