/*
 * options.h - what a layer says beside its type's arguments: whether and how fast it learns, and how its weights start.
 * For the files of spec/ alone; pure functions.
 */
#ifndef SPEC_OPTIONS_H
#define SPEC_OPTIONS_H

#include "spec/spec.h"

/* Reads the options that the layer r has. Problems are added. */
void options_read(struct spec_reader *r, const struct bp_item *item, struct bp_layer_options *ret);
/* Sets those that are given. */
bool options_write(json_t *layer, const struct bp_layer_options *o);
/* The options as the catalogue lists arguments: the i-th that is a number or a bool, NULL past the end. Static. */
const struct bp_arg *options_argument(int i);
/* Name and help of the i-th that is an initialisation; NULL past the end. Static. */
const char *options_init(int i, const char **ret_help);

#endif
