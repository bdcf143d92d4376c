/* Known answers: a run on inputs that a seed makes, and the digest of its outputs. */
#ifndef FZ_EXEC_ANSWER_H
#define FZ_EXEC_ANSWER_H

#include "exec/model.h"

/* What a run gave: the digest of all outputs, and of each one if OUTPUTS, which has room for all of
 * the model's, is not NULL. If the model's input shapes are fixed, ARENA_SIZE and MACS are what a
 * run needs, else as they were. */
struct fz_answer {
    uint8_t digest[32];
    uint8_t (*outputs)[32];
    uint64_t arena_size, macs;
};

/* Runs MODEL on INPUTS, one for each of its inputs, or if that is NULL on those of SEED, and
 * digests the outputs. Of a seed, floats are uniform in [-1, 1), other types 0, open dimensions 1.
 * The floating-point environment is that of a run. */
fz_status_t fzi_answer_compute(struct fz_model *model, uint64_t seed, const fz_tensor_t *inputs,
                               struct fz_answer *answer);
/* Runs the known answer of the model's file again. FZ_E_ANSWER names the outputs that differ;
 * FZ_E_UNSUPPORTED says why there is nothing to compare with. */
fz_status_t fzi_answer_check(struct fz_model *model);
/* The inputs that the model's file holds for its known answer, or NULL. */
const fz_tensor_t *fzi_answer_inputs(const struct fz_model *model);

/* Digests one tensor: type, rank, dims and elements, all little-endian. */
struct fz_sha256;
void fzi_answer_digest(struct fz_sha256 *hash, const fz_tensor_t *t);

#endif
