/* BitCast: the same bits as elements of another type of the same width; the real part of a complex
 * number is the low half of a wider one. A NaN goes in as the canonical one of its type, so that
 * its payload decides nothing. */
#include "ops/move.h"

struct params {
    int64_t to;
};

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    if (!fzi_attr(node, "to")) return fzi_error(FZ_E_FORMAT, "BitCast needs the attribute 'to'");
    return fzi_attr_int(node, "to", 0, &p->to);
}

static bool castable(int64_t dtype) {
    return dtype > 0 && dtype < 64 && fz_type_bits((int32_t)dtype) > 0;
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    int32_t from = call->in[0]->dtype;
    /* A bool is 0 or 1, which other bits are not. */
    if (!castable(from) || !castable(p->to) || (p->to == FZ_TYPE_BOOL && from != FZ_TYPE_BOOL))
        return fzi_error(FZ_E_TYPE, "%s: from %s to type %lld", op->name, fz_type_name(from),
                         (long long)p->to);
    if (fz_type_bits(from) != fz_type_bits((int32_t)p->to))
        return fzi_error(FZ_E_TYPE, "%s: %s is not as wide as %s", op->name, fz_type_name(from),
                         fz_type_name((int32_t)p->to));
    fzi_infer_like(call, 0, (int32_t)p->to, call->in[0]);
    return FZ_OK;
}

static void clean_16(uint16_t *bits, int64_t n, uint16_t infinity, uint16_t nan) {
    for (int64_t i = 0; i < n; i++)
        if ((bits[i] & 0x7FFF) > infinity) bits[i] = nan;
}

static void clean_32(uint32_t *bits, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if ((bits[i] & 0x7FFFFFFF) > 0x7F800000) bits[i] = 0x7FC00000;
}

static void clean_64(uint64_t *bits, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if ((bits[i] & INT64_MAX) > 0x7FF0000000000000) bits[i] = 0x7FF8000000000000;
}

/* Where the real part, which comes first, would be a high half, the two change places. */
static void swap_parts(const fz_tensor_t *in, const fz_tensor_t *out, int64_t n) {
    const bool big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    uint32_t *part = out->data;
    if (!big || (in->dtype == FZ_TYPE_C64) == (out->dtype == FZ_TYPE_C64)) return;
    for (int64_t i = 0; i < n; i++) {
        uint32_t first = part[2 * i];
        part[2 * i] = part[2 * i + 1];
        part[2 * i + 1] = first;
    }
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *in = call->in[0], *out = call->out[0];
    int64_t n = fzi_tensor_count(in);
    FZ_TRY(fzi_move_view(op, call));
    switch (in->dtype) {
    case FZ_TYPE_F16: clean_16(out->data, n, 0x7C00, 0x7E00); break;
    case FZ_TYPE_BF16: clean_16(out->data, n, 0x7F80, 0x7FC0); break;
    case FZ_TYPE_F32:
    case FZ_TYPE_C64: clean_32(out->data, in->dtype == FZ_TYPE_C64 ? 2 * n : n); break;
    case FZ_TYPE_F64:
    case FZ_TYPE_C128: clean_64(out->data, in->dtype == FZ_TYPE_C128 ? 2 * n : n); break;
    default: break;
    }
    swap_parts(in, out, n);
    return FZ_OK;
}

const struct fz_op fz_ops_bit_cast[] = {
    {.name = "BitCast", .domain = "", .since = 26, .rev = 1,
     .flags = FZ_OP_ANY_TYPE | FZ_OP_IN_PLACE, .min_in = 1, .max_in = 1, .min_out = 1,
     .max_out = 1, .attrs = "to", .params_size = sizeof(struct params), .lower = lower,
     .infer = infer, .run = run},
    {0},
};
