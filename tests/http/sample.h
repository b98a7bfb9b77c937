/*
 * sample.h - small data sets, models and jobs for tests, made in C: files as bytes, and their way through the daemon.
 *
 * The images are 8x8 grey maps of four classes; the class is the quarter that is bright, so a small net learns it in a
 * few epochs. Everything follows from the number of the sample: equal on every machine and in every run.
 */
#ifndef TESTS_HTTP_SAMPLE_H
#define TESTS_HTTP_SAMPLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/client.h"

enum { SAMPLE_SIDE = 8, SAMPLE_PIXELS = 64, SAMPLE_CLASSES = 4 };

struct bytes {
	uint8_t *at;
	size_t size;
};
void bytes_free(struct bytes *b);

void sample_image(int i, uint8_t ret[SAMPLE_PIXELS]);
int sample_label(int i);

/* IDX files of samples [first, first + n). */
struct bytes sample_idx_images(int first, int n);
struct bytes sample_idx_labels(int first, int n);
struct bytes sample_gzip(const struct bytes *b);

/* One .npy array: descr such as "|u1", shape such as "(3, 8, 8)", then the elements as they are. */
struct bytes sample_npy(const char *descr, const char *shape, const void *data, size_t size);
/* An .npz archive of n members; the arrays are freed. */
struct bytes sample_npz(const char *const *names, struct bytes *arrays, int n);
/* x_train, y_train, x_test, y_test of the images. */
struct bytes sample_npz_images(int train, int test);

/* Uploads the images as four IDX files (the training images gzipped) and commits: the data set called name. */
void sample_upload(int port, const char *name, int train, int test);

/* A small CNN for the images, as JSON text. Static. */
const char *sample_model(void);
/* A job's body with that model; training: the members of "training" as text. New text, freed by the caller. */
char *sample_job(const char *dataset, const char *training);
/* Submits it and returns the id. */
const char *sample_submit(int port, const char *dataset, const char *training, char ret_id[64]);
/* Waits by long polls until the job has ended, and fails the test unless with that status. New reference. */
json_t *sample_wait(int port, const char *id, const char *status);
/* Follows its events of that type; the caller reads and closes. */
struct client *sample_events(int port, const char *id, const char *type);
/* Follows the events until one of that type with "epoch" at least epoch. */
void sample_wait_epoch(int port, const char *id, int epoch);
/* The weights of a checkpoint as safetensors. */
struct bytes sample_weights(int port, const char *id, const char *which);
/* The last weights of that job, on n training images, at a daemon of its own that nothing happens to. */
struct bytes sample_undisturbed(const char *const *flags, int n, const char *training);

#endif
