/*
 * main.c - a table of contents: start in order, wait for a signal, stop in reverse. The main thread does nothing else
 * but tell systemd that all is well.
 */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api.h"
#include "api/auth.h"
#include "api/quota.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/cpus.h"
#include "base/crash.h"
#include "base/files.h"
#include "base/id.h"
#include "base/jsonmem.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/notify.h"
#include "base/statedir.h"
#include "cli/cli.h"
#include "http/http.h"
#include "hub/hub.h"
#include "share/lease.h"
#include "store/store.h"
#include "keep/keep.h"
#include "keep/sweep.h"
#include "work/work.h"

enum {
	STATUS_SECONDS = 10,
	WORKERS_MAX = 64,
	OTHER_FILES = 300 /* beside connections: databases, data sets, checkpoints, uploads, who is on the way out */
};

struct daemon {
	struct config config;
	char boot_id[ID_MAX];
	int lock; /* of the state directory, -1 = not taken */
	struct store *store;
	struct hub *hub;
	struct leases *leases;
	struct work *work;
	struct keeper *keeper;
	struct api api;
	struct http_server *http;
};

/* Idle OpenMP threads would spin for milliseconds and take the cores from other jobs and users; those that sleep at
 * once are woken too late: on an idle machine a 784-512-256-10 perceptron trains 1.5 times as fast on two threads with
 * 1000 turns, some 20 us, as with none, ResNet-20 a tenth. Beside a process that keeps one of the two cores busy, these
 * cost the perceptron an eighth, where 10,000 cost three quarters. libgomp reads this before main, so it must be in the
 * environment that the program is started with. */
static void openmp_settle(char **argv)
{
	if (getenv("OMP_WAIT_POLICY"))
		return;
	setenv("OMP_WAIT_POLICY", "passive", 1);
	setenv("GOMP_SPINCOUNT", "1000", 0);
	execv("/proc/self/exe", argv);
	log_line(LOG_WARNING, "cannot start again with OMP_WAIT_POLICY=passive; idle threads will spin");
}

/* Before any thread is started, so that all inherit it: only main takes these signals. */
static void signals_block(sigset_t *ret)
{
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(ret);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGHUP);
	sigaddset(ret, SIGUSR1); /* from ourselves, see wake */
	pthread_sigmask(SIG_BLOCK, ret, NULL);
}

/* The store failed, on whatever thread: main looks at once. */
static void wake(void *user)
{
	(void)user;
	kill(getpid(), SIGUSR1);
}

static bool store_start(struct daemon *d)
{
	char path[sizeof(d->config.state_dir) + 16], ids[CRASH_JOBS_MAX][CRASH_ID_MAX];
	int requeued;
	snprintf(path, sizeof(path), "%s/backpropd.db", d->config.state_dir);
	id_new("boot_", d->boot_id, sizeof(d->boot_id));
	d->store = store_open(path, d->boot_id);
	if (!d->store)
		return false;
	store_on_failure(d->store, wake, NULL);
	store_disk_limit(d->store, d->config.max_disk_mb_per_user << 20);
	sweep_state(d->store, d->config.state_dir);
	snprintf(path, sizeof(path), "%s/crashed", d->config.state_dir);
	struct job_blamed blamed = {.ids = (const char(*)[ID_MAX])ids, .n = crash_read(path, ids)};
	for (int i = 0; i < blamed.n; i++)
		log_line(LOG_WARNING, "%s: its thread crashed the server", ids[i]);
	if (store_job_requeue(d->store, &blamed, &requeued) != STORE_OK)
		return false;
	if (!crash_watch(path))
		log_line(LOG_WARNING, "crashes are not told apart: %s", strerror(errno));
	if (requeued > 0)
		log_line(LOG_NOTICE, "%d job(s) of the last run go on", requeued);
	return true;
}

static bool work_begin(struct daemon *d)
{
	const struct config *c = &d->config;
	struct work_options o = {.store = d->store,
		.hub = d->hub,
		.state_dir = c->state_dir,
		.leases = d->leases,
		.workers = d->api.workers,
		.keep_checkpoints = (int)c->keep_checkpoints,
		.retry_seconds = (int)c->retry_seconds};
	d->work = work_start(&o);
	return d->work;
}

static bool keep_begin(struct daemon *d)
{
	enum { DAY = 86400 };
	const struct config *c = &d->config;
	struct keep_options o = {.store = d->store,
		.hub = d->hub,
		.state_dir = c->state_dir,
		.rules = {.jobs = (double)c->retain_jobs_days * DAY,
			.weights = (double)c->retain_weights_days * DAY,
			.datasets = (double)c->retain_datasets_days * DAY,
			.uploads = (double)c->retain_uploads_days * DAY,
			.weights_bytes = c->retain_weights_mb << 20,
			.only_best = c->retain_only_best},
		.look_seconds = 2.0 * (double)c->retry_seconds};
	d->keeper = keep_start(&o);
	return d->keeper;
}

static bool http_begin(struct daemon *d)
{
	const struct config *c = &d->config;
	char uploads[sizeof(c->state_dir) + 16];
	snprintf(uploads, sizeof(uploads), "%s/uploads", c->state_dir);
	struct http_options o = {.address = c->address,
		.anywhere = strcmp(c->auth, "none") != 0,
		.admit = auth_admit,
		.over = quota_over,
		.port = (int)c->port,
		.unix_socket = c->unix_socket[0] ? c->unix_socket : NULL,
		.listen_fd = notify_listen_fd(),
		.event_threads = (int)c->event_threads,
		.slow_threads = (int)c->slow_threads,
		.max_connections = (int)c->max_connections,
		.deadlines.stall = (int)c->client_stall_seconds * 1000,
		.max_json_bytes = c->max_json_kb << 10,
		.max_upload_bytes = c->max_upload_mb << 20,
		.upload_dir = uploads,
		.allowed_hosts = c->allowed_hosts[0] ? c->allowed_hosts : NULL,
		.hub = d->hub,
		.routes = api_routes,
		.nroutes = api_nroutes,
		.app = &d->api};
	d->http = http_start(&o);
	d->api.http = d->http;
	return d->http;
}

/* Whoever waits for this file reads a whole number or finds no file. */
static bool port_write(const struct daemon *d)
{
	char partial[sizeof(d->config.port_file) + 16];
	const char *path = d->config.port_file;
	if (!path[0])
		return true;
	snprintf(partial, sizeof(partial), "%s.partial", path);
	FILE *f = fopen(partial, "we");
	bool ok = f && fprintf(f, "%d\n", http_port(d->http)) > 0;
	ok = f && fclose(f) == 0 && ok && rename(partial, path) == 0;
	if (!ok)
		log_line(LOG_ERROR, "cannot write %s: %s", path, strerror(errno));
	return ok;
}

/* Each job that runs has a thread at least. */
static int workers_of(const struct config *c, int threads)
{
	return c->workers > 0 && c->workers < threads ? (int)c->workers : threads < WORKERS_MAX ? threads : WORKERS_MAX;
}

static void policy_set(struct daemon *d)
{
	const struct config *c = &d->config;
	struct order_policy policy = {.slots = d->api.workers,
		.cores = d->api.threads,
		.memory = d->api.memory_limit,
		.max_running_per_user = (int)c->max_running_per_user,
		.max_cores_per_user = (int)c->max_cores_per_user,
		.rise_seconds = (double)c->queue_rise_hours * 3600,
		.halflife_seconds = (double)c->fair_share_halflife_hours * 3600};
	store_policy_set(d->store, &policy);
}

static bool daemon_start(struct daemon *d)
{
	const struct config *c = &d->config;
	umask(077);
	d->lock = statedir_open(c->state_dir);
	if (d->lock < 0)
		return false;
	jsonmem_watch();
	json_object_seed(0);
	files_allow(c->max_connections + c->max_connections / 4 + OTHER_FILES); /* TCP and local ones */
	d->api = (struct api){.config = c,
		.state_dir = c->state_dir,
		.boot_id = d->boot_id,
		.started_at = clock_now(),
		.started_mono = clock_mono(),
		.threads = c->threads ? (int)c->threads : cpus_available(),
		.memory_limit = c->memory_limit_mb ? c->memory_limit_mb << 20 : memory_available() / 4 * 3};
	d->api.workers = workers_of(c, d->api.threads);
	d->api.leases = d->leases = leases_new(d->api.threads, (int)c->max_cores_per_user);
	if (!d->leases || !store_start(d))
		return false;
	policy_set(d);
	d->api.store = d->store;
	d->api.hub = d->hub = hub_new();
	return d->hub && work_begin(d) && keep_begin(d) && http_begin(d) && port_write(d);
}

/* False when the store or an event thread does not answer: then the watchdog is not fed, and systemd starts the daemon
 * anew. A worker is not asked: how long a batch may take is its model's affair. */
static bool status_send(struct daemon *d, bool first)
{
	struct job_counts n;
	char state[256];
	double watchdog = notify_watchdog_seconds();
	if (store_job_counts(d->store, &n) != STORE_OK)
		return false;
	if (!first && watchdog > 0 && !http_answers(d->http, (int)(watchdog * 500)))
		return false;
	snprintf(state, sizeof(state), "%sWATCHDOG=1\nSTATUS=Port %d, %lld running, %lld queued",
		first ? "READY=1\n" : "", http_port(d->http), (long long)n.by_status[JOB_RUNNING],
		(long long)n.by_status[JOB_QUEUED]);
	notify_send(state);
	return true;
}

/* True: a signal asked for the end. False: the store can no longer be trusted, and a new start must look at it. */
static bool daemon_wait(struct daemon *d, const sigset_t *signals)
{
	double watchdog = notify_watchdog_seconds();
	double tick = watchdog > 0 && watchdog < STATUS_SECONDS ? watchdog : STATUS_SECONDS;
	struct timespec timeout = {.tv_sec = (time_t)tick, .tv_nsec = (long)((tick - (double)(time_t)tick) * 1e9)};
	if (!status_send(d, true)) {
		log_line(LOG_ERROR, "the database does not answer");
		return false;
	}
	log_line(LOG_NOTICE, "backpropd %s listens on port %d", BACKPROPD_VERSION, http_port(d->http));
	for (;;) {
		int sig = sigtimedwait(signals, NULL, &timeout);
		if (store_failed(d->store)) {
			log_line(LOG_ERROR, "stops, so that the next start can see what is on the disk");
			return false;
		}
		if (sig > 0 && sig != SIGUSR1) {
			log_line(LOG_NOTICE, "%s: stops", strsignal(sig));
			return true;
		}
		if (!status_send(d, false))
			log_line(LOG_ERROR, "not all is well; systemd's watchdog is not told otherwise");
	}
}

/* Also half started. Clients hear of the jobs' last changes before their streams end. False: the database failed. */
static bool daemon_stop(struct daemon *d)
{
	sigset_t interrupt;
	notify_send("STOPPING=1\nSTATUS=Jobs write their checkpoints");
	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	/* A second Ctrl-C ends at once; the next start recovers from that. */
	pthread_sigmask(SIG_UNBLOCK, &interrupt, NULL);
	keep_stop(d->keeper);
	work_stop(d->work);
	if (d->hub)
		hub_close(d->hub);
	if (d->http)
		http_stop(d->http);
	if (d->config.port_file[0] && d->http)
		unlink(d->config.port_file);
	hub_free(d->hub);
	leases_free(d->leases);
	bool ok = store_close(d->store);
	if (d->lock >= 0)
		close(d->lock);
	return ok;
}

int main(int argc, char **argv)
{
	struct daemon d = {.lock = -1};
	sigset_t signals;
	if (argc > 1 && strcmp(argv[1], "token") == 0)
		return cli_token(argc, argv);
	openmp_settle(argv);
	int rc = config_load(&d.config, argc, argv);
	if (rc != 0)
		return rc > 0 ? EXIT_SUCCESS : 2;
	log_level_set((enum log_level)log_level_find(d.config.log_level));
	signals_block(&signals);
	bool ok = daemon_start(&d);
	if (ok)
		ok = daemon_wait(&d, &signals);
	else
		log_line(LOG_ERROR, "backpropd does not start");
	ok = daemon_stop(&d) && ok;
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
