/*
 * ref.c - the plain C oracle of the convolution drivers: the definition, written down. Used by tests; one thread.
 *
 * Sums are taken in bp_real, in the order taps, then channels.
 */
#include "conv/conv.h"

#include "base/panels.h"

#include <string.h>

/* Row of x that output position o reads through tap k, or -1 when that lies in the padding. */
static int source(int o, int k, int stride, int dilation, int pad, int size)
{
	int i = o * stride - pad + k * dilation;
	return i >= 0 && i < size ? i : -1;
}

/* One pair of an output pixel and a tap inside the map; channels are the caller's. */
struct pair {
	size_t in, out, tap; /* pixel of x, pixel of y, index into kh x kw */
};

typedef void visit(const struct bp_conv_shape *s, const struct pair *at, const void *arg);

static void each_pair(const struct bp_conv_shape *s, int n, visit *f, const void *arg)
{
	for (int i = 0; i < n; i++)
		for (int oy = 0; oy < s->oh; oy++)
			for (int ox = 0; ox < s->ow; ox++)
				for (int tap = 0; tap < s->kh * s->kw; tap++) {
					int y = source(oy, tap / s->kw, s->sh, s->dh, s->pt, s->h);
					int x = source(ox, tap % s->kw, s->sw, s->dw, s->pl, s->w);
					if (y < 0 || x < 0)
						continue;
					struct pair at = {((size_t)i * s->h + y) * s->w + x,
						((size_t)i * s->oh + oy) * s->ow + ox, tap};
					f(s, &at, arg);
				}
}

static size_t weight_at(const struct bp_conv_shape *s, size_t tap, int c, int o)
{
	return s->panels ? (size_t)bp_panel_at(s->c, s->oc, c, o) : (tap * (s->c / s->groups) + c) * s->oc + o;
}

struct forward {
	const bp_real *x, *w;
	bp_real *y;
};

static void forward_pair(const struct bp_conv_shape *s, const struct pair *at, const void *arg)
{
	const struct forward *f = arg;
	const int cg = s->c / s->groups, og = s->oc / s->groups;
	for (int o = 0; o < s->oc; o++)
		for (int c = 0; c < cg; c++)
			f->y[at->out * s->oc + o] +=
				f->x[at->in * s->c + o / og * cg + c] * f->w[weight_at(s, at->tap, c, o)];
}

void bp_conv_ref_forward(const struct bp_conv_shape *s, int n, const bp_real *x, const bp_real *w, const bp_real *bias,
	enum bp_act act, bp_real *y)
{
	size_t pixels = (size_t)n * s->oh * s->ow;
	memset(y, 0, pixels * s->oc * sizeof *y);
	each_pair(s, n, forward_pair, &(struct forward){x, w, y});
	for (size_t i = 0; i < pixels * s->oc; i++) {
		y[i] += bias ? bias[i % s->oc] : 0;
		if (act == BP_ACT_RELU && y[i] < 0)
			y[i] = 0;
	}
}

struct backward {
	const bp_real *x, *dy, *w;
	bp_real *dx, *dw;
};

static void data_pair(const struct bp_conv_shape *s, const struct pair *at, const void *arg)
{
	const struct backward *b = arg;
	const int cg = s->c / s->groups, og = s->oc / s->groups;
	for (int o = 0; o < s->oc; o++)
		for (int c = 0; c < cg; c++)
			b->dx[at->in * s->c + o / og * cg + c] +=
				b->dy[at->out * s->oc + o] * b->w[weight_at(s, at->tap, c, o)];
}

void bp_conv_ref_backward_data(
	const struct bp_conv_shape *s, int n, const bp_real *dy, const bp_real *w, bool accumulate, bp_real *dx)
{
	if (!accumulate)
		memset(dx, 0, (size_t)n * s->h * s->w * s->c * sizeof *dx);
	each_pair(s, n, data_pair, &(struct backward){.dy = dy, .w = w, .dx = dx});
}

static void weight_pair(const struct bp_conv_shape *s, const struct pair *at, const void *arg)
{
	const struct backward *b = arg;
	const int cg = s->c / s->groups, og = s->oc / s->groups;
	for (int o = 0; o < s->oc; o++)
		for (int c = 0; c < cg; c++)
			b->dw[weight_at(s, at->tap, c, o)] +=
				b->x[at->in * s->c + o / og * cg + c] * b->dy[at->out * s->oc + o];
}

void bp_conv_ref_backward_weights(
	const struct bp_conv_shape *s, int n, const bp_real *x, const bp_real *dy, bp_real *dw, bp_real *db)
{
	memset(dw, 0, (size_t)s->kh * s->kw * (s->c / s->groups) * s->oc * sizeof *dw);
	each_pair(s, n, weight_pair, &(struct backward){.x = x, .dy = dy, .dw = dw});
	if (!db)
		return;
	memset(db, 0, s->oc * sizeof *db);
	for (size_t i = 0; i < (size_t)n * s->oh * s->ow * s->oc; i++)
		db[i % s->oc] += dy[i];
}
