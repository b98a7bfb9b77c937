/* life.h - the options of a training's life: when it ends, what it keeps, what happens when it goes wrong. For the
 * files of spec/ alone. Pure functions. */
#ifndef SPEC_LIFE_H
#define SPEC_LIFE_H

#include "spec/spec.h"

void life_defaults(struct spec_life *ret);
/* Reads early_stopping, target, max_runtime_seconds, checkpoint and on_nonfinite of "training". */
void life_read(struct spec_reader *training, struct spec_life *life);
/* What was not given and follows from the rest: whether there are validation samples to look at. */
void life_resolve(struct spec_life *life, bool validated);
/* Sets the same members. False: out of memory. */
bool life_write(json_t *training, const struct spec_life *life);
/* Metrics that this job will not have are problems. */
void life_check(const struct spec_life *life, bool validated, bool of_classes, struct problems *problems);

#endif
