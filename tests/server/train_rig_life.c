/* train_rig_life.c - see train_rig.h: what is done to jobs, and what became of them. */
#include <check.h>
#include <dirent.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "train_rig.h"

void rig_wait_status(struct rig *r, const char *job_id, enum job_status status)
{
	for (bool there = false; !there;) {
		struct job_row row;
		uint64_t seen = hub_seq(r->hub, job_id);
		ck_assert_int_eq(store_job_get(r->store, job_id, &row), STORE_OK);
		there = row.status == status;
		ck_assert_msg(there || !job_status_terminal(row.status), "%s: %s", job_status_name(row.status),
			row.status_detail);
		job_row_done(&row);
		if (!there)
			hub_wait(r->hub, job_id, seen, -1);
	}
}

void rig_ask(struct rig *r, const char *job_id, enum job_verb verb)
{
	ck_assert_int_eq(store_job_ask(r->store, job_id, verb, -1), STORE_OK);
	hub_ring(r->hub, HUB_QUEUE);
	hub_ring(r->hub, job_id);
}

struct job_row rig_end(struct rig *r, const char *job_id, enum job_status status, const char *reason)
{
	struct job_row end;
	rig_wait_end(r, job_id, &end);
	ck_assert_msg(end.status == status, "%s: %s", job_status_name(end.status), end.status_detail);
	bool listed = !reason;
	for (int i = 0; reason && job_reason_at(i); i++)
		listed |= strcmp(job_reason_at(i)->code, reason) == 0;
	ck_assert_msg(listed, "%s is not in job_reason.def", reason);
	ck_assert_msg(!reason ? !end.status_reason : end.status_reason && strcmp(end.status_reason, reason) == 0, "%s",
		end.status_reason ? end.status_reason : "no reason");
	return end;
}

/* To the one worker: a job is blamed for its own threads alone. */
static void signal_worker(int sig)
{
	DIR *tasks = opendir("/proc/self/task");
	for (const struct dirent *e; tasks && (e = readdir(tasks));) {
		char path[300], name[32] = "";
		snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
		FILE *f = fopen(path, "r");
		if (f && fgets(name, sizeof name, f) && strcmp(name, "worker-0\n") == 0)
			tgkill(getpid(), atoi(e->d_name), sig);
		if (f)
			fclose(f);
	}
	closedir(tasks);
}

/* epoch 0: one more than before. */
static void train_and_end(struct rig *r, const char *job_id, int attempt, int epoch, int sig)
{
	store_close(r->store); /* a connection must not cross a fork */
	r->store = NULL;
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct job_row first;
		signal(sig, SIG_DFL); /* a sanitizer would exit instead */
		rig_open(r);
		store_job_get(r->store, job_id, &first);
		if (epoch == 0)
			epoch = first.epoch + 1;
		job_row_done(&first);
		rig_start(r, 2);
		for (bool there = false; !there;) {
			struct job_row row;
			uint64_t seen = hub_seq(r->hub, job_id);
			store_job_get(r->store, job_id, &row);
			there = row.attempt >= attempt && row.epoch >= epoch;
			job_row_done(&row);
			if (!there)
				hub_wait(r->hub, job_id, seen, -1);
		}
		signal_worker(sig);
		pause();
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == sig);
}

void rig_train_and_die(struct rig *r, const char *job_id, int attempt, int epoch)
{
	train_and_end(r, job_id, attempt, epoch, SIGKILL);
}

void rig_train_and_crash(struct rig *r, const char *job_id, int attempt, int sig)
{
	train_and_end(r, job_id, attempt, 0, sig);
}

int rig_best_epoch(struct rig *r, const char *job_id)
{
	struct checkpoint_row row;
	ck_assert_int_eq(store_checkpoint_get(r->store, job_id, "best", &row), STORE_OK);
	int epoch = row.epoch;
	checkpoint_row_done(&row);
	return epoch;
}

int rig_changes(struct rig *r, const char *job_id, struct job_change *ret, int64_t *ret_steps, int max)
{
	struct event_row *rows;
	int n;
	ck_assert_int_eq(store_event_list(r->store, job_id, 0, "change", max, &rows, &n), STORE_OK);
	for (int i = 0; i < n; i++) {
		json_t *data = json_loads(rows[i].data, 0, NULL);
		ret_steps[i] = json_integer_value(json_object_get(data, "step"));
		ret[i] = (struct job_change){.data = strdup(rows[i].data),
			.lr = json_number_value(json_object_get(data, "lr")),
			.epochs = (int)json_integer_value(json_object_get(data, "epochs")),
			.epoch = -1};
		json_decref(data);
		event_row_done(&rows[i]);
	}
	free(rows);
	return n;
}
