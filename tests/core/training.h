/*
 * training.h - a small training on made-up data, for tests: a net from text (spec_text.h), random samples, and what the
 * callback saw. One thread.
 */
#ifndef TESTS_TRAINING_H
#define TESTS_TRAINING_H

#include "backprop.h"

enum { TRAINING_LAYERS = 16, TRAINING_EPOCHS = 8 };

struct training {
	struct bp_net *net;
	struct bp_train_params params;
	struct bp_item augment[BP_MAX_AUGMENTS]; /* what params.augment points to after training_augment */
	struct bp_data train, val;
	struct bp_trainer *trainer; /* after training_start */
};

/* count samples of the net's input, a fifth as many for validation; bytes for maps, floats for flat ones; labels below
 * 4, target values when the loss that the test sets needs them. Parameters are the defaults, with batches of 8. */
void training_init(struct training *t, const char *net, int count);
/* Augmentations, as text: see items_text of spec_text.h. They are t's own: t stays where it is. */
void training_augment(struct training *t, const char *list);
/* Makes the trainer; fails the test when that is refused. */
void training_start(struct training *t);
void training_done(struct training *t);

/* The item called type with its defaults, then arguments by name, up to a NULL. */
struct training_arg {
	const char *name;
	double v;
};
void training_item(enum bp_item_kind kind, const char *type, const struct training_arg *args, struct bp_item *ret);

/* What a run reported, all that does not depend on the clock, and what stops or moves it. */
struct report {
	int64_t batches, validations; /* events seen */
	int epochs;
	double batch_loss;                      /* of the last batch */
	struct bp_epoch epoch[TRAINING_EPOCHS]; /* by epoch - 1; stats and times are 0 */
	struct bp_layer_stats layers[TRAINING_EPOCHS][TRAINING_LAYERS];
	int64_t stop_after;   /* answers BP_STOP once that many steps are done; 0: never */
	int64_t stop_batches; /* the same once it has seen that many batches */
	const char *save;     /* then saves a checkpoint there */
	bool change_threads;  /* another number after each batch */
};
/* A bp_callback whose user is a struct report. */
enum bp_answer report_keep(void *user, struct bp_trainer *tr, const struct bp_event *ev);
/* Runs it; fails the test unless *done is as expected. */
void training_run(struct training *t, struct report *r, bool done);
/* Fails the test unless both nets have the same bits in weights and buffers. */
void nets_equal(const struct bp_net *a, const struct bp_net *b, const char *what);

#endif
