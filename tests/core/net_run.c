/* net_run.c - see net_run.h. */
#include "net_run.h"

#include "base/shape.h"
#include "draw.h"
#include "spec_text.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

void run_init(struct run *r, const char *text, int batch)
{
	struct bp_error err;
	r->net = net_text(text, 11);
	ck_assert_int_eq(bp_exec_new(r->net, bp_kernels_choose(BP_ISA_ALL), batch, 8, true, &r->ex, &err), BP_OK);
	struct bp_shape in = bp_net_input_shape(r->net), out = bp_net_output_shape(r->net);
	r->nin = (size_t)bp_shape_size(&in) * (size_t)batch;
	r->nout = (size_t)bp_shape_size(&out) * (size_t)batch;
	r->y = calloc(r->nout, sizeof(bp_real));
	r->dx = calloc(r->nin, sizeof(bp_real));
	r->grads = calloc((size_t)r->net->nweights + 1, sizeof(bp_real));
}

void run_done(struct run *r)
{
	free(r->y);
	free(r->dx);
	free(r->grads);
	bp_exec_free(r->ex);
	bp_net_free(r->net);
}

void run_passes(struct run *r, int batch, int threads, bool wants_dx)
{
	struct draw d = {5};
	struct bp_ctx ctx = {bp_kernels_choose(BP_ISA_ALL), threads};
	struct bp_pass pass = {.n = batch, .training = true, .seed = 9, .step = 2};
	draw_reals(&d, bp_exec_input(r->ex), r->nin);
	memcpy(r->y, bp_exec_forward(r->ex, &ctx, &pass), r->nout * sizeof(bp_real));
	draw_reals(&d, bp_exec_output_gradient(r->ex), r->nout);
	bp_exec_backward(r->ex, &ctx, &pass, r->grads, wants_dx ? r->dx : NULL);
}

void run_evaluation(struct run *r, int batch)
{
	struct draw d = {5};
	struct bp_ctx ctx = {bp_kernels_choose(BP_ISA_ALL), 1};
	struct bp_pass pass = {.n = batch};
	struct bp_exec *bare;
	struct bp_error err;
	ck_assert_int_eq(bp_exec_new(r->net, ctx.k, batch, 1, false, &bare, &err), BP_OK);
	draw_reals(&d, bp_exec_input(bare), r->nin);
	memcpy(r->y, bp_exec_forward(bare, &ctx, &pass), r->nout * sizeof(bp_real));
	bp_exec_free(bare);
}
