/*
 * trainer.c - the training loop: batches in the epoch's order, one optimizer step each, validation at the epoch's end,
 * and the callback. Runs on its caller's thread; passes, losses and the update open parallel regions inside.
 *
 * All memory is allocated by bp_trainer_new. A training can stop after any batch: what is left of it follows from
 * struct bp_progress, the vectors and the layers' sums alone.
 */
#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fpu.h"
#include "base/mem.h"
#include "base/status.h"
#include "schedules/schedule.h"
#include "train/params.h"
#include "train/shuffle.h"

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Seconds since it was called last: once a batch, for reading the clock took a twentieth of the step of a 4-16-3
 * perceptron when both ends were timed. */
static double lap(struct bp_trainer *tr)
{
	const double before = tr->clock;
	tr->clock = now();
	return tr->clock - before;
}

/* Points the trainer's parts into its block. */
static void place_parts(struct bp_trainer *tr)
{
	const struct bp_layout *l = &tr->layout;
	char *b = tr->block;
	tr->vectors = (struct bp_vectors){
		.weights = tr->net->weights, .grads = (bp_real *)(b + l->grads), .n = tr->net->nweights};
	for (int s = 0; s < l->states; s++)
		tr->vectors.state[s] = (bp_real *)(b + l->state[s]);
	tr->vectors.sum = tr->params.accumulate_steps > 1 ? (bp_real *)(b + l->sum) : NULL;
	tr->vectors.average = tr->params.ema_decay > 0 ? (bp_real *)(b + l->average) : NULL;
	tr->batcher.labels = (int32_t *)(b + l->labels);
	tr->batcher.targets = (bp_real *)(b + l->targets);
	tr->batcher.rows = (double *)(b + l->rows);
	tr->updater = (struct bp_updater){.params = &tr->params,
		.nblocks = l->nblocks,
		.nslots = l->nslots,
		.blocks = (struct bp_update_block *)(b + l->blocks),
		.sums = (struct bp_block_sums *)(b + l->sums),
		.layers = (int *)(b + l->layers),
		.groups = (struct bp_update_group *)(b + l->groups),
		.group_of = (int *)(b + l->group_of),
		.health = (struct bp_health *)(b + l->health)};
	tr->epoch_health = (struct bp_health *)(b + l->epoch_health);
	tr->stats = (struct bp_layer_stats *)(b + l->stats);
	bp_updater_init(&tr->updater, tr->net);
}

static enum bp_status allocate(struct bp_trainer *tr, struct bp_error *err)
{
	enum bp_status st = bp_layout_make(tr->net, &tr->params, &tr->layout, err);
	if (st)
		return st;
	st = bp_exec_new(tr->net, tr->batcher.ctx.k, tr->params.batch_size, tr->params.max_threads, true,
		&tr->batcher.exec, err);
	if (st)
		return st;
	tr->block = bp_mem_new(tr->layout.total);
	tr->order = tr->params.shuffle ? bp_mem_new((size_t)tr->train.data.count * sizeof(*tr->order)) : NULL;
	if (!tr->block || (tr->params.shuffle && !tr->order))
		return bp_fail(err, BP_ENOMEM, -1, "", "there is no memory for the training");
	place_parts(tr);
	return BP_OK;
}

/* The training samples, with augmentations on their way; where these end in normalising, the feed does not. */
static void feed_training(struct bp_trainer *tr, const struct bp_data *train)
{
	struct bp_data data = *train;
	bp_chain_init(&tr->chain, &tr->params, train, tr->block + tr->layout.augment);
	if (tr->chain.late)
		data.mean = data.std = NULL;
	bp_feed_init(&tr->train, &data, tr->net, (bp_real *)(tr->block + tr->layout.tables[0]));
	tr->chain.table = tr->train.table;
	tr->train.chain = tr->chain.n > 0 ? &tr->chain : NULL;
}

enum bp_status bp_trainer_new(struct bp_net *net, const struct bp_train_params *params, const struct bp_data *train,
	const struct bp_data *val, struct bp_trainer **ret, struct bp_error *err)
{
	enum bp_status st = bp_train_params_check(params, net, err);
	if (!st)
		st = bp_data_check(train, net, &params->loss, err);
	if (!st)
		st = bp_indices_check(train, net, 0, train->count, err);
	if (!st)
		st = bp_weights_check(train, &params->loss, err);
	if (!st && val)
		st = bp_data_check(val, net, &params->loss, err);
	if (!st && val)
		st = bp_indices_check(val, net, 0, val->count, err);
	if (st)
		return st;
	struct bp_trainer *tr = calloc(1, sizeof(*tr));
	if (!tr)
		return bp_fail(err, BP_ENOMEM, -1, "", "there is no memory for the training");
	tr->net = net;
	tr->params = *params;
	bp_schedule_start(&tr->progress.schedule);
	tr->order_epoch = -1;
	tr->train.data = tr->plain = *train;
	tr->batches = (train->count + params->batch_size - 1) / params->batch_size;
	tr->steps = (tr->batches + params->accumulate_steps - 1) / params->accumulate_steps;
	tr->has_val = val;
	tr->batcher.ctx = (struct bp_ctx){.k = bp_kernels_choose(params->isa_mask), .threads = params->threads};
	tr->batcher.out = bp_net_output_shape(net);
	tr->batcher.out_size = bp_shape_size(&tr->batcher.out);
	st = allocate(tr, err);
	if (st) {
		bp_trainer_free(tr);
		return st;
	}
	feed_training(tr, train);
	if (val)
		bp_feed_init(&tr->val, val, net, (bp_real *)(tr->block + tr->layout.tables[1]));
	*ret = tr;
	return BP_OK;
}

void bp_trainer_free(struct bp_trainer *tr)
{
	if (!tr)
		return;
	bp_exec_free(tr->batcher.exec);
	bp_mem_free(tr->block);
	bp_mem_free(tr->order);
	free(tr);
}

void bp_trainer_set_threads(struct bp_trainer *tr, int threads)
{
	int max = tr->params.max_threads;
	tr->batcher.ctx.threads = threads < 1 ? 1 : threads > max ? max : threads;
}

enum bp_status bp_trainer_set_lr(struct bp_trainer *tr, double lr, struct bp_error *err)
{
	struct bp_item *item = &tr->params.optimizer;
	if (!(lr >= BP_LR_MIN && lr <= BP_LR_MAX))
		return bp_fail(
			err, BP_EINVAL, -1, "lr", "lr must be between %g and %g, not %g", BP_LR_MIN, BP_LR_MAX, lr);
	item->args[bp_item_arg(BP_OPTIMIZER, item, "lr") - item->args].v[0] = lr;
	return BP_OK;
}

double bp_trainer_lr(const struct bp_trainer *tr)
{
	return bp_optim_lr(&tr->params.optimizer);
}

enum bp_status bp_trainer_set_epochs(struct bp_trainer *tr, int epochs, struct bp_error *err)
{
	const struct bp_progress *p = &tr->progress;
	int64_t least = p->epoch + (p->batch > 0); /* an epoch that has begun is trained to its end */
	if (least < 1)
		least = 1;
	if (epochs < least || epochs < tr->params.warmup_epochs || epochs > BP_MAX_EPOCHS)
		return bp_fail(err, BP_EINVAL, -1, "epochs",
			"epochs must be between %lld, with %g of warm-up, and %d, not %d", (long long)least,
			tr->params.warmup_epochs, BP_MAX_EPOCHS, epochs);
	tr->params.epochs = epochs;
	return BP_OK;
}

const char *bp_trainer_isa(const struct bp_trainer *tr)
{
	return tr->batcher.ctx.k->name;
}

void bp_trainer_gradient_get(const struct bp_trainer *tr, int tensor, bp_real *ret_data)
{
	const struct bp_param *p = &tr->net->params[tensor];
	if (tr->params.keep_gradients && bp_param_learns(tr->net, p))
		bp_param_get(p, tr->vectors.grads, ret_data);
	else
		memset(ret_data, 0, (size_t)p->size * sizeof(*ret_data));
}

const bp_real *bp_trainer_average(const struct bp_trainer *tr)
{
	return tr->vectors.average && tr->progress.step > 0 ? tr->vectors.average : tr->net->weights;
}

void bp_trainer_average_get(const struct bp_trainer *tr, int tensor, bp_real *ret_data)
{
	bp_param_get(&tr->net->params[tensor], bp_trainer_average(tr), ret_data);
}

/* Sets the floating-point mode of the threads that the next step will use, which may be others than the last one's. */
static uint64_t enter(struct bp_trainer *tr)
{
	int threads = tr->batcher.ctx.threads;
	uint64_t mode = bp_fpu_enter(threads == tr->pool_threads ? 1 : threads);
	tr->pool_threads = threads;
	return mode;
}

static double rate(const struct bp_trainer *tr, int64_t step)
{
	return bp_schedule_lr(&tr->params, bp_optim_lr(&tr->params.optimizer), tr->steps, step, &tr->progress.schedule);
}

/* The optimizer's step by the gradients that will be there. */
static void begin_move(struct bp_trainer *tr)
{
	bp_trainer_see(tr);
	tr->lr = rate(tr, tr->progress.step);
	bp_updater_begin(&tr->updater, tr->batcher.ctx.k, &tr->vectors, tr->progress.step, tr->lr);
}

/* Forward, loss and backward on the samples picked. A step of one batch begins here, for its weights may move early.
 * serial numbers the batches, for dropout. Returns the mean loss, which goes to *score too. */
static double pass_batch(struct bp_trainer *tr, const struct bp_pick *pick, int64_t serial, struct bp_score *score)
{
	struct bp_batcher *b = &tr->batcher;
	struct bp_pass pass = {.n = pick->n, .training = true, .seed = tr->params.seed, .step = (uint64_t)serial};
	const bp_real *out = bp_batcher_forward(b, &tr->train, pick, &pass);
	double loss = bp_batcher_score(b, &tr->train, pick, &tr->params.loss, out, true, score);
	const struct bp_mover mover = {bp_updater_move, bp_updater_ahead, &tr->updater};
	if (!tr->vectors.sum) {
		begin_move(tr);
		pass.mover = bp_updater_moves_early(&tr->updater) ? &mover : NULL;
	}
	bp_exec_backward(b->exec, &b->ctx, &pass, tr->vectors.grads, NULL);
	return loss;
}

/* One optimizer step by the gradients that are there. counts: it is one of the epoch's. */
static void move_weights(struct bp_trainer *tr, bool counts)
{
	const struct bp_ctx *ctx = &tr->batcher.ctx;
	if (tr->vectors.sum)
		begin_move(tr);
	bp_updater_end(&tr->updater, ctx->threads);
	tr->unseen = tr->params.statistics;
	tr->counts = counts;
	int64_t step = tr->progress.step++;
	if (tr->vectors.average)
		bp_flat_average(ctx->threads, &tr->vectors, tr->params.ema_decay, step == 0);
}

enum bp_status bp_trainer_step(struct bp_trainer *tr, int64_t first, int n, double *ret_loss, struct bp_error *err)
{
	int64_t count = tr->train.data.count;
	if (n < 1 || n > tr->params.batch_size)
		return bp_fail(
			err, BP_EINVAL, -1, "n", "a step takes 1 to %d samples, not %d", tr->params.batch_size, n);
	if (first < 0 || first > count - n)
		return bp_fail(err, BP_EINVAL, -1, "first",
			"%d samples from %lld on were asked for, and there are %lld", n, (long long)first,
			(long long)count);
	struct bp_score score = {0};
	uint64_t mode = enter(tr);
	double loss = pass_batch(tr, &(struct bp_pick){.first = first, .n = n, .epoch = (uint64_t)tr->progress.step},
		tr->progress.step, &score);
	move_weights(tr, false);
	bp_fpu_leave(mode);
	if (ret_loss)
		*ret_loss = loss;
	return BP_OK;
}

void bp_trainer_look(struct bp_trainer *tr, int64_t n, const bool *wanted, bp_look look, void *user)
{
	struct bp_batcher *b = &tr->batcher;
	struct bp_feed feed = tr->val;
	int most = tr->params.batch_size;
	if (!tr->has_val) /* then the table of the validation is free */
		bp_feed_init(&feed, &tr->plain, tr->net, (bp_real *)(tr->block + tr->layout.tables[1]));
	if (n > feed.data.count)
		n = feed.data.count;
	uint64_t mode = enter(tr);
	for (int64_t first = 0; first < n; first += most) {
		struct bp_pick pick = {.first = first, .n = n - first < most ? (int)(n - first) : most};
		struct bp_pass pass = {.n = pick.n};
		bp_batcher_gather(b, &feed, &pick);
		bp_exec_look(b->exec, &b->ctx, &pass, wanted, look, user);
	}
	bp_fpu_leave(mode);
}

/* After a batch: the optimizer's step, when it is the last one of it. */
static void after_batch(struct bp_trainer *tr, double weight)
{
	struct bp_progress *p = &tr->progress;
	int64_t every = tr->params.accumulate_steps;
	struct bp_share share = {.weight = weight,
		.total = p->step_weight + weight > 0 ? p->step_weight + weight : 1, /* nothing counts: all are zeros */
		.first = p->batch % every == 0,
		.last = (p->batch + 1) % every == 0 || p->batch + 1 == tr->batches};
	bp_flat_accumulate(tr->batcher.ctx.threads, &tr->vectors, &share);
	p->step_weight = share.last ? 0 : p->step_weight + weight;
	if (share.last)
		move_weights(tr, true);
}

/* The next batch of the epoch. Returns its mean loss. */
static double next_batch(struct bp_trainer *tr)
{
	struct bp_progress *p = &tr->progress;
	if (tr->order && tr->order_epoch != p->epoch) {
		bp_shuffle(tr->batcher.ctx.k, tr->params.seed, (uint32_t)p->epoch, (uint32_t)tr->train.data.count,
			tr->order);
		tr->order_epoch = p->epoch;
	}
	int64_t first = p->batch * tr->params.batch_size, left = tr->train.data.count - first;
	struct bp_pick pick = {.order = tr->order,
		.first = first,
		.n = left < tr->params.batch_size ? (int)left : tr->params.batch_size,
		.epoch = (uint64_t)p->epoch};
	struct bp_score score = {0};
	double loss = pass_batch(tr, &pick, p->epoch * tr->batches + p->batch, &score);
	after_batch(tr, score.weight);
	p->loss_sum += score.loss_sum;
	p->weight += score.weight;
	p->correct += score.correct;
	p->samples += score.samples;
	p->batch++;
	p->seconds += lap(tr);
	return loss;
}

static enum bp_answer tell(struct bp_trainer *tr, bp_callback callback, void *user, const struct bp_event *ev)
{
	return callback ? callback(user, tr, ev) : BP_CONTINUE;
}

/* Whom a validation tells that it is still there. */
struct listener {
	struct bp_trainer *tr;
	bp_callback callback;
	void *user;
};

static void tell_validation(void *user, int64_t done, int64_t batches)
{
	const struct listener *l = user;
	struct bp_trainer *tr = l->tr;
	struct bp_event ev = {.kind = BP_EVENT_VALIDATION,
		.epoch = (int)tr->progress.epoch + 1,
		.batch = done,
		.batches = batches,
		.step = tr->progress.step,
		.loss = NAN};
	tell(tr, l->callback, l->user, &ev);
	if (tr->batcher.ctx.threads != tr->pool_threads)
		enter(tr);
}

/* Validates, and moves on to the next epoch, so that a checkpoint saved by the callback begins there. */
static void finish_epoch(struct listener *l, struct bp_epoch *ret)
{
	struct bp_trainer *tr = l->tr;
	const struct bp_between between = {.fn = tell_validation, .user = l};
	bp_trainer_metrics(tr, ret);
	ret->lr = tr->lr > 0 ? tr->lr : rate(tr, tr->progress.step - 1);
	if (tr->has_val) {
		struct bp_evaluation val;
		if (tr->vectors.average)
			bp_flat_swap(tr->batcher.ctx.threads, &tr->vectors);
		bp_batcher_evaluate(&tr->batcher, &tr->val, &tr->params.loss, tr->params.batch_size, &between, &val);
		if (tr->vectors.average)
			bp_flat_swap(tr->batcher.ctx.threads, &tr->vectors);
		ret->val_loss = val.loss;
		ret->val_accuracy = val.accuracy;
	}
	bp_schedule_observe(&tr->params, bp_optim_lr(&tr->params.optimizer), ret, tr->has_val, &tr->progress.schedule);
	ret->seconds = tr->progress.seconds + lap(tr);
	tr->progress.epoch++;
	bp_trainer_reset_sums(tr);
}

/* Runs until the callback stops it or all is done. */
static void run(struct bp_trainer *tr, bp_callback callback, void *user)
{
	enum bp_answer answer = BP_CONTINUE;
	struct bp_progress *p = &tr->progress;
	(void)lap(tr);
	while (answer == BP_CONTINUE && p->epoch < tr->params.epochs) {
		if (tr->batcher.ctx.threads != tr->pool_threads)
			enter(tr);
		struct bp_event ev = {.kind = BP_EVENT_BATCH, .epoch = (int)p->epoch + 1, .batches = tr->batches};
		struct bp_epoch metrics;
		if (p->batch < tr->batches) {
			ev.loss = next_batch(tr);
			ev.batch = p->batch;
			ev.step = p->step;
		} else {
			finish_epoch(&(struct listener){tr, callback, user}, &metrics);
			ev.kind = BP_EVENT_EPOCH;
			ev.batch = tr->batches;
			ev.step = p->step;
			ev.loss = NAN;
			ev.metrics = &metrics;
		}
		answer = tell(tr, callback, user, &ev);
		if (ev.kind == BP_EVENT_EPOCH) /* its callback's time is no epoch's */
			(void)lap(tr);
	}
}

enum bp_status bp_trainer_run(
	struct bp_trainer *tr, bp_callback callback, void *user, bool *ret_done, struct bp_error *err)
{
	(void)err; /* nothing in the loop can fail: all it needs was allocated and checked by bp_trainer_new */
	tr->pool_threads = 0;
	uint64_t mode = enter(tr);
	run(tr, callback, user);
	bp_fpu_leave(mode);
	if (ret_done)
		*ret_done = tr->progress.epoch >= tr->params.epochs;
	return BP_OK;
}
