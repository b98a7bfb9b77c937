/*
 * spec_text.h - nets written as one line of text, for tests:
 *	"3x8x8 | Conv2d out_channels=4 kernel_size=3,2 padding=same | r: ReLU | Add < r input"
 * A list is [2,3]. First the input's shape; then layers: an optional name, the type, arguments, options (@frozen
 * @lr_scale=0.1 @weight_decay=0 @init=orthogonal @bias_init=zeros), and after < the inputs (layer names or `input`).
 * Without inputs a layer follows the one before.
 */
#ifndef TESTS_SPEC_TEXT_H
#define TESTS_SPEC_TEXT_H

#include "backprop.h"

/* To be released with spec_text_done. Fails the test when the text makes no sense. */
void spec_text(const char *text, struct bp_net_spec *ret);
void spec_text_done(struct bp_net_spec *spec);

/* Items of that kind, "RandomCrop padding=[2] | GaussianNoise"; returns how many. Fails the test when there are more
 * than max, or one makes no sense. */
int items_text(enum bp_item_kind kind, const char *text, struct bp_item *ret, int max);

/* Whether a net or a list of items, as text, has that type. */
bool text_has(const char *text, const char *type);

/* A net built from text, with weights drawn from the seed. Fails the test when it cannot be built. */
struct bp_net *net_text(const char *text, uint64_t seed);
/* The error that building it gives. Fails the test when it can be built. */
struct bp_error net_text_error(const char *text);

#endif
