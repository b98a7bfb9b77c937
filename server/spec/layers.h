/*
 * layers.h - the "layers" of a model definition as the core's list of layers, blocks written out.
 *
 * For the files of spec/ alone. Pure functions.
 */
#ifndef SPEC_LAYERS_H
#define SPEC_LAYERS_H

#include "spec/spec.h"

/* A block is written by its name as a type, and stands for layers. */
enum spec_block {
	SPEC_NO_BLOCK,
	SPEC_REPEAT,  /* {"n", "body"}: the body n times, one after the other */
	SPEC_RESIDUAL /* {"body", "shortcut"}: the sum of the two, the shortcut being the input when it is not given */
};
enum spec_block spec_block_of(const json_t *layer);

/* How many layers `layers` stands for, blocks written out; counted without making any. More than BP_MAX_LAYERS and
 * nesting that is too deep are problems, and give -1. */
int layers_count(const json_t *layers, const char *at, struct problems *problems);

/* Fills ret->layers, places and net from the layers of the definition whose pointer is at. Adds problems. */
void layers_read(const json_t *layers, const char *at, struct problems *problems, struct spec_model *ret);

#endif
