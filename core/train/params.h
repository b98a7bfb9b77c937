/*
 * params.h - what a training may be asked for, and of which data: the checks before anything is allocated.
 * Pure functions; any thread. Errors name the field of bp_train_params or bp_data, or the item's argument.
 */
#ifndef BP_TRAIN_PARAMS_H
#define BP_TRAIN_PARAMS_H

#include "losses/loss.h"
#include "net/net.h"

enum bp_status bp_train_params_check(const struct bp_train_params *p, const struct bp_net *net, struct bp_error *err);
/* Whether a loss can be taken of the net's output. */
enum bp_status bp_loss_check(const struct bp_item *loss, const struct bp_net *net, struct bp_error *err);
/* Shape and normalisation against the net; with loss, every label or target of the view too. */
enum bp_status bp_data_check(
	const struct bp_data *data, const struct bp_net *net, const struct bp_item *loss, struct bp_error *err);
/* Samples of entries [first, first + n) are indices that the net's input can hold, when it holds indices. */
enum bp_status bp_indices_check(
	const struct bp_data *d, const struct bp_net *net, int64_t first, int64_t n, struct bp_error *err);
/* Whether any training sample counts; labels have been checked. */
enum bp_status bp_weights_check(const struct bp_data *train, const struct bp_item *loss, struct bp_error *err);
/* A hash of what makes the next bit beside the net's shape: how its layers are trained, the parameters but those that
 * may change on the way (epochs, the optimizer's lr, statistics, threads, instruction sets), and the number of training
 * samples. */
uint64_t bp_train_fingerprint(const struct bp_train_params *p, const struct bp_net *net, int64_t samples);

#endif
