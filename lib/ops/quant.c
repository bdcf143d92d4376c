/* What the operators between floats and quantised integers share. */
#include "ops/quant.h"
#include "ops/wide.h"

fz_status_t fzi_quant_grid(const struct fz_op *op, const fz_tensor_t *x, const fz_tensor_t *scale,
                           int64_t axis, int64_t block, struct fz_quant_grid *grid) {
    int32_t at = 0;
    int64_t n_scales = fzi_tensor_count(scale);
    *grid = (struct fz_quant_grid){.outer = 1, .n = 1, .inner = fzi_tensor_count(x)};
    if (block < 0) return fzi_error(FZ_E_FORMAT, "%s: block_size is negative", op->name);
    if (scale->rank == 0 || (scale->rank == 1 && n_scales == 1 && !block)) return FZ_OK;
    if (!fzi_axis(axis, x->rank, &at))
        return fzi_error(FZ_E_SHAPE, "%s: axis %lld is outside of rank %d", op->name,
                         (long long)axis, x->rank);
    grid->n = x->dims[at];
    fzi_dims_count(x->dims, 0, at, &grid->outer);
    fzi_dims_count(x->dims, at + 1, x->rank, &grid->inner);
    grid->per_axis = block == 0;
    grid->block = block;
    if (grid->per_axis) {
        if (scale->rank == 1 && n_scales == grid->n) return FZ_OK;
        return fzi_error(FZ_E_SHAPE, "%s: %lld scales for %lld channels", op->name,
                         (long long)n_scales, (long long)grid->n);
    }
    grid->n_blocks = fzi_ceil_div(grid->n, block);
    bool fits = scale->rank == x->rank;
    for (int32_t d = 0; fits && d < x->rank; d++)
        fits = scale->dims[d] == (d == at ? grid->n_blocks : x->dims[d]);
    return fits ? FZ_OK
                : fzi_error(FZ_E_SHAPE, "%s: the scales do not fit blocks of %lld", op->name,
                            (long long)block);
}

void fzi_quant_rows(const struct fz_quant_grid *grid, int64_t begin, int64_t end,
                    fz_quant_fn elements, const void *job) {
    for (int64_t r = begin; r < end; r++) {
        int64_t o = r / grid->n, a = r % grid->n, i = r * grid->inner;
        if (grid->per_axis) {
            elements(job, i, grid->inner, a);
            continue;
        }
        for (int64_t e = 0; e < grid->inner; e++)
            elements(job, i + e, 1, (o * grid->n_blocks + a / grid->block) * grid->inner + e);
    }
}

int64_t fzi_quant_low(int32_t dtype) {
    return fzi_type_is_signed(dtype) ? -(1ll << (fz_type_bits(dtype) - 1)) : 0;
}

int64_t fzi_quant_high(int32_t dtype) {
    return (1ll << (fz_type_bits(dtype) - (fzi_type_is_signed(dtype) ? 1 : 0))) - 1;
}

float fzi_quant_scale(const struct fzk_table *k, const fz_tensor_t *scale, int64_t i) {
    float value;
    if (scale->dtype == FZ_TYPE_F32) return ((const float *)scale->data)[i];
    if (scale->dtype == FZ_TYPE_I32) return (float)((const int32_t *)scale->data)[i];
    if (scale->dtype != FZ_TYPE_F8E8M0) return (float)fzi_tensor_float(scale, i);
    fzi_wide_from_small(k, scale->dtype, (const uint8_t *)scale->data + i, 1, &value);
    return value;
}

/* Half to even. Numbers of 2^23 and more are whole already. */
static float round_even(float x) {
    float magic = x < 0 ? -0x1p23f : 0x1p23f;
    if (!(x > -0x1p23f && x < 0x1p23f)) return x;
    return (x + magic) - magic;
}

int64_t fzi_quant_round(float x, float scale, int64_t zero, int64_t low, int64_t high) {
    float t = x / scale;
    if (t != t) t = 0;
    t = round_even(t);
    if (t >= 0x1p40f) return high;
    if (t <= -0x1p40f) return low;
    int64_t q = (int64_t)t + zero;
    return q < low ? low : q > high ? high : q;
}

void fzi_quant_put(const fz_tensor_t *t, int64_t i, int64_t v) {
    int bits = fz_type_bits(t->dtype);
    if (bits < 8) {
        int per_byte = 8 / bits, shift = (int)(i % per_byte) * bits;
        ((uint8_t *)t->data)[i / per_byte] |=
            (uint8_t)(((unsigned)v & ((1u << bits) - 1)) << shift);
    } else if (bits == 8) {
        ((uint8_t *)t->data)[i] = (uint8_t)v;
    } else if (bits == 16) {
        ((uint16_t *)t->data)[i] = (uint16_t)v;
    } else {
        ((uint32_t *)t->data)[i] = (uint32_t)v;
    }
}

fz_status_t fzi_quant_scalar_shape(const struct fz_op *op, const fz_tensor_t *t,
                                   const char *what) {
    if (!fzi_shape_known(t) || fzi_tensor_count(t) == 1) return FZ_OK;
    return fzi_error(FZ_E_UNSUPPORTED, "%s: %s must be one number", op->name, what);
}
