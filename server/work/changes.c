/* changes.c - see changes.h. */
#include "work/changes.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/jsonmem.h"
#include "base/log.h"

enum { STRIDE = 200 };

/* Puts a change at its place; later ones go. */
static bool put(struct changes *c, const struct change *change)
{
	while (c->n > 1 && c->list[c->n - 1].step >= change->step)
		c->n--;
	if (c->n == c->room) {
		int room = c->room ? 2 * c->room : 8;
		struct change *list = reallocarray(c->list, (size_t)room, sizeof(*list));
		if (!list)
			return false;
		c->list = list;
		c->room = room;
	}
	c->list[c->n++] = *change;
	return true;
}

static bool put_event(struct changes *c, const char *data)
{
	json_t *json = jsonmem_loads(data, 0, NULL);
	const char *reason = json_string_value(json_object_get(json, "reason"));
	struct change change = {.step = json_integer_value(json_object_get(json, "step")),
		.lr = json_number_value(json_object_get(json, "lr")),
		.epochs = (int)json_integer_value(json_object_get(json, "epochs"))};
	c->rollbacks += reason && strcmp(reason, "rollback") == 0;
	json_decref(json);
	return put(c, &change);
}

bool changes_open(struct changes *c, const struct work_context *ctx, const char *job_id, const struct change *start,
	struct failure *f)
{
	int64_t after = 0;
	int n = STRIDE;
	*c = (struct changes){0};
	bool ok = put(c, start);
	while (ok && n == STRIDE) {
		struct event_row *rows = NULL;
		enum store_status st = store_event_list(ctx->store, job_id, after, "change", STRIDE, &rows, &n);
		if (st != STORE_OK) {
			failure_from_store(f, st);
			return false;
		}
		for (int i = 0; i < n; i++) {
			ok = ok && put_event(c, rows[i].data);
			after = rows[i].seq;
			event_row_done(&rows[i]);
		}
		free(rows);
	}
	if (!ok)
		failure_from_memory(f, "There was not enough memory for the changes that the job was given.");
	return ok;
}

void changes_done(struct changes *c)
{
	free(c->list);
	*c = (struct changes){0};
}

const struct change *changes_now(const struct changes *c)
{
	return &c->list[c->next > 0 ? c->next - 1 : 0];
}

const struct change *changes_newest(const struct changes *c)
{
	return &c->list[c->n - 1];
}

int changes_most_epochs(const struct changes *c)
{
	int most = 0;
	for (int i = 0; i < c->n; i++)
		most = c->list[i].epochs > most ? c->list[i].epochs : most;
	return most;
}

/* Values were checked when they were asked for, so a refusal would be a mistake of ours. */
static void set(struct bp_trainer *tr, const struct change *change)
{
	struct bp_error err;
	if (bp_trainer_set_lr(tr, change->lr, &err) != BP_OK ||
		bp_trainer_set_epochs(tr, change->epochs, &err) != BP_OK)
		log_line(LOG_WARNING, "a change of the training is refused: %s", err.message);
}

void changes_reach(struct changes *c, struct bp_trainer *tr, int64_t step)
{
	bool any = false;
	for (; c->next < c->n && c->list[c->next].step <= step; c->next++)
		any = true;
	if (any)
		set(tr, changes_now(c));
}

void changes_restart(struct changes *c, struct bp_trainer *tr, int64_t step)
{
	c->next = 0;
	changes_reach(c, tr, step);
}

bool changes_add(struct changes *c, struct bp_trainer *tr, const struct change *change)
{
	if (!put(c, change))
		return false;
	c->next = c->n;
	set(tr, change);
	return true;
}
