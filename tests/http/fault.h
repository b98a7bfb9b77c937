/*
 * fault.h - the real daemon with tests/faults loaded into it: what fails, and when, is set here.
 *
 * The library lies beside the daemon (make builds both). A test arms, talks to the daemon, and looks at the control.
 */
#ifndef TESTS_HTTP_FAULT_H
#define TESTS_HTTP_FAULT_H

#include "faults/faults.h"
#include "http/daemon.h"

struct fault_rig {
	struct daemon d;
	struct fault_control *control; /* mapped by the daemon too */
	char preload[300], control_env[112];
	const char *env[4];
};

/* A prepared daemon, not started; nothing is armed. */
void fault_open(struct fault_rig *r, const char *const *flags);
/* From now on the k-th call of these on the state directory fails, or all from there on. */
void fault_arm(struct fault_rig *r, int ops, int error, int64_t k, bool lasting);
/* The same of allocations. */
void fault_arm_memory(struct fault_rig *r, int64_t k, bool lasting);
/* Nothing fails any more; the counts stay. */
void fault_disarm(struct fault_rig *r);
void fault_close(struct fault_rig *r);

#endif
