/* Scaled dot-product attention: the body that every attention operator calls.
 *
 * For each query: score_j = chain(q, k_j) * scale; softcap * tanh(score / softcap); + bias_j, which
 * is the mask's value, -inf where a key must not be seen; softmax over the full row; chain(p, v).
 * A query that sees no key gets zeros. Half precision has been widened by the caller. */
#ifndef FZ_OPS_ATTENTION_H
#define FZ_OPS_ATTENTION_H

#include "ops/op.h"

/* Where heads of a tensor lie: element e of a head's token at base + b * batch + h * head +
 * t * token + e, in elements. */
struct fz_heads {
    const void *data;
    int64_t batch, head, token;
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
};

/* Bytes of scratch; all sizes are known and have been checked by fzi_attention_check. */
size_t fzi_attention_scratch(const struct fz_env *env, const struct fz_attention *a);
/* FZ_E_SHAPE if a count overflows or the mask does not fit. */
fz_status_t fzi_attention_check(const struct fz_op *op, const struct fz_attention *a);
void fzi_attention_run(const struct fz_env *env, const struct fz_attention *a, void *scratch);
uint64_t fzi_attention_macs(const struct fz_attention *a);

#endif
