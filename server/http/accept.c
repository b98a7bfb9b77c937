/* accept.c - which media type to answer with (RFC 9110, section 12.5.1). On the thread that runs the handler. */
#include <string.h>
#include <strings.h>

#include "http/inside.h"

enum { QUALITY_ONE = 1000 };

/* "0.5" -> 500; what is malformed counts as 1. */
static int quality_parse(const char *text, size_t size)
{
	int q = 0, unit = 100;
	if (size == 0 || (text[0] != '0' && text[0] != '1'))
		return QUALITY_ONE;
	if (text[0] == '1' || (size > 1 && text[1] != '.'))
		return QUALITY_ONE;
	for (size_t i = 2; i < size && unit > 0; i++, unit /= 10) {
		if (text[i] < '0' || text[i] > '9')
			return QUALITY_ONE;
		q += (text[i] - '0') * unit;
	}
	return q;
}

static size_t trimmed(const char **at, size_t size)
{
	while (size > 0 && (**at == ' ' || **at == '\t'))
		(*at)++, size--;
	while (size > 0 && ((*at)[size - 1] == ' ' || (*at)[size - 1] == '\t'))
		size--;
	return size;
}

/* How exactly the range names the type: 3 itself, 2 its kind, 1 anything, 0 not. */
static int range_fits(const char *range, size_t size, const char *type)
{
	size_t kind = strcspn(type, "/") + 1;
	if (size == 3 && memcmp(range, "*/*", 3) == 0)
		return 1;
	if (size == kind + 1 && range[kind] == '*' && strncasecmp(range, type, kind) == 0)
		return 2;
	return size == strlen(type) && strncasecmp(range, type, size) == 0 ? 3 : 0;
}

/* The quality of the type: that of the most exact range which fits it. */
static int type_quality(const char *accept, const char *type)
{
	int best = 0, quality = 0;
	for (const char *p = accept; *p; p += *p == ',') {
		size_t item = strcspn(p, ","), size = 0;
		const char *range = p, *end = p + item;
		const char *param = memchr(p, ';', item);
		size = trimmed(&range, (size_t)((param ? param : end) - p));
		int q = QUALITY_ONE;
		while (param && param < end) {
			const char *text = param + 1;
			const char *next = memchr(text, ';', (size_t)(end - text));
			size_t n = trimmed(&text, (size_t)((next ? next : end) - text));
			if (n > 2 && (text[0] | 0x20) == 'q' && text[1] == '=')
				q = quality_parse(text + 2, n - 2);
			param = next;
		}
		int fit = range_fits(range, size, type);
		if (fit > best) {
			best = fit;
			quality = q;
		}
		p = end;
	}
	return quality;
}

int http_accept(const struct http_request *rq, const char *const *types, int n)
{
	const char *accept = http_header(rq, "Accept");
	int best = -1, quality = 0;
	if (!accept)
		return 0;
	for (int i = 0; i < n; i++) {
		int q = type_quality(accept, types[i]);
		if (q > quality) {
			best = i;
			quality = q;
		}
	}
	return best;
}
