/*
 * text.h - pieces of problems: JSON Pointers (RFC 6901), quotations of what a client sent, bounds in words.
 *
 * For the files of spec/ alone. Pure functions. Nothing here cuts a UTF-8 character in two, so that what they make can
 * always be put into JSON again.
 */
#ifndef SPEC_TEXT_H
#define SPEC_TEXT_H

#include <jansson.h>
#include <stddef.h>

#include "backprop.h"
#include "spec/spec.h"

enum { SPEC_QUOTE = 56, SPEC_WORDS = 96 };

/* at + "/" + name, escaped; what does not fit is left out. ret may not be at. */
void text_pointer(char ret[SPEC_POINTER], const char *at, const char *name);
void text_pointer_index(char ret[SPEC_POINTER], const char *at, size_t index);
/* The string, shortened with "..." when it is long. Returns ret. */
const char *text_quote(char ret[SPEC_QUOTE], const char *s);
/* "a string", "an object", "nothing" ... for messages. Static. */
const char *text_kind(const json_t *json);
/* "from 1 to 8", "at least 0", "any number". Returns ret. */
const char *text_range(char ret[SPEC_WORDS], double min, double max);
/* "[3,32,32]" Returns ret. */
const char *text_shape(char ret[SPEC_WORDS], const struct bp_shape *shape);
/* "1.5 GiB" Returns ret. */
const char *text_bytes(char ret[SPEC_WORDS], int64_t bytes);

#endif
