/* status.c - see status.h. */
#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

enum bp_status bp_fail(
	struct bp_error *err, enum bp_status status, int layer, const char *field, const char *format, ...)
{
	int sys_errno = status == BP_EIO || status == BP_ESYNC ? errno : 0;
	if (!err)
		return status;
	err->status = status;
	err->layer = layer;
	err->sys_errno = sys_errno;
	snprintf(err->field, sizeof(err->field), "%s", field);
	va_list args;
	va_start(args, format);
	vsnprintf(err->message, sizeof(err->message), format, args);
	va_end(args);
	return status;
}
