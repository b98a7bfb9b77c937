/*
 * log.h - lines on stderr for the journal: "<6>" priority prefix under systemd, plain with a time elsewhere.
 * Any thread. The level is the process's only mutable global (beside the last id, see id.c).
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_ERROR = 3, LOG_WARNING = 4, LOG_NOTICE = 5, LOG_INFO = 6, LOG_DEBUG = 7 };
void log_level_set(enum log_level level);
int log_level_find(const char *name); /* "info" -> LOG_INFO; -1 when unknown */
/* One line; control characters in it are shown as '?', so that a client cannot forge another line. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
