/*
 * exchanged.c - the gradient of weights of a convolution whose targets fill vectors badly, with the roles of x and dY
 * exchanged. Called by conv.c on the trainer's thread.
 *
 * Lanes are target channels there: of 3, 13 of 16 lanes are at nothing. But dW[k][c][o] is the sum over pixels q of
 * dY[q - k + padding][o] x[q][c], which is the gradient of weights, at its last tap but k, of a convolution from dY to
 * x. Its lanes are the channels of x. That convolution takes whichever way is the fastest for it.
 *
 * build/bench_conv 1 auto [avx2] 32 32 C OC K 1 1, GFLOP/s of dW, before -> now:
 *	64 -> 1, 3x3	AVX-512 10 -> 64	AVX2 13 -> 65
 *	64 -> 3, 3x3	AVX-512 25 -> 75	AVX2 35 -> 67
 *	32 -> 6, 3x3	AVX-512 48 -> 84	AVX2 34 -> 76
 *	64 -> 10, 3x3	AVX-512 135 -> 189	AVX2 125 -> 178
 *	32 -> 17, 3x3	AVX-512 146 -> 221	AVX2 145 -> 198
 *	64 -> 3, 9x9	AVX-512 61 -> 173	AVX2 50 -> 174
 */
#include "conv/winograd.h"

#include "base/mem.h"

enum {
	PERCENT = 125, /* of the lanes that they need with the roles as they are, at least, to exchange them */
	TILES = 256,   /* of a batch, at least, where both go Winograd's way: few sources make no ranges for tasks, and
			* chunks of the tiles would be short: 128 -> 10 on 32 4x4 maps 157 -> 98 */
	CHUNKS = 16    /* partial sums of the bias */
};

/* Lanes of vectors for each channel, in hundredths. */
static size_t lanes_for(int channels, const struct bp_kernels *k)
{
	return round_up((size_t)channels, (size_t)k->vlen) * 100 / (size_t)channels;
}

static bool is_candidate(const struct bp_conv *cv)
{
	const struct bp_conv_shape *s = &cv->s;
	return s->groups == 1 && s->sh == 1 && s->sw == 1 && s->kh * s->kw > 1 && s->algorithm != BP_CONV_WINOGRAD &&
	       s->pt <= (int64_t)(s->kh - 1) * s->dh && s->pl <= (int64_t)(s->kw - 1) * s->dw &&
	       lanes_for(s->oc, cv->k) * 100 >= lanes_for(s->c, cv->k) * PERCENT;
}

/* Winograd's way saves more than lanes do. */
static bool is_faster(const struct bp_conv *cv)
{
	const struct bp_conv *other = cv->exchanged;
	if (!bp_winograd_fits(cv, PASS_WEIGHTS))
		return true;
	return other->choices[PASS_WEIGHTS].any == &bp_way_winograd &&
	       other->max_batch * other->winograd_weights.least >= TILES;
}

bool bp_exchanged_new(struct bp_conv *cv)
{
	if (!is_candidate(cv))
		return true;
	struct bp_conv_shape s = cv->s;
	s.h = cv->s.oh, s.w = cv->s.ow, s.c = cv->s.oc;
	s.oh = cv->s.h, s.ow = cv->s.w, s.oc = cv->s.c;
	s.pt = (int)((int64_t)(s.kh - 1) * s.dh - s.pt);
	s.pl = (int)((int64_t)(s.kw - 1) * s.dw - s.pl);
	cv->exchanged = bp_conv_new(&s, cv->k, (int)cv->max_batch);
	if (!cv->exchanged)
		return false;
	if (!is_faster(cv)) {
		bp_conv_free(cv->exchanged);
		cv->exchanged = NULL;
	}
	return true;
}

static bool fits(const struct bp_conv *cv, enum pass pass)
{
	return cv->exchanged && pass == PASS_WEIGHTS;
}

static size_t weights_bytes(const struct bp_conv *cv)
{
	return round_up(kernel_elements(&cv->s) * sizeof(bp_real), BP_ALIGN);
}

static size_t bias_bytes(const struct bp_conv *cv)
{
	return round_up(CHUNKS * (size_t)cv->s.oc * sizeof(bp_real), BP_ALIGN);
}

static size_t workspace(const struct bp_conv *cv, enum pass pass, int threads)
{
	return weights_bytes(cv) + bias_bytes(cv) + bp_conv_pass_workspace(cv->exchanged, pass, threads);
}

/* dW from the exchanged convolution's, whose taps are in reverse. */
static void turn_back(const struct bp_conv_shape *s, const bp_real *from, bp_real *dw)
{
	const size_t taps = (size_t)s->kh * s->kw, c = s->c, oc = s->oc;
	for (size_t tap = 0; tap < taps; tap++, dw += c * oc) {
		const bp_real *other = from + (taps - 1 - tap) * c * oc;
		for (size_t i = 0; i < c; i++)
			for (size_t o = 0; o < oc; o++)
				dw[i * oc + o] = other[o * c + i];
	}
}

struct bias_job {
	const struct bp_conv *cv;
	const bp_real *dy;
	size_t pixels;
	bp_real *parts, *ret;
};

static void bias_task(const void *job, size_t i, void *scratch)
{
	(void)scratch;
	const struct bias_job *j = job;
	const size_t oc = j->cv->s.oc, first = i * j->pixels / CHUNKS, end = (i + 1) * j->pixels / CHUNKS;
	j->cv->k->column_sums(end - first, oc, j->dy + first * oc, oc, false, j->parts + i * oc);
}

static void bias_sum(const void *job, size_t i, void *scratch)
{
	(void)i, (void)scratch;
	const struct bias_job *j = job;
	j->cv->k->column_sums(CHUNKS, j->cv->s.oc, j->parts, j->cv->s.oc, false, j->ret);
}

static void weights(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	const struct bp_conv_shape *s = &cv->s;
	bp_real *turned = ws, *parts = (bp_real *)((char *)ws + weights_bytes(cv));
	const struct bp_conv_call own = {.n = call->n, .x = call->dy, .dy = call->x, .dw = turned};
	bp_conv_backward_call(cv->exchanged, ctx, &own, (char *)parts + bias_bytes(cv));
	turn_back(s, turned, call->dw);
	if (!call->db)
		return;
	const struct bias_job j = {cv, call->dy, (size_t)call->n * s->oh * s->ow, parts, call->db};
	const struct phase phases[] = {{CHUNKS, bias_task}, {1, bias_sum}};
	bp_work_run(ctx, j.pixels * s->oc, &(struct work){&j, phases, 2, NULL, 0});
}

const struct way bp_way_exchanged = {
	.fits = fits,
	.workspace = workspace,
	.backward = bp_backward_apart,
	.weights = weights,
};
