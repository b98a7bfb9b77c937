/*
 * mutate_packed.c - packed data sets of other numbers, whose header is computed anew, and libFuzzer's own changes of
 * bytes: without the first hardly any header would be one. Run by libFuzzer (make fuzz TARGET=packed).
 */
#include "fuzz/mutate.h"

#include <string.h>

#include "ingest/packed.h"
#include "server/json_mutate.h"

static int draw(uint32_t *state, uint32_t below)
{
	return (int)json_mutate_draw(state, below);
}

static struct packed_numbers draw_numbers(uint32_t *state)
{
	struct packed_numbers n = {
		.shape = {1 + draw(state, BP_MAX_DIMS), {1, 1, 1}}, .dtype = draw(state, 2) ? BP_F32 : BP_U8};
	for (int i = 0; i < n.shape.ndim; i++)
		n.shape.dim[i] = 1 + draw(state, 4);
	if (draw(state, 2))
		n.classes = 1 + draw(state, 5);
	else
		n.ntargets = 1 + draw(state, 5);
	n.count[SPLIT_TRAIN] = 1 + draw(state, 4);
	n.count[SPLIT_TEST] = draw(state, 4);
	return n;
}

size_t mutate_packed(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	uint32_t state = seed;
	struct packed_numbers n = draw_numbers(&state);
	struct packed_layout layout;
	if (draw(&state, 3) || !packed_plan(&n, &layout) || (size_t)layout.size > max_size)
		return LLVMFuzzerMutate(data, size, max_size);
	size_t whole = (size_t)layout.size;
	if (whole > size)
		memset(data + size, draw(&state, 4), whole - size);
	packed_encode(&n, &layout, data);
	for (int64_t c = 0; c < n.shape.dim[0]; c++) {
		const float one = 1;
		memcpy(data + layout.std + 4 * c, &one, sizeof(one));
	}
	if (draw(&state, 4) == 0)
		data[draw(&state, PACKED_HEADER)] ^= (uint8_t)(1 << draw(&state, 8));
	return whole;
}
