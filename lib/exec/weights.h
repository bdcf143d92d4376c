/* The weights of a mapped file: a block is proved before a run first reads it, once per model. */
#ifndef FZ_EXEC_WEIGHTS_H
#define FZ_EXEC_WEIGHTS_H

#include "exec/model.h"

/* Proves the constants of STEP, but for the one that its operator proves itself (FZ_OP_PROVES), by
 * ENV's threads. FZ_E_CORRUPT. */
fz_status_t fzi_weights_check_step(struct fz_model *model, const struct fz_env *env,
                                   const struct fz_plan_step *step);
/* Proves the SIZE bytes at DATA, which may also lie elsewhere than in the weights. FZ_E_CORRUPT. */
fz_status_t fzi_weights_check_bytes(struct fz_model *model, const struct fz_env *env,
                                    const void *data, size_t size);

#endif
