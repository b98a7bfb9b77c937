/* plan.c - from the headers of the arrays to the numbers of the packed file. Called by ingest.c. */
#include "ingest/run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Deflate cannot reach 1100:1; data worth training on do not reach this. */
enum { MAX_RATIO = 400 };
static const int64_t ratio_slack = 16 << 20;

static bool problem(struct run *r, int role, const char *detail)
{
	return run_problem(r, r->found[role].file, r->found[role].label, "%s", detail);
}

static bool check_present(struct run *r)
{
	static const char *const names[ROLE_COUNT] = {"training samples (x_train or train-images...)",
		"training labels (y_train or train-labels...)", "test samples (x_test or t10k-images...)",
		"test labels (y_test or t10k-labels...)"};
	bool ok = true;
	for (int role = 0; role < ROLE_COUNT; role++) {
		bool wanted = role / 2 == SPLIT_TRAIN || r->found[role ^ 1].file;
		if (r->found[role].file || !wanted)
			continue;
		problems_add(r->problems, ERR_INVALID_DATA, r->nfiles == 1 ? r->files[0].name : "",
			"The upload holds no %s.", names[role]);
		ok = false;
	}
	return ok;
}

/* The shape that the client gave, of as many elements as the array has in a sample; they lie as they are. */
static bool given_shape(struct run *r, int role, struct bp_shape *ret)
{
	const struct array_header *h = &r->found[role].header;
	int64_t have = 1;
	*ret = r->limits->shape;
	for (int i = 1; i < h->ndim; i++)
		if (__builtin_mul_overflow(have, h->dim[i], &have))
			have = 0;
	if (h->ndim >= 1 && have == bp_shape_size(ret))
		return true;
	return run_problem(r, r->found[role].file, r->found[role].label,
		"has %" PRId64 " values in a sample, which is not what the given shape holds.", have);
}

/* Two dimensions are features, three are grey maps, four are maps of channels. */
static bool array_shape(struct run *r, int role, struct bp_shape *ret, bool *ret_to_chw)
{
	const struct array_header *h = &r->found[role].header;
	const int64_t *d = h->dim;
	/* (n, h, w, 1 or 3) can hardly mean a map of width 1 or 3. */
	*ret_to_chw = h->ndim == 4 && (d[3] == 1 || d[3] == 3) && d[1] != 1 && d[1] != 3;
	switch (h->ndim) {
	case 1:
		*ret = (struct bp_shape){1, {1}};
		break;
	case 2:
		*ret = (struct bp_shape){1, {d[1]}};
		break;
	case 3:
		*ret = (struct bp_shape){3, {1, d[1], d[2]}};
		break;
	case 4:
		*ret = *ret_to_chw ? (struct bp_shape){3, {d[3], d[1], d[2]}}
				   : (struct bp_shape){3, {d[1], d[2], d[3]}};
		break;
	default:
		return problem(r, role,
			"must have the shape (samples, features), (samples, height, width) or "
			"(samples, channels, height, width).");
	}
	return true;
}

static bool sample_shape(struct run *r, int role, struct bp_shape *ret, bool *ret_to_chw)
{
	bool given = r->limits->shape.ndim > 0;
	int64_t size = 1;
	*ret_to_chw = false;
	if (given ? !given_shape(r, role, ret) : !array_shape(r, role, ret, ret_to_chw))
		return false;
	for (int i = 0; i < ret->ndim; i++) {
		if (ret->dim[i] < 1 || ret->dim[i] > PACKED_MAX_DIM || size * ret->dim[i] > PACKED_MAX_SAMPLE)
			return run_problem(r, r->found[role].file, r->found[role].label,
				"has samples of a shape that is not accepted: each dimension must be from 1 to %d, and "
				"a sample "
				"may have %d values.",
				PACKED_MAX_DIM, PACKED_MAX_SAMPLE);
		size *= ret->dim[i];
	}
	return true;
}

static bool plan_answers(struct run *r, int split, int *ret_classes, int *ret_ntargets)
{
	int role = 2 * split + ANSWERS;
	const struct array_header *h = &r->found[role].header;
	bool real = element_is_float(h->element);
	*ret_classes = real ? 0 : 1;
	*ret_ntargets = real ? 1 : 0;
	if (h->ndim == 2 && h->dim[1] != 1 && !real)
		return problem(
			r, role, "must hold one class a sample, (samples,); targets of a regression are floats.");
	if (h->ndim > 2 || h->ndim < 1 || (h->ndim == 2 && (h->dim[1] < 1 || h->dim[1] > PACKED_MAX_TARGETS)))
		return problem(r, role, "must have the shape (samples,) or (samples, targets).");
	if (real && h->ndim == 2)
		*ret_ntargets = (int)h->dim[1];
	int64_t samples = r->found[2 * split + SAMPLES].header.dim[0];
	if (h->dim[0] != samples)
		return run_problem(r, r->found[role].file, r->found[role].label,
			"has %" PRId64 " entries, but there are %" PRId64 " samples of that split.", h->dim[0],
			samples);
	return true;
}

static bool plan_split(struct run *r, int split, struct packed_numbers *ret)
{
	const struct array_header *h = &r->found[2 * split].header;
	*ret = (struct packed_numbers){.dtype = h->element == ELEMENT_U8 ? BP_U8 : BP_F32};
	if (!sample_shape(r, 2 * split, &ret->shape, &r->to_chw) ||
		!plan_answers(r, split, &ret->classes, &ret->ntargets))
		return false;
	ret->count[split] = h->dim[0];
	if (h->dim[0] >= 1 && h->dim[0] <= r->limits->max_samples)
		return true;
	return run_problem(r, r->found[2 * split].file, r->found[2 * split].label,
		"has %" PRId64 " samples; there must be from 1 to %" PRId64 ".", h->dim[0], r->limits->max_samples);
}

static bool same_shape(const struct bp_shape *a, const struct bp_shape *b)
{
	bool same = a->ndim == b->ndim;
	for (int i = 0; same && i < a->ndim; i++)
		same = a->dim[i] == b->dim[i];
	return same;
}

static int64_t uploaded_bytes(const struct run *r)
{
	struct stat st;
	int64_t sum = 0;
	for (int i = 0; i < r->nfiles; i++)
		if (!r->files[i].path)
			sum += (int64_t)r->files[i].size;
		else if (stat(r->files[i].path, &st) == 0)
			sum += st.st_size;
	return sum;
}

bool run_plan(struct run *r)
{
	struct packed_numbers test;
	if (!check_present(r) || !plan_split(r, SPLIT_TRAIN, &r->numbers))
		return false;
	bool train_to_chw = r->to_chw;
	if (r->found[2 * SPLIT_TEST].file) {
		if (!plan_split(r, SPLIT_TEST, &test))
			return false;
		if (!same_shape(&test.shape, &r->numbers.shape) || r->to_chw != train_to_chw)
			return problem(r, 2 * SPLIT_TEST, "has samples of another shape than the training samples.");
		if (test.dtype != r->numbers.dtype)
			return problem(r, 2 * SPLIT_TEST,
				"must have elements of 8 bits exactly when the training samples do.");
		if (test.classes != r->numbers.classes || test.ntargets != r->numbers.ntargets)
			return problem(r, 2 * SPLIT_TEST + ANSWERS, "must be of the same kind as the training labels.");
		r->numbers.count[SPLIT_TEST] = test.count[SPLIT_TEST];
	}
	if (!packed_plan(&r->numbers, &r->layout) || r->layout.size > r->limits->max_bytes)
		return run_problem(r, r->found[0].file, "",
			"declares a data set larger than the %" PRId64 " bytes that this server accepts.",
			r->limits->max_bytes);
	if (r->layout.size > ratio_slack && (r->layout.size - ratio_slack) / MAX_RATIO > uploaded_bytes(r))
		return run_problem(r, r->found[0].file, "",
			"declares %" PRId64 " bytes of data, more than %d times what was uploaded.", r->layout.size,
			MAX_RATIO);
	return true;
}
