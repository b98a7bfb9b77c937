/*
 * status.h - how every room of the core fills a struct bp_error. No state; any thread.
 */
#ifndef BP_BASE_STATUS_H
#define BP_BASE_STATUS_H

#include "backprop.h"

/* Fills *err (which may be NULL) and returns status, so that a caller can `return bp_fail(...)`. layer: -1 for none.
 * field: name of the argument, or "". errno is kept in sys_errno when status is BP_EIO or BP_ESYNC. */
enum bp_status bp_fail(struct bp_error *err, enum bp_status status, int layer, const char *field, const char *format,
	...) __attribute__((format(printf, 5, 6)));

#endif
