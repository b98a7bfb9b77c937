/* order.c - see order.h. */
#include "share/order.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Core-seconds that stand for a job whose length is not known; and bounds of those of others. */
#define COST_UNKNOWN 600.0
#define SECONDS_MIN 1.0
#define SECONDS_MAX 86400.0
/* More than any level, and than deaths that are counted. */
enum { RANK_DEATH = 1000 };

static const struct {
	const char *code, *help;
} verdicts[] = {
#define VERDICT(NAME, code, help) {code, help},
#include "share/order.def"
};

const char *order_code(enum order_verdict v)
{
	return verdicts[v].code;
}

const char *order_help(enum order_verdict v)
{
	return verdicts[v].help;
}

double order_decay(double core_seconds, double seconds, double halflife_seconds)
{
	if (halflife_seconds <= 0 || seconds <= 0)
		return core_seconds;
	return core_seconds * exp2(-seconds / halflife_seconds);
}

/* ---- the order ----------------------------------------------------------------------------------------- */

static void judge_alone(const struct order *o, struct order_job *j)
{
	double steps = 0;
	j->waited = o->now > j->queued_at ? o->now - j->queued_at : 0;
	if (o->policy.rise_seconds > 0)
		steps = fmin(floor(j->waited / o->policy.rise_seconds), ORDER_RISE_MAX / ORDER_RISE);
	j->level = j->priority + ORDER_RISE * (int)steps;
	j->fast = j->seconds <= ORDER_FAST_SECONDS && j->priority >= ORDER_FAST_PRIORITY; /* not of a NaN */
	j->passes = false;
}

static bool is_suspect(const struct order_job *j)
{
	return j->deaths >= ORDER_SUSPECT_DEATHS;
}

/* By levels, also among suspects with equal numbers of deaths. */
static int rank(const struct order_job *j)
{
	return is_suspect(j) ? RANK_DEATH * (RANK_DEATH - j->deaths) + j->level : j->level;
}

static int by_rank(const void *a, const void *b)
{
	const struct order_job *x = a, *y = b;
	if (rank(x) != rank(y))
		return rank(x) > rank(y) ? -1 : 1;
	return x->serial < y->serial ? -1 : x->serial > y->serial;
}

static double cost(const struct order *o, const struct order_job *j)
{
	int threads = j->threads > 0 && j->threads < o->policy.cores ? j->threads : o->policy.cores;
	return isnan(j->seconds) ? COST_UNKNOWN : fmin(fmax(j->seconds, SECONDS_MIN), SECONDS_MAX) * threads;
}

/* Of each user with jobs of one level: the first that is not placed yet, and how to find the next. */
struct turns {
	double *used;            /* by user: so far, with what stands before */
	int *head, *tail, *next; /* by user, by user, by job; -1: none */
	int *active, nactive;    /* users with jobs of the level */
};

/* The user whose turn it is, as an index of active. */
static int next_user(const struct turns *t, const struct order_job *jobs)
{
	int best = 0;
	for (int i = 1; i < t->nactive; i++) {
		int a = t->active[i], b = t->active[best];
		if (t->used[a] < t->used[b] ||
			(t->used[a] == t->used[b] && jobs[t->head[a]].serial < jobs[t->head[b]].serial))
			best = i;
	}
	return best;
}

/* Places jobs [first, end), which are of one level, by turns of their users. */
static void take_turns(const struct order *o, struct turns *t, int first, int end, struct order_job *ret)
{
	t->nactive = 0;
	for (int i = first; i < end; i++) {
		int user = o->jobs[i].user;
		t->next[i] = -1;
		if (t->head[user] < 0) {
			t->head[user] = i;
			t->active[t->nactive++] = user;
		} else {
			t->next[t->tail[user]] = i;
		}
		t->tail[user] = i;
	}
	for (int i = first; i < end; i++) {
		int at = next_user(t, o->jobs), user = t->active[at], job = t->head[user];
		ret[i] = o->jobs[job];
		t->used[user] += cost(o, &o->jobs[job]);
		t->head[user] = t->next[job];
		if (t->head[user] < 0)
			t->active[at] = t->active[--t->nactive];
	}
}

/* By ranks, and within each by turns, into ret. False: no memory. */
static bool by_turns(const struct order *o, struct order_job *ret)
{
	struct turns t = {.used = malloc(((size_t)o->nusers + 1) * sizeof(*t.used)),
		.head = malloc((3 * (size_t)o->nusers + (size_t)o->n + 1) * sizeof(*t.head))};
	bool ok = t.used && t.head;
	if (ok) {
		t.tail = t.head + o->nusers;
		t.active = t.tail + o->nusers;
		t.next = t.active + o->nusers;
		for (int u = 0; u < o->nusers; u++) {
			t.used[u] = o->users[u].core_seconds + COST_UNKNOWN * o->users[u].running;
			t.head[u] = -1;
		}
	}
	for (int first = 0, end; ok && first < o->n; first = end) {
		for (end = first + 1; end < o->n && rank(&o->jobs[end]) == rank(&o->jobs[first]);)
			end++;
		take_turns(o, &t, first, end, ret);
	}
	free(t.used);
	free(t.head);
	return ok;
}

static bool waits_for_retry(const struct order *o, const struct order_job *j)
{
	/* A longer wait than any that is set: the clock was put back meanwhile. */
	return j->not_before > o->now && j->not_before <= o->now + ORDER_RETRY_MAX_SECONDS;
}

/* The fast lane: from is in order, into jobs. */
static void merge_lane(struct order *o, const struct order_job *from)
{
	int fast = 0, slow = 0, passed = o->passed;
	for (int i = 0; i < o->n; i++) {
		while (fast < o->n && !from[fast].fast)
			fast++;
		while (slow < o->n && from[slow].fast)
			slow++;
		bool lane = fast < o->n && (slow == o->n || fast < slow || passed < ORDER_PASSES);
		o->jobs[i] = from[lane ? fast : slow];
		o->jobs[i].passes = lane && slow < fast;
		if (!lane)
			passed = 0;
		else if (slow < fast && !waits_for_retry(o, &from[fast]))
			passed++;
		*(lane ? &fast : &slow) += 1;
	}
}

/* ---- who may begin ------------------------------------------------------------------------------------- */

/* What is left while the jobs are looked at in their order. */
struct left {
	int slots, *starting; /* by user */
	int64_t bytes;
	bool first_waits; /* one waits for cores already: the others are behind it */
	bool kept;        /* memory is kept for one that has waited for long */
	bool trial;       /* a suspect runs or begins */
};

static enum order_verdict verdict(const struct order *o, const struct order_job *j, struct left *left)
{
	const struct order_policy *p = &o->policy;
	int running = o->users[j->user].running + left->starting[j->user];
	if (waits_for_retry(o, j))
		return ORDER_RETRY;
	if (left->trial)
		return ORDER_TRIAL;
	if (p->max_running_per_user > 0 && running >= p->max_running_per_user)
		return ORDER_USER_RUNNING;
	if (p->max_cores_per_user > 0 && running >= p->max_cores_per_user)
		return ORDER_USER_CORES;
	if (left->slots <= 0 || left->kept) {
		bool next = !left->first_waits && !left->kept;
		left->first_waits = true;
		return next ? ORDER_CORES : ORDER_QUEUE;
	}
	if (p->memory > 0 && j->bytes > left->bytes) {
		left->kept = j->waited >= ORDER_PASSED_SECONDS && j->bytes <= p->memory;
		return ORDER_MEMORY;
	}
	left->slots--;
	left->bytes -= j->bytes;
	left->starting[j->user]++;
	left->trial = is_suspect(j);
	return ORDER_STARTING;
}

bool order_queue(struct order *o)
{
	struct left left = {.slots = o->policy.slots - o->running,
		.bytes = o->policy.memory > o->bytes ? o->policy.memory - o->bytes : 0,
		.trial = o->trial,
		.starting = calloc((size_t)o->nusers + 1, sizeof(*left.starting))};
	struct order_job *placed = malloc(((size_t)o->n + 1) * sizeof(*placed));
	bool ok = left.starting && placed;
	if (ok) {
		for (int i = 0; i < o->n; i++)
			judge_alone(o, &o->jobs[i]);
		if (o->n > 1)
			qsort(o->jobs, (size_t)o->n, sizeof(*o->jobs), by_rank);
		ok = by_turns(o, placed);
	}
	if (ok) {
		merge_lane(o, placed);
		for (int i = 0; i < o->n; i++) {
			o->jobs[i].free_bytes = left.bytes;
			o->jobs[i].verdict = verdict(o, &o->jobs[i], &left);
		}
	}
	free(placed);
	free(left.starting);
	return ok;
}

int order_passed(const struct order *o, const struct order_job *job)
{
	return job->passes ? o->passed + 1 : job->fast ? o->passed : 0;
}

/* ---- in words ------------------------------------------------------------------------------------------ */

static double mib(int64_t bytes)
{
	return ceil((double)bytes / 1048576);
}

static void explain_memory(const struct order *o, const struct order_job *j, char *ret, size_t size)
{
	double need = mib(j->bytes), may = floor((double)o->policy.memory / 1048576);
	if (j->bytes > o->policy.memory)
		snprintf(ret, size, "It needs %.0f MiB of memory, and all jobs together may have %.0f.", need, may);
	else
		snprintf(ret, size, "It needs %.0f MiB of memory, %.0f of %.0f are free%s.", need,
			floor((double)j->free_bytes / 1048576), may,
			j->waited < ORDER_PASSED_SECONDS ? "; smaller jobs may still begin before it"
							 : " and kept for it");
}

void order_explain(const struct order *o, const struct order_job *job, char *ret, size_t size)
{
	const struct order_policy *p = &o->policy;
	int position = (int)(job - o->jobs), running = o->users[job->user].running;
	switch (job->verdict) {
	case ORDER_CORES:
		snprintf(ret, size, "%d of %d jobs that may run at the same time run.", o->running, p->slots);
		return;
	case ORDER_MEMORY:
		explain_memory(o, job, ret, size);
		return;
	case ORDER_QUEUE:
		snprintf(ret, size, "%d %s before it; its user's jobs have used %.0f core-seconds lately.", position,
			position == 1 ? "is" : "are", o->users[job->user].core_seconds);
		return;
	case ORDER_USER_RUNNING:
		snprintf(ret, size, "%d of its user's jobs run or begin, and one user may have %d.",
			running > p->max_running_per_user ? running : p->max_running_per_user, p->max_running_per_user);
		return;
	case ORDER_USER_CORES:
		snprintf(ret, size, "Its user's jobs have as many cores as one user may have, %d.",
			p->max_cores_per_user);
		return;
	case ORDER_RETRY:
		snprintf(ret, size, "It is tried again in %.0f seconds.", ceil(job->not_before - o->now));
		return;
	case ORDER_TRIAL:
	case ORDER_STARTING:
	case ORDER_VERDICT_COUNT:
		break;
	}
	snprintf(ret, size, "%s", order_help(job->verdict));
}
