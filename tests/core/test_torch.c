/*
 * test_torch.c - whole nets against PyTorch: the first step's loss, gradients and weights, and the loss curves of 20
 * steps with validation, by each instruction set, for every run of tests/fixtures/make_nets.py, which made the numbers.
 */
#include <math.h>

#include "fixture_net.h"
#include "runner.h"

enum { SAMPLES = 60, BATCH = 16, EPOCHS = 5, STEPS = 20, CLASSES = 10, TARGETS = 5, NUMBERS = 20000 };

static const char *const nets[] = {
	"mlp", "regression", "cnn", "vgg", "resnet", "sequence", "decoder", "separable", "generator"};
enum { NETS = sizeof(nets) / sizeof(nets[0]), ISAS = 3 };

struct setting {
	const char *name;
	double v;
};

static const struct {
	const char *optimizer, *scheduler;
	struct setting optimizer_args[5], scheduler_args[3];
	double clip_norm, clip_value, warmup;
} runs[] = {
	{"SGD", "StepLR", {{"lr", 0.05}, {"momentum", 0.9}, {"nesterov", 1}, {"weight_decay", 5e-4}},
		{{"step_size", 2}, {"gamma", 0.5}}, 0, 0, 0},
	{"Adam", "CosineAnnealingLR", {{"lr", 0.002}}, {{0}}, 0, 0, 0},
	{"AdamW", "Constant", {{"lr", 0.002}, {"weight_decay", 0.05}}, {{0}}, 0.5, 0, 0},
	{"SGD", "StepLR", {{"lr", 0.05}, {"momentum", 0.9}, {"dampening", 0.1}}, {{"step_size", 1}, {"gamma", 0.7}}, 0,
		0.02, 1},
};
enum { RUNS = sizeof(runs) / sizeof(runs[0]) };

/* A net of nets.txt with its data and what PyTorch made of them. */
struct subject {
	struct bp_net *net;
	bool values; /* MSELoss */
	struct bp_data data;
	float numbers[NUMBERS];
	int read; /* of them */
	union {
		float reals[SAMPLES * 32];
		uint8_t bytes[SAMPLES * 3 * 12 * 12];
	} samples;
	int32_t labels[SAMPLES];
	float targets[SAMPLES * TARGETS];
};

static const float mean[] = {0.5f, 0.25f, 0.75f}, std[] = {0.25f, 0.5f, 0.2f};

static void net_read(struct subject *s, const char *name)
{
	char loss[32];
	s->net = fixture_net("tests/fixtures/nets.txt", name, loss);
	s->values = strcmp(loss, "MSELoss") == 0;
}

static void numbers_read(struct subject *s, const char *name)
{
	char path[64], line[128];
	snprintf(path, sizeof(path), "tests/fixtures/net_%s.bin", name);
	FILE *f = fopen(path, "rb");
	ck_assert_msg(f, "%s is missing", path);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
	int count = (int)fread(s->numbers, sizeof(float), NUMBERS, f);
	int64_t parameters = bp_net_parameters(s->net);
	ck_assert_int_eq(count, 1 + 2 * parameters + RUNS * (STEPS + EPOCHS));
	fclose(f);
}

static void data_draw(struct subject *s, struct fixture_draw *d)
{
	struct bp_shape shape = bp_net_input_shape(s->net);
	int64_t n = SAMPLES * bp_shape_size(&shape);
	bool map = shape.ndim > 1;
	for (int64_t i = 0; i < n; i++) {
		if (map)
			s->samples.bytes[i] = (uint8_t)(fixture_bits(d) % 256);
		else
			s->samples.reals[i] = (float)fixture_real(d);
	}
	for (int i = 0; i < SAMPLES * TARGETS && s->values; i++)
		s->targets[i] = (float)fixture_real(d);
	for (int i = 0; i < SAMPLES && !s->values; i++)
		s->labels[i] = (int32_t)(fixture_bits(d) % CLASSES);
	s->data = (struct bp_data){.shape = shape,
		.dtype = map ? BP_U8 : BP_F32,
		.samples = &s->samples,
		.count = SAMPLES,
		.labels = s->values ? NULL : s->labels,
		.targets = s->values ? s->targets : NULL,
		.ntargets = TARGETS,
		.mean = map ? mean : NULL,
		.std = map ? std : NULL};
}

static void subject_draw(struct subject *s)
{
	struct fixture_draw d = {7};
	fixture_weights(s->net, &d, 1);
	data_draw(s, &d);
}

static void item_make(enum bp_item_kind kind, const char *type, const struct setting *settings, struct bp_item *ret)
{
	bp_item_defaults(kind, bp_item_find(kind, type), ret);
	for (; settings->name; settings++) {
		const struct bp_value *arg = bp_item_arg(kind, ret, settings->name);
		ck_assert_msg(arg, "%s has no argument %s", type, settings->name);
		ret->args[arg - ret->args].v[0] = settings->v;
	}
}

/* isa: the best that it may use, of baseline, avx2 and avx512. Each rounds in its own way. */
static struct bp_trainer *trainer_make(struct subject *s, int run, int isa)
{
	struct bp_train_params p;
	struct bp_trainer *tr = NULL;
	struct bp_error err;
	bp_train_params_defaults(&p);
	p.epochs = EPOCHS;
	p.batch_size = BATCH;
	p.shuffle = false;
	p.keep_gradients = true;
	p.threads = p.max_threads = 2;
	p.isa_mask = (2u << isa) - 1;
	p.clip_grad_norm = runs[run].clip_norm;
	p.clip_grad_value = runs[run].clip_value;
	p.warmup_epochs = runs[run].warmup;
	item_make(BP_LOSS, s->values ? "MSELoss" : "CrossEntropyLoss", &(struct setting){0}, &p.loss);
	item_make(BP_OPTIMIZER, runs[run].optimizer, runs[run].optimizer_args, &p.optimizer);
	item_make(BP_SCHEDULER, runs[run].scheduler, runs[run].scheduler_args, &p.scheduler);
	enum bp_status st = bp_trainer_new(s->net, &p, &s->data, &s->data, &tr, &err);
	ck_assert_msg(st == BP_OK, "%s: %s", err.field, err.message);
	return tr;
}

/* The next number of the fixture is got, within tolerance * (1 + |want|). */
static void expect(struct subject *s, const char *what, int64_t i, double got, double tolerance)
{
	double want = (double)s->numbers[s->read++];
	ck_assert_msg(fabs(got - want) <= tolerance * (1 + fabs(want)), "%s[%lld] is %.9g, not %.9g", what,
		(long long)i, got, want);
}

static void expect_tensors(struct subject *s, const struct bp_trainer *gradients_of, double tolerance)
{
	static bp_real values[NUMBERS];
	for (int t = 0; t < bp_net_tensors(s->net); t++) {
		struct bp_tensor_info info;
		int64_t size = 1;
		bp_net_tensor_info(s->net, t, &info);
		for (int i = 0; i < info.ndim; i++)
			size *= info.dim[i];
		if (!info.trainable)
			continue;
		if (gradients_of)
			bp_trainer_gradient_get(gradients_of, t, values);
		else
			bp_net_tensor_get(s->net, t, values);
		for (int64_t i = 0; i < size; i++)
			expect(s, info.name, i, (double)values[i], tolerance);
	}
}

START_TEST(a_net_is_trained_as_by_pytorch)
{
	static struct subject s;
	const double tolerance = sizeof(bp_real) == 8 ? 1e-6 : 1e-5;
	double loss;
	net_read(&s, nets[_i / ISAS]);
	numbers_read(&s, nets[_i / ISAS]);
	subject_draw(&s);
	struct bp_trainer *tr = trainer_make(&s, 0, _i % ISAS);
	ck_assert_int_eq(bp_trainer_step(tr, 0, BATCH, &loss, NULL), BP_OK);
	expect(&s, "loss", 0, loss, tolerance);
	expect_tensors(&s, tr, tolerance);
	expect_tensors(&s, NULL, tolerance);
	bp_trainer_free(tr);
	bp_net_free(s.net);
}
END_TEST

/* Losses of the steps, then of the validations. */
static enum bp_answer curve_keep(void *user, struct bp_trainer *tr, const struct bp_event *ev)
{
	double *curve = user;
	(void)tr;
	if (ev->kind == BP_EVENT_BATCH)
		curve[ev->step - 1] = ev->loss;
	else if (ev->kind == BP_EVENT_EPOCH)
		curve[STEPS + ev->epoch - 1] = ev->metrics->val_loss;
	return BP_CONTINUE;
}

START_TEST(the_loss_falls_along_the_curve_of_pytorch)
{
	static struct subject s;
	double curve[STEPS + EPOCHS];
	bool done = false;
	net_read(&s, nets[_i / ISAS]);
	numbers_read(&s, nets[_i / ISAS]);
	s.read = (int)(1 + 2 * bp_net_parameters(s.net));
	for (int run = 0; run < RUNS; run++) {
		subject_draw(&s);
		struct bp_trainer *tr = trainer_make(&s, run, _i % ISAS);
		ck_assert_int_eq(bp_trainer_run(tr, curve_keep, curve, &done, NULL), BP_OK);
		ck_assert(done);
		for (int i = 0; i < STEPS + EPOCHS; i++)
			expect(&s, runs[run].optimizer, i, curve[i], sizeof(bp_real) == 8 ? 1e-6 : 1e-4);
		bp_trainer_free(tr);
	}
	bp_net_free(s.net);
}
END_TEST

TEST_SUITE(torch, 60)
{
	tcase_add_loop_test(tc, a_net_is_trained_as_by_pytorch, 0, NETS * ISAS);
	tcase_add_loop_test(tc, the_loss_falls_along_the_curve_of_pytorch, 0, NETS * ISAS);
}
