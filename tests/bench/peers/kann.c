/*
 * kann.c - KANN beside backpropd: trains a net of dense and convolutional layers on random samples. kann.py builds it
 * with KANN's two files, and gives it the net, layer by layer.
 *
 *   kann THREADS BATCH SECONDS ROUNDS  input 784 | input 1 28 28 ...  linear OUT | conv OUT KERNEL STRIDE PADDING |
 *     pool KERNEL STRIDE PADDING | relu ...     (the last is a linear layer; softmax and cross entropy follow)
 *
 * Prints one JSON line with bench_train's fields. RMSprop is KANN's one optimizer. A batch is bound where it lies,
 * which saves KANN the copying of its own training loop.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

#include "kann.h"

enum { BATCHES = 8, MAX_ROUNDS = 99 };

struct reader {
	char **at, **end;
};

struct bench {
	kann_t *net;
	float *x[BATCHES], *y[BATCHES], *squares;
	int batch;
	long steps; /* so far; says which batch is next */
};

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int number(struct reader *r)
{
	return r->at < r->end ? (int)strtol(*r->at++, NULL, 10) : 0;
}

static kad_node_t *input_read(struct reader *r)
{
	int d[3], n = 0;
	while (n < 3 && r->at < r->end && **r->at >= '0' && **r->at <= '9')
		d[n++] = number(r);
	return n == 1 ? kad_feed(2, 1, d[0]) : n == 3 ? kad_feed(4, 1, d[0], d[1], d[2]) : NULL;
}

/* NULL: not understood. */
static kad_node_t *net_read(struct reader *r)
{
	kad_node_t *t = NULL;
	while (r->at < r->end) {
		const char *kind = *r->at++;
		if (!t && strcmp(kind, "input") == 0) {
			t = input_read(r);
			if (t)
				t->ext_flag |= KANN_F_IN;
		} else if (t && strcmp(kind, "relu") == 0) {
			t = kad_relu(t);
		} else if (t && strcmp(kind, "conv") == 0) {
			int out = number(r), k = number(r), stride = number(r), pad = number(r);
			t = kann_layer_conv2d(t, out, k, k, stride, stride, pad, pad);
		} else if (t && strcmp(kind, "pool") == 0) {
			int k = number(r), stride = number(r), pad = number(r);
			t = kad_max2d(t, k, k, stride, stride, pad, pad);
		} else if (t && strcmp(kind, "linear") == 0) {
			int out = number(r);
			if (r->at == r->end)
				return kann_layer_cost(t, out, KANN_C_CEM);
			t = kann_layer_dense(t, out);
		} else {
			return NULL;
		}
	}
	return NULL;
}

static int data_make(struct bench *b)
{
	size_t in = (size_t)kann_dim_in(b->net), out = (size_t)kann_dim_out(b->net), n = (size_t)b->batch;
	b->squares = calloc((size_t)kann_size_var(b->net), sizeof(float));
	for (size_t i = 0; i < BATCHES; i++) {
		b->x[i] = malloc(n * in * sizeof(float));
		b->y[i] = calloc(n * out, sizeof(float));
		if (!b->x[i] || !b->y[i])
			return 0;
		for (size_t j = 0; j < n * in; j++)
			b->x[i][j] = (float)kad_drand_normal(NULL);
		for (size_t j = 0; j < n; j++)
			b->y[i][j * out + (i * n + j) * 7919 % out] = 1;
	}
	return b->squares != NULL;
}

static void steps_run(struct bench *b, long n)
{
	for (long i = 0; i < n; i++, b->steps++) {
		kann_feed_bind(b->net, KANN_F_IN, 0, &b->x[b->steps % BATCHES]);
		kann_feed_bind(b->net, KANN_F_TRUTH, 0, &b->y[b->steps % BATCHES]);
		kann_cost(b->net, 0, 1);
		kann_RMSprop(kann_size_var(b->net), 1e-3f, 0, 0.9f, b->net->g, b->net->x, b->squares);
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void measure(struct bench *b, double secs, int rounds)
{
	double t = now(), first, rate[MAX_ROUNDS];
	long n = 0;
	steps_run(b, 1);
	first = now() - t;
	t = now();
	while (n < 3 || now() - t < fmin(1, secs)) {
		steps_run(b, 1);
		n++;
	}
	n = (long)fmax(2, secs / ((now() - t) / (double)n));
	for (int r = 0; r < rounds; r++) {
		t = now();
		steps_run(b, n);
		rate[r] = (double)n * b->batch / (now() - t);
	}
	qsort(rate, (size_t)rounds, sizeof *rate, by_value);
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	printf("{\"samples_per_second\":{\"median\":%.1f,\"min\":%.1f,\"max\":%.1f},\"peak_rss_bytes\":%ld,"
	       "\"first_step_seconds\":%.4f}\n",
		rate[rounds / 2], rate[0], rate[rounds - 1], usage.ru_maxrss * 1024, first);
}

int main(int argc, char **argv)
{
	struct bench b = {0};
	struct reader r = {argv + 5, argv + argc};
	if (argc < 6)
		return 2;
	int threads = (int)strtol(argv[1], NULL, 10), rounds = (int)strtol(argv[4], NULL, 10);
	b.batch = (int)strtol(argv[2], NULL, 10);
#ifdef __SSE__
	_mm_setcsr(_mm_getcsr() | 0x8040); /* denormals are zero, as for the others */
#endif
	kann_srand(1);
	kad_node_t *cost = net_read(&r);
	if (!cost || threads < 1 || b.batch < threads || rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "kann: not understood\n");
		return 2;
	}
	b.net = kann_new(cost, 0);
	if (!b.net || !data_make(&b))
		return 1;
	kann_mt(b.net, threads, b.batch);
	kann_set_batch_size(b.net, b.batch);
	kann_switch(b.net, 1);
	measure(&b, strtod(argv[3], NULL), rounds);
	return 0;
}
