/* export.h - weights as files for other programs. For the files of infer/ alone. */
#ifndef INFER_EXPORT_H
#define INFER_EXPORT_H

#include "infer/infer.h"

enum { TENSOR_RANK = 4 };

/* One tensor of a net as it leaves: PyTorch's name, order and type. */
struct tensor {
	char name[BP_NAME_MAX + 32];
	bool integer; /* int64, as PyTorch keeps counters; else float32 */
	int ndim;
	int64_t dim[TENSOR_RANK];
	size_t bytes;
};
void tensor_describe(const struct bp_net *net, int index, struct tensor *ret);
/* Writes ret->bytes bytes to data, of any alignment. False without memory. */
bool tensor_write(const struct bp_net *net, int index, const struct tensor *t, uint8_t *data);

/* Each makes the whole file on the heap. */
bool export_safetensors(const struct bp_net *net, void **ret_data, size_t *ret_size);
bool export_npz(const struct bp_net *net, void **ret_data, size_t *ret_size);

#endif
