/*
 * test_augments.c - augmentations: lists of them against torchvision's definitions (tests/fixtures/make_augments.py,
 * which draws the same numbers from a generator of its own), how what they draw is distributed, that it depends on
 * nothing but the seed, the epoch, the sample and the entry, whom they change in a training, and what is refused.
 */
#include <math.h>
#include <stdlib.h>

#include "augments/chain.h"
#include "fixture.h"
#include "runner.h"
#include "spec_text.h"
#include "training.h"

enum { CASES_MAX = 64, TEXT = 512, VALUES = 256, DRAWS = 10000 };

struct augment_case {
	char dtype[8], shape[16], list[TEXT];
	uint64_t seed, epoch, sample;
};

static int cases_read(struct augment_case ret[CASES_MAX])
{
	char line[2 * TEXT];
	int n = 0;
	FILE *f = fopen("tests/fixtures/augment_cases.txt", "r");
	ck_assert_msg(f != NULL, "run from the top of the tree");
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#')
			continue;
		ck_assert_int_lt(n, CASES_MAX);
		struct augment_case *c = &ret[n++];
		ck_assert_int_eq(sscanf(line, "%7s %lu %lu %lu %15s | %511[^\n]", c->dtype, &c->seed, &c->epoch,
					 &c->sample, c->shape, c->list),
			6);
	}
	fclose(f);
	return n;
}

static const float mean[] = {0.5f, 0.25f, 0.75f, 0.5f, 0.25f, 0.75f, 0.5f, 0.25f, 0.75f, 0.5f};
static const float std[] = {0.25f, 0.5f, 0.125f, 0.25f, 0.5f, 0.125f, 0.25f, 0.5f, 0.125f, 0.25f};

/* A training on made-up samples with a list of augmentations, and its gather alone. */
struct rig {
	struct bp_item items[BP_MAX_AUGMENTS];
	struct bp_train_params params;
	struct bp_data data;
	struct bp_chain chain;
	int64_t size;
	void *samples, *scratch;
	bp_real *table, *out;
};

/* Samples 0 to `samples` - 1, as sample_of in make_augments.py. */
static void samples_draw(struct rig *r, const char *dtype, int64_t samples)
{
	struct fixture_draw d = {5};
	bool bytes = dtype[0] == 'b', wide = dtype[0] == 'w';
	r->samples = calloc((size_t)(samples * r->size), bytes ? 1 : sizeof(float));
	for (int64_t i = 0; i < samples * r->size; i++)
		if (bytes)
			((uint8_t *)r->samples)[i] = (uint8_t)(fixture_bits(&d) % 256);
		else
			((float *)r->samples)[i] = (float)(wide ? fixture_real(&d) : (fixture_real(&d) + 1) / 2);
	r->data.dtype = bytes ? BP_U8 : BP_F32;
	r->data.samples = r->samples;
	r->data.count = samples;
}

/* What the trainer does; the net is any that takes such samples. */
static void rig_init(struct rig *r, const struct augment_case *c)
{
	char text[64];
	struct bp_error err = {.message = ""};
	*r = (struct rig){0};
	snprintf(text, sizeof(text), "%.*s | Flatten | Linear out_features=2", (int)strcspn(c->shape, "/"), c->shape);
	struct bp_net *its = net_text(text, 1);
	bp_train_params_defaults(&r->params);
	r->params.seed = c->seed;
	r->params.augment = r->items;
	r->params.naugment = items_text(BP_AUGMENT, c->list, r->items, BP_MAX_AUGMENTS);
	ck_assert_msg(bp_chain_check(r->items, r->params.naugment, its, &err) == BP_OK, "%s: %s", c->list, err.message);
	r->data.shape = bp_net_input_shape(its);
	r->size = bp_shape_size(&r->data.shape);
	samples_draw(r, c->dtype, (int64_t)c->sample + 1);
	if (strchr(c->shape, '/')) {
		r->data.mean = mean;
		r->data.std = std;
	}
	r->scratch = calloc(1, bp_chain_scratch(r->items, r->params.naugment, &r->data.shape));
	bp_chain_init(&r->chain, &r->params, &r->data, r->scratch);
	if (r->data.dtype == BP_U8 && r->data.shape.ndim > 1) {
		r->table = calloc((size_t)r->chain.channels * 256, sizeof(*r->table));
		for (int64_t i = 0; i < r->chain.channels * 256; i++)
			r->table[i] = bp_normal((bp_real)(i % 256) / 255, r->chain.late ? NULL : r->data.mean,
				r->chain.late ? NULL : r->data.std, i / 256);
		r->chain.table = r->table;
	}
	r->out = calloc((size_t)r->size, sizeof(*r->out));
	bp_net_free(its);
}

static void rig_done(struct rig *r)
{
	free(r->samples);
	free(r->scratch);
	free(r->table);
	free(r->out);
}

START_TEST(every_list_makes_what_torchvision_makes)
{
	static struct augment_case cases[CASES_MAX];
	double want[VALUES], tolerance = sizeof(bp_real) == 8 ? 1e-11 : 4e-6;
	for (int n = cases_read(cases), i = 0; i < n; i++) {
		struct rig r;
		char name[32];
		rig_init(&r, &cases[i]);
		ck_assert_int_le(r.size, VALUES);
		snprintf(name, sizeof(name), "case %d", i);
		fixture_text("tests/fixtures/augments.txt", name, want, (int)r.size);
		bp_chain_gather(&r.chain, 0, cases[i].epoch, (int64_t)cases[i].sample, r.out);
		/* Noise is drawn in single precision. */
		double within = strstr(cases[i].list, "Noise") ? 2e-5 : tolerance;
		int64_t area = r.size / r.chain.channels;
		for (int64_t k = 0; k < r.size; k++) {
			double got = (double)r.out[k % area * r.chain.channels + k / area];
			ck_assert_msg(fabs(got - want[k]) <= within, "case %d, %s: value %ld is %.9g, not %.9g", i,
				cases[i].list, (long)k, got, want[k]);
		}
		rig_done(&r);
	}
}
END_TEST

START_TEST(every_augmentation_has_a_case)
{
	static struct augment_case cases[CASES_MAX];
	int n = cases_read(cases);
	for (int type = 0; type < bp_item_count(BP_AUGMENT); type++) {
		bool found = false;
		for (int i = 0; i < n; i++)
			found |= text_has(cases[i].list, bp_item_info(BP_AUGMENT, type)->name);
		ck_assert_msg(found, "%s has no case", bp_item_info(BP_AUGMENT, type)->name);
	}
}
END_TEST

/* Each augmentation moves, paints or warps. */
START_TEST(every_augmentation_does_one_thing)
{
	for (int type = 0; type < bp_item_count(BP_AUGMENT); type++) {
		const struct bp_augment_ops *ops = bp_augment_at(type);
		ck_assert_msg(!!ops->place + !!ops->paint + !!ops->warp == 1, "%s", ops->info.name);
	}
	ck_assert_ptr_null(bp_augment_at(-1));
	ck_assert_ptr_null(bp_augment_at(bp_item_count(BP_AUGMENT)));
}
END_TEST

/* ---- what is drawn ------------------------------------------------------------------------------------- */

/* Least, greatest and mean of number `which` that an entry draws, and how often it is above 0, over many samples. */
struct seen {
	double least, most, mean, positive;
};

static struct seen watch(const char *text, int which)
{
	struct bp_item item;
	const struct bp_image im = {.channels = 3, .height = 20, .width = 40, .whole = 255};
	struct seen s = {INFINITY, -INFINITY, 0, 0};
	ck_assert_int_eq(items_text(BP_AUGMENT, text, &item, 1), 1);
	for (uint64_t i = 0; i < DRAWS; i++) {
		double drawn[BP_DRAWN] = {0};
		struct bp_dice dice;
		bp_dice_init(&dice, &(struct bp_augment_key){.seed = 9, .epoch = i / 100, .sample = i % 100 * 7}, 3);
		bp_augment_at(item.type)->draw(&item, &im, &dice, drawn);
		s.least = fmin(s.least, drawn[which]);
		s.most = fmax(s.most, drawn[which]);
		s.mean += drawn[which] / DRAWS;
		s.positive += (drawn[which] > 0) / (double)DRAWS;
	}
	return s;
}

START_TEST(whole_numbers_are_drawn_from_all_there_are)
{
	struct seen top = watch("RandomCrop padding=[2,1,4,3]", 0), left = watch("RandomCrop padding=[2,1,4,3]", 1);
	ck_assert(top.least == 0 && top.most == 4 && left.least == 0 && left.most == 6);
	ck_assert_double_eq_tol(top.mean, 2, 0.06); /* 4 standard errors */
	ck_assert_double_eq_tol(left.mean, 3, 0.08);
	ck_assert_double_eq_tol(left.positive, 6.0 / 7, 0.014);
	struct seen none = watch("RandomCrop", 0);
	ck_assert(none.least == 0 && none.most == 0);
	struct seen order = watch("ColorJitter brightness=0.1", 4);
	ck_assert(order.least == 0 && order.most == 23);
	ck_assert_double_eq_tol(order.mean, 11.5, 0.28);
}
END_TEST

START_TEST(what_is_likely_happens_as_often)
{
	ck_assert_double_eq_tol(watch("RandomHorizontalFlip", 0).mean, 0.5, 0.02);
	ck_assert_double_eq_tol(watch("RandomVerticalFlip p=0.1", 0).mean, 0.1, 0.012);
	ck_assert_double_eq(watch("RandomVerticalFlip p=0", 0).mean, 0);
	ck_assert_double_eq(watch("RandomHorizontalFlip p=1", 0).least, 1);
	ck_assert_double_eq_tol(watch("RandomErasing scale=0.1,0.2 ratio=0.9,1.1", 2).positive, 0.5, 0.02);
	ck_assert_double_eq(watch("RandomErasing p=0", 2).positive, 0);
}
END_TEST

START_TEST(numbers_keep_to_their_limits_and_meet_in_the_middle)
{
	struct seen angle = watch("RandomRotation degrees=30", 0);
	ck_assert(angle.least >= -30 && angle.least < -29.9 && angle.most < 30 && angle.most > 29.9);
	ck_assert_double_eq_tol(angle.mean, 0, 0.7);
	ck_assert_double_eq_tol(angle.positive, 0.5, 0.02);
	struct seen light = watch("ColorJitter brightness=0.4 contrast=3", 0),
		    contrast = watch("ColorJitter brightness=0.4 contrast=3", 1),
		    saturation = watch("ColorJitter brightness=0.4 contrast=3", 2);
	ck_assert(light.least >= 0.6 && light.least < 0.601 && light.most < 1.4 && light.most > 1.399);
	ck_assert_double_eq_tol(light.mean, 1, 0.01);
	ck_assert(contrast.least >= 0 && contrast.least < 0.01 && contrast.most < 4 && contrast.most > 3.99);
	ck_assert_double_eq_tol(contrast.mean, 2, 0.05);
	ck_assert(saturation.least == 1 && saturation.most == 1);
	struct seen hue = watch("ColorJitter hue=0.2", 3);
	ck_assert(hue.least >= -0.2 && hue.least < -0.199 && hue.most < 0.2 && hue.most > 0.199);
	ck_assert_double_eq_tol(hue.mean, 0, 0.005);
}
END_TEST

START_TEST(a_rectangle_has_its_share_of_the_area_and_lies_within)
{
	struct bp_item item;
	const struct bp_image im = {.channels = 1, .height = 200, .width = 300, .whole = 1};
	double area = 0, least = 1, most = 0, top = 0, left = 0, tall = 0;
	items_text(BP_AUGMENT, "RandomErasing p=1 scale=0.1,0.2 ratio=0.5,2", &item, 1);
	for (uint64_t i = 0; i < DRAWS; i++) {
		double d[BP_DRAWN] = {0};
		struct bp_dice dice;
		bp_dice_init(&dice, &(struct bp_augment_key){.seed = 3, .sample = i}, 0);
		bp_augment_at(item.type)->draw(&item, &im, &dice, d);
		double share = d[2] * d[3] / (200 * 300);
		ck_assert(d[0] >= 0 && d[1] >= 0 && d[0] + d[2] <= 200 && d[1] + d[3] <= 300);
		ck_assert(d[2] / d[3] > 0.49 && d[2] / d[3] < 2.05);
		area += share / DRAWS;
		least = fmin(least, share);
		most = fmax(most, share);
		top += d[0] / (200 - d[2]) / DRAWS;
		left += d[1] / (300 - d[3]) / DRAWS;
		tall += (d[2] > d[3]) / (double)DRAWS;
	}
	ck_assert_double_eq_tol(area, 0.15, 0.0013);
	ck_assert(least > 0.098 && least < 0.102 && most < 0.204 && most > 0.196);
	ck_assert_double_eq_tol(top, 0.5, 0.012);
	ck_assert_double_eq_tol(left, 0.5, 0.012);
	ck_assert_double_eq_tol(tall, 0.5, 0.025); /* the logarithm of the ratio is uniform */
}
END_TEST

START_TEST(noise_is_normal)
{
	double moments[5] = {0}, beyond = 0, neighbours = 0, before = 0;
	for (uint64_t s = 0; s < 10; s++) {
		struct bp_dice dice;
		bp_dice_init(&dice, &(struct bp_augment_key){.seed = 3, .sample = s}, 1);
		for (int64_t g = 0; g < DRAWS / BP_NORMALS; g++) {
			bp_real z[BP_NORMALS];
			bp_dice_normals(&dice, g, z);
			for (int k = 0; k < BP_NORMALS; k++) {
				for (int m = 1; m <= 4; m++)
					moments[m] += pow((double)z[k], m) / (10 * DRAWS);
				beyond += (fabs((double)z[k]) > 1.959964) / (10.0 * DRAWS);
				neighbours += before * (double)z[k] / (10 * DRAWS);
				before = (double)z[k];
			}
		}
	}
	ck_assert_double_eq_tol(moments[1], 0, 0.0127);
	ck_assert_double_eq_tol(moments[2], 1, 0.018);
	ck_assert_double_eq_tol(moments[3], 0, 0.05);
	ck_assert_double_eq_tol(moments[4], 3, 0.125);
	ck_assert_double_eq_tol(beyond, 0.05, 0.0028);
	ck_assert_double_eq_tol(neighbours, 0, 0.0127);
}
END_TEST

START_TEST(each_of_seed_epoch_sample_and_entry_draws_other_numbers)
{
	const struct bp_augment_key keys[] = {{1, 1, 1}, {2, 1, 1}, {1, 2, 1}, {1, 1, 2}, {1, 1, 1}, {1, 16, 1}};
	const int entries[] = {0, 0, 0, 0, 1, 0};
	enum { N = sizeof(keys) / sizeof(keys[0]) };
	double first[N];
	bp_real noise[N][BP_NORMALS];
	for (int i = 0; i < N; i++) {
		struct bp_dice dice;
		bp_dice_init(&dice, &keys[i], entries[i]);
		bp_dice_normals(&dice, 0, noise[i]);
		first[i] = bp_dice_unit(&dice);
		for (int k = 0; k < i; k++)
			ck_assert_msg(first[i] != first[k] && noise[i][0] != noise[k][0], "%d as %d", i, k);
	}
}
END_TEST

/* ---- in a training ------------------------------------------------------------------------------------- */

static const char net[] = "3x6x6 | Flatten | Linear out_features=4";
static const char list[] = "RandomCrop padding=[2] | RandomHorizontalFlip | GaussianNoise";

/* So small a rate that the weights stay as they are. */
static void start(struct training *t, const char *augment, int64_t count)
{
	training_init(t, net, (int)count);
	t->train.mean = t->val.mean = mean;
	t->train.std = t->val.std = std;
	t->params.shuffle = false;
	t->params.epochs = 2;
	training_item(BP_OPTIMIZER, "SGD", (struct training_arg[]){{"lr", 1e-20}, {0}}, &t->params.optimizer);
	if (augment)
		training_augment(t, augment);
}

START_TEST(training_samples_are_changed_anew_each_epoch_and_validation_is_not)
{
	struct training plain, changed;
	struct report of_plain = {0}, of_changed = {0};
	start(&plain, NULL, 21);
	start(&changed, list, 21);
	training_start(&plain);
	training_start(&changed);
	training_run(&plain, &of_plain, true);
	training_run(&changed, &of_changed, true);
	ck_assert_double_eq(of_plain.epoch[0].loss, of_plain.epoch[1].loss);
	ck_assert_double_ne(of_changed.epoch[0].loss, of_changed.epoch[1].loss);
	ck_assert_double_ne(of_changed.epoch[0].loss, of_plain.epoch[0].loss);
	for (int e = 0; e < 2; e++) {
		ck_assert_double_eq(of_changed.epoch[e].val_loss, of_plain.epoch[e].val_loss);
		ck_assert_double_eq(of_changed.epoch[e].val_accuracy, of_plain.epoch[e].val_accuracy);
	}
	training_done(&plain);
	training_done(&changed);
}
END_TEST

/* The loss of one sample in a first step, of a view that begins with others. */
static double loss_at(uint32_t *view, int64_t count, int64_t place, const char *augment)
{
	struct training t;
	double loss;
	start(&t, augment, 20);
	t.train.index = view;
	t.train.count = count;
	training_start(&t);
	ck_assert_int_eq(bp_trainer_step(t.trainer, place, 1, &loss, NULL), BP_OK);
	training_done(&t);
	return loss;
}

START_TEST(a_sample_is_changed_alike_wherever_it_stands)
{
	uint32_t few[] = {17, 4, 9}, twice[] = {1, 2, 3, 9, 9};
	double loss = loss_at(NULL, 20, 9, list);
	ck_assert_double_eq(loss_at(few, 3, 2, list), loss);
	ck_assert_double_eq(loss_at(twice, 5, 3, list), loss);
	ck_assert_double_eq(loss_at(twice, 5, 4, list), loss);
	ck_assert_double_ne(loss_at(few, 3, 2, NULL), loss);
}
END_TEST

/* An image that nothing happens to is read as without augmentations, to the bit. */
START_TEST(what_changes_nothing_changes_no_bit)
{
	double loss = loss_at(NULL, 20, 9, NULL);
	ck_assert_double_eq(loss_at(NULL, 20, 9, "RandomCrop | RandomVerticalFlip p=0"), loss);
	ck_assert_double_eq(loss_at(NULL, 20, 9, "RandomErasing p=0 | RandomHorizontalFlip p=0"), loss);
	ck_assert_double_eq(loss_at(NULL, 20, 9, "RandomHorizontalFlip p=1 | RandomHorizontalFlip p=1"), loss);
	ck_assert_double_eq(
		loss_at(NULL, 20, 9, "ColorJitter | RandomRotation degrees=0 interpolation=bilinear"), loss);
	ck_assert_double_eq(loss_at(NULL, 20, 9, "GaussianNoise sigma=0"), loss);
}
END_TEST

/* Whatever is in an image, and NaN is still NaN or erased: no step hangs or leaves the image. */
START_TEST(samples_that_are_no_colours_are_borne)
{
	static const struct augment_case c = {"wide", "3x6x6",
		"ColorJitter brightness=0.5 contrast=0.5 saturation=0.5 hue=0.5"
		" | RandomRotation degrees=90 interpolation=bilinear | RandomErasing | GaussianNoise",
		3, 0, 0};
	static const float odd[] = {NAN, INFINITY, -INFINITY, -1e30f, 1e30f, 0};
	struct rig r;
	rig_init(&r, &c);
	for (int64_t i = 0; i < r.size; i++)
		((float *)r.samples)[i] = odd[(i * 7 + i / 6) % 6];
	for (uint64_t epoch = 0; epoch < 50; epoch++)
		bp_chain_gather(&r.chain, 0, epoch, 0, r.out);
	for (int64_t i = 0; i < r.size; i++)
		ck_assert(isnan(r.out[i]) || (r.out[i] >= 0 && r.out[i] <= 1));
	rig_done(&r);
}
END_TEST

/* ---- what is refused ----------------------------------------------------------------------------------- */

START_TEST(what_makes_no_sense_is_refused_by_its_argument)
{
	static const struct {
		const char *net, *list, *field, *says;
	} wrong[] = {
		{"3x8x8", "RandomCrop size=7", "size", "8 x 8"},
		{"3x8x9", "RandomCrop padding=[9,8]", NULL, NULL},
		{"3x8x9", "RandomCrop padding=[8,9]", "padding", "top must be at most 8, not 9"},
		{"3x8x9", "RandomCrop padding=[9,8] padding_mode=reflect", "padding", "left must be at most 8"},
		{"3x8x9", "RandomCrop padding=[1,2,3]", "padding", "1, 2 or 4"},
		{"3x8x8", "RandomCrop padding=[-1]", "padding", "between 0"},
		{"3x8x8", "RandomHorizontalFlip p=1.5", "p", "between 0 and 1"},
		{"3x8x8", "RandomErasing scale=0.5,0.2", "scale", "0.5 is above 0.2"},
		{"3x8x8", "RandomErasing scale=0.5,1.2", "scale", "between 0 and 1"},
		{"3x8x8", "RandomErasing ratio=2,1", "ratio", "2 is above 1"},
		{"3x8x8", "RandomErasing ratio=0,1", "ratio", "between 0.001"},
		{"3x8x8", "RandomRotation degrees=181", "degrees", "between 0 and 180"},
		{"2x8x8", "ColorJitter", "type", "1 or 3 channels, not 2"},
		{"1x8x8", "ColorJitter brightness=-1", "brightness", "between 0"},
		{"3x8", "RandomCrop", "type", "needs images"},
		{"8", "RandomHorizontalFlip", "type", "needs images"},
		{"8", "GaussianNoise sigma=-1", "sigma", "between 0"},
		{"8", "GaussianNoise", NULL, NULL},
		{"8", "GaussianNoise | GaussianNoise | GaussianNoise mean=nan", "mean",
			"augmentation 2: mean must be a"},
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct bp_item items[4];
		struct bp_error err = {.message = ""};
		char text[64];
		snprintf(text, sizeof(text), "%s | Flatten | Linear out_features=2", wrong[i].net);
		struct bp_net *its = net_text(text, 1);
		enum bp_status st = bp_chain_check(items, items_text(BP_AUGMENT, wrong[i].list, items, 4), its, &err);
		ck_assert_msg((st == BP_OK) == !wrong[i].field, "%s: %s", wrong[i].list, err.message);
		if (wrong[i].field)
			ck_assert_msg(strcmp(err.field, wrong[i].field) == 0 && strstr(err.message, wrong[i].says),
				"%s: %s: %s", wrong[i].list, err.field, err.message);
		bp_net_free(its);
	}
}
END_TEST

START_TEST(indices_and_long_lists_are_refused)
{
	static struct bp_item items[BP_MAX_AUGMENTS + 1];
	struct bp_net *its =
		net_text("6 | Embedding num_embeddings=9 embedding_dim=2 | Flatten | Linear out_features=2", 1);
	struct bp_train_params p;
	struct bp_memory memory;
	struct bp_error err;
	for (int i = 0; i <= BP_MAX_AUGMENTS; i++)
		items_text(BP_AUGMENT, "GaussianNoise", &items[i], 1);
	ck_assert_int_eq(bp_augment_check(&items[0], its, &err), BP_EINVAL);
	ck_assert(strstr(err.message, "indices"));
	bp_net_free(its);
	its = net_text("6 | Linear out_features=2", 1);
	bp_train_params_defaults(&p);
	p.augment = items;
	p.naugment = BP_MAX_AUGMENTS;
	ck_assert_int_eq(bp_net_memory(its, &p, &memory, &err), BP_OK);
	p.naugment = BP_MAX_AUGMENTS + 1;
	ck_assert_int_eq(bp_net_memory(its, &p, &memory, &err), BP_ELIMIT);
	ck_assert_str_eq(err.field, "augment");
	bp_net_free(its);
}
END_TEST

TEST_SUITE(augments, 30)
{
	tcase_add_test(tc, every_list_makes_what_torchvision_makes);
	tcase_add_test(tc, every_augmentation_has_a_case);
	tcase_add_test(tc, every_augmentation_does_one_thing);
	tcase_add_test(tc, whole_numbers_are_drawn_from_all_there_are);
	tcase_add_test(tc, what_is_likely_happens_as_often);
	tcase_add_test(tc, numbers_keep_to_their_limits_and_meet_in_the_middle);
	tcase_add_test(tc, a_rectangle_has_its_share_of_the_area_and_lies_within);
	tcase_add_test(tc, noise_is_normal);
	tcase_add_test(tc, each_of_seed_epoch_sample_and_entry_draws_other_numbers);
	tcase_add_test(tc, training_samples_are_changed_anew_each_epoch_and_validation_is_not);
	tcase_add_test(tc, a_sample_is_changed_alike_wherever_it_stands);
	tcase_add_test(tc, what_changes_nothing_changes_no_bit);
	tcase_add_test(tc, samples_that_are_no_colours_are_borne);
	tcase_add_test(tc, what_makes_no_sense_is_refused_by_its_argument);
	tcase_add_test(tc, indices_and_long_lists_are_refused);
}
