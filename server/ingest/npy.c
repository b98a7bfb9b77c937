/*
 * npy.c - the header of .npy arrays, which are the members of an .npz (NumPy's numpy.lib.format, versions 1 to 3).
 *
 * The header is a Python literal, {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 28, 28), }: exactly that is
 * read here, and nothing of it is ever evaluated. Called by ingest.c.
 */
#include "ingest/importer.h"

#include <stdlib.h>
#include <string.h>

enum { NPY_MAGIC = 6, NPY_TEXT_MAX = 1 << 16, DESCR_MAX = 16 };

static const uint8_t magic[NPY_MAGIC] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

bool npy_probe(const uint8_t *head, size_t n)
{
	return n >= NPY_MAGIC && memcmp(head, magic, NPY_MAGIC) == 0;
}

static void skip_spaces(const char **p)
{
	while (**p == ' ')
		(*p)++;
}

static bool take(const char **p, const char *token)
{
	skip_spaces(p);
	size_t n = strlen(token);
	if (strncmp(*p, token, n) != 0)
		return false;
	*p += n;
	return true;
}

static bool take_string(const char **p, char *ret, size_t size)
{
	skip_spaces(p);
	char quote = **p;
	if (quote != '\'' && quote != '"')
		return false;
	const char *start = *p + 1, *end = strchr(start, quote);
	if (!end || (size_t)(end - start) >= size)
		return false;
	memcpy(ret, start, (size_t)(end - start));
	ret[end - start] = '\0';
	*p = end + 1;
	return true;
}

static bool take_integer(const char **p, int64_t *ret)
{
	skip_spaces(p);
	int digits = 0;
	for (*ret = 0; **p >= '0' && **p <= '9'; (*p)++, digits++)
		if (__builtin_mul_overflow(*ret, 10, ret) || __builtin_add_overflow(*ret, **p - '0', ret))
			return false;
	return digits > 0;
}

static bool take_shape(const char **p, struct array_header *ret)
{
	if (!take(p, "("))
		return false;
	for (ret->ndim = 0; !take(p, ")"); ret->ndim++) {
		if (ret->ndim == ARRAY_DIMS || !take_integer(p, &ret->dim[ret->ndim]))
			return false;
		if (!take(p, ",")) {
			skip_spaces(p);
			if (**p != ')')
				return false;
		}
	}
	return true;
}

/* "<f4": the byte order, the kind and the bytes of an element. */
static bool find_element(const char *descr, struct array_header *ret)
{
	static const struct {
		const char *code;
		enum element element;
	} types[] = {{"b1", ELEMENT_BOOL}, {"u1", ELEMENT_U8}, {"i1", ELEMENT_I8}, {"u2", ELEMENT_U16},
		{"i2", ELEMENT_I16}, {"u4", ELEMENT_U32}, {"i4", ELEMENT_I32}, {"i8", ELEMENT_I64}, {"f4", ELEMENT_F32},
		{"f8", ELEMENT_F64}};
	ret->big_endian = descr[0] == '>';
	if (!descr[0] || !strchr("<>|", descr[0]))
		return false;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(types[i].code, descr + 1) != 0)
			continue;
		ret->element = types[i].element;
		return true;
	}
	return false;
}

static bool parse(const char *p, struct array_header *ret, const char **ret_why)
{
	char key[DESCR_MAX], descr[DESCR_MAX] = "";
	bool has_order = false, has_shape = false, fortran = false;
	*ret_why = "has an .npy header that is not understood.";
	if (!take(&p, "{"))
		return false;
	while (!take(&p, "}")) {
		if (!take_string(&p, key, sizeof(key)) || !take(&p, ":"))
			return false;
		if (strcmp(key, "descr") == 0 && !descr[0]) {
			if (!take_string(&p, descr, sizeof(descr))) {
				*ret_why = "holds records; only arrays of numbers are read.";
				return false;
			}
		} else if (strcmp(key, "fortran_order") == 0 && !has_order) {
			fortran = take(&p, "True");
			has_order = fortran || take(&p, "False");
			if (!has_order)
				return false;
		} else if (strcmp(key, "shape") == 0 && !has_shape) {
			has_shape = take_shape(&p, ret);
			if (!has_shape) {
				*ret_why = "has a shape that is not understood; an array has at most 4 dimensions.";
				return false;
			}
		} else {
			return false;
		}
		take(&p, ",");
	}
	skip_spaces(&p);
	if (strcmp(p, "\n") != 0 || !has_order || !has_shape)
		return false;
	*ret_why = "is in Fortran order; save it with numpy.ascontiguousarray.";
	if (fortran)
		return false;
	*ret_why = "has elements of another type than bool, u1, i1, u2, i2, u4, i4, i8, f4 and f8.";
	return find_element(descr, ret);
}

bool npy_header(struct source *s, struct array_header *ret, const char **ret_why)
{
	uint8_t start[NPY_MAGIC + 2 + 4];
	*ret = (struct array_header){0};
	*ret_why = "ends within its .npy header.";
	if (source_read(s, start, NPY_MAGIC + 2) != NPY_MAGIC + 2)
		return false;
	size_t width = start[NPY_MAGIC] == 1 ? 2 : 4, size = 0;
	uint8_t *length = start + NPY_MAGIC + 2;
	if (start[NPY_MAGIC] < 1 || start[NPY_MAGIC] > 3) {
		*ret_why = "has an .npy version other than 1, 2 and 3.";
		return false;
	}
	if (source_read(s, length, width) != width)
		return false;
	for (size_t i = width; i > 0; i--)
		size = size << 8 | length[i - 1];
	char *text = size <= NPY_TEXT_MAX ? malloc(size + 1) : NULL;
	if (!text) {
		*ret_why = "has an .npy header that is too long.";
		return false;
	}
	bool ok = source_read(s, text, size) == size;
	text[size] = '\0';
	ok = ok && strlen(text) == size && parse(text, ret, ret_why);
	free(text);
	return ok;
}
