/* net_run.h - a net built from text, one forward and backward pass on random data, and what they gave. */
#ifndef TESTS_NET_RUN_H
#define TESTS_NET_RUN_H

#include "net/exec.h"

struct run {
	struct bp_net *net;
	struct bp_exec *ex;
	size_t nin, nout; /* elements of a batch */
	bp_real *y, *dx, *grads;
};

/* For training, of at most `batch` samples and 8 threads. text: spec_text.h. Fails the test where it cannot be built.
 */
void run_init(struct run *r, const char *text, int batch);
void run_done(struct run *r);
/* wants_dx: also through the input. */
void run_passes(struct run *r, int batch, int threads, bool wants_dx);
/* Forward alone as in evaluation, by an executor that is for nothing else, into y. */
void run_evaluation(struct run *r, int batch);

#endif
