/*
 * test_fused.c - nets in which layers do the work of others, against the same nets in which nobody does: written ones,
 * and random chains of convolutions, norms and activations, as wide as each way of computing them wants.
 */
#include "runner.h"

#include "draw.h"
#include "net_run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Norms put out more than 6, where ReLU6 ends, and less than -3, where Hardswish does. */
static void stretch_norms(struct run *r)
{
	for (const struct bp_param *p = r->net->params; p < r->net->params + r->net->nparams; p++)
		for (int64_t i = 0; p->trainable && p->init_value == 1 && i < p->size; i++)
			r->net->weights[p->offset + i] = 3;
}

/* Nets in which layers do the work of others. */
static const char *const fused_texts[] = {
	"3x9x9 | Conv2d out_channels=8 kernel_size=3 | ReLU | MaxPool2d kernel_size=2 | Flatten | Linear out_features=9"
	" | ReLU | Linear out_features=3",
	"3x9x9 | ConvTranspose2d out_channels=5 kernel_size=3 | ReLU | MaxPool2d kernel_size=3 stride=1 padding=1"
	" | Conv2d out_channels=4 kernel_size=3 | ReLU | AdaptiveMaxPool2d output_size=4",
	"3x9x9 | Conv2d out_channels=32 kernel_size=3 | ReLU | Conv2d out_channels=32 kernel_size=3 padding=1 | ReLU"
	" | Conv2d out_channels=3 kernel_size=3",
	"4x3x4 | Conv2d out_channels=1 kernel_size=1 | Flatten | BatchNorm1d | Linear out_features=3",
	"12 | BatchNorm1d | Reshape shape=[1,3,4] | Conv2d out_channels=2 kernel_size=1",
	"3x9x9 | Conv2d out_channels=4 kernel_size=1 | r: ReLU | p: MaxPool2d kernel_size=3 stride=1 padding=1"
	" | Add < r p",
	"3x9x9 | Conv2d out_channels=8 kernel_size=3 | BatchNorm2d | ReLU | Conv2d out_channels=3 kernel_size=1",
	"8 | a: Linear out_features=8 | b: Linear out_features=8 < input | Add < a b | ReLU | Linear out_features=4",
	"3x9x9 | Conv2d out_channels=8 kernel_size=1 | BatchNorm2d | ReLU | Conv2d out_channels=8 kernel_size=3 "
	"groups=8"
	" | BatchNorm2d | ReLU | Conv2d out_channels=3 kernel_size=1",
	"3x9x9 | Conv2d out_channels=8 kernel_size=1 | BatchNorm2d | ReLU6 | Conv2d out_channels=8 kernel_size=3 "
	"groups=8"
	" | BatchNorm2d | ReLU6 | Conv2d out_channels=3 kernel_size=1",
	"3x9x9 | Conv2d out_channels=8 kernel_size=3 | BatchNorm2d | ReLU6 | MaxPool2d kernel_size=2",
	"12 | Linear out_features=9 | BatchNorm1d | ReLU6 | Linear out_features=4",
	"3x9x9 | Conv2d out_channels=8 kernel_size=1 | BatchNorm2d | Hardswish | Conv2d out_channels=8 kernel_size=3"
	" groups=8 | BatchNorm2d | Hardswish | Conv2d out_channels=3 kernel_size=1",
	"3x9x9 | Conv2d out_channels=8 kernel_size=1 | BatchNorm2d | SiLU | Conv2d out_channels=8 kernel_size=3 "
	"groups=8"
	" | BatchNorm2d | SiLU | Conv2d out_channels=3 kernel_size=1",
	"3x9x9 | Conv2d out_channels=8 kernel_size=1 | BatchNorm2d | ReLU | Conv2d out_channels=8 kernel_size=3 "
	"groups=4"
	" | BatchNorm2d | SiLU | Conv2d out_channels=8 kernel_size=3 stride=2 groups=2 | BatchNorm2d | ReLU6",
	"12 | Linear out_features=9 | BatchNorm1d | Hardswish | Linear out_features=9 | BatchNorm1d | SiLU",
	/* Transposed convolutions, whose own convolution could do all that. */
	"24x5x5 | ConvTranspose2d out_channels=16 kernel_size=4 stride=2 padding=1 | BatchNorm2d | ReLU"
	" | ConvTranspose2d out_channels=24 kernel_size=3 padding=1 | ReLU"
	" | ConvTranspose2d out_channels=24 kernel_size=3 padding=1 | BatchNorm2d | ReLU"
	" | Conv2d out_channels=3 kernel_size=1",
	"8x5x5 | ConvTranspose2d out_channels=8 kernel_size=3 groups=8 | BatchNorm2d | ReLU6"
	" | ConvTranspose2d out_channels=8 kernel_size=1 | BatchNorm2d | SiLU"
	" | ConvTranspose2d out_channels=8 kernel_size=3 groups=4 | BatchNorm2d | Hardswish",
};
enum { FUSED = sizeof fused_texts / sizeof fused_texts[0] };

/* The same net with a LeakyReLU of slope 1, which changes nothing, before each layer that others do or that does others
 * and follows the one before; but not before a Linear after a Flatten, whose weights lie as maps do. */
static void keep_apart(const char *text, char *ret, size_t size)
{
	static const char *const done[] = {"ReLU", "ReLU6", "Hardswish", "SiLU", "Flatten", "Reshape", "BatchNorm1d",
		"BatchNorm2d", "GroupNorm", "Linear", "Conv1d", "Conv2d", "ConvTranspose2d", "MaxPool1d", "MaxPool2d"};
	FILE *f = fmemopen(ret, size, "w");
	ck_assert_ptr_nonnull(f);
	for (const char *from = text, *end; from; from = end ? end + 3 : NULL) {
		end = strstr(from, " | ");
		const char *name = strstr(from, ": ");
		name = name && (!end || name < end) ? name + 2 : from;
		const char *inputs = strchr(from, '<');
		if ((inputs && (!end || inputs < end)) || (from - text > 10 && !strncmp(from - 10, "Flatten | ", 10)))
			name = "";
		for (size_t i = 0; i < sizeof done / sizeof done[0]; i++)
			if (strcspn(name, " ") == strlen(done[i]) && !strncmp(name, done[i], strlen(done[i])))
				fputs("LeakyReLU negative_slope=1 | ", f);
		fprintf(f, "%.*s", end ? (int)(end + 3 - from) : (int)strlen(from), from);
	}
	ck_assert_int_eq(fclose(f), 0);
}

/* Nothing but rounding is different, which in single precision the norms make more of than a mistake might. */
static void check_close(const bp_real *got, const bp_real *want, int64_t n, double single)
{
	const double tolerance = sizeof(bp_real) == 8 ? 1e-11 : single;
	for (int64_t i = 0; i < n; i++)
		ck_assert_double_le(fabs((double)got[i] - (double)want[i]), tolerance * (1 + fabs((double)want[i])));
}

START_TEST(a_fused_net_gives_what_the_same_net_gives_unfused)
{
	char text[2000];
	struct run fused, plain;
	keep_apart(fused_texts[_i], text, sizeof text);
	ck_assert_str_ne(text, fused_texts[_i]);
	run_init(&fused, fused_texts[_i], 6);
	run_init(&plain, text, 6);
	const bool capped = strstr(text, "ReLU6") || strstr(text, "Hardswish");
	if (capped) {
		stretch_norms(&fused);
		stretch_norms(&plain);
	}
	run_passes(&fused, 6, 1, true);
	run_passes(&plain, 6, 1, true);
	check_close(fused.y, plain.y, (int64_t)fused.nout, 4e-6);
	check_close(fused.dx, plain.dx, (int64_t)fused.nin, 4e-6);
	check_close(fused.grads, plain.grads, fused.net->nweights, capped ? 1e-4 : 4e-5);
	run_done(&fused);
	run_done(&plain);
}
END_TEST

/* A chain that is written layer by layer, what it has come to, and where each layer had: maps, sequences (of h = 1) or
 * features (of w = 1 too). */
enum { LAYERS = 48, FEATURES = 0, SEQUENCES, MAPS };
struct chain {
	struct draw d;
	FILE *f;
	int kind;
	struct map {
		int c, h, w;
	} map, maps[LAYERS];
	int layers;
};

/* Begins a layer, which makes such a map: l0, l1, and so on. */
static void add_layer(struct chain *n, const char *type, struct map map)
{
	fprintf(n->f, " | l%d: %s", n->layers, type);
	n->map = n->maps[n->layers++] = map;
}

static int pick(struct chain *n, const int *from, int count)
{
	return from[draw_int(&n->d, 0, count - 1)];
}
#define PICK(n, ...) pick(n, (const int[]){__VA_ARGS__}, (int)(sizeof((const int[]){__VA_ARGS__}) / sizeof(int)))

/* Groups that divide both: one mostly, some, or as many as there are channels. */
static int draw_groups(struct chain *n, int *out)
{
	const int kind = draw_int(&n->d, 0, 5), c = n->map.c;
	if (kind == 0)
		*out = c * draw_int(&n->d, 1, 2);
	else if (kind == 1)
		*out = c;
	return kind == 0 ? c : kind == 1 && c % 4 == 0 ? PICK(n, 2, 4) : 1;
}

static void freeze_some(struct chain *n)
{
	if (draw_int(&n->d, 0, 9) == 0)
		fputs(" @frozen", n->f);
}

static void add_linear(struct chain *n)
{
	const int out = PICK(n, 1, 3, 8, 16, 17, 40, 100);
	add_layer(n, "Linear", (struct map){out, 1, 1});
	fprintf(n->f, " out_features=%d bias=%s", out, draw_bool(&n->d) ? "true" : "false");
	freeze_some(n);
}

static int convolved(bool up, int in, int k, int stride, int padding)
{
	return up ? (in - 1) * stride - 2 * padding + k : (in + 2 * padding - k) / stride + 1;
}

static void add_conv(struct chain *n)
{
	const int k = PICK(n, 1, 1, 2, 3, 3, 3, 4, 5, 7);
	/* Not 1x1 with a stride: the way back has pixels of the bias alone, between which a MaxPool2d has no first. */
	const int stride = k > 1 ? PICK(n, 1, 1, 1, 2) : 1;
	const int padding = draw_int(&n->d, 0, k / 2), h = n->map.h, w = n->map.w;
	const bool line = n->kind == SEQUENCES, up = !line && h < 7 && draw_bool(&n->d);
	int out = PICK(n, 1, 3, 8, 12, 16, 17, 24, 40), groups = draw_groups(n, &out);
	const struct map to = {
		out, line ? 1 : convolved(up, h, k, stride, padding), convolved(up, w, k, stride, padding)};
	if ((!line && h + 2 * padding < k) || w + 2 * padding < k || (!line && to.h < 2) || to.w < 2 || to.h > 14 ||
		to.w > (line ? 60 : 14))
		return;
	add_layer(n, up ? "ConvTranspose2d" : line ? "Conv1d" : "Conv2d", to);
	fprintf(n->f, " out_channels=%d kernel_size=%d stride=%d padding=%d groups=%d bias=%s", out, k, stride, padding,
		groups, draw_bool(&n->d) ? "true" : "false");
	freeze_some(n);
}

/* The last layer and one before it that made as large a map, if there is one. */
static void join(struct chain *n)
{
	static const char *const joins[] = {"Add", "Add", "Mul", "Concat"};
	const int last = n->layers - 1, other = draw_int(&n->d, 0, last), how = draw_int(&n->d, 0, 3);
	const struct map *m = &n->maps[other];
	struct map to = n->map;
	if (other == last || m->c != to.c || m->h != to.h || m->w != to.w)
		return;
	to.c *= how == 3 ? 2 : 1;
	add_layer(n, joins[how], to);
	fprintf(n->f, " < l%d l%d", last, other);
}

static void add_others(struct chain *n)
{
	static const char *const acts[] = {"ReLU", "ReLU", "ReLU6", "Hardswish", "SiLU", "GELU", "PReLU"};
	if (draw_int(&n->d, 0, 3)) {
		add_layer(n, n->kind == MAPS ? "BatchNorm2d" : "BatchNorm1d", n->map);
		freeze_some(n);
	} else if (n->kind != FEATURES && draw_bool(&n->d)) {
		add_layer(n, "GroupNorm num_groups=1", n->map);
	}
	if (draw_int(&n->d, 0, 3))
		add_layer(n, acts[draw_int(&n->d, 0, 6)], n->map);
	join(n);
	const struct map half = {n->map.c, n->kind == MAPS ? n->map.h / 2 : 1, n->map.w / 2};
	if (half.w > 1 && (half.h > 1 || n->kind == SEQUENCES) && draw_int(&n->d, 0, 4) == 0)
		add_layer(n, n->kind == MAPS ? "MaxPool2d kernel_size=2" : "MaxPool1d kernel_size=2", half);
}

static void begin(struct chain *n)
{
	n->kind = PICK(n, FEATURES, SEQUENCES, MAPS, MAPS, MAPS);
	n->map = (struct map){PICK(n, 1, 3, 8, 16, 24, 40), 1, 1};
	fprintf(n->f, "%d", n->map.c);
	if (n->kind == MAPS)
		fprintf(n->f, "x%d", n->map.h = draw_int(&n->d, 4, 10));
	if (n->kind != FEATURES)
		fprintf(n->f, "x%d", n->map.w = draw_int(&n->d, 4, n->kind == MAPS ? 10 : 40));
	add_layer(n, "Identity", n->map);
}

/* Rounding alone may differ, which double precision leaves small; single precision would change sides of a ReLU. */
static void check_alike(const char *text, const char *what, const bp_real *a, const bp_real *b, size_t n)
{
	double largest = 0;
	for (size_t i = 0; i < n; i++)
		largest = fmax(largest, fabs((double)b[i]));
	for (size_t i = 0; i < n; i++)
		if (!(fabs((double)a[i] - (double)b[i]) <= 1e-9 * (1 + largest)))
			ck_abort_msg("%s[%zu] is %g, and %g unfused: %s", what, i, (double)a[i], (double)b[i], text);
}

START_TEST(a_random_chain_gives_what_it_gives_unfused_and_the_same_bits_on_any_threads)
{
	char text[3000], apart[5000];
	struct run fused, plain, threads;
	struct chain n = {.d = {(uint64_t)_i + 1}, .f = fmemopen(text, sizeof text, "w")};
	begin(&n);
	for (int blocks = draw_int(&n.d, 2, 6); blocks--;) {
		if (n.kind == FEATURES)
			add_linear(&n);
		else
			add_conv(&n);
		add_others(&n);
	}
	fprintf(n.f, "%s | Linear out_features=5", n.kind == FEATURES ? "" : " | Flatten");
	ck_assert_int_eq(fclose(n.f), 0);
	keep_apart(text, apart, sizeof apart);
	run_init(&fused, text, 5);
	run_init(&plain, apart, 5);
	run_init(&threads, text, 5);
	stretch_norms(&fused);
	stretch_norms(&plain);
	stretch_norms(&threads);
	run_passes(&fused, 5, 1, true);
	run_passes(&plain, 5, 1, true);
	run_passes(&threads, 5, draw_int(&n.d, 2, 7), true);
	const size_t weights = (size_t)fused.net->nweights;
	check_alike(text, "y", fused.y, plain.y, fused.nout);
	check_alike(text, "dx", fused.dx, plain.dx, fused.nin);
	check_alike(text, "grads", fused.grads, plain.grads, weights);
	ck_assert_msg(!memcmp(fused.y, threads.y, fused.nout * sizeof(bp_real)) &&
			      !memcmp(fused.dx, threads.dx, fused.nin * sizeof(bp_real)) &&
			      !memcmp(fused.grads, threads.grads, weights * sizeof(bp_real)),
		"other bits on other threads: %s", text);
	run_evaluation(&fused, 5);
	run_evaluation(&plain, 5);
	check_alike(text, "y of evaluation", fused.y, plain.y, fused.nout);
	run_done(&fused);
	run_done(&plain);
	run_done(&threads);
}
END_TEST

TEST_SUITE(fused, 60)
{
	tcase_add_loop_test(tc, a_fused_net_gives_what_the_same_net_gives_unfused, 0, FUSED);
	if (sizeof(bp_real) == sizeof(double))
		tcase_add_loop_test(
			tc, a_random_chain_gives_what_it_gives_unfused_and_the_same_bits_on_any_threads, 0, 200);
}
