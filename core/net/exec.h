/*
 * exec.h - one net ready to run on batches: its memory plan and the order of its passes.
 *
 * All memory is planned and allocated by bp_exec_new; nothing is allocated by the passes. Fusions (ReLU into the layer
 * before it, in-place layers) are decided here, not by the layers' callers. Passes open parallel regions with
 * ctx->threads and give the same bits for any number of them.
 */
#ifndef BP_NET_EXEC_H
#define BP_NET_EXEC_H

#include "base/mover.h"
#include "kernels/kernels.h"
#include "net/net.h"

struct bp_exec;

/* What makes the randomness of a pass (dropout): the generator's key and the step's number. */
struct bp_pass {
	int n;         /* samples in the batch, <= max_batch */
	bool training; /* batch statistics, dropout, and what backward needs is kept */
	uint64_t seed;
	uint64_t step;
	const struct bp_mover *mover; /* or NULL */
};

/* training: memory for backward too. Weights and buffers stay the net's; forward in training moves the buffers. */
enum bp_status bp_exec_new(struct bp_net *net, const struct bp_kernels *k, int max_batch, int max_threads,
	bool training, struct bp_exec **ret, struct bp_error *err);
void bp_exec_free(struct bp_exec *ex);
/* Bytes that bp_exec_new would allocate: activations (and their gradients), workspace. Exact. */
enum bp_status bp_exec_memory(const struct bp_net *net, const struct bp_kernels *k, int max_batch, int max_threads,
	bool training, int64_t *ret_activations, int64_t *ret_workspace, struct bp_error *err);

/* Bytes that bp_exec_new allocated for them. */
int64_t bp_exec_allocated(const struct bp_exec *ex);

/* Where the caller puts the batch: n samples, channels-last for maps. The passes leave it as it is. */
bp_real *bp_exec_input(struct bp_exec *ex);
/* From where the passes read the batch from now on, when it lies ready elsewhere; NULL: from bp_exec_input. It stays
 * the caller's, who keeps it while passes over it go on. */
void bp_exec_read_from(struct bp_exec *ex, const bp_real *x);
/* The output: n x output size; maps channels-last. Valid until the next forward. */
const bp_real *bp_exec_forward(struct bp_exec *ex, const struct bp_ctx *ctx, const struct bp_pass *pass);
/* The same, showing the outputs of the nodes that wanted marks to look (see bp_trainer_look); of an executor for
 * training alone. */
void bp_exec_look(struct bp_exec *ex, const struct bp_ctx *ctx, const struct bp_pass *pass, const bool *wanted,
	bp_look look, void *user);
/* Where the caller puts the gradient of the loss through the output before backward; laid out as the output. */
bp_real *bp_exec_output_gradient(struct bp_exec *ex);
/* Fills grads (laid out as net->weights; every element of every trainable tensor is overwritten, but for those of
 * frozen layers, where anything may be left). The pass is the
 * forward's. ret_dx: gradient through the input, or NULL when it is not wanted. */
void bp_exec_backward(
	struct bp_exec *ex, const struct bp_ctx *ctx, const struct bp_pass *pass, bp_real *grads, bp_real *ret_dx);

#endif
