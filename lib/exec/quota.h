/* How many CPUs the control groups allow. */
#ifndef FZ_EXEC_QUOTA_H
#define FZ_EXEC_QUOTA_H

#include "base/base.h"

/* The quota in whole CPUs, rounded up; 0: there is none. ROOT stands before /proc and /sys: "" but
 * in tests. */
uint32_t fzi_quota_cpus(const char *root);

#endif
