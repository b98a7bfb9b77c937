/* probe.h - what the activations of a net do: dead units and flat ends, seen on a few samples. Worker threads. */
#ifndef WORK_PROBE_H
#define WORK_PROBE_H

#include "work/diagnose.h"
#include "work/prepare.h"

/* Of the layer's type. */
enum activation probe_activation(const char *type);
/*
 * Fills dead and saturated of the layers (as many as the net has) whose activation is set, from a forward pass over at
 * most 64 of the trainer's samples, within its memory: between two epochs. What cannot be looked at (memory is short)
 * stays NaN.
 */
void probe_layers(struct bp_trainer *tr, const struct bp_net *net, struct layer_state *layers);

#endif
