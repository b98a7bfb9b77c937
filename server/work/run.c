/* run.c - see run.h. */
#include "work/run.h"

#include <stdarg.h>
#include <stdio.h>

void failure_set(struct failure *f, const char *reason, const char *detail_fmt, ...)
{
	va_list ap;
	va_start(ap, detail_fmt);
	f->reason = reason;
	vsnprintf(f->detail, sizeof(f->detail), detail_fmt, ap);
	va_end(ap);
}

void failure_from_core(struct failure *f, const char *reason, const struct bp_error *err)
{
	failure_set(f, err->status == BP_ENOMEM ? "out_of_memory" : reason, "%s", err->message);
}

void failure_from_store(struct failure *f, enum store_status st)
{
	if (st == STORE_FULL)
		failure_set(f, "storage_full", "The server's disk is full.");
	else
		failure_set(f, "storage_failed", "The server could not write the job's progress to its database.");
}

void run_ring(const struct work_context *ctx, const char *job_id)
{
	hub_ring(ctx->hub, job_id);
	hub_ring(ctx->hub, HUB_JOBS);
}
