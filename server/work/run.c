/* run.c - see run.h. */
#include "work/run.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

void failure_set(struct failure *f, const char *reason, const char *detail_fmt, ...)
{
	va_list ap;
	va_start(ap, detail_fmt);
	f->reason = reason;
	f->kind = LASTS;
	vsnprintf(f->detail, sizeof(f->detail), detail_fmt, ap);
	va_end(ap);
}

void failure_from_memory(struct failure *f, const char *detail)
{
	failure_set(f, "out_of_memory", "%s", detail);
	f->kind = MAY_PASS;
}

void failure_from_errno(struct failure *f, const char *reason, int err, const char *what)
{
	bool full = err == ENOSPC || err == EDQUOT;
	failure_set(f, full ? "disk_full" : reason, "%s", full ? "The server's disk is full." : what);
	if (full)
		f->kind = DISK_FULL;
	else if (err == EIO || err == EINTR || err == ENOMEM || err == EMFILE || err == ENFILE || err == EAGAIN)
		f->kind = MAY_PASS;
}

void failure_from_core(struct failure *f, const char *reason, const struct bp_error *err)
{
	if (err->status == BP_ENOMEM)
		failure_from_memory(f, err->message);
	else
		failure_set(f, reason, "%s", err->message);
}

void failure_from_store(struct failure *f, enum store_status st)
{
	failure_set(f, st == STORE_FULL ? "disk_full" : "storage_failed", "%s",
		st == STORE_FULL ? "The server's disk is full."
				 : "The server could not write the job's progress to its database.");
	f->kind = st == STORE_FULL ? DISK_FULL : MAY_PASS;
}

void run_ring(const struct work_context *ctx, const char *job_id)
{
	hub_ring(ctx->hub, job_id);
	hub_ring(ctx->hub, HUB_JOBS);
}
