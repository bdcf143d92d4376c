/* The open model: what any number of threads share and nobody changes. */
#ifndef FZ_EXEC_MODEL_H
#define FZ_EXEC_MODEL_H

#include <stdatomic.h>

#include "artifact/artifact.h"
#include "ops/op.h"
#include "plan/plan.h"
#include "seal/seal.h"

/* A mapped model's id is learnt by the first fzi_model_learn_id that gets through. */
enum { FZ_ID_UNKNOWN, FZ_ID_CLAIMED, FZ_ID_KNOWN };

struct fz_model {
    struct fz_plan plan;
    struct fz_artifact_info info;
    struct fz_seal seal;              /* empty for a model that lies in its freezer's memory */
    struct fzk_table kernels;
    struct fz_custom_ops custom;      /* that the model was opened with */
    const struct fz_op **ops;         /* of plan.ops */
    const void **const_data;          /* of plan.consts */
    fz_tensor_t *values;              /* a session's start: dtype, dims and constants' data */
    uint32_t *last_use;               /* of block 0's values: step; FZ_NONE: an output, or never */
    const struct fz_blas *blas;       /* NULL: profile portable */
    _Atomic uint8_t *checked;         /* with a mapped file: per block, whether its sum was right */
    atomic_int id_state;              /* FZ_ID_: whether `id` may be read */
    uint8_t id[32];                   /* SHA-256 of the file */
    atomic_bool corrupt;              /* set once, by scrub or a weight page check */
    _Atomic uint64_t scrub_next;      /* the block that the next scrub begins with */
    struct fz_arena arena;            /* everything above that is allocated */
};

/* Fills what follows from MODEL's plan and constants: ops, values, kernels, last uses. CONST_DATA
 * NULL: the constants lie in the plan's sections. */
fz_status_t fzi_model_prepare(struct fz_model *model, const void *const *const_data);
/* True if all inputs have fixed shapes. */
bool fzi_model_is_static(const struct fz_model *model);
/* The model id as text; false while it is not known. */
bool fzi_model_hex(const struct fz_model *model, char hex[65]);
/* Lets DIGEST, which was just computed over the whole file, be the model's id. Thread-safe. */
void fzi_model_learn_id(struct fz_model *model, const uint8_t digest[32]);
/* Releases everything in MODEL, the seal included; not the struct. */
void fzi_model_release(struct fz_model *model);

#endif
