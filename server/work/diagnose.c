/* diagnose.c - see diagnose.h. */
#include "work/diagnose.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* An update of a thousandth of the weights is healthy (Karpathy, CS231n, "Ratio of weights:updates"); one of three
 * tenths throws away in a few steps what was learned. */
#define EXPLODING_UPDATE 0.3
/* Gradient norms vary by a factor of ten over a training; a hundred times the smallest is a runaway. */
#define EXPLODING_GROWTH 100.0
/* Root mean squares of a layer's gradient and of the last layer's: a factor of ten thousand is beyond what
 * initialisation and shapes explain, and with it the first layers stand still (Glorot and Bengio 2010). */
#define VANISHING_RATIO 1e-4
/* "You may find that as much as 40% of your network can be dead" (CS231n, on ReLU and too high rates). */
#define DEAD_SHARE 0.4
/* More than half of the values on the flat ends: most of the layer passes no gradient back (Glorot and Bengio 2010). */
#define SATURATED_SHARE 0.5
/* ReduceLROnPlateau calls 1e-4 no progress for one epoch; over five epochs that is about a thousandth. */
#define PLATEAU_GAIN 1e-3
#define PLATEAU_LOSS 1e-4 /* below, there is nothing left to gain */
/* Validation losses jitter by some per cent; a tenth above its best for three epochs, with a training loss that goes on
 * falling, is no jitter. */
#define OVERFITTING_RISE 0.1
#define OVERFITTING_EPOCHS 3
#define SMALL_LOSS 1e-3 /* what a rise is at least compared with */
/* Default initialisations assume inputs of about mean 0 and deviation 1 (He et al. 2015); u8 / 255 (mean 0 to 1,
 * deviation 0.2 to 0.5) is still fine. */
#define INPUT_MEAN 3.0
#define INPUT_STD_LOW 0.05
#define INPUT_STD_HIGH 5.0

static const struct {
	const char *name, *suggestion;
} codes[FOUND_COUNT] = {
	[FOUND_NONFINITE] = {"nonfinite",
		"Lower training.optimizer.lr, or bound the gradients with training.clip_grad_norm; "
		"training.on_nonfinite {\"action\":\"rollback\"} goes back by itself."},
	[FOUND_EXPLODING] = {"exploding_gradients",
		"Lower training.optimizer.lr, or set training.clip_grad_norm (1 to 5 is usual)."},
	[FOUND_VANISHING] = {"vanishing_gradients",
		"Use ReLU in place of Sigmoid or Tanh, add BatchNorm layers, or add layers around which the input "
		"is added to the output."},
	[FOUND_DEAD_RELU] = {"dead_relu", "Lower training.optimizer.lr, use LeakyReLU, or put a BatchNorm before it."},
	[FOUND_SATURATED] = {"saturated_activation",
		"Use ReLU, put a BatchNorm before it, or lower training.optimizer.lr."},
	[FOUND_PLATEAU] = {"plateau",
		"Change training.optimizer.lr (ten times lower if the loss jitters, higher if it is still), or end the "
		"training with training.early_stopping."},
	[FOUND_OVERFITTING] = {"overfitting",
		"Set training.early_stopping, add Dropout or weight_decay, use more data or a smaller net."},
	[FOUND_NOT_NORMALISED] = {"not_normalised", "Set training.normalize to true."},
};

const char *finding_name(enum finding_code code)
{
	return codes[code].name;
}

/* The findings of one look. */
struct look {
	struct diagnosis *d;
	const struct epoch_state *e;
	struct finding *list;
	int n;
};

/* A new finding, NULL when it was told before. */
static struct finding *find(struct look *l, enum finding_code code, const char *layer, double value, double bound)
{
	if (l->d->told >> code & 1)
		return NULL;
	l->d->told |= 1u << code;
	struct finding *f = &l->list[l->n++];
	*f = (struct finding){.code = code,
		.epoch = l->e->epoch,
		.layer = layer,
		.value = value,
		.bound = bound,
		.suggestion = codes[code].suggestion};
	return f;
}

#define SAY(f, ...)                                                                                                    \
	do {                                                                                                           \
		struct finding *f_ = (f);                                                                              \
		if (f_)                                                                                                \
			snprintf(f_->detail, sizeof(f_->detail), __VA_ARGS__);                                         \
	} while (0)

/* Gradients flow from the output to the input: among equals it began nearest to the output. */
static void look_nonfinite(struct look *l)
{
	const struct layer_state *first = NULL;
	double most = 0, count = 0;
	for (int i = 0; i < l->e->nlayers; i++) {
		const struct layer_state *layer = &l->e->layers[i];
		double share = (double)layer->nonfinite / (double)(layer->parameters > 0 ? layer->parameters : 1);
		count += (double)layer->nonfinite;
		if (share > 0 && share >= most) {
			most = share;
			first = layer;
		}
	}
	if (!l->e->broken && !first)
		return;
	SAY(find(l, FOUND_NONFINITE, first ? first->name : NULL, count, 0),
		"In epoch %d %.0f gradient elements were NaN or infinite%s%s%s.", l->e->epoch, count,
		first ? ", most of all in layer \"" : "", first ? first->name : "", first ? "\"" : "");
}

static void look_exploding(struct look *l)
{
	const struct layer_state *most = NULL;
	double norm = l->e->now.grad_norm, least = l->d->least_grad_norm;
	for (int i = 0; i < l->e->nlayers; i++)
		if (l->e->layers[i].update_ratio > EXPLODING_UPDATE &&
			(!most || l->e->layers[i].update_ratio > most->update_ratio))
			most = &l->e->layers[i];
	if (most)
		SAY(find(l, FOUND_EXPLODING, most->name, most->update_ratio, EXPLODING_UPDATE),
			"In epoch %d each step changed the weights of layer \"%s\" by %.3g of their size on average; "
			"%.3g "
			"is healthy.",
			l->e->epoch, most->name, most->update_ratio, 1e-3);
	else if (least > 0 && norm > EXPLODING_GROWTH * least)
		SAY(find(l, FOUND_EXPLODING, NULL, norm / least, EXPLODING_GROWTH),
			"In epoch %d the gradient norm was %.3g, %.3g times its smallest so far.", l->e->epoch, norm,
			norm / least);
}

static double root_mean_square(const struct layer_state *l)
{
	return l->grad_norm / sqrt((double)l->parameters);
}

static void look_vanishing(struct look *l)
{
	const struct layer_state *last = NULL, *least = NULL;
	for (int i = l->e->nlayers - 1; i >= 0; i--) {
		const struct layer_state *layer = &l->e->layers[i];
		if (layer->parameters == 0 || !isfinite(layer->grad_norm))
			continue;
		if (!last)
			last = layer;
		if (!least || root_mean_square(layer) < root_mean_square(least))
			least = layer;
	}
	/* A last layer without a gradient has learned all, or is dead itself. */
	if (!last || !(last->grad_norm > 0) || least == last)
		return;
	double ratio = root_mean_square(least) / root_mean_square(last);
	if (ratio < VANISHING_RATIO)
		SAY(find(l, FOUND_VANISHING, least->name, ratio, VANISHING_RATIO),
			"In epoch %d the gradient that reached layer \"%s\" was %.3g times that of the last layer "
			"\"%s\" "
			"(root mean squares).",
			l->e->epoch, least->name, ratio, last->name);
}

static void look_activations(struct look *l)
{
	for (int i = 0; i < l->e->nlayers; i++) {
		const struct layer_state *layer = &l->e->layers[i];
		if (layer->activation == ACT_RELU && layer->dead >= DEAD_SHARE)
			SAY(find(l, FOUND_DEAD_RELU, layer->name, layer->dead, DEAD_SHARE),
				"After epoch %d %.0f %% of the units of \"%s\" are 0 for every sample looked at.",
				l->e->epoch, 100 * layer->dead, layer->name);
		/* The last layer's ends are answers: a sigmoid that is sure of itself. */
		if (layer->activation > ACT_RELU && i + 1 < l->e->nlayers && layer->saturated >= SATURATED_SHARE)
			SAY(find(l, FOUND_SATURATED, layer->name, layer->saturated, SATURATED_SHARE),
				"After epoch %d %.0f %% of the values of \"%s\" are where its slope is below a "
				"twentieth of the steepest.",
				l->e->epoch, 100 * layer->saturated, layer->name);
	}
}

static void look_plateau(struct look *l)
{
	const struct diagnosis *d = l->d;
	double best = NAN;
	if (d->epochs < 2 * PLATEAU_EPOCHS || isnan(d->best_loss) || d->best_loss < PLATEAU_LOSS)
		return;
	for (int i = 0; i < PLATEAU_EPOCHS; i++)
		best = isnan(best) || d->recent[i] < best ? d->recent[i] : best;
	double gain = (d->best_loss - best) / fabs(d->best_loss);
	if (gain < PLATEAU_GAIN)
		SAY(find(l, FOUND_PLATEAU, NULL, gain, PLATEAU_GAIN),
			"The training loss has not fallen by more than %.2g %% in the %d epochs up to %d; its best is "
			"%.4g.",
			100 * PLATEAU_GAIN, PLATEAU_EPOCHS, l->e->epoch, d->best_loss < best ? d->best_loss : best);
}

static void look_overfitting(struct look *l)
{
	const struct diagnosis *d = l->d;
	double val = l->e->now.metric[SPEC_VAL_LOSS], loss = l->e->now.metric[SPEC_LOSS];
	if (d->best_val_epoch == 0 || l->e->epoch < d->best_val_epoch + OVERFITTING_EPOCHS)
		return;
	double rise = (val - d->best_val_loss) / fmax(fabs(d->best_val_loss), SMALL_LOSS);
	if (rise > OVERFITTING_RISE && loss < d->loss_at_best)
		SAY(find(l, FOUND_OVERFITTING, NULL, rise, OVERFITTING_RISE),
			"Since epoch %d the validation loss has risen from %.4g to %.4g, while the training loss fell "
			"from %.4g to %.4g.",
			d->best_val_epoch, d->best_val_loss, val, d->loss_at_best, loss);
}

static void look_input(struct look *l)
{
	double mean = l->e->input_mean, std = l->e->input_std;
	if (!(fabs(mean) > INPUT_MEAN || std > INPUT_STD_HIGH || std < INPUT_STD_LOW))
		return;
	bool off = fabs(mean) > INPUT_MEAN;
	SAY(find(l, FOUND_NOT_NORMALISED, NULL, off ? mean : std,
		    off                    ? INPUT_MEAN
		    : std > INPUT_STD_HIGH ? INPUT_STD_HIGH
					   : INPUT_STD_LOW),
		"The samples enter the net with a mean of %.3g and a deviation of %.3g; it is made for 0 and 1.", mean,
		std);
}

/* ---- from epoch to epoch ------------------------------------------------------------------------------- */

void diagnosis_init(struct diagnosis *d)
{
	*d = (struct diagnosis){.best_loss = NAN, .least_grad_norm = NAN, .best_val_loss = NAN};
	for (int i = 0; i < PLATEAU_EPOCHS; i++)
		d->recent[i] = NAN;
}

static void remember_loss(struct diagnosis *d, double loss)
{
	double *oldest = &d->recent[d->epochs % PLATEAU_EPOCHS];
	if (!isnan(*oldest) && !(d->best_loss <= *oldest))
		d->best_loss = *oldest;
	*oldest = loss;
	d->epochs++;
}

static void remember(struct diagnosis *d, int epoch, const struct past_epoch *p)
{
	double val = p->metric[SPEC_VAL_LOSS];
	if (p->grad_norm > 0 && !(d->least_grad_norm <= p->grad_norm))
		d->least_grad_norm = p->grad_norm;
	if (!isnan(val) && !(d->best_val_loss <= val)) {
		d->best_val_loss = val;
		d->best_val_epoch = epoch;
		d->loss_at_best = p->metric[SPEC_LOSS];
	}
}

void diagnosis_replay(struct diagnosis *d, const struct past_epoch *past, int n)
{
	unsigned told = d->told;
	diagnosis_init(d);
	d->told = told;
	for (int i = 0; i < n; i++) {
		remember_loss(d, past[i].metric[SPEC_LOSS]);
		remember(d, i + 1, &past[i]);
	}
}

int diagnosis_epoch(struct diagnosis *d, const struct epoch_state *e, struct finding *ret)
{
	struct look l = {.d = d, .e = e, .list = ret};
	look_nonfinite(&l);
	if (!e->broken) {
		remember_loss(d, e->now.metric[SPEC_LOSS]);
		look_input(&l);
		look_exploding(&l);
		look_vanishing(&l);
		look_activations(&l);
		look_plateau(&l);
		look_overfitting(&l);
		remember(d, e->epoch, &e->now);
	}
	return l.n;
}
