/* Worker threads of one session: they claim chunks of a loop. */
#ifndef FZ_EXEC_POOL_H
#define FZ_EXEC_POOL_H

#include "base/base.h"

struct fz_pool;

/* A pool of WIDTH threads, the caller's own included; no thread is started yet. NULL: no memory. */
struct fz_pool *fzi_pool_new(uint32_t width);
void fzi_pool_free(struct fz_pool *pool);
/* Calls TASK(ARG, i) once for each i in [0, COUNT) and returns when all have. Threads start
 * at the first call (after a fork: again); if none can be started the caller does all. */
void fzi_pool_run(struct fz_pool *pool, size_t count, fz_task_fn task, void *arg);

/* How many threads affinity and the cgroup's quota allow: at least 1. */
uint32_t fzi_pool_host_width(void);

#endif
