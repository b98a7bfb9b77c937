/*
 * infer.h - trained weights out of checkpoints: predictions and files for other programs.
 *
 * Called by api on its slow threads (never on an event thread) and by work for the final evaluation. Rows are not known
 * here: the caller passes the model definition and the checkpoint's path.
 */
#ifndef INFER_INFER_H
#define INFER_INFER_H

#include <jansson.h>
#include <stddef.h>

#include "backprop.h"
#include "base/problem.h"

struct infer;
/* Builds the net of a resolved definition (JSON) and loads the checkpoint. spec: the job's stored spec
 * (normalization). NULL with problems (a checkpoint that vanished or is corrupt is ERR_UNAVAILABLE). */
struct infer *infer_open(
	const json_t *model, const json_t *spec, const char *checkpoint_path, struct problems *problems);
void infer_close(struct infer *in);

/*
 * Body: {"instances":[ ... ]}, nested arrays of the input's shape or flat ones, raw pixel values as uploaded (u8 0..255
 * when the data set was u8). Answer: {"predictions":[{"class":3,"label":"...","probabilities":[...]}]} for losses of
 * classes (label only when the classes have names), {"outputs":[[...]]} otherwise: of BCEWithLogitsLoss the probability
 * of each yes, else the net's outputs. At most max_instances. New reference, NULL with problems.
 */
json_t *infer_predict(struct infer *in, const json_t *body, int max_instances, struct problems *problems);
/* The same on all entries of data, the first of which has that number in its data set; adds "index", "true_class" and
 * "true_label" to each prediction, or "targets" beside "outputs". */
json_t *infer_predict_data(struct infer *in, const struct bp_data *data, int64_t number, struct problems *problems);

enum { WEIGHTS_FORMAT_COUNT = 2 };
extern const char *const weights_formats[WEIGHTS_FORMAT_COUNT]; /* "safetensors", "npz" */
/* The weights as a file in memory (heap), PyTorch's names and order. False without memory or for an unknown format. */
bool infer_export(
	const struct infer *in, const char *format, void **ret_data, size_t *ret_size, const char **ret_content_type);

#endif
