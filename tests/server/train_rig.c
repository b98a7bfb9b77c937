/* train_rig.c - see train_rig.h. */
#include "train_rig.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/id.h"
#include "base/log.h"
#include "base/statedir.h"
#include "ingest/ingest.h"
#include "spec/spec.h"

static const char model_text[] = "{\"name\":\"rig\",\"input\":{\"shape\":[1,4,4]},\"layers\":["
				 "{\"name\":\"flat\",\"type\":\"Flatten\"},"
				 "{\"name\":\"hidden\",\"type\":\"Linear\",\"out_features\":12},{\"type\":\"ReLU\"},"
				 "{\"name\":\"drop\",\"type\":\"Dropout\",\"p\":0.1},"
				 "{\"name\":\"out\",\"type\":\"Linear\",\"out_features\":3}]}";

static void put_be32(FILE *f, unsigned v)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		fputc((int)(v >> shift & 0xff), f);
}

/* Class c is a picture that is brighter in its third of the pixels; the noise is a fixed sequence. */
static void write_split(const char *dir, const char *name, unsigned n, unsigned noise)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s-images-idx3-ubyte", dir, name);
	FILE *f = fopen(path, "wb");
	ck_assert_ptr_nonnull(f);
	put_be32(f, 0x00000803);
	put_be32(f, n);
	put_be32(f, 4);
	put_be32(f, 4);
	for (unsigned i = 0; i < n; i++)
		for (unsigned p = 0; p < 16; p++) {
			noise = noise * 1664525u + 1013904223u;
			fputc((int)((p % 3 == i % 3 ? 120 : 60) + (noise >> 24) % 100), f);
		}
	ck_assert_int_eq(fclose(f), 0);
	snprintf(path, sizeof(path), "%s/%s-labels-idx1-ubyte", dir, name);
	f = fopen(path, "wb");
	ck_assert_ptr_nonnull(f);
	put_be32(f, 0x00000801);
	put_be32(f, n);
	for (unsigned i = 0; i < n; i++)
		fputc((int)(i % 3), f);
	ck_assert_int_eq(fclose(f), 0);
}

void rig_open(struct rig *r)
{
	char path[128], boot[ID_MAX];
	if (r->store)
		return;
	snprintf(path, sizeof(path), "%s/backpropd.db", r->dir);
	id_new("boot_", boot, sizeof(boot));
	r->store = store_open(path, boot);
	ck_assert_ptr_nonnull(r->store);
}

static void dataset_make(struct rig *r)
{
	static const char *const names[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
		"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
	struct ingest_limits limits = {.max_bytes = 1 << 20, .max_samples = 1000};
	struct ingest_result result;
	struct ingest_file files[4];
	struct problems problems = {0};
	struct dataset_row row;
	char paths[4][128], uploads[96], datasets[96];
	snprintf(uploads, sizeof(uploads), "%s/uploads", r->dir);
	snprintf(datasets, sizeof(datasets), "%s/datasets", r->dir);
	write_split(uploads, "train", 96, 1);
	write_split(uploads, "t10k", 40, 2);
	for (int i = 0; i < 4; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", uploads, names[i]);
		files[i] = (struct ingest_file){.name = names[i], .path = paths[i]};
	}
	ck_assert_msg(ingest_run(files, 4, datasets, &limits, &problems, &result), "%s", problems.list[0].detail);
	char *info = json_dumps(result.info, JSON_COMPACT);
	ck_assert_int_eq(store_dataset_begin(r->store, "local", "rig", &row), STORE_OK);
	ck_assert_int_eq(store_dataset_ready(r->store, row.id, result.sha256, info, result.bytes), STORE_OK);
	snprintf(r->dataset_id, sizeof(r->dataset_id), "%s", row.id);
	snprintf(r->dataset_sha256, sizeof(r->dataset_sha256), "%s", result.sha256);
	dataset_row_done(&row);
	json_decref(result.info);
	free(info);
}

void rig_init(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	snprintf(r->dir, sizeof(r->dir), "/tmp/backpropd-work-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(r->dir));
	log_level_set(LOG_ERROR);
	int lock = statedir_open(r->dir);
	ck_assert_int_ge(lock, 0);
	close(lock);
	rig_open(r);
	dataset_make(r);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void rig_done(struct rig *r)
{
	rig_stop(r);
	if (r->store)
		store_close(r->store);
	nftw(r->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void rig_start(struct rig *r, int keep_checkpoints)
{
	int n;
	rig_open(r);
	char crashed[96], ids[CRASH_JOBS_MAX][CRASH_ID_MAX];
	snprintf(crashed, sizeof(crashed), "%s/crashed", r->dir);
	struct job_blamed blamed = {.ids = (const char(*)[ID_MAX])ids, .n = crash_read(crashed, ids)};
	ck_assert_int_eq(store_job_requeue(r->store, &blamed, &n), STORE_OK);
	ck_assert(crash_watch(crashed));
	r->hub = hub_new();
	rig_restart(r, keep_checkpoints);
}

void rig_restart(struct rig *r, int keep_checkpoints)
{
	if (!r->leases)
		r->leases = leases_new(r->cores ? r->cores : 2, 0);
	ck_assert_ptr_nonnull(r->leases);
	struct work_options o = {.store = r->store,
		.hub = r->hub,
		.state_dir = r->dir,
		.leases = r->leases,
		.workers = r->workers ? r->workers : 1,
		.keep_checkpoints = keep_checkpoints,
		.retry_seconds = r->retry_seconds};
	r->work = work_start(&o);
	ck_assert_ptr_nonnull(r->work);
}

void rig_stop(struct rig *r)
{
	if (!r->work)
		return;
	work_stop(r->work);
	hub_close(r->hub);
	hub_free(r->hub);
	store_close(r->store);
	leases_free(r->leases);
	r->work = NULL;
	r->leases = NULL;
	r->hub = NULL;
	r->store = NULL;
}

void rig_submit(struct rig *r, const char *training, struct job_row *ret)
{
	rig_submit_as(r, "local", training, ret);
}

void rig_submit_as(struct rig *r, const char *owner, const char *training, struct job_row *ret)
{
	struct problems problems = {0};
	struct spec_model model;
	struct spec_dataset *ds = calloc(1, sizeof(*ds));
	struct spec_job *job = calloc(1, sizeof(*job));
	struct dataset_row row;
	struct bp_memory memory;
	bool existing;
	char body[2048];
	snprintf(body, sizeof(body), "{\"name\":\"rig\",\"dataset\":\"rig\",\"model\":%s,\"training\":%s}", model_text,
		training);
	json_t *json = json_loads(body, 0, NULL);
	ck_assert_msg(json && ds && job, "%s", body);
	ck_assert_int_eq(store_dataset_get(r->store, "local", "rig", &row), STORE_OK);
	json_t *info = json_loads(row.info, 0, NULL);
	ck_assert(spec_dataset_parse(info, ds));
	struct bp_net *net = NULL;
	bool ok = spec_job_parse(json, 2, &problems, job) &&
		  spec_model_parse(json_object_get(json, "model"), "/model", &problems, &model) &&
		  (net = spec_model_build(&model, "/model", &problems)) &&
		  spec_job_check(job, &(struct spec_job_context){&model, net, ds, 0}, &problems, &memory);
	ck_assert_msg(ok, "%s: %s", problems.list[0].param, problems.list[0].detail);
	json_t *definition = spec_model_to_json(&model), *spec = spec_job_to_json(job, ds);
	char *model_json = json_dumps(definition, 0), *spec_json = json_dumps(spec, 0);
	struct job_new n = {.owner = owner,
		.name = "rig",
		.dataset_id = r->dataset_id,
		.model = model_json,
		.spec = spec_json,
		.priority = 50,
		.epochs = job->params.epochs};
	ck_assert_int_eq(store_job_add(r->store, &n, ret, &existing), STORE_OK);
	free(model_json);
	free(spec_json);
	json_decref(definition);
	json_decref(spec);
	json_decref(info);
	json_decref(json);
	dataset_row_done(&row);
	bp_net_free(net);
	spec_model_done(&model);
	free(ds);
	free(job);
	if (r->hub)
		hub_ring(r->hub, HUB_QUEUE);
}

void rig_wait_epoch(struct rig *r, const char *job_id, int epoch)
{
	for (bool enough = false; !enough;) {
		struct job_row row;
		uint64_t seen = hub_seq(r->hub, job_id);
		ck_assert_int_eq(store_job_get(r->store, job_id, &row), STORE_OK);
		enough = row.epoch >= epoch || job_status_terminal(row.status);
		job_row_done(&row);
		if (!enough)
			hub_wait(r->hub, job_id, seen, -1);
	}
}

void rig_wait_end(struct rig *r, const char *job_id, struct job_row *ret)
{
	for (;;) {
		uint64_t seen = hub_seq(r->hub, job_id);
		ck_assert_int_eq(store_job_get(r->store, job_id, ret), STORE_OK);
		if (job_status_terminal(ret->status))
			return;
		job_row_done(ret);
		hub_wait(r->hub, job_id, seen, -1);
	}
}

void rig_wait_change(struct rig *r, const char *job_id)
{
	hub_wait(r->hub, job_id, hub_seq(r->hub, job_id), 1000);
}

int rig_count_events(struct rig *r, const char *job_id, const char *type)
{
	struct event_row *rows;
	int n;
	ck_assert_int_eq(store_event_list(r->store, job_id, 0, type, 1000, &rows, &n), STORE_OK);
	for (int i = 0; i < n; i++)
		event_row_done(&rows[i]);
	free(rows);
	return n;
}

void rig_check_epochs(struct rig *r, const char *job_id, int epochs)
{
	struct event_row *rows;
	int n;
	ck_assert_int_eq(store_event_list(r->store, job_id, 0, "epoch", 1000, &rows, &n), STORE_OK);
	ck_assert_int_eq(n, epochs);
	for (int i = 0; i < n; i++) {
		json_t *data = json_loads(rows[i].data, 0, NULL);
		ck_assert_int_eq(json_integer_value(json_object_get(data, "epoch")), i + 1);
		json_decref(data);
		event_row_done(&rows[i]);
	}
	free(rows);
}

bool rig_checkpoint(struct rig *r, const char *job_id, const char *which, char *ret, size_t size)
{
	struct checkpoint_row row;
	if (store_checkpoint_get(r->store, job_id, which, &row) != STORE_OK)
		return false;
	snprintf(ret, size, "%s/checkpoints/%s/%s", r->dir, job_id, row.file);
	checkpoint_row_done(&row);
	return true;
}

int rig_weights(struct rig *r, const char *job_id, float *ret, int max)
{
	struct problems problems = {0};
	struct spec_model model;
	struct bp_error err;
	char path[256];
	int n = 0;
	json_t *json = json_loads(model_text, 0, NULL);
	ck_assert(spec_model_parse(json, "", &problems, &model));
	struct bp_net *net = spec_model_build(&model, "", &problems);
	ck_assert_ptr_nonnull(net);
	ck_assert(rig_checkpoint(r, job_id, "last", path, sizeof(path)));
	ck_assert_msg(bp_net_load(net, path, &err) == BP_OK, "%s", err.message);
	for (int i = 0; i < bp_net_tensors(net); i++) {
		struct bp_tensor_info info;
		int64_t size = 1;
		bp_net_tensor_info(net, i, &info);
		for (int d = 0; d < info.ndim; d++)
			size *= info.dim[d];
		ck_assert_int_le(n + size, max);
		bp_net_tensor_get(net, i, ret + n);
		n += (int)size;
	}
	bp_net_free(net);
	spec_model_done(&model);
	json_decref(json);
	return n;
}
