/* state.h - what an opened infer holds. For the files of infer/ alone. */
#ifndef INFER_STATE_H
#define INFER_STATE_H

#include "infer/infer.h"
#include "spec/spec.h"

enum { INFER_BATCH = 256 };

struct infer {
	struct spec_model model;
	struct spec_job job;
	struct bp_net *net;
	struct bp_predictor *predictor; /* NULL until the first prediction */
	bool u8;
	float *mean, *std; /* of each channel of the input; NULL: not normalised */
	json_t *classes;   /* names, or NULL */
};

#endif
