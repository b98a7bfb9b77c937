/* json_mutate.h - JSON changed at random places, reproducibly from a seed, for tests of parsing. */
#ifndef TESTS_JSON_MUTATE_H
#define TESTS_JSON_MUTATE_H

#include <jansson.h>
#include <stdint.h>

/* A number below `below`, from a linear congruential generator. */
uint32_t json_mutate_draw(uint32_t *state, uint32_t below);
/* Changes one place below v: a value replaced, removed, doubled, or a field renamed. depth: 0. */
void json_mutate(json_t *v, uint32_t *state, int depth);

#endif
