/*
 * augment.h - a job's "training"."augment": a list of augmentations, each a name or an object with its arguments.
 * For the files of spec/ alone; pure functions.
 */
#ifndef SPEC_AUGMENT_H
#define SPEC_AUGMENT_H

#include "spec/spec.h"

/* Reads the list that the training may have; null is none. Problems are added. */
void augment_read(struct spec_reader *training, struct spec_job *job);
/* New reference. */
json_t *augment_json(const struct spec_job *job);
/* Each against the model's input and the data set. Problems are added. */
void augment_check(
	const struct spec_job *job, const struct bp_net *net, const struct spec_dataset *ds, struct problems *problems);

#endif
