/*
 * mutate_job.c - changes a job as a person might: another loss, optimizer or schedule, one augmentation more or
 * another, arguments at their bounds, numbers that should be others. Run by libFuzzer (make fuzz TARGET=job).
 */
#include "fuzz/mutate.h"

#include <string.h>

#include "fuzz/mutate_item.h"
#include "server/json_mutate.h"

static const struct {
	const char *name;
	enum bp_item_kind kind;
} items[] = {{"loss", BP_LOSS}, {"optimizer", BP_OPTIMIZER}, {"scheduler", BP_SCHEDULER}};

static const char *const fields[] = {"epochs", "batch_size", "seed", "shuffle", "clip_grad_norm", "clip_grad_value",
	"accumulate_steps", "ema_decay", "normalize", "max_runtime_seconds"};
enum { ITEMS = sizeof(items) / sizeof(items[0]), FIELDS = sizeof(fields) / sizeof(fields[0]) };

static json_t *number(uint32_t *state)
{
	static const double numbers[] = {0, 1, -1, 0.5, 0.999, 1e-9, 1e9, 65536, 65537, 1e6, 1e18, 3, 7};
	double v = numbers[json_mutate_draw(state, sizeof(numbers) / sizeof(numbers[0]))];
	if (json_mutate_draw(state, 12) == 0)
		return json_boolean(v > 0);
	return v == (double)(json_int_t)v && json_mutate_draw(state, 4) ? json_integer((json_int_t)v) : json_real(v);
}

/* One more, another, or another argument of one. */
static void change_augment(uint32_t *state, json_t *training)
{
	json_t *list = json_object_get(training, "augment");
	if (!json_is_array(list)) {
		json_object_set_new(training, "augment", json_array());
		list = json_object_get(training, "augment");
	}
	size_t n = json_array_size(list), at = n > 0 ? json_mutate_draw(state, (uint32_t)n) : 0;
	if (n == 0 || json_mutate_draw(state, 3) == 0)
		json_array_append_new(list, mutate_item(state, BP_AUGMENT, NULL));
	else if (json_mutate_draw(state, 2))
		json_array_set_new(list, at, mutate_item(state, BP_AUGMENT, NULL));
	else
		mutate_argument(state, BP_AUGMENT, json_array_get(list, at));
}

static void change(uint32_t *state, json_t *body)
{
	json_t *training = json_object_get(body, "training");
	uint32_t at = json_mutate_draw(state, ITEMS);
	switch (json_mutate_draw(state, 6)) {
	case 0:
		json_object_set_new(training, items[at].name, mutate_item(state, items[at].kind, NULL));
		break;
	case 1:
		mutate_argument(state, items[at].kind, json_object_get(training, items[at].name));
		break;
	case 2:
		json_object_set_new(training, fields[json_mutate_draw(state, FIELDS)], number(state));
		break;
	case 3:
		json_object_del(training, fields[json_mutate_draw(state, FIELDS)]);
		break;
	case 4:
		change_augment(state, training);
		break;
	default:
		json_mutate(json_mutate_draw(state, 4) ? training : body, state, 0);
	}
}

size_t mutate_job(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	return mutate_json(data, size, max_size, seed, change);
}
