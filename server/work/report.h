/*
 * report.h - what training tells, as JSON text: the data of events and the job's metrics.
 *
 * Worker threads. Each function returns heap text, or NULL when memory is out. A number that is NaN or infinite is
 * null, and "nonfinite" says which it was: {"nonfinite":{"loss":"nan"}}; in a layer it is the number of gradients that
 * were not finite. What was not computed (validation without validation samples, accuracy of a regression) is null.
 */
#ifndef WORK_REPORT_H
#define WORK_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "backprop.h"

/* A number as events tell it, with nine digits; NaN when it is not finite. */
double report_told(double v);

/* A checkpoint written with an epoch. */
struct report_checkpoint {
	int epoch;
	int64_t step, bytes;
	bool is_best;
};

/* Data of an "epoch" event. ckpt may be NULL. */
char *report_epoch(const struct bp_net *net, const struct bp_epoch *m, bool validated, double eta_seconds,
	const struct report_checkpoint *ckpt);
/* The same numbers without layers, for the job and its checkpoints. */
char *report_metrics(const struct bp_epoch *m, bool validated);

struct report_batch {
	int epoch;
	int64_t batch, batches, step;
	double loss; /* mean over the epoch so far */
	double samples_per_second, eta_seconds;
};
/* Data of a "progress" event. */
char *report_progress(const struct report_batch *b);
/* Data of a "checkpoint" event: one written outside an epoch's event. */
char *report_checkpoint(const struct report_checkpoint *ckpt);
/* Data of a "change" event: what holds after step, and what held before. */
struct report_change {
	int64_t step;
	int epoch; /* finished */
	double lr, lr_before;
	int epochs, epochs_before;
	const char *reason;
	int rollbacks; /* so far; 0: this is none */
};
char *report_change(const struct report_change *c);
/* Data of a "warning" event. */
char *report_warning(const char *code, const char *detail);

/* Data of the "test" event: how the checkpoint of that epoch does on the test split. */
struct report_test {
	int epoch;
	double loss, accuracy;
	int64_t samples;
	double seconds;
};
char *report_test(const struct report_test *t);
/* metrics (JSON object text, or NULL) with test_loss and test_accuracy in it. */
char *report_metrics_with_test(const char *metrics, const struct report_test *t);

#endif
