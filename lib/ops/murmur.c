/* MurmurHash3 of com.microsoft: the 32-bit hash of Austin Appleby's MurmurHash3 (x86_32) for each
 * element: the bytes of a string, or those of a number, lowest first. */
#include "ops/op.h"

struct params {
    int64_t seed, positive;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "seed", 0, &p->seed));
    return fzi_attr_int(node, "positive", 1, &p->positive);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(STRING) | FZ_T(I32) | FZ_T(U32) | FZ_T(I64) |
                                           FZ_T(U64) | FZ_T(F32) | FZ_T(F64)));
    fzi_infer_like(call, 0, p->positive ? FZ_TYPE_U32 : FZ_TYPE_I32, call->in[0]);
    return FZ_OK;
}

static uint32_t turn(uint32_t x, int n) { return x << n | x >> (32 - n); }

static uint32_t mixed(uint32_t k) { return turn(k * 0xcc9e2d51u, 15) * 0x1b873593u; }

static uint32_t hash(const uint8_t *bytes, size_t n, uint32_t h) {
    uint32_t rest = 0;
    size_t whole = n / 4 * 4;
    for (size_t i = 0; i < whole; i += 4) {
        uint32_t k = (uint32_t)bytes[i] | (uint32_t)bytes[i + 1] << 8 |
                     (uint32_t)bytes[i + 2] << 16 | (uint32_t)bytes[i + 3] << 24;
        h = turn(h ^ mixed(k), 13) * 5 + 0xe6546b64u;
    }
    for (size_t i = n; i-- > whole;) rest = rest << 8 | bytes[i];
    h ^= mixed(rest); /* of 0 it is 0 */
    h ^= (uint32_t)n;
    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;
    return h ^ h >> 16;
}

/* The N bytes of a number at X, lowest first, on any machine. */
static void lowest_first(const void *x, size_t n, uint8_t *out) {
    uint64_t bits = 0;
    uint32_t narrow;
    if (n == 4) memcpy(&narrow, x, 4), bits = narrow;
    else memcpy(&bits, x, 8);
    for (size_t i = 0; i < n; i++) out[i] = (uint8_t)(bits >> 8 * i);
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *x = call->in[0];
    uint32_t *y = call->out[0]->data;
    int64_t n = fzi_tensor_count(x);
    (void)op;
    for (int64_t i = 0; i < n; i++) {
        uint8_t bytes[8];
        if (x->dtype == FZ_TYPE_STRING) {
            const struct fz_string *s = (const struct fz_string *)x->data + i;
            y[i] = hash((const uint8_t *)s->text, s->size, (uint32_t)p->seed);
            continue;
        }
        size_t width = x->size / (size_t)n;
        lowest_first((const char *)x->data + (size_t)i * width, width, bytes);
        y[i] = hash(bytes, width, (uint32_t)p->seed);
    }
    return FZ_OK;
}

const struct fz_op fz_ops_murmur[] = {
    {.name = "MurmurHash3", .domain = "com.microsoft", .since = 1, .rev = 1,
     .flags = FZ_OP_ANY_TYPE, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
     .attrs = "positive seed", .params_size = sizeof(struct params), .lower = lower,
     .infer = infer, .run = run},
    {0},
};
