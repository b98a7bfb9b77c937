/* calibrate.h - how fast this machine trains, before it has trained anything. A worker thread. */
#ifndef WORK_CALIBRATE_H
#define WORK_CALIBRATE_H

#include "work/run.h"

/* Measures two small nets, some milliseconds each, and notes their speeds; does nothing when there are speeds already.
 */
void calibrate_machine(const struct work_context *ctx);

#endif
