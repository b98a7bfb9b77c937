/* log.c - see log.h. One write(2) a line, so lines of different threads never mix. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static atomic_int current = LOG_INFO;

static const char *const names[] = {[LOG_ERROR] = "error",
	[LOG_WARNING] = "warning",
	[LOG_NOTICE] = "notice",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug"};

void log_level_set(enum log_level level)
{
	atomic_store_explicit(&current, level, memory_order_relaxed);
}

int log_level_find(const char *name)
{
	for (int i = LOG_ERROR; i <= LOG_DEBUG; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

/* What stands before the message. The journal adds the time itself and reads "<n>" (sd-daemon(3)). */
static int write_prefix(enum log_level level, char *buf, size_t size)
{
	if (getenv("JOURNAL_STREAM"))
		return snprintf(buf, size, "<%d>", (int)level);
	struct timespec ts = {0};
	struct tm tm = {0};
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	char when[32] = "";
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
	return snprintf(buf, size, "%s.%03ldZ %-7s ", when, ts.tv_nsec / 1000000, names[level]);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	if ((int)level > atomic_load_explicit(&current, memory_order_relaxed))
		return;
	char buf[2048];
	int start = write_prefix(level, buf, sizeof buf);
	int room = (int)sizeof buf - start - 1;
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(buf + start, (size_t)room, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	int end = start + (n < room ? n : room - 1);
	for (int i = start; i < end; i++)
		if ((unsigned char)buf[i] < ' ' || buf[i] == 0x7f)
			buf[i] = '?';
	buf[end++] = '\n';
	ssize_t written = write(STDERR_FILENO, buf, (size_t)end);
	(void)written; /* there is nobody left to tell */
}
