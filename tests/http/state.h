/*
 * state.h - what must hold of a state directory, and of a job's log, whatever was done to the daemon.
 */
#ifndef TESTS_HTTP_STATE_H
#define TESTS_HTTP_STATE_H

#include "http/daemon.h"

/* Every event once, every epoch once, one end. */
void state_check_log(int port, const char *job_id, int epochs);
/* Of a daemon that does not run: the database is whole, rows and files are of each other, and nothing else lies there.
 */
void state_check(const struct daemon *d);

#endif
