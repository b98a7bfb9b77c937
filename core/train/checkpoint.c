/*
 * checkpoint.c - a training in one file. Called on the trainer's thread, also from its callback; bp_net_load by whoever
 * owns the net.
 *
 *	struct header, struct bp_progress, struct bp_health by slot, weights, buffers, optimizer states, the sum of the
 *	gradients of a step that is not done, averaged weights, CRC-32C
 *
 * Numbers are as the machine has them, and the header says how that is. Nothing in a file is believed: its checksum is
 * verified first, then its size must be what this net and these parameters make it; only then is it read once more,
 * straight to where it belongs: a restored training takes no more memory than another, but for a tensor at a time of a
 * file of an earlier version.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "train/file.h"
#include "train/params.h"
#include "train/trainer.h"

static const char MAGIC[8] = "BPCKPT\r\n"; /* without the end; shows a transfer that rewrote line ends */
/* The oldest that is read had rows of all outputs; what came first with the others. */
enum { VERSION_ROWS = 3, VERSION_PANELS, VERSION_FEATURES, VERSION_SQUARES, VERSION = VERSION_SQUARES };
enum { ORDER = 0x01020304 };
static const int64_t MAX_STEPS = (int64_t)1 << 62; /* of the optimizer: no training gets there */

struct header {
	char magic[8];
	uint32_t version, byte_order, real_bytes, states;
	uint64_t file_bytes;
	uint64_t net, training; /* fingerprints */
	int64_t weights, buffers, slots;
	uint32_t summed, averaged; /* 1: that vector is there */
};

/* Vectors as long as the weights, those included. */
static int64_t vectors_in(const struct header *h)
{
	return 1 + (int64_t)h->states + h->summed + h->averaged;
}

/* Of a file for this net; what else there is as in *like. */
static struct header header_of(const struct bp_net *net, const struct header *like)
{
	struct header h = {.version = VERSION,
		.byte_order = ORDER,
		.real_bytes = sizeof(bp_real),
		.states = like->states,
		.net = bp_net_fingerprint(net),
		.weights = net->nweights,
		.buffers = net->nbuffers,
		.slots = like->slots,
		.summed = like->summed,
		.averaged = like->averaged};
	memcpy(h.magic, MAGIC, sizeof(h.magic));
	/* The net exists, with its weights in memory: none of this can overflow. */
	h.file_bytes = sizeof(h) + sizeof(struct bp_progress) + (uint64_t)h.slots * sizeof(struct bp_health) +
		       (uint64_t)(net->nweights * vectors_in(&h) + net->nbuffers) * sizeof(bp_real) + sizeof(uint32_t);
	return h;
}

/* What a trainer's file has beside the net's own. */
static struct header header_like(const struct bp_trainer *tr)
{
	return (struct header){.states = (uint32_t)tr->layout.states,
		.slots = tr->layout.nslots,
		.summed = tr->vectors.sum != NULL,
		.averaged = tr->vectors.average != NULL};
}

enum bp_status bp_trainer_save(struct bp_trainer *tr, const char *path, struct bp_error *err)
{
	const struct bp_net *net = tr->net;
	struct header like = header_like(tr), h = header_of(net, &like);
	size_t bytes = (size_t)net->nweights * sizeof(bp_real);
	struct bp_writer w;
	enum bp_status st = bp_writer_open(&w, path, err);
	if (st)
		return st;
	bp_trainer_see(tr);
	h.training = bp_train_fingerprint(&tr->params, net, tr->train.data.count);
	bp_writer_add(&w, &h, sizeof(h), err);
	bp_writer_add(&w, &tr->progress, sizeof(tr->progress), err);
	bp_writer_add(&w, tr->epoch_health, (size_t)tr->layout.nslots * sizeof(*tr->epoch_health), err);
	bp_writer_add(&w, net->weights, bytes, err);
	bp_writer_add(&w, net->buffers, (size_t)net->nbuffers * sizeof(bp_real), err);
	for (int s = 0; s < tr->layout.states; s++)
		bp_writer_add(&w, tr->vectors.state[s], bytes, err);
	if (h.summed)
		bp_writer_add(&w, tr->vectors.sum, bytes, err);
	if (h.averaged)
		bp_writer_add(&w, bp_trainer_average(tr), bytes, err);
	return bp_writer_close(&w, err);
}

/* Reads the header and holds it against this net. states and slots stay the file's, within what its size allows. */
static enum bp_status header_read(
	struct bp_reader *r, const struct bp_net *net, struct header *ret, struct bp_error *err)
{
	enum bp_status st = bp_reader_get(r, ret, sizeof(*ret), err);
	if (st)
		return st;
	if (memcmp(ret->magic, MAGIC, sizeof(MAGIC)) != 0 || ret->byte_order != ORDER)
		return bp_fail(err, BP_ECORRUPT, -1, "", "the file is not a checkpoint of this kind of machine");
	if (ret->version < VERSION_ROWS || ret->version > VERSION || ret->real_bytes != sizeof(bp_real))
		return bp_fail(err, BP_ECORRUPT, -1, "", "the checkpoint is of another version of the format");
	if (ret->file_bytes != r->size || ret->states > BP_UPDATE_STATES || ret->slots < 0 ||
		ret->slots > BP_MAX_LAYERS || ret->summed > 1 || ret->averaged > 1)
		return bp_fail(err, BP_ECORRUPT, -1, "", "the checkpoint's sizes are not those of the file");
	struct header want = header_of(net, ret);
	if (ret->net != want.net || ret->weights != want.weights || ret->buffers != want.buffers)
		return bp_fail(err, BP_EMISMATCH, -1, "", "the checkpoint is of another net");
	if (ret->file_bytes != want.file_bytes)
		return bp_fail(err, BP_ECORRUPT, -1, "", "the checkpoint's sizes are not those of the file");
	return BP_OK;
}

/* How a tensor lay: first large Linear layers in rows of all outputs, then all of them for features in PyTorch's
 * order. */
static struct bp_param param_of(const struct bp_param *p, uint32_t version)
{
	struct bp_param old = *p;
	if (version < VERSION_PANELS && p->order == BP_ORDER_PANELS)
		old.order = BP_ORDER_IO;
	if (version < VERSION_FEATURES)
		old.channels = 0;
	return old;
}

/* A tensor from how it lay to how it lies. */
static enum bp_status lay_anew(const struct bp_param *p, const struct bp_param *old, bp_real *w, struct bp_error *err)
{
	const size_t bytes = (size_t)p->size * sizeof(*w);
	bp_real *before = bp_mem_new(bytes);
	if (!before)
		return bp_fail(err, BP_ENOMEM, -1, "", "out of memory");
	memcpy(before, w, bytes);
	for (int64_t i = 0; i < p->size; i++)
		w[bp_param_at(p, i)] = before[bp_param_at(old, i)];
	bp_mem_free(before);
	return BP_OK;
}

/* A vector as long as the weights. */
static enum bp_status vector_get(
	struct bp_reader *r, const struct bp_net *net, const struct header *h, bp_real *ret, struct bp_error *err)
{
	enum bp_status st = bp_reader_get(r, ret, (size_t)h->weights * sizeof(*ret), err);
	for (const struct bp_param *p = net->params; !st && p < net->params + net->nparams && p->trainable; p++) {
		const struct bp_param old = param_of(p, h->version);
		if (old.order != p->order || old.channels != p->channels)
			st = lay_anew(p, &old, ret + p->offset, err);
	}
	return st;
}

/* Counters of epochs. */
static bool count_possible(int64_t n)
{
	return n >= 0 && n <= BP_MAX_EPOCHS;
}

static bool schedule_possible(const struct bp_schedule_state *s)
{
	return s->scale > 0 && isfinite(s->scale) && !isnan(s->best) && count_possible(s->bad) &&
	       count_possible(s->cooldown);
}

static bool progress_possible(const struct bp_trainer *tr, const struct bp_progress *p)
{
	return count_possible(p->epoch) && p->batch >= 0 && p->batch <= tr->batches &&
	       p->step >= p->batch / tr->params.accumulate_steps && p->step <= MAX_STEPS && p->samples >= 0 &&
	       p->samples <= tr->train.data.count && p->correct >= 0 && p->correct <= p->samples && p->weight >= 0 &&
	       schedule_possible(&p->schedule);
}

static enum bp_status fits(const struct bp_trainer *tr, const struct header *h, struct bp_error *err)
{
	struct header like = header_like(tr);
	if (h->training != bp_train_fingerprint(&tr->params, tr->net, tr->train.data.count) ||
		h->states != like.states || h->slots != like.slots || h->summed != like.summed ||
		h->averaged != like.averaged)
		return bp_fail(err, BP_EMISMATCH, -1, "", "the checkpoint is of a training with other parameters");
	return BP_OK;
}

static enum bp_status place_fits(const struct bp_trainer *tr, const struct bp_progress *p, struct bp_error *err)
{
	if (!progress_possible(tr, p))
		return bp_fail(err, BP_ECORRUPT, -1, "", "the checkpoint is of a place that no training can be at");
	if (p->epoch > tr->params.epochs)
		return bp_fail(err, BP_EMISMATCH, -1, "epochs",
			"the checkpoint is of epoch %lld, and there are %d epochs", (long long)p->epoch,
			tr->params.epochs);
	return BP_OK;
}

/* What follows the progress, into its place. */
static enum bp_status vectors_read(
	struct bp_trainer *tr, struct bp_reader *r, const struct header *h, struct bp_error *err)
{
	const struct bp_net *net = tr->net;
	enum bp_status st = bp_reader_get(r, tr->epoch_health, (size_t)h->slots * sizeof(*tr->epoch_health), err);
	for (int64_t s = 0; !st && h->version < VERSION_SQUARES && s < h->slots; s++)
		tr->epoch_health[s].weight_squares *= tr->epoch_health[s].weight_squares; /* it was the norm */
	if (!st)
		st = vector_get(r, net, h, net->weights, err);
	if (!st)
		st = bp_reader_get(r, net->buffers, (size_t)h->buffers * sizeof(bp_real), err);
	for (int s = 0; s < tr->layout.states && !st; s++)
		st = vector_get(r, net, h, tr->vectors.state[s], err);
	if (!st && h->summed)
		st = vector_get(r, net, h, tr->vectors.sum, err);
	if (!st && h->averaged)
		st = vector_get(r, net, h, tr->vectors.average, err);
	return st ? st : bp_reader_finish(r, err);
}

enum bp_status bp_trainer_restore(struct bp_trainer *tr, const char *path, struct bp_error *err)
{
	struct bp_progress progress;
	struct header h;
	struct bp_reader r;
	enum bp_status st = bp_reader_open(&r, path, err);
	if (st)
		return st;
	st = header_read(&r, tr->net, &h, err);
	if (!st)
		st = fits(tr, &h, err);
	if (!st)
		st = bp_reader_get(&r, &progress, sizeof(progress), err);
	if (!st)
		st = place_fits(tr, &progress, err);
	if (!st)
		st = vectors_read(tr, &r, &h, err);
	if (!st) {
		tr->progress = progress;
		tr->order_epoch = -1;
		tr->lr = 0;
		tr->unseen = false;
	}
	bp_reader_close(&r);
	return st;
}

/* The averaged weights, or the weights where there are none, and the buffers. */
static enum bp_status net_read(struct bp_net *net, struct bp_reader *r, const struct header *h, struct bp_error *err)
{
	uint64_t bytes = (uint64_t)h->weights * sizeof(bp_real), before = sizeof(struct bp_progress);
	before += (uint64_t)h->slots * sizeof(struct bp_health);
	enum bp_status st = bp_reader_skip(r, before + (h->averaged ? bytes : 0), err);
	if (!st && !h->averaged)
		st = vector_get(r, net, h, net->weights, err);
	if (!st)
		st = bp_reader_get(r, net->buffers, (size_t)h->buffers * sizeof(bp_real), err);
	if (!st)
		st = bp_reader_skip(r, bytes * (h->states + h->summed), err);
	if (!st && h->averaged)
		st = vector_get(r, net, h, net->weights, err);
	return st ? st : bp_reader_finish(r, err);
}

enum bp_status bp_net_load(struct bp_net *net, const char *path, struct bp_error *err)
{
	struct header h;
	struct bp_reader r;
	enum bp_status st = bp_reader_open(&r, path, err);
	if (st)
		return st;
	st = header_read(&r, net, &h, err);
	if (!st)
		st = net_read(net, &r, &h, err);
	bp_reader_close(&r);
	return st;
}
