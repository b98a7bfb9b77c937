/*
 * mutate_item.h - JSON bodies changed as a person might change them: items come with arguments within their bounds and
 * at them, from the tables of bp_item_info. For the mutators of tests/fuzz. One thread.
 */
#ifndef TESTS_FUZZ_MUTATE_ITEM_H
#define TESTS_FUZZ_MUTATE_ITEM_H

#include <jansson.h>
#include <stdint.h>

#include "backprop.h"

/* Any item of that kind. ret (may be NULL): which it is. New reference. */
json_t *mutate_item(uint32_t *state, enum bp_item_kind kind, const struct bp_item_info **ret);
/* Another value for one argument of an item; nothing when it is of no known type. */
void mutate_argument(uint32_t *state, enum bp_item_kind kind, json_t *item);
/* A mutator: one to four changes of a body that is an object, else and now and then libFuzzer's own of its bytes. */
size_t mutate_json(
	uint8_t *data, size_t size, size_t max_size, unsigned seed, void (*change)(uint32_t *state, json_t *body));

#endif
