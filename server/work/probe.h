/* probe.h - what the activations of a net do: dead units and flat ends, seen on a few samples. Worker threads. */
#ifndef WORK_PROBE_H
#define WORK_PROBE_H

#include "work/diagnose.h"
#include "work/prepare.h"

/* Of the layer's type. */
enum activation probe_activation(const char *type);
/*
 * Fills dead and saturated of the layers (as many as the model has) whose activation is set, from a forward pass up to
 * each of them over at most 64 of data's samples. One layer at a time: the memory needed beside the training's is that
 * of the weights once, and of a small batch. What cannot be looked at (memory is short) stays NaN.
 */
void probe_layers(const struct prepared *p, const struct bp_data *data, struct layer_state *layers);

#endif
