/* Known answers: a run on inputs that a seed makes, and the digest of its outputs. */
#ifndef FZ_EXEC_ANSWER_H
#define FZ_EXEC_ANSWER_H

#include "exec/model.h"

/* Runs MODEL on INPUTS, one for each of its inputs, or if that is NULL on those of SEED, and
 * digests the outputs. Of a seed, floats are uniform in [-1, 1), other types 0, open dimensions 1.
 * If the model's input shapes are fixed, *ARENA_SIZE and *MACS are set to what a run needs. */
fz_status_t fzi_answer_compute(struct fz_model *model, uint64_t seed, const fz_tensor_t *inputs,
                               uint8_t digest[32], uint64_t *arena_size, uint64_t *macs);
/* The inputs that the model's file holds for its known answer, or NULL. */
const fz_tensor_t *fzi_answer_inputs(const struct fz_model *model);

/* Digests one tensor: type, rank, dims and elements, all little-endian. */
struct fz_sha256;
void fzi_answer_digest(struct fz_sha256 *hash, const fz_tensor_t *t);

#endif
