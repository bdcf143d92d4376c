/* Cast and CastLike between all types but complex numbers. Strings are read and written as decimal
 * numbers, by types of at least 16 bits, integers of 8, and bool. Floats become integers by
 * truncation and saturation, NaN 0; integers become integers modulo 2^n; a narrower float is the
 * nearest one, ties to even, from whatever type: what passes through binary32 on its way to half
 * precision or below is rounded to odd there, so that only the second rounding counts. */
#include "ops/texts.h"
#include "ops/wide.h"

struct params {
    int64_t to; /* 0: the type of input 1 */
    int64_t saturate;
    int64_t round_mode;
};

static const char *const round_modes[] = {"up", "down", "nearest", NULL};

static fz_status_t lower_like(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    (void)lower;
    FZ_TRY(fzi_attr_int(node, "saturate", 1, &p->saturate));
    return fzi_attr_choice(node, "round_mode", round_modes, FZK_E8M0_UP, &p->round_mode);
}

static fz_status_t lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct params *p = params;
    FZ_TRY(lower_like(lower, node, params));
    if (!fzi_attr(node, "to")) return fzi_error(FZ_E_FORMAT, "attribute 'to' is missing");
    return fzi_attr_int(node, "to", 0, &p->to);
}

/* Before opset 6 the type is a name. */
static fz_status_t lower_name(struct fz_lower *lower, struct fz_node *node, void *params) {
    static const char *const names[] = {
        "UNDEFINED", "FLOAT", "UINT8", "INT8", "UINT16", "INT16", "INT32", "INT64", "STRING",
        "BOOL", "FLOAT16", "DOUBLE", "UINT32", "UINT64", NULL};
    struct params *p = params;
    (void)lower;
    p->saturate = 1;
    if (!fzi_attr(node, "to")) return fzi_error(FZ_E_FORMAT, "attribute 'to' is missing");
    return fzi_attr_choice(node, "to", names, 0, &p->to);
}

/* The packed integer types. */
static bool is_small_int(int32_t dtype) {
    return dtype == FZ_TYPE_I4 || dtype == FZ_TYPE_U4 || dtype == FZ_TYPE_I2 ||
           dtype == FZ_TYPE_U2;
}

/* Element I of an array of BITS bits each; the first one lies in the low bits. */
static uint8_t get(const uint8_t *p, int64_t i, int32_t bits) {
    int32_t per_byte = 8 / bits;
    return (uint8_t)(p[i / per_byte] >> (i % per_byte * bits) & ((1 << bits) - 1));
}
static void put(uint8_t *p, int64_t i, int32_t bits, uint8_t value) {
    int32_t per_byte = 8 / bits, shift = (int32_t)(i % per_byte) * bits, mask = (1 << bits) - 1;
    uint8_t *byte = &p[i / per_byte];
    *byte = (uint8_t)((*byte & ~(mask << shift)) | (value & mask) << shift);
}

static bool castable(int64_t dtype) {
    if (dtype <= 0 || dtype > FZ_TYPE_I2) return false;
    int32_t type = (int32_t)dtype;
    return fzi_wide_of(type) != FZ_WIDE_NONE || fzi_wide_is_small(type) || is_small_int(type);
}

/* Between strings and what has a wide type. */
static bool readable(int32_t from, int64_t to) {
    if (from != FZ_TYPE_STRING && to != FZ_TYPE_STRING) return false;
    int64_t other = from == FZ_TYPE_STRING ? to : from;
    return other == FZ_TYPE_STRING ||
           (other > 0 && other <= FZ_TYPE_I2 && fzi_wide_of((int32_t)other) != FZ_WIDE_NONE);
}

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const struct params *p = call->params;
    int64_t to = p->to ? p->to : call->n_in > 1 && call->in[1] ? call->in[1]->dtype : 0;
    int32_t from = call->in[0]->dtype;
    if (p->round_mode < 0 || p->round_mode > FZK_E8M0_NEAREST)
        return fzi_error(FZ_E_FORMAT, "%s: unknown round mode", op->name);
    if ((!castable(from) || !castable(to)) && !readable(from, to))
        return fzi_error(FZ_E_UNSUPPORTED, "%s: from %s to %s is not supported", op->name,
                         fz_type_name(from),
                         to > 0 && to <= FZ_TYPE_I2 ? fz_type_name((int32_t)to) : "unknown");
    fzi_infer_like(call, 0, (int32_t)to, call->in[0]);
    return FZ_OK;
}

/* ---- reading: N elements from FIRST on, as wide ones */

static enum fz_wide class_of(int32_t dtype) {
    if (fzi_wide_is_small(dtype)) return FZ_WIDE_F32;
    return is_small_int(dtype) ? FZ_WIDE_I64 : fzi_wide_of(dtype);
}

static const void *load_small(const struct fzk_table *k, const fz_tensor_t *t, int64_t first,
                              int64_t n, union fz_wide_block *block) {
    uint8_t codes[FZ_WIDE_BLOCK];
    int32_t bits = fz_type_bits(t->dtype);
    if (fzi_wide_is_small(t->dtype)) {
        for (int64_t i = 0; i < n; i++) codes[i] = get(t->data, first + i, bits);
        fzi_wide_from_small(k, t->dtype, codes, n, block->f32);
        return block;
    }
    for (int64_t i = 0; i < n; i++) block->i64[i] = fzi_tensor_int(t, first + i);
    return block;
}

static const void *load(const struct fzk_table *k, const fz_tensor_t *t, int64_t first, int64_t n,
                        union fz_wide_block *block) {
    if (fzi_wide_of(t->dtype) == FZ_WIDE_NONE) return load_small(k, t, first, n, block);
    return fzi_wide_load(k, t->dtype, t->data, first, n, block);
}

/* ---- changing the wide type */

/* x as a float, rounded to odd: truncated, the last bit set if that lost anything. */
static float odd_from_f64(double x) {
    float f = (float)x;
    if (x != x || (double)f == x) return f;
    uint32_t bits;
    memcpy(&bits, &f, 4);
    if (__builtin_fabs((double)f) > __builtin_fabs(x)) bits--;
    bits |= 1;
    memcpy(&f, &bits, 4);
    return f;
}

/* Same of a magnitude; 2^64 has 41 bits more than a float. */
static float odd_from_u64(uint64_t x) {
    if (x >> 24 == 0) return (float)x;
    int drop = 40 - __builtin_clzll(x);
    uint64_t kept = x >> drop;
    if (kept << drop != x) kept |= 1;
    return (float)kept * (float)(1ull << drop);
}

static float odd_from_i64(int64_t x) {
    return x < 0 ? -odd_from_u64(0 - (uint64_t)x) : odd_from_u64((uint64_t)x);
}

static void to_f32(enum fz_wide from, int64_t n, const void *src, float *y, bool odd) {
    const double *f64 = src;
    const int64_t *i64 = src;
    const uint64_t *u64 = src;
    const uint8_t *u8 = src;
    if (from == FZ_WIDE_F32) memcpy(y, src, (size_t)n * 4);
    else if (from == FZ_WIDE_F64)
        for (int64_t i = 0; i < n; i++) y[i] = odd ? odd_from_f64(f64[i]) : (float)f64[i];
    else if (from == FZ_WIDE_I64)
        for (int64_t i = 0; i < n; i++) y[i] = odd ? odd_from_i64(i64[i]) : (float)i64[i];
    else if (from == FZ_WIDE_U64)
        for (int64_t i = 0; i < n; i++) y[i] = odd ? odd_from_u64(u64[i]) : (float)u64[i];
    else
        for (int64_t i = 0; i < n; i++) y[i] = u8[i] ? 1.0f : 0.0f;
}

static void to_f64(enum fz_wide from, int64_t n, const void *src, double *y) {
    const float *f32 = src;
    const int64_t *i64 = src;
    const uint64_t *u64 = src;
    const uint8_t *u8 = src;
    if (from == FZ_WIDE_F64) memcpy(y, src, (size_t)n * 8);
    else if (from == FZ_WIDE_F32)
        for (int64_t i = 0; i < n; i++) y[i] = (double)f32[i];
    else if (from == FZ_WIDE_I64)
        for (int64_t i = 0; i < n; i++) y[i] = (double)i64[i];
    else if (from == FZ_WIDE_U64)
        for (int64_t i = 0; i < n; i++) y[i] = (double)u64[i];
    else
        for (int64_t i = 0; i < n; i++) y[i] = u8[i] ? 1.0 : 0.0;
}

/* What an integer type holds, and the same as doubles; for 64 bits MOST_F is one too large, which
 * is why it is compared with >=. */
struct range {
    int64_t least;
    uint64_t most;
    double least_f, most_f;
};

/* Floats reach types below 8 bits by way of int32, modulo 2^n, as ONNX's own tests have it. */
static struct range range_of(int32_t dtype) {
    if (is_small_int(dtype)) dtype = FZ_TYPE_I32;
    int32_t bits = fz_type_bits(dtype);
    bool sign = fzi_type_is_signed(dtype);
    uint64_t most = ~0ull >> (64 - bits + sign);
    int64_t least = sign ? -(int64_t)most - 1 : 0;
    return (struct range){least, most, (double)least, (double)most};
}

static int64_t truncate_f64(double x, const struct range *r) {
    if (x != x) return 0;
    if (x <= r->least_f) return r->least;
    if (x >= r->most_f) return (int64_t)r->most;
    return x >= 0x1p63 ? (int64_t)((uint64_t)(x - 0x1p63) | 1ull << 63) : (int64_t)x;
}

static void to_int(enum fz_wide from, int64_t n, const void *src, int64_t *y,
                   const struct range *r) {
    const float *f32 = src;
    const double *f64 = src;
    const uint8_t *u8 = src;
    if (from == FZ_WIDE_F32)
        for (int64_t i = 0; i < n; i++) y[i] = truncate_f64((double)f32[i], r);
    else if (from == FZ_WIDE_F64)
        for (int64_t i = 0; i < n; i++) y[i] = truncate_f64(f64[i], r);
    else if (from == FZ_WIDE_BOOL)
        for (int64_t i = 0; i < n; i++) y[i] = u8[i] != 0;
    else memcpy(y, src, (size_t)n * 8);
}

static void to_bool(enum fz_wide from, int64_t n, const void *src, uint8_t *y) {
    const float *f32 = src;
    const double *f64 = src;
    const uint64_t *u64 = src;
    const uint8_t *u8 = src;
    if (from == FZ_WIDE_F32)
        for (int64_t i = 0; i < n; i++) y[i] = f32[i] != 0;
    else if (from == FZ_WIDE_F64)
        for (int64_t i = 0; i < n; i++) y[i] = f64[i] != 0;
    else if (from == FZ_WIDE_BOOL)
        for (int64_t i = 0; i < n; i++) y[i] = u8[i] != 0;
    else
        for (int64_t i = 0; i < n; i++) y[i] = u64[i] != 0;
}

/* ---- writing */

struct job {
    const struct fzk_table *k;
    const fz_tensor_t *in;
    fz_tensor_t *out;
    const struct params *params;
    struct range range; /* of an integer output */
    int64_t n;
};

static void store_small(const struct job *job, int64_t first, int64_t n,
                        const union fz_wide_block *block) {
    uint8_t codes[FZ_WIDE_BLOCK];
    int32_t type = job->out->dtype, bits = fz_type_bits(type);
    if (fzi_wide_is_small(type))
        fzi_wide_to_small(job->k, type, block->f32, n, job->params->saturate != 0,
                          job->params->round_mode, codes);
    else
        for (int64_t i = 0; i < n; i++) codes[i] = (uint8_t)block->i64[i];
    for (int64_t i = 0; i < n; i++) put(job->out->data, first + i, bits, codes[i]);
}

static void cast_block(const struct job *job, int64_t first, int64_t n) {
    union fz_wide_block source, block;
    int32_t type = job->out->dtype;
    enum fz_wide from = class_of(job->in->dtype);
    const void *src = load(job->k, job->in, first, n, &source);
    switch (class_of(type)) {
    case FZ_WIDE_F32: to_f32(from, n, src, block.f32, type != FZ_TYPE_F32); break;
    case FZ_WIDE_F64: to_f64(from, n, src, block.f64); break;
    case FZ_WIDE_BOOL: to_bool(from, n, src, block.u8); break;
    default: to_int(from, n, src, block.i64, &job->range); break;
    }
    if (fzi_wide_of(type) == FZ_WIDE_NONE) store_small(job, first, n, &block);
    else fzi_wide_store(job->k, type, job->out->data, first, n, &block);
}

/* The pairs of types that have a kernel; false for others. */
static bool cast_fast(const struct job *job, int64_t first, int64_t n) {
    int32_t from = job->in->dtype, to = job->out->dtype;
    const char *in = (const char *)job->in->data + first * (int64_t)fzi_type_width(from);
    char *out = (char *)job->out->data + first * (int64_t)fzi_type_width(to);
    const void *x = in;
    void *y = out;
    if (job->in->data == job->out->data) return false;
    if (from == FZ_TYPE_F32 && to == FZ_TYPE_U8) job->k->f32_to_u8(y, x, n);
    else if (from == FZ_TYPE_F32 && to == FZ_TYPE_I8) job->k->f32_to_i8(y, x, n);
    else if (from == FZ_TYPE_F32 && to == FZ_TYPE_I32) job->k->f32_to_i32(y, x, n);
    else if (from == FZ_TYPE_F32 && to == FZ_TYPE_I64) job->k->f32_to_i64(y, x, n);
    else if (from == FZ_TYPE_F32 && to == FZ_TYPE_F16) job->k->f32_to_f16(y, x, n);
    else if (from == FZ_TYPE_F32 && to == FZ_TYPE_BF16) job->k->f32_to_bf16(y, x, n);
    else if (from == FZ_TYPE_F16 && to == FZ_TYPE_F32) job->k->f16_to_f32(y, x, n);
    else if (from == FZ_TYPE_BF16 && to == FZ_TYPE_F32) job->k->bf16_to_f32(y, x, n);
    else if (from == FZ_TYPE_U8 && to == FZ_TYPE_F32) job->k->u8_to_f32(y, x, n);
    else if (from == FZ_TYPE_I8 && to == FZ_TYPE_F32) job->k->i8_to_f32(y, x, n);
    else if (from == FZ_TYPE_I32 && to == FZ_TYPE_F32) job->k->i32_to_f32(y, x, n);
    else return false;
    return true;
}

/* Whole blocks, so that tasks never share a byte of a packed output. */
static void cast_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    int64_t last = fzi_min_i64(job->n, end * FZ_WIDE_BLOCK);
    if (cast_fast(job, begin * FZ_WIDE_BLOCK, last - begin * FZ_WIDE_BLOCK)) return;
    for (int64_t i = begin; i < end; i++) {
        int64_t first = i * FZ_WIDE_BLOCK;
        cast_block(job, first, fzi_min_i64(FZ_WIDE_BLOCK, job->n - first));
    }
}

static fz_status_t cast_text(const struct fz_call *call) {
    const struct fz_string *strings = call->in[0]->data;
    int64_t n = fzi_tensor_count(call->in[0]);
    if (call->out[0]->dtype == FZ_TYPE_STRING)
        return fzi_text_from_numbers(call->env, call->in[0], call->out[0]->data);
    for (int64_t i = 0; i < n; i++) FZ_TRY(fzi_text_to_number(&strings[i], call->out[0], i));
    return FZ_OK;
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    (void)op;
    struct job job = {call->env->k, call->in[0], call->out[0], call->params, {0}, 0};
    job.n = fzi_tensor_count(job.out);
    if (fzi_type_is_integer(job.out->dtype)) job.range = range_of(job.out->dtype);
    if (job.in->dtype == job.out->dtype) {
        if (job.n && job.in->data != job.out->data)
            memcpy(job.out->data, job.in->data, job.out->size);
        return FZ_OK;
    }
    if (job.in->dtype == FZ_TYPE_STRING || job.out->dtype == FZ_TYPE_STRING)
        return cast_text(call);
    fzi_run_range(call->env, fzi_ceil_div(job.n, FZ_WIDE_BLOCK), 16, cast_range, &job);
    return FZ_OK;
}

#define ROW(onnx, first, last, inputs, known, lowering)                                            \
    {.name = onnx, .domain = "", .since = first, .until = last, .rev = 1,                          \
     .flags = FZ_OP_IN_PLACE | FZ_OP_HALF, .min_in = inputs, .max_in = inputs, .min_out = 1,       \
     .max_out = 1, .attrs = known, .params_size = sizeof(struct params), .lower = lowering,        \
     .infer = infer, .run = run}

const struct fz_op fz_ops_cast[] = {
    ROW("Cast", 1, 5, 1, "to", lower_name),
    ROW("Cast", 6, 0, 1, "to saturate round_mode", lower),
    ROW("CastLike", 15, 0, 2, "saturate round_mode", lower_like),
    {0},
};
