/*
 * order.h - in which order queued jobs begin, which of them may begin now, and why the others wait. Pure; any thread.
 *
 * First comes the higher level: a job's priority, which rises while it waits. Within a level, users take turns: next is
 * the oldest job of the user whose jobs have used the fewest core-seconds lately, what runs and what stands before it
 * in the queue counted in. Jobs that are predicted to take less than a minute use a fast lane past all others, at most
 * ORDER_PASSES of them before one of the others begins.
 *
 * In that order jobs begin as long as there are cores and memory. One that does not fit into the memory that is left is
 * passed by smaller ones, but only until it has waited for ORDER_PASSED_SECONDS: from then on what gets free is kept
 * for it. A job of a user who is at a limit, and one that waits for its next try, keep nobody waiting.
 *
 * Suspects are jobs that ran each time when the server died, with nobody to blame, several times without progress (no
 * memory, say). They come first, those with the fewest deaths before the others, and one at a time: until it has made
 * progress, or has run for long, or is gone, nobody begins beside it. So each death tells more about who it was, and
 * whoever ran beside the guilty one is free after its next checkpoint.
 */
#ifndef SHARE_ORDER_H
#define SHARE_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ORDER_PASSES = 2,
	ORDER_PASSED_SECONDS = 600,
	ORDER_FAST_SECONDS = 60,
	ORDER_FAST_PRIORITY = 50, /* what is less urgent than usual does not use the fast lane */
	ORDER_RISE = 10,          /* what the priority rises by each rise_seconds, */
	ORDER_RISE_MAX = 100,     /* and altogether */
	ORDER_RETRY_MAX_SECONDS = 3600,
	ORDER_SUSPECT_DEATHS = 4
};

struct order_policy {
	int slots;                                    /* jobs that may run at the same time */
	int cores;                                    /* that they share */
	int64_t memory;                               /* bytes for all that run together; 0: no limit */
	int max_running_per_user, max_cores_per_user; /* 0: no limit */
	double rise_seconds;                          /* 0: priorities do not rise */
	double halflife_seconds;                      /* in which usage decays to half; 0: it stays */
};

struct order_user {
	double core_seconds; /* used lately */
	int running;
};

enum order_verdict {
#define VERDICT(NAME, code, help) ORDER_##NAME,
#include "share/order.def"
	ORDER_VERDICT_COUNT
};
const char *order_code(enum order_verdict v);
const char *order_help(enum order_verdict v);

struct order_job {
	int user;              /* index into users */
	int64_t serial;        /* grows from job to job */
	int priority, threads; /* threads: the most that it uses, 0: all */
	double queued_at;
	double not_before; /* 0: at any time */
	double seconds;    /* of work left, as predicted; NaN: not known */
	int64_t bytes;     /* of memory; 0: not known */
	int deaths;        /* of the server while it ran; ORDER_SUSPECT_DEATHS make it a suspect */
	/* filled in */
	int level;
	bool fast, passes; /* may use the fast lane; stands before one that would be before it without */
	enum order_verdict verdict;
	double waited;
	int64_t free_bytes; /* when it was its turn */
};

struct order {
	struct order_policy policy;
	double now;
	struct order_user *users;
	int nusers;
	struct order_job *jobs; /* come out in their order */
	int n;
	int running, passed; /* jobs that run; that used the fast lane since one of the others began */
	int64_t bytes;       /* reserved by those that run */
	bool trial;          /* one that runs is a suspect */
};

/* False: no memory, and nothing is changed. */
bool order_queue(struct order *o);
/* What passed is once the job has begun. */
int order_passed(const struct order *o, const struct order_job *job);
/* Why it waits, as a sentence with numbers. */
void order_explain(const struct order *o, const struct order_job *job, char *ret, size_t size);
/* Usage after so many seconds. */
double order_decay(double core_seconds, double seconds, double halflife_seconds);

#endif
