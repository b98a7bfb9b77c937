/* export.c - the formats in which weights leave, and tensors as PyTorch has them. Called by api's slow threads. */
#include "infer/export.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "infer/state.h"

static const struct format {
	const char *name, *content_type;
	bool (*make)(const struct bp_net *net, void **ret_data, size_t *ret_size);
} formats[WEIGHTS_FORMAT_COUNT] = {
	{"safetensors", "application/octet-stream", export_safetensors},
	{"npz", "application/zip", export_npz},
};

const char *const weights_formats[WEIGHTS_FORMAT_COUNT] = {"safetensors", "npz"};

bool infer_export(
	const struct infer *in, const char *format, void **ret_data, size_t *ret_size, const char **ret_content_type)
{
	*ret_data = NULL;
	for (int i = 0; i < WEIGHTS_FORMAT_COUNT; i++) {
		if (strcmp(formats[i].name, format) != 0)
			continue;
		*ret_content_type = formats[i].content_type;
		return formats[i].make(in->net, ret_data, ret_size);
	}
	return false;
}

void tensor_describe(const struct bp_net *net, int index, struct tensor *ret)
{
	struct bp_tensor_info info;
	bp_net_tensor_info(net, index, &info);
	*ret = (struct tensor){.ndim = info.ndim};
	memcpy(ret->name, info.name, sizeof(ret->name));
	const char *dot = strrchr(ret->name, '.');
	ret->integer = dot && strcmp(dot, ".num_batches_tracked") == 0;
	/* PyTorch keeps a counter as a scalar. */
	if (ret->integer)
		ret->ndim = 0;
	ret->bytes = ret->integer ? sizeof(int64_t) : sizeof(float);
	for (int i = 0; i < ret->ndim; i++) {
		ret->dim[i] = info.dim[i];
		ret->bytes *= (size_t)info.dim[i];
	}
}

bool tensor_write(const struct bp_net *net, int index, const struct tensor *t, uint8_t *data)
{
	size_t elements = t->bytes / (t->integer ? sizeof(int64_t) : sizeof(float));
	bp_real *values = calloc(elements, sizeof(*values));
	if (!values)
		return false;
	bp_net_tensor_get(net, index, values);
	for (size_t i = 0; i < elements; i++) {
		int64_t whole = llround((double)values[i]);
		float real = (float)values[i];
		if (t->integer)
			memcpy(data + i * sizeof(whole), &whole, sizeof(whole));
		else
			memcpy(data + i * sizeof(real), &real, sizeof(real));
	}
	free(values);
	return true;
}
