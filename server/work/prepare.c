/* prepare.c - see prepare.h. */
#include "work/prepare.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/jsonmem.h"
#include "base/log.h"
#include "work/split.h"

/* What was accepted once can be read again, unless this is another version; or memory was out, which passes. */
static void failure_from_problems(struct failure *f, const struct problems *problems, const char *otherwise)
{
	const struct problem *p = problems->count ? &problems->list[0] : NULL;
	if (p)
		failure_set(f, "invalid_job", "%s%s%s", p->param, p->param[0] ? ": " : "", p->detail);
	else
		failure_set(f, "invalid_job", "%s", otherwise);
	f->kind = MAY_PASS;
}

static bool net_build(struct prepared *p, const struct job_row *row, struct failure *f)
{
	struct problems problems = {0};
	json_t *model = jsonmem_loads(row->model, JSON_REJECT_DUPLICATES, NULL);
	bool ok = model && spec_model_parse(model, "/model", &problems, &p->model) &&
		  (p->net = spec_model_build(&p->model, "/model", &problems));
	json_decref(model);
	if (!ok)
		failure_from_problems(f, &problems, "The stored model definition cannot be read by this version.");
	return ok;
}

static bool job_read(struct prepared *p, const struct job_row *row, struct lease *lease, struct failure *f)
{
	json_t *spec = jsonmem_loads(row->spec, JSON_REJECT_DUPLICATES, NULL);
	bool ok = spec && spec_job_from_json(spec, &p->job);
	json_decref(spec);
	if (!ok) {
		failure_from_problems(
			f, &(struct problems){0}, "The stored training options cannot be read by this version.");
		return false;
	}
	/* Memory is planned for all that it may ever have. */
	p->job.params.threads = lease_threads(lease);
	p->job.params.max_threads = lease_most(lease);
	return true;
}

static bool data_open(struct prepared *p, const struct work_context *ctx, const struct job_row *row, struct failure *f)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/datasets/%s", ctx->state_dir, row->dataset_sha256 ? row->dataset_sha256 : "");
	if (!row->dataset_sha256 || !packed_open(path, true, &p->packed)) {
		int error = row->dataset_sha256 ? errno : 0;
		memset(&p->packed, 0, sizeof(p->packed));
		failure_from_errno(f, "dataset_unreadable", error,
			error == 0 || error == ENOENT ? "The stored data set is missing or damaged; upload it again."
						      : "The server could not read the stored data set.");
		return false;
	}
	p->train = p->packed.split[SPLIT_TRAIN];
	p->test = p->packed.split[SPLIT_TEST];
	if (!p->job.normalize)
		p->train.mean = p->train.std = p->test.mean = p->test.std = NULL;
	return true;
}

/* Validation samples come from the training split, or are the test split. */
static bool data_split(struct prepared *p, struct failure *f)
{
	if (p->job.validation_on_test) {
		p->val = p->test;
		return true;
	}
	if (p->job.validation_split <= 0)
		return true;
	int64_t count = p->train.count, nval = spec_job_validation_samples(&p->job, count);
	if (p->train.index || count > UINT32_MAX || nval < 1 || nval >= count) {
		failure_set(f, "invalid_job", "The training data cannot be split for validation.");
		return false;
	}
	p->index = malloc((size_t)count * sizeof(*p->index));
	if (!p->index || !split_draw(p->job.params.seed, (uint32_t)count, (uint32_t)nval, p->index)) {
		failure_from_memory(f, "There was not enough memory to split the data for validation.");
		return false;
	}
	p->val = p->train;
	p->train.index = p->index;
	p->train.count = count - nval;
	p->val.index = p->index + (count - nval);
	p->val.count = nval;
	return true;
}

/* Class weights that follow from the training samples, which the split has just chosen. */
static bool loss_balance(struct prepared *p, struct failure *f)
{
	if (!spec_job_balanced(&p->job))
		return true;
	if (!p->train.labels) {
		failure_set(f, "invalid_job", "The training data have no classes to balance.");
		return false;
	}
	spec_job_balance(&p->job, &p->train, (int)bp_net_output_shape(p->net).dim[0]);
	return true;
}

bool prepared_open(struct prepared *p, const struct work_context *ctx, const struct job_row *row, struct lease *lease,
	struct failure *f)
{
	memset(p, 0, sizeof(*p));
	jsonmem_begin();
	bool ok = net_build(p, row, f) && job_read(p, row, lease, f) && data_open(p, ctx, row, f) && data_split(p, f) &&
		  loss_balance(p, f);
	if (jsonmem_ran_out()) {
		failure_from_memory(f, "There was not enough memory to read the job.");
		ok = false;
	}
	return ok;
}

void prepared_close(struct prepared *p)
{
	bp_net_free(p->net);
	spec_model_done(&p->model);
	if (p->packed.map)
		packed_close(&p->packed);
	free(p->index);
	memset(p, 0, sizeof(*p));
}
