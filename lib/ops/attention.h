/* Scaled dot-product attention: the body that every attention operator calls.
 *
 * For each query: score_j = chain(q, k_j) * scale; softcap * tanh(score / softcap); + bias_j, which
 * is the mask's value, -inf where a key must not be seen; softmax over the full row; chain(p, v).
 * A query that sees no key gets zeros. Half precision has been widened by the caller.
 *
 * A plain one (frozen.Attention) has the bits of the nodes that it stands for: queries and keys are
 * scaled before the chain, scores behind it, a mask is added like any number, no row is special. */
#ifndef FZ_OPS_ATTENTION_H
#define FZ_OPS_ATTENTION_H

#include "ops/op.h"

enum { FZ_ATTENTION_RANK = 4 }; /* of frozen.Attention's inputs at most */
enum { FZ_ATTENTION_Q, FZ_ATTENTION_K, FZ_ATTENTION_V, FZ_ATTENTION_Y, FZ_ATTENTION_PERMS };

/* frozen.Attention: softmax((q * a) (k * b) * c + mask) v, each factor multiplied, divided by or
 * absent (FZ_SCALE_ of ops/matmul.h). Inputs: q, k, v, mask. Of rank RANK are q [.., queries,
 * size], k [.., size, keys], v [.., keys, v_size], whose dimension i is dimension perm[i] of the
 * input; the output's dimension i is dimension perm[i] of [.., queries, v_size]. ROUND:
 * FZK_ROUND_F16 or FZK_ROUND_BF16 if every result on the way is rounded to that type, the last one
 * too; else 0. */
struct fz_frozen_attention_params {
    int64_t rank;
    int64_t perm[FZ_ATTENTION_PERMS][FZ_ATTENTION_RANK];
    int64_t kind[3]; /* of a, b and c */
    double factor[3];
    int64_t round;
};

/* Where heads of a tensor lie: element e of a head's token at base + b * batch + h * head +
 * t * token + e * element, in elements. */
struct fz_heads {
    const void *data;
    int64_t batch, head, token, element;
};

/* A multiplication with VALUE or a division by it. */
struct fz_factor {
    int64_t kind; /* FZ_SCALE_ of ops/matmul.h */
    float value;
};

enum { FZ_SCORES_RAW, FZ_SCORES_CAPPED, FZ_SCORES_BIASED, FZ_SCORES_SOFTMAX };

struct fz_attention {
    int32_t dtype; /* F32 or F64: of q, k, v, y and scores */
    int64_t batch, heads, kv_heads, queries, keys, size, v_size;
    struct fz_heads q, k, v;
    struct fz_heads y;  /* written */
    void *scores;       /* [batch][heads][queries][keys] of stage scores_stage, or NULL */
    int64_t scores_stage;
    double scale, softcap; /* softcap 0: none */
    int32_t precision;     /* of the softmax: F32, F64, F16 or BF16; 0: dtype */
    /* Key j is seen by query i where, with p = i + offset, j <= p if causal and p - left <= j <=
     * p + right (-1: no bound). The offset is `past`, or lengths[b] - queries where lengths are
     * given; keys from lengths[b] on are not seen. */
    int64_t causal, left, right, past;
    const fz_tensor_t *lengths; /* int64 or int32, one for each of the batch; or NULL */
    /* Broadcasts to [batch][heads][queries][up to keys]; bool, or numbers to be added; keys behind
     * its end are not seen. */
    const fz_tensor_t *mask;
    bool plain;                    /* binary32 only; of what is above, mask's data and no more */
    struct fz_factor q_by, k_by, score_by;
    int64_t round;                 /* as in fz_frozen_attention_params */
    int64_t mask_step[4];          /* by batch, head, query and key, in elements; 0 repeats */
};

/* Bytes of scratch; all sizes are known and have been checked by fzi_attention_check. */
size_t fzi_attention_scratch(const struct fz_env *env, const struct fz_attention *a);
/* FZ_E_SHAPE if a count overflows or the mask does not fit. */
fz_status_t fzi_attention_check(const struct fz_op *op, const struct fz_attention *a);
void fzi_attention_run(const struct fz_env *env, const struct fz_attention *a, void *scratch);
uint64_t fzi_attention_macs(const struct fz_attention *a);

#endif
