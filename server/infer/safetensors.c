/*
 * safetensors.c - weights as Hugging Face's safetensors: 8 bytes of the header's length (little-endian), the header as
 * JSON padded with spaces to 8 bytes, then the tensors without gaps (https://github.com/huggingface/safetensors,
 * "Format").
 *
 * Called by export.c.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/jsonmem.h"
#include "infer/export.h"

enum { LENGTH_BYTES = 8, ALIGN = 8 };

static json_t *tensor_json(const struct tensor *t, size_t begin)
{
	json_t *shape = json_array();
	for (int i = 0; i < t->ndim; i++)
		json_array_append_new(shape, json_integer(t->dim[i]));
	return json_pack("{s:s, s:o, s:[I, I]}", "dtype", t->integer ? "I64" : "F32", "shape", shape, "data_offsets",
		(json_int_t)begin, (json_int_t)(begin + t->bytes));
}

/* The header as text (heap), keys sorted so that equal nets give equal files. *ret_bytes: of the tensors. */
static char *header_text(const struct bp_net *net, size_t *ret_bytes)
{
	json_t *header = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
	*ret_bytes = 0;
	bool ok = header != NULL;
	for (int i = 0; ok && i < bp_net_tensors(net); i++) {
		struct tensor t;
		tensor_describe(net, i, &t);
		ok = json_object_set_new(header, t.name, tensor_json(&t, *ret_bytes)) == 0;
		*ret_bytes += t.bytes;
	}
	char *text = ok ? jsonmem_dumps(header, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	json_decref(header);
	return text;
}

bool export_safetensors(const struct bp_net *net, void **ret_data, size_t *ret_size)
{
	size_t bytes = 0;
	char *text = header_text(net, &bytes);
	if (!text)
		return false;
	size_t length = strlen(text), padded = (length + ALIGN - 1) / ALIGN * ALIGN;
	uint8_t *data = malloc(LENGTH_BYTES + padded + bytes);
	bool ok = data != NULL;
	if (ok) {
		for (int i = 0; i < LENGTH_BYTES; i++)
			data[i] = (uint8_t)((uint64_t)padded >> (8 * i));
		memset(data + LENGTH_BYTES, ' ', padded);
		memcpy(data + LENGTH_BYTES, text, length);
	}
	size_t at = LENGTH_BYTES + padded;
	for (int i = 0; ok && i < bp_net_tensors(net); i++) {
		struct tensor t;
		tensor_describe(net, i, &t);
		ok = tensor_write(net, i, &t, data + at);
		at += t.bytes;
	}
	free(text);
	if (!ok) {
		free(data);
		return false;
	}
	*ret_data = data;
	*ret_size = at;
	return true;
}
