/* retune.c - what may change of a job's training while it runs. Called by api, any thread. */
#include "spec/spec.h"

#include <math.h>

static void read_lr(const json_t *item, const struct spec_job *job, struct problems *problems, double *ret)
{
	struct spec_reader r;
	const struct bp_item_info *info = bp_item_info(BP_OPTIMIZER, job->params.optimizer.type);
	if (!spec_reader_begin(&r, item, "/training/optimizer", problems))
		return;
	for (int i = 0; i < info->nargs; i++)
		if (&job->params.optimizer.args[i] == bp_item_arg(BP_OPTIMIZER, &job->params.optimizer, "lr"))
			spec_read_real(&r, "lr", true, info->args[i].min, info->args[i].max, ret);
	spec_reader_end(&r);
}

bool spec_retune_parse(
	const json_t *training, const json_t *spec, int epoch, struct problems *problems, struct spec_retune *ret)
{
	int before = problems->count;
	struct spec_reader r;
	struct spec_job job;
	*ret = (struct spec_retune){0};
	if (!spec_job_from_json(spec, &job)) {
		problems_add(problems, ERR_INTERNAL, "", "The stored training options cannot be read by this version.");
		return false;
	}
	if (!spec_reader_begin(&r, training, "/training", problems))
		return false;
	int64_t epochs = 0, least = epoch + 1;
	if (least < job.params.warmup_epochs)
		least = (int64_t)ceil(job.params.warmup_epochs);
	spec_read_int(&r, "epochs", false, least, BP_MAX_EPOCHS, &epochs);
	const json_t *item = spec_read(&r, "optimizer");
	if (item)
		read_lr(item, &job, problems, &ret->lr);
	spec_reader_end(&r);
	ret->epochs = (int)epochs;
	return problems->count == before && !problems->more;
}
