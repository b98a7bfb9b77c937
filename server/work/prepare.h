/* prepare.h - from a job's row to what the core trains with: a net, parameters, and views of the data. Worker threads.
 */
#ifndef WORK_PREPARE_H
#define WORK_PREPARE_H

#include "ingest/ingest.h"
#include "spec/spec.h"
#include "work/run.h"

struct prepared {
	struct spec_model model;
	struct spec_job job;
	struct bp_net *net;
	struct packed packed;
	uint32_t *index;                 /* of the training split: training samples, then validation samples; or NULL */
	struct bp_data train, val, test; /* count 0 = none */
};

/* Everything is checked anew: the row may be of an older version, the file may have rotted. Its threads are the
 * lease's. False with a failure; prepared_close in either case. */
bool prepared_open(struct prepared *p, const struct work_context *ctx, const struct job_row *row, struct lease *lease,
	struct failure *f);
void prepared_close(struct prepared *p);

#endif
