/* ConstantOfShape and EyeLike: tensors made of one value, or of ones on a diagonal. */
#include "ops/move.h"

struct params {
    int64_t dtype; /* 0: that of the input (EyeLike) */
    int64_t bits;  /* of the value, in the low bytes */
    int64_t k;     /* EyeLike's diagonal */
};

static const uint64_t shape_types = FZ_T_ANY & ~(FZ_T(STRING) | FZ_T(C64) | FZ_T(C128));

/* The bits of element 0 of T as a number. */
static int64_t read_bits(const fz_tensor_t *t) {
    uint8_t b8;
    uint16_t b16;
    uint32_t b32;
    uint64_t b64;
    switch (fzi_type_width(t->dtype)) {
    case 1: memcpy(&b8, t->data, 1); return b8;
    case 2: memcpy(&b16, t->data, 2); return b16;
    case 4: memcpy(&b32, t->data, 4); return b32;
    default: memcpy(&b64, t->data, 8); return (int64_t)b64;
    }
}

/* The same bits as an element of WIDTH bytes, at OUT. */
static void write_bits(int64_t bits, size_t width, void *out) {
    uint8_t b8 = (uint8_t)bits;
    uint16_t b16 = (uint16_t)bits;
    uint32_t b32 = (uint32_t)bits;
    switch (width) {
    case 1: memcpy(out, &b8, 1); break;
    case 2: memcpy(out, &b16, 2); break;
    case 4: memcpy(out, &b32, 4); break;
    default: memcpy(out, &bits, 8); break;
    }
}

static fz_status_t check_type(const char *name, int64_t dtype) {
    bool known = dtype > 0 && dtype < 64 && fzi_type_valid((int32_t)dtype);
    if (known && shape_types >> dtype & 1 && fz_type_bits((int32_t)dtype) >= 8) return FZ_OK;
    return fzi_error(FZ_E_UNSUPPORTED, "%s: element type %lld", name, (long long)dtype);
}

static fz_status_t lower_shape(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    const struct fz_attr *attr = fzi_attr(node, "value");
    (void)lower;
    p->dtype = FZ_TYPE_F32;
    if (!attr) return FZ_OK;
    if (attr->kind != FZ_ATTR_TENSOR || fzi_tensor_count(attr->tensors) != 1)
        return fzi_error(FZ_E_FORMAT, "attribute 'value' is not a tensor of one element");
    FZ_TRY(check_type(node->type, attr->tensors->dtype));
    p->dtype = attr->tensors->dtype;
    p->bits = read_bits(attr->tensors);
    return FZ_OK;
}

static fz_status_t infer_shape(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    int64_t dims[FZ_RANK_MAX];
    int32_t n;
    FZ_TRY(check_type(op->name, p->dtype));
    FZ_TRY(fzi_infer_list(op, call, 0, dims, FZ_RANK_MAX, &n));
    fzi_infer_unknown(call, 0, (int32_t)p->dtype);
    if (n == -2 && fzi_move_length(call, 0) <= FZ_RANK_MAX)
        n = (int32_t)fzi_move_length(call, 0);
    if (n < 0) return FZ_OK;
    for (int32_t d = 0; d < n; d++) {
        if (!call->in[0]->data) dims[d] = FZ_DIM_UNKNOWN;
        else if (dims[d] < 0)
            return fzi_error(FZ_E_VALUE, "%s: dimension %d is %lld", op->name, d,
                             (long long)dims[d]);
    }
    fzi_infer_shape(call, 0, (int32_t)p->dtype, n, dims);
    return FZ_OK;
}

static fz_status_t run_shape(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *out = call->out[0];
    char value[16] = {0};
    (void)op;
    write_bits(p->bits, fzi_type_width(out->dtype), value);
    fzi_move_fill(out->data, fzi_tensor_count(out), value, fzi_type_width(out->dtype));
    return FZ_OK;
}

static fz_status_t lower_eye(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "dtype", 0, &p->dtype));
    return fzi_attr_int(node, "k", 0, &p->k);
}

static fz_status_t infer_eye(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *in = call->in[0];
    int64_t dtype = p->dtype ? p->dtype : in->dtype;
    if (!(dtype > 0 && dtype < 64 && (FZ_T_NUMBER | FZ_T(BOOL)) >> dtype & 1))
        return fzi_error(FZ_E_UNSUPPORTED, "%s: element type %lld", op->name, (long long)dtype);
    if (in->rank >= 0 && in->rank != 2)
        return fzi_error(FZ_E_SHAPE, "%s: the input has rank %d, not 2", op->name, in->rank);
    fzi_infer_like(call, 0, (int32_t)dtype, in);
    if (in->rank < 0)
        fzi_infer_shape(call, 0, (int32_t)dtype, 2,
                        (const int64_t[2]){FZ_DIM_UNKNOWN, FZ_DIM_UNKNOWN});
    return FZ_OK;
}

static int64_t one_bits(int32_t dtype) {
    switch (dtype) {
    case FZ_TYPE_F32: return 0x3F800000;
    case FZ_TYPE_F64: return 0x3FF0000000000000;
    case FZ_TYPE_F16: return 0x3C00;
    case FZ_TYPE_BF16: return 0x3F80;
    default: return 1;
    }
}

static fz_status_t run_eye(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    const fz_tensor_t *out = call->out[0];
    int64_t rows = out->dims[0], columns = out->dims[1];
    size_t width = fzi_type_width(out->dtype);
    (void)op;
    if (!out->size) return FZ_OK;
    memset(out->data, 0, out->size);
    if (p->k <= -rows || p->k >= columns) return FZ_OK;
    for (int64_t i = fzi_max_i64(0, -p->k); i < rows && i + p->k < columns; i++)
        write_bits(one_bits(out->dtype), width, fzi_move_at(out, i * columns + i + p->k));
    return FZ_OK;
}

const struct fz_op fz_ops_constant_of_shape[] = {
    {.name = "ConstantOfShape", .domain = "", .since = 9, .rev = 1, .flags = FZ_OP_ANY_TYPE,
     .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attrs = "value",
     .params_size = sizeof(struct params), .lower = lower_shape, .infer = infer_shape,
     .run = run_shape},
    {.name = "EyeLike", .domain = "", .since = 9, .rev = 1,
     .flags = FZ_OP_ANY_TYPE | FZ_OP_SHAPE_INPUT, .min_in = 1, .max_in = 1, .min_out = 1,
     .max_out = 1, .attrs = "dtype k",
     .params_size = sizeof(struct params), .lower = lower_eye, .infer = infer_eye,
     .run = run_eye},
    {0},
};
