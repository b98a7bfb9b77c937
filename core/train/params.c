/* params.c - see params.h. Called by the trainer and the predictor when they are made, and by bp_net_memory. */
#include "train/params.h"

#include <math.h>
#include <string.h>

#include "augments/chain.h"
#include "base/shape.h"
#include "base/status.h"
#include "optims/optim.h"
#include "schedules/schedule.h"

void bp_train_params_defaults(struct bp_train_params *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->epochs = 1;
	ret->batch_size = 32;
	ret->shuffle = true;
	ret->statistics = true;
	ret->accumulate_steps = 1;
	bp_item_defaults(BP_LOSS, bp_item_find(BP_LOSS, "CrossEntropyLoss"), &ret->loss);
	bp_item_defaults(BP_OPTIMIZER, bp_item_find(BP_OPTIMIZER, "SGD"), &ret->optimizer);
	bp_item_defaults(BP_SCHEDULER, bp_item_find(BP_SCHEDULER, "Constant"), &ret->scheduler);
	ret->threads = 1;
	ret->max_threads = 1;
	ret->isa_mask = BP_ISA_ALL;
}

static enum bp_status check_int(int value, int min, int max, const char *field, struct bp_error *err)
{
	if (value < min)
		return bp_fail(err, BP_EINVAL, -1, field, "%s must be at least %d, not %d", field, min, value);
	if (value > max)
		return bp_fail(err, BP_ELIMIT, -1, field, "%s must be at most %d, not %d", field, max, value);
	return BP_OK;
}

static enum bp_status check_real(double value, double max, const char *field, struct bp_error *err)
{
	if (!(value >= 0 && value <= max))
		return bp_fail(err, BP_EINVAL, -1, field, "%s must be between 0 and %g, not %g", field, max, value);
	return BP_OK;
}

static enum bp_status check_items(const struct bp_train_params *p, struct bp_error *err)
{
	enum bp_status st = bp_item_check(BP_OPTIMIZER, &p->optimizer, -1, err);
	if (!st && bp_optim_at(p->optimizer.type)->check)
		st = bp_optim_at(p->optimizer.type)->check(&p->optimizer, err);
	if (!st)
		st = bp_item_check(BP_SCHEDULER, &p->scheduler, -1, err);
	return st;
}

/* One weight a class, of which one is above 0; or one an output of a flat net, or one for all. */
static enum bp_status check_weights(const struct bp_item *loss, const struct bp_shape *out, struct bp_error *err)
{
	const struct bp_loss_ops *ops = bp_loss_at(loss->type);
	int n = ops->weights ? loss->args[ops->weights - 1].n : 0;
	double sum = 0;
	if (n == 0)
		return BP_OK;
	const char *name = ops->info.args[ops->weights - 1].name;
	bool of_classes = ops->info.target == BP_TARGET_LABEL;
	if ((of_classes || n > 1) && (out->ndim != 1 || n != out->dim[0]))
		return bp_fail(err, BP_EINVAL, -1, name, "%s has %d numbers, and the net has %lld outputs", name, n,
			(long long)bp_shape_size(out));
	for (int i = 0; i < n; i++)
		sum += loss->list[i];
	if (of_classes && sum == 0)
		return bp_fail(err, BP_EINVAL, -1, name, "%s leaves no class that counts", name);
	return BP_OK;
}

enum bp_status bp_loss_check(const struct bp_item *loss, const struct bp_net *net, struct bp_error *err)
{
	enum bp_status st = bp_item_check(BP_LOSS, loss, -1, err);
	struct bp_shape out = bp_net_output_shape(net);
	char text[BP_SHAPE_TEXT];
	if (!st && bp_loss_at(loss->type)->flat_only && out.ndim != 1)
		st = bp_fail(err, BP_EINVAL, -1, "loss", "%s needs one output a class, and the net's output is %s",
			bp_loss_at(loss->type)->info.name, bp_shape_text(&out, text));
	if (!st)
		st = check_weights(loss, &out, err);
	return st;
}

/* Something must learn, and what the layers ask of the optimizer must be there. */
static enum bp_status check_layers(const struct bp_train_params *p, const struct bp_net *net, struct bp_error *err)
{
	bool learns = false, decays = bp_item_arg(BP_OPTIMIZER, &p->optimizer, "weight_decay");
	for (int i = 0; i < net->nparams; i++)
		learns |= bp_param_learns(net, &net->params[i]);
	if (bp_net_parameters(net) == 0)
		return bp_fail(err, BP_EINVAL, -1, "layers", "the net has no parameters, so there is nothing to train");
	if (!learns)
		return bp_fail(err, BP_EINVAL, -1, "layers", "every layer is frozen, so there is nothing to train");
	for (int i = 0; i < net->nnodes; i++)
		if (net->nodes[i].options.has_weight_decay && !decays)
			return bp_fail(err, BP_EINVAL, i, "weight_decay", "the optimizer %s has no weight_decay",
				bp_optim_at(p->optimizer.type)->info.name);
	return BP_OK;
}

/* A decay of 1 would keep the first weights for ever. */
static enum bp_status check_average(double decay, struct bp_error *err)
{
	if (decay >= 0 && decay < 1)
		return BP_OK;
	return bp_fail(err, BP_EINVAL, -1, "ema_decay", "ema_decay must be at least 0 and below 1, not %g", decay);
}

enum bp_status bp_train_params_check(const struct bp_train_params *p, const struct bp_net *net, struct bp_error *err)
{
	enum bp_status st = check_int(p->epochs, 1, BP_MAX_EPOCHS, "epochs", err);
	if (!st)
		st = check_int(p->batch_size, 1, BP_MAX_BATCH, "batch_size", err);
	if (!st)
		st = check_int(p->accumulate_steps, 1, BP_MAX_ACCUMULATE, "accumulate_steps", err);
	if (!st)
		st = check_average(p->ema_decay, err);
	if (!st)
		st = check_int(p->max_threads, 1, BP_MAX_THREADS, "max_threads", err);
	if (!st)
		st = check_int(p->threads, 1, p->max_threads, "threads", err);
	if (!st)
		st = check_real(p->warmup_epochs, p->epochs, "warmup_epochs", err);
	if (!st)
		st = check_real(p->clip_grad_norm, 1e30, "clip_grad_norm", err);
	if (!st)
		st = check_real(p->clip_grad_value, 1e30, "clip_grad_value", err);
	if (!st)
		st = check_items(p, err);
	if (!st)
		st = bp_loss_check(&p->loss, net, err);
	if (!st)
		st = check_layers(p, net, err);
	if (!st)
		st = bp_chain_check(p->augment, p->naugment, net, err);
	return st;
}

static int64_t place(const struct bp_data *d, int64_t entry)
{
	return d->index ? d->index[entry] : entry;
}

static enum bp_status check_labels(const struct bp_data *d, int64_t classes, struct bp_error *err)
{
	if (!d->labels)
		return bp_fail(err, BP_EINVAL, -1, "labels", "the loss needs a label for each sample");
	for (int64_t i = 0; i < d->count; i++) {
		int32_t label = d->labels[place(d, i)];
		if (label < 0 || label >= classes)
			return bp_fail(err, BP_EINVAL, -1, "labels",
				"sample %lld has label %d, and labels go from 0 to %lld", (long long)place(d, i), label,
				(long long)classes - 1);
	}
	return BP_OK;
}

/* As many finite values as the net has outputs; shares are in [0, 1]. */
static enum bp_status check_targets(const struct bp_data *d, int64_t outputs, bool shares, struct bp_error *err)
{
	if (!d->targets)
		return bp_fail(err, BP_EINVAL, -1, "targets", "the loss needs target values for each sample");
	if (d->ntargets != outputs)
		return bp_fail(err, BP_EINVAL, -1, "targets",
			"a sample has %d target values, and the net has %lld outputs", d->ntargets, (long long)outputs);
	for (int64_t i = 0; i < d->count; i++)
		for (int64_t j = 0; j < outputs; j++) {
			float target = d->targets[place(d, i) * outputs + j];
			if (!isfinite(target))
				return bp_fail(err, BP_EINVAL, -1, "targets",
					"sample %lld has a target that is not finite", (long long)place(d, i));
			if (shares && !(target >= 0 && target <= 1))
				return bp_fail(err, BP_EINVAL, -1, "targets",
					"sample %lld has the target %g, and the loss needs targets between 0 and 1",
					(long long)place(d, i), (double)target);
		}
	return BP_OK;
}

static enum bp_status check_answers(
	const struct bp_data *d, const struct bp_item *loss, const struct bp_shape *out, struct bp_error *err)
{
	const struct bp_loss_ops *ops = bp_loss_at(loss->type);
	const struct bp_value *weights = ops->weights ? &loss->args[ops->weights - 1] : NULL;
	if (weights && weights->n == 0 && weights->v[0] != BP_UNSET)
		return bp_fail(err, BP_EINVAL, -1, ops->info.args[ops->weights - 1].name,
			"balanced weights have to be counted first");
	switch (ops->info.target) {
	case BP_TARGET_LABEL:
		return check_labels(d, out->dim[0], err);
	case BP_TARGET_SHARES:
		if (!d->targets && d->labels && bp_shape_size(out) == 1)
			return check_labels(d, 2, err);
		return check_targets(d, bp_shape_size(out), true, err);
	case BP_TARGET_VALUES:
		break;
	}
	return check_targets(d, bp_shape_size(out), false, err);
}

static enum bp_status check_normalisation(const struct bp_data *d, struct bp_error *err)
{
	for (int64_t c = 0; c < d->shape.dim[0]; c++) {
		if (d->mean && !isfinite(d->mean[c]))
			return bp_fail(
				err, BP_EINVAL, -1, "mean", "the mean of channel %lld is not finite", (long long)c);
		if (d->std && !(d->std[c] > 0 && isfinite(d->std[c])))
			return bp_fail(err, BP_EINVAL, -1, "std",
				"the deviation of channel %lld must be above 0 and finite", (long long)c);
	}
	return BP_OK;
}

enum bp_status bp_indices_check(
	const struct bp_data *d, const struct bp_net *net, int64_t first, int64_t n, struct bp_error *err)
{
	int64_t size = bp_shape_size(&d->shape), indices = bp_net_input_indices(net);
	for (int64_t i = first; i < first + n && indices > 0; i++)
		for (int64_t at = place(d, i) * size, end = at + size; at < end; at++) {
			double x = d->dtype == BP_U8 ? ((const uint8_t *)d->samples)[at]
						     : (double)((const float *)d->samples)[at];
			if (!(x >= 0 && x < (double)indices && x == floor(x)))
				return bp_fail(err, BP_EINVAL, -1, "samples",
					"sample %lld holds %g, and the net takes whole numbers from 0 to %lld",
					(long long)place(d, i), x, (long long)indices - 1);
		}
	return BP_OK;
}

enum bp_status bp_data_check(
	const struct bp_data *data, const struct bp_net *net, const struct bp_item *loss, struct bp_error *err)
{
	struct bp_shape in = bp_net_input_shape(net), out = bp_net_output_shape(net);
	char text[BP_SHAPE_TEXT], wanted[BP_SHAPE_TEXT];
	if (!bp_shape_equal(&data->shape, &in))
		return bp_fail(err, BP_EINVAL, -1, "shape", "samples are %s, and the net's input is %s",
			bp_shape_text(&data->shape, text), bp_shape_text(&in, wanted));
	if (data->dtype != BP_U8 && data->dtype != BP_F32)
		return bp_fail(err, BP_EINVAL, -1, "dtype", "samples are of a type that is not known");
	if (data->count < 1 || !data->samples)
		return bp_fail(err, BP_EINVAL, -1, "count", "there are no samples");
	if (data->count > UINT32_MAX)
		return bp_fail(err, BP_ELIMIT, -1, "count", "there are more than %u samples", UINT32_MAX);
	enum bp_status st = check_normalisation(data, err);
	if (st || !loss)
		return st;
	return check_answers(data, loss, &out, err);
}

enum bp_status bp_weights_check(const struct bp_data *train, const struct bp_item *loss, struct bp_error *err)
{
	double sum = 0;
	if (bp_loss_at(loss->type)->info.target != BP_TARGET_LABEL)
		return BP_OK;
	for (int64_t i = 0; i < train->count && sum == 0; i++)
		sum += bp_loss_weight(loss, train->labels[place(train, i)]);
	if (sum == 0)
		return bp_fail(err, BP_EINVAL, -1, "weight", "no sample is of a class with a weight above 0");
	return BP_OK;
}

void bp_balanced_weights(const struct bp_data *train, int classes, double *ret_weights)
{
	for (int c = 0; c < classes; c++)
		ret_weights[c] = 0;
	for (int64_t i = 0; i < train->count; i++) {
		int32_t label = train->labels[place(train, i)];
		if (label >= 0 && label < classes)
			ret_weights[label]++;
	}
	for (int c = 0; c < classes; c++)
		ret_weights[c] = ret_weights[c] > 0 ? (double)train->count / (classes * ret_weights[c]) : 1;
}

/* FNV-1a (Fowler, Noll, Vo). */
static void mix(uint64_t *hash, const void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*hash = (*hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
}

/* The first two numbers in any case, and all of a list. */
static void mix_value(
	uint64_t *hash, const struct bp_arg *arg, const struct bp_item *item, const struct bp_value *value)
{
	static const double none[2] = {0};
	int n = bp_value_count(arg, value);
	if (arg->kind == BP_ARG_LONG_LIST) { /* the bytes of a short list: checkpoints made when it was one go on */
		n = value->n;
		mix(hash, item->list, (size_t)n * sizeof(*item->list));
		mix(hash, none, n < 2 ? (size_t)(2 - n) * sizeof(none[0]) : 0);
	} else {
		mix(hash, value->v, (size_t)(n < 2 ? 2 : n) * sizeof(value->v[0]));
	}
	if (arg->kind == BP_ARG_INTS || arg->kind == BP_ARG_LONG_LIST)
		mix(hash, &n, sizeof(n));
	if (arg->kind == BP_ARG_WEIGHTS && value->n > 0)
		mix(hash, item->list, (size_t)value->n * sizeof(*item->list));
}

/* The argument called except is left out; NULL: none. */
static void mix_item(uint64_t *hash, enum bp_item_kind kind, const struct bp_item *item, const char *except)
{
	const struct bp_item_info *info = bp_item_info(kind, item->type);
	mix(hash, info->name, strlen(info->name) + 1);
	for (int i = 0; i < info->nargs; i++)
		if (!except || strcmp(info->args[i].name, except) != 0)
			mix_value(hash, &info->args[i], item, &item->args[i]);
}

static void mix_options(uint64_t *hash, const struct bp_net *net)
{
	for (int i = 0; i < net->nnodes; i++) {
		const struct bp_layer_options *o = &net->nodes[i].options;
		double v[] = {i, o->frozen, o->has_lr_scale ? o->lr_scale : 1,
			o->has_weight_decay ? o->weight_decay : BP_UNSET};
		if (v[1] != 0 || v[2] != 1 || v[3] != BP_UNSET)
			mix(hash, v, sizeof(v));
	}
}

uint64_t bp_train_fingerprint(const struct bp_train_params *p, const struct bp_net *net, int64_t samples)
{
	uint64_t hash = 0xcbf29ce484222325u, shuffle = p->shuffle;
	mix(&hash, &p->batch_size, sizeof(p->batch_size));
	mix(&hash, &p->seed, sizeof(p->seed));
	mix(&hash, &shuffle, sizeof(shuffle));
	mix_item(&hash, BP_LOSS, &p->loss, NULL);
	mix_item(&hash, BP_OPTIMIZER, &p->optimizer, "lr"); /* may change on the way */
	mix_item(&hash, BP_SCHEDULER, &p->scheduler, NULL);
	mix(&hash, &p->warmup_epochs, sizeof(p->warmup_epochs));
	mix(&hash, &p->clip_grad_norm, sizeof(p->clip_grad_norm));
	mix(&hash, &p->clip_grad_value, sizeof(p->clip_grad_value));
	mix(&hash, &p->accumulate_steps, sizeof(p->accumulate_steps));
	mix(&hash, &p->ema_decay, sizeof(p->ema_decay));
	mix(&hash, &samples, sizeof(samples));
	for (int i = 0; i < p->naugment; i++)
		mix_item(&hash, BP_AUGMENT, &p->augment[i], NULL);
	mix_options(&hash, net);
	return hash;
}
