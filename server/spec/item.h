/*
 * item.h - one configured layer, loss, optimizer, scheduler, initialisation or augmentation as JSON, driven by the
 * tables of bp_item_info.
 *
 * For the files of spec/ alone. Pure functions.
 */
#ifndef SPEC_ITEM_H
#define SPEC_ITEM_H

#include "spec/spec.h"

/* Reads "type" and the arguments of an object that spec_reader_begin has opened; other fields and spec_reader_end are
 * the caller's. *ret_known: the type exists (else unknown fields cannot be told). False when problems were added. */
bool item_read(struct spec_reader *r, enum bp_item_kind kind, struct bp_item *ret, bool *ret_known);
/* A word, or an object with "type" and arguments; at is its pointer. False when problems were added. */
bool item_read_value(
	const json_t *v, const char *at, enum bp_item_kind kind, struct problems *problems, struct bp_item *ret);
/* The field `name` of parent: a word, or an object with "type" and arguments, and, where warmup is not NULL,
 * "warmup_epochs". False when it is absent or problems were added. */
bool item_read_field(
	struct spec_reader *parent, const char *name, enum bp_item_kind kind, struct bp_item *ret, double *warmup);
/* Copies the numbers that an item borrows, of its argument of kind BP_ARG_WEIGHTS (at most SPEC_MAX_WEIGHTS) or
 * BP_ARG_LONG_LIST (at most BP_MAX_LIST), which item_read has found sound; returns how many; 0 when none are given. */
int item_list(const json_t *obj, const struct bp_item_info *info, double *ret);
/* Sets "type" and every argument. An argument left to the item itself is null, and may be given so. */
bool item_write(json_t *obj, enum bp_item_kind kind, const struct bp_item *item);
/* Value of one argument as JSON. New reference. */
json_t *item_value(const struct bp_arg *arg, const struct bp_value *value);
/* Word i of "a|b|c" in ret; NULL when there are fewer. */
const char *item_choice(const char *choices, int i, char *ret, size_t size);

#endif
