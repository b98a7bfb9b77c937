/*
 * store.h - the only mailbox between api and work: data sets, models, jobs, events and checkpoints as rows.
 *
 * SQL only, on top of db/. Every function that writes is one transaction, durable when it returns STORE_OK
 * (WAL, synchronous=FULL). The store never rings the hub; the caller does, after the return. Functions may be called
 * from any thread. Row structs own their strings (heap) until *_row_done. Times are unix seconds as double.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "share/order.h"

enum store_status {
	STORE_OK = 0,
	STORE_NOT_FOUND,
	STORE_CONFLICT, /* the present state does not allow it; or a unique name is taken */
	STORE_STALE,    /* the object is at another version than the caller named */
	STORE_MANY,     /* a limit on the number of these, or on what a user may take of the disk, is reached */
	STORE_FULL,     /* disk full */
	STORE_ERROR     /* logged; the client learns nothing more */
};

struct store;

/* Opens or creates the database at path, migrates it, and marks the boot. NULL (logged) when it cannot be used. */
struct store *store_open(const char *path, const char *boot_id);
/* False: it failed, at the last while closing. */
bool store_close(struct store *s);
/* By what rules jobs are claimed; before other threads use the store. Without: all at once, by priority and age. */
void store_policy_set(struct store *s, const struct order_policy *policy);
/* True once a sync failed or the file proved corrupt: every write is refused from then on; the daemon should stop. */
bool store_failed(const struct store *s);
/* Makes it so: the sync of any file failed, and nothing that was not synced before can be believed. The one rule for
 * all of them: main ends the daemon with status 1, systemd starts it again, and the next start recovers. what is for
 * the log. */
void store_fail(struct store *s, const char *what);
/* Called once when it fails, on the thread that saw it. Set before other threads have the store. */
void store_on_failure(struct store *s, void (*fn)(void *user), void *user);

/* Held while a packed file gets or loses a reference, so that equal uploads and removals do not cross. */
void store_files_lock(struct store *s);
void store_files_unlock(struct store *s);

enum { ID_MAX = 40, NAME_MAX_BYTES = 64 };

enum { USER_MAX = 32 }; /* bytes of a user's name */

struct page {
	int limit;         /* 1..1000 */
	const char *owner; /* whose rows; NULL: everyone's */
	const char *after; /* id of the last row the client has, or NULL; newest first */
	bool has_more;     /* out */
};

/* ---- tokens ------------------------------------------------------------------------------------------- */

/* What a request may do; each scope includes those before it. */
enum scope { SCOPE_NONE, SCOPE_READ, SCOPE_WRITE, SCOPE_ADMIN };
const char *scope_name(enum scope scope); /* "read"; SCOPE_NONE: "" */
enum scope scope_find(const char *name);  /* SCOPE_NONE when unknown */

struct token_row {
	char id[ID_MAX], user[USER_MAX + 1], name[NAME_MAX_BYTES + 1];
	enum scope scope;
	double created_at, expires_at, revoked_at, last_used_at; /* 0: never */
};
struct token_new {
	const char *user, *name;
	enum scope scope;
	double expires_at;  /* 0: never */
	const char *sha256; /* of the token's text */
};
enum store_status store_token_add(struct store *s, const struct token_new *n, struct token_row *ret);
/* The token with that hash, whatever its state. */
enum store_status store_token_find(struct store *s, const char *sha256, struct token_row *ret);
/* Newest first. *ret: heap array, freed by the caller. */
enum store_status store_token_list(struct store *s, struct page *page, struct token_row **ret, int *ret_n);
/* From now on it is refused; one that was revoked before stays so. user NULL: anyone's. */
enum store_status store_token_revoke(struct store *s, const char *user, const char *id);
/* Whether it is there and neither revoked nor expired. False too when the database fails. */
bool store_token_holds(struct store *s, const char *id);
/* How many were revoked since the start; to see cheaply whether to ask for one again. */
unsigned store_token_revocations(const struct store *s);
/* Remembers that it was used now. */
enum store_status store_token_used(struct store *s, const char *id);

/* ---- data sets ---------------------------------------------------------------------------------------- */

struct dataset_row {
	char id[ID_MAX], owner[USER_MAX + 1], name[NAME_MAX_BYTES + 1];
	char *status; /* "receiving", "ready" */
	char *sha256; /* of the packed file, names it under datasets/; NULL while receiving */
	char *info;   /* JSON object made by ingest (shape, splits, classes, mean, std ...); NULL while receiving */
	int64_t bytes;
	double created_at, updated_at;
};
struct dataset_file_row {
	char name[NAME_MAX_BYTES + 1];
	char stored_as[ID_MAX]; /* file name under uploads/ */
	int64_t bytes;
};
void dataset_row_done(struct dataset_row *row);

/* Creates the owner's data set in "receiving" when there is none of that name; a ready one goes back to nothing:
 * CONFLICT. */
enum store_status store_dataset_begin(struct store *s, const char *owner, const char *name, struct dataset_row *ret);
/* Adds or replaces an uploaded file; ret_replaced gets the stored name that is no longer referenced, or "". */
enum store_status store_dataset_file_add(
	struct store *s, const char *dataset_id, const struct dataset_file_row *file, char ret_replaced[ID_MAX]);
/* *ret: heap array, freed by the caller. */
enum store_status store_dataset_files(
	struct store *s, const char *dataset_id, struct dataset_file_row **ret, int *ret_n);
/* receiving -> ready; forgets the uploaded files. */
enum store_status store_dataset_ready(
	struct store *s, const char *dataset_id, const char *sha256, const char *info, int64_t bytes);
/* By id, whosever it is, or by the name that it has with its owner. */
enum store_status store_dataset_get(
	struct store *s, const char *owner, const char *name_or_id, struct dataset_row *ret);
enum store_status store_dataset_list(struct store *s, struct page *page, struct dataset_row **ret, int *ret_n);
/* CONFLICT while a job that has not ended uses it. *ret_last: no other data set shares the packed file. */
enum store_status store_dataset_delete(struct store *s, const char *dataset_id, bool *ret_last);
/* Whether any data set refers to the packed file / the uploaded file (for the sweep at start). */
bool store_dataset_has_sha256(struct store *s, const char *sha256);
bool store_dataset_has_upload(struct store *s, const char *stored_as);

/* ---- models ------------------------------------------------------------------------------------------- */

struct model_row {
	char id[ID_MAX], owner[USER_MAX + 1], name[NAME_MAX_BYTES + 1];
	char *source;     /* JSON, as sent; NULL: as resolved */
	char *definition; /* JSON, as resolved */
	char *summary;    /* JSON: layers with shapes, parameters, flops */
	double created_at;
};
void model_row_done(struct model_row *row);
struct model_new {
	const char *owner, *name, *definition, *summary;
	const char *source; /* the definition as sent */
};
enum store_status store_model_add(struct store *s, const struct model_new *n, struct model_row *ret);
enum store_status store_model_get(struct store *s, const char *id, struct model_row *ret);
enum store_status store_model_list(struct store *s, struct page *page, struct model_row **ret, int *ret_n);
/* Jobs keep their own copy of the definition, so a model can always go. */
enum store_status store_model_delete(struct store *s, const char *id);

/* ---- jobs --------------------------------------------------------------------------------------------- */

enum job_status {
#define JOB_STATUS(name, terminal) JOB_##name,
#include "store/job_status.def"
	JOB_STATUS_COUNT
};
const char *job_status_name(enum job_status st); /* "queued" */
int job_status_find(const char *name);           /* -1 when unknown */
bool job_status_terminal(enum job_status st);
/* Reasons are listed in job_reason.def; i from 0, NULL past the end. Static. */
struct job_reason {
	const char *code, *help;
};
const struct job_reason *job_reason_at(int i);
bool job_status_move_legal(enum job_status from, enum job_status to);

/* What retention has left of an ended job's checkpoints. */
enum weights_kept { WEIGHTS_NONE, WEIGHTS_BEST, WEIGHTS_ALL };

struct job_row {
	char id[ID_MAX], owner[USER_MAX + 1], name[NAME_MAX_BYTES + 1];
	enum job_status status;
	char *status_reason; /* code, or NULL */
	char *status_detail; /* sentence for a person (why it failed), or NULL */
	char dataset_id[ID_MAX], dataset_name[NAME_MAX_BYTES + 1];
	char *dataset_sha256; /* the packed file */
	char *model;          /* JSON definition, resolved */
	char *spec;           /* JSON: everything else as resolved by spec (training, resources, normalization, plan) */
	int priority;         /* 0..100, higher first */
	int epochs, epoch;    /* asked for; finished */
	char *metrics;        /* JSON object of the newest epoch, and at the end test_loss, test_accuracy; or NULL */
	int64_t last_seq;     /* newest event */
	int attempt;          /* claims so far */
	bool cancel_requested, stop_requested;
	int retries;                       /* failures and crashes since its last checkpoint */
	int deaths;                        /* of the server while it ran, for no known reason, since then */
	double not_before;                 /* queued: not claimed before; 0 = at any time */
	double queued_at;                  /* when it went into the queue last */
	int threads;                       /* the most that it may use; 0 = as many as it is given */
	int64_t planned_bytes;             /* memory reserved for it while a worker has it; 0 = not known */
	double epoch_seconds, max_seconds; /* predicted for an epoch; at most so long; 0 = not known, no limit */
	double claimed_at;                 /* a worker has it since then; 0 = none has */
	double claimed_mono;               /* the same on the monotonic clock */
	double runtime_seconds;            /* of the attempts that are over */
	double lr;                         /* present training.optimizer.lr, 0 = as in spec */
	double asked_lr;                   /* asked for, not yet taken up by the worker; 0 = nothing */
	int asked_epochs;                  /* the same */
	char *diagnosis;                   /* JSON array of findings, or NULL */
	bool trained;                      /* no epoch will follow: its test is being made */
	enum weights_kept weights_kept;
	double weights_removed_at;                  /* by retention; 0 = it has taken none */
	double created_at, started_at, finished_at; /* 0 = not yet */
	int64_t version;                            /* grows with every change; the ETag */
};
void job_row_done(struct job_row *row);

struct job_new {
	const char *owner, *name, *dataset_id, *model, *spec;
	int priority, epochs;
	int threads; /* as in job_row, all four */
	int64_t planned_bytes;
	double epoch_seconds, max_seconds;
	const char *idempotency_key;             /* the owner's, or NULL */
	const char *request_sha256;              /* of the request body, with the key */
	int64_t max_queued, max_queued_of_owner; /* jobs that may wait, this one among them; 0: any number */
};
/* Queues a job and writes its first event. With a known key and the same request: *ret_existing, nothing new;
 * with another request: CONFLICT. NOT_FOUND: the data set is gone or not ready. MANY: too many are waiting. */
enum store_status store_job_add(struct store *s, const struct job_new *n, struct job_row *ret, bool *ret_existing);
enum store_status store_job_get(struct store *s, const char *id, struct job_row *ret);
/* Whether there are jobs of these ids, all in one look. */
enum job_known { JOB_UNKNOWN, JOB_UNFINISHED, JOB_ENDED };
enum store_status store_job_known(struct store *s, const char *const *ids, int n, enum job_known *ret);
struct job_filter {
	int status;          /* enum job_status, -1 = any */
	const char *dataset; /* name, or NULL */
	const char *name;    /* or NULL */
};
enum store_status store_job_list(
	struct store *s, const struct job_filter *f, struct page *page, struct job_row **ret, int *ret_n);
/* Where a queued job stands, and why it waits. */
struct job_place {
	int position; /* from 1 */
	enum order_verdict verdict;
	char detail[160];    /* the verdict as a sentence */
	int level;           /* priority, risen while it waited */
	bool fast;           /* may use the fast lane */
	double waited;       /* seconds */
	double core_seconds; /* used lately by its user's jobs */
};
struct queued_job {
	struct job_row row;
	struct job_place place;
};
/* The first of the queue, in the order in which they will be claimed. *ret: heap array; the rows and it are the
 * caller's. */
enum store_status store_job_queue(struct store *s, int limit, struct queued_job **ret, int *ret_n);
/* NOT_FOUND: it is not queued. */
enum store_status store_job_place(struct store *s, const char *id, struct job_place *ret);
/* A user's jobs have used so many core-seconds more. */
enum store_status store_usage_add(struct store *s, const char *user, double core_seconds);
struct job_edit {
	const char *name;   /* NULL = unchanged */
	int priority;       /* -1 = unchanged */
	double lr;          /* training.optimizer.lr; 0 = unchanged */
	int epochs;         /* 0 = unchanged */
	int64_t if_version; /* -1 = any; else STALE when the job is at another one */
};
/* lr and epochs are asked of the worker that has the job, or will have it. CONFLICT: more than a new name for a job
 * that has ended, or epochs for one whose worker is past its last. */
enum store_status store_job_edit(struct store *s, const char *id, const struct job_edit *e);
/* The one function through which every status goes; it knows the legal moves (job_status.def), appends to the
 * history and writes a "status" event. CONFLICT when the move is not legal from the present status. */
enum store_status store_job_move(
	struct store *s, const char *id, enum job_status to, const char *reason, const char *detail);
enum job_verb { JOB_VERB_PAUSE, JOB_VERB_RESUME, JOB_VERB_STOP, JOB_VERB_CANCEL, JOB_VERB_COUNT };
/* What a client asks of a job (the table is in job_ask.c): done at once where no worker has it, else left for its
 * worker to do at the next batch. Asking again is OK and changes nothing. CONFLICT: not in this status; STALE: not at
 * that version (-1: any). */
enum store_status store_job_ask(struct store *s, const char *id, enum job_verb verb, int64_t if_version);
enum { JOB_RETRIES_MAX = 3 };
/* A worker gives up its job for a reason that may pass: back to the queue for delay seconds. After JOB_RETRIES_MAX
 * times without a new checkpoint it fails instead. *ret_again: it will be tried again. */
enum store_status store_job_retry(
	struct store *s, const char *id, const char *reason, const char *detail, double delay, bool *ret_again);
/* A worker gives up its job because the server's disk is full: it pauses (disk_full) until store_keep_disk_resume. What
 * a client asked for meanwhile comes first: a pause or a cancellation is done, a stop is tried again after delay
 * seconds.
 */
enum store_status store_job_wait_for_disk(struct store *s, const char *id, const char *detail, double delay);
/* Removes a terminal job with its events and checkpoint rows. STALE: it is not at that version (-1: any). */
enum store_status store_job_delete(struct store *s, const char *id, int64_t if_version);
/* History of statuses as a JSON array text (heap). */
enum store_status store_job_history(struct store *s, const char *id, char **ret_json);
/* Claims the first of the queue that may begin now, by the order of share/order.h, for this boot: running (and
 * stopping, when that was asked for), attempt + 1. NOT_FOUND when there is none to claim now. */
enum store_status store_job_claim(struct store *s, struct job_row *ret);
/* Whether a running job should go back to the queue: every place is taken, its user has another one, claimed before
 * it, and in the queue with it the first to begin would be a job of a user who has none running. */
bool store_job_gives_way(struct store *s, const char *id);
/* Milliseconds until a queued job that waited for its time, or for a suspect's trial, at the last claim may be claimed,
 * or until it should be asked again, because the queue could not be read; -1: none waits. */
int store_job_next_ms(struct store *s);
/* At start, for jobs of another boot, which died with them: running and stopping ones go back to queued (reason
 * server_restart), pausing ones go to paused, cancelling ones to cancelled. A job among the blamed crashed the server:
 * after JOB_RETRIES_MAX retries since its last checkpoint it fails (worker_crash). When nobody is blamed (a kill, no
 * memory, no power) it may have been any of them: each fails after JOB_DEATHS_MAX deaths since its last checkpoint,
 * none of them JOB_DEATHS_APART seconds of running after the one before: what lies further apart is no loop. Long
 * before it is a suspect (share/order.h), so that the others are not among them for long. */
enum { JOB_DEATHS_MAX = 15, JOB_DEATHS_APART = 3600 }; /* a machine switched off and on must not fail its jobs */
struct job_blamed {
	const char (*ids)[ID_MAX];
	int n;
};
enum store_status store_job_requeue(struct store *s, const struct job_blamed *blamed, int *ret_n);
struct job_asked {
	enum job_status status; /* running, pausing, stopping, cancelling */
	double lr;              /* 0 = nothing */
	int epochs;             /* 0 = nothing */
};
/* What its worker is asked to do. False: nothing. Cheap while no job is asked for anything: called several times a
 * second. */
bool store_job_asked(struct store *s, const char *id, struct job_asked *ret);
/* No epoch will follow, whatever is asked: its worker tests what there is. */
enum store_status store_job_trained(struct store *s, const char *id);
struct job_change {
	const char *data; /* JSON of the "change" event */
	double lr;        /* in force from now on */
	int epochs;
	int epoch;              /* finished ones, when the training goes back; -1 = unchanged */
	struct job_asked asked; /* what was taken up with it */
};
/* A change of the training: its event, and the job's lr and epochs. What was taken up is no longer asked for. */
enum store_status store_job_changed(struct store *s, const char *id, const struct job_change *c, int64_t *ret_seq);
/* Something was found wrong: its "diagnosis" event, and all findings so far, a JSON array. */
enum store_status store_job_diagnosed(
	struct store *s, const char *id, const char *data, const char *all, int64_t *ret_seq);
/* A speed that was measured. */
struct speed {
	char model_sha256[65]; /* of the resolved definition as in job_row.model */
	int batch_size;
	double training_flops; /* of a sample */
	double samples_per_second;
};
enum store_status store_speed_note(struct store *s, const struct speed *v);
/* Fills samples_per_second of what is wanted, from the same model if it was measured (*ret_exact), else from the one
 * whose work is the nearest. NOT_FOUND: nothing was measured yet. */
enum store_status store_speed_find(struct store *s, struct speed *want, bool *ret_exact);
struct job_counts {
	int64_t by_status[JOB_STATUS_COUNT];
	int64_t reserved_bytes; /* of memory, for those that workers have */
};
enum store_status store_job_counts(struct store *s, struct job_counts *ret);

/* ---- events: (job, seq) dense from 1 ------------------------------------------------------------------ */

struct event_row {
	int64_t seq;
	char job_id[ID_MAX];
	int64_t global_seq; /* order over all jobs, for /v1/events */
	char *type;         /* "status", "epoch", "checkpoint", "progress", "change", "diagnosis", "warning", "test" */
	char *data;         /* JSON object */
	double created_at;
};
void event_row_done(struct event_row *row);
struct checkpoint_new {
	int epoch;
	int64_t step;
	const char *file; /* file name under checkpoints/<job>/ */
	int64_t bytes;
	bool is_best;        /* the older best loses its mark */
	const char *metrics; /* JSON or NULL */
};
/* One transaction: the event, the job's epoch and metrics, and the checkpoint if not NULL. A checkpoint that
 * is further along than those it has is progress: it sets the job's retries and deaths to 0. */
enum store_status store_event_append(struct store *s, const char *job_id, const char *type, const char *data,
	int epoch /* -1: unchanged */, const char *metrics /* NULL: unchanged */, const struct checkpoint_new *ckpt,
	int64_t *ret_seq);
/* A job's rows with seq > after, oldest first. type NULL: any. */
enum store_status store_event_list(struct store *s, const char *job_id, int64_t after, const char *type, int limit,
	struct event_row **ret, int *ret_n);
/* The rows of all jobs of an owner (NULL: of everyone) with global_seq > after, oldest first. type NULL: any. */
struct event_feed {
	const char *owner, *type;
	int64_t after;
	int limit;
};
enum store_status store_event_feed(struct store *s, const struct event_feed *feed, struct event_row **ret, int *ret_n);

/* ---- checkpoints -------------------------------------------------------------------------------------- */

struct checkpoint_row {
	char id[ID_MAX], job_id[ID_MAX];
	int epoch;
	int64_t step, bytes;
	char *file;
	char *metrics; /* JSON or NULL */
	bool is_best, is_last;
	double created_at;
};
void checkpoint_row_done(struct checkpoint_row *row);
/* Newest first. */
enum store_status store_checkpoint_list(struct store *s, const char *job_id, struct checkpoint_row **ret, int *ret_n);
/* which: "best", "last", an epoch number, or a checkpoint id. */
enum store_status store_checkpoint_get(
	struct store *s, const char *job_id, const char *which, struct checkpoint_row *ret);
enum store_status store_checkpoint_remove(struct store *s, const char *id);

/* ---- keeping: kept time, room, retention (store/keep.c) ------------------------------------------------ */

/* Seconds on a clock like the wall clock's that goes on while the server runs, and over a stop by at most half a
 * day. */
double store_kept_now(const struct store *s);
/* Writes it down, so that a crash loses little of it. */
enum store_status store_kept_note(struct store *s);

/* Bytes that each user may take of the disk; 0: any. Before other threads begin. */
void store_disk_limit(struct store *s, int64_t bytes_per_user);
struct disk_use {
	int64_t datasets, uploads, checkpoints; /* bytes */
};
enum store_status store_disk_use(struct store *s, const char *owner, struct disk_use *ret);
/* Bytes that the user may still take; negative: how many too many; INT64_MAX: there is no limit, or it
 * could not be read. Uploads are counted again when they are recorded. */
int64_t store_disk_left(struct store *s, const char *owner);
/* Jobs that were paused because their owners took too much (disk_quota) go back to the queue, where there is room. */
enum store_status store_keep_resume(struct store *s, int *ret_n);
/* The next job after that id ("": the first) which was paused because the server's disk was full (disk_full), and how
 * many bytes its next checkpoint will have. NOT_FOUND: there is none. */
enum store_status store_keep_disk_next(struct store *s, char id[ID_MAX], int64_t *ret_bytes);
/* It goes back to the queue. CONFLICT: it does not wait for the disk any more. */
enum store_status store_keep_disk_resume(struct store *s, const char *id);

/* What retention has removed since the database was made. */
struct keep_totals {
	int64_t jobs, weights, datasets, uploads, bytes;
};
enum store_status store_keep_totals(struct store *s, struct keep_totals *ret);
/* What one removal took away; its files are to be removed now. */
enum { KEEP_FILE_MAX = 72 };
struct keep_removed {
	char id[ID_MAX];              /* of the job or data set */
	char (*files)[KEEP_FILE_MAX]; /* heap; of weights, uploads, or one packed file */
	int nfiles;
	struct keep_totals n;
};
void keep_removed_done(struct keep_removed *r);
/* The longest ended job, if it ended before that kept time, with all its rows. NOT_FOUND: there is none. */
enum store_status store_keep_remove_job(struct store *s, double before, struct keep_removed *ret);
/* The checkpoints of the longest ended job that has more than level; the job stays. */
enum store_status store_keep_remove_weights(
	struct store *s, double before, enum weights_kept level, struct keep_removed *ret);
/* Bytes of all checkpoints. */
enum store_status store_keep_weights_bytes(struct store *s, int64_t *ret);
/* The longest unused data set that no job needs that has not ended (ready), or that never was committed. Under the
 * files' lock, until its files are removed. */
enum store_status store_keep_remove_dataset(struct store *s, double before, bool ready, struct keep_removed *ret);

#endif
