/* The ends of the integer kernels of one instruction set: sums of columns become outputs. Included
 * behind the vectors (qgemm_v16.h or qgemm_v8.h) and A_AS_S8. The bits are those of
 * c/qgemm_out.h. */
#include "tiles/qgemm_panel.h"

#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)

enum { TILE_COLUMNS = 2 * VL };

/* Some rows of sums on their way into C. Offsets and pointers are to the first row. */
struct finish {
    const int32_t (*sums)[TILE_COLUMNS];
    const struct fzk_qout *out;   /* its C and residual begin at the first column */
    int64_t n;                    /* columns, at most TILE_COLUMNS */
    const int64_t *c_row, *r_row; /* offsets of the rows in C and the residual */
    const float *scale, *bias;    /* of the columns */
    const float *row_scale;       /* of the rows */
};

static void finish_i32(const struct finish *f, int64_t rows) {
    for (int64_t r = 0; r < rows; r++) {
        int32_t *c = (int32_t *)f->out->c + f->c_row[r];
        vi_store(c, vi_load(f->sums[r]), f->n);
        if (f->n > VL) vi_store(c + VL, vi_load(f->sums[r] + VL), f->n - VL);
    }
}

FZK_INLINE vi requantise(const int32_t *acc, vf scale) {
    return vf_round(vf_min(vf_mul(vf_of(vi_load(acc)), scale), vf_set(65536)));
}

/* Rounding gives the least int32 below the range, the minimum keeps it from doing so above; then 16
 * bits that saturate hold everything that zp and the clamp can still tell apart. */
static void finish_8(const struct finish *f, int64_t rows) {
    const struct fzk_qout *o = f->out;
    vf s0 = vf_load(f->scale), s1 = vf_load(f->scale + VL);
    vi zp = vi_set16(o->zp), lo = vi_set16(o->lo), hi = vi_set16(o->hi);
    for (int64_t r = 0; r < rows; r += 2) {
        vi x0 = vi_pack16(requantise(f->sums[r], s0), requantise(f->sums[r] + VL, s1));
        vi x1 = vi_pack16(requantise(f->sums[r + 1], s0), requantise(f->sums[r + 1] + VL, s1));
        x0 = vi_min16(vi_max16(vi_adds16(x0, zp), lo), hi);
        x1 = vi_min16(vi_max16(vi_adds16(x1, zp), lo), hi);
        vi bytes = vi_pack_rows(x0, x1);
        vi_store_row((uint8_t *)o->c + f->c_row[r], bytes, 0, f->n);
        if (r + 1 < rows) vi_store_row((uint8_t *)o->c + f->c_row[r + 1], bytes, 1, f->n);
    }
}

/* Absent bias and clip are -0 and the infinities: they change no bit. */
FZK_INLINE void dequantise(const struct finish *f, int64_t r, int64_t v, vf lo, vf hi) {
    vf scale = vf_mul(vf_set(f->row_scale[r]), vf_load(f->scale + v));
    vf x = vf_add(vf_mul(vf_of(vi_load(f->sums[r] + v)), scale), vf_load(f->bias + v));
    if (f->out->residual)
        x = vf_add(x, vf_load_n(f->out->residual + f->r_row[r] + v, f->n - v));
    vf_store((float *)f->out->c + f->c_row[r] + v, vf_min(hi, vf_max(lo, x)), f->n - v);
}

static void finish_f32(const struct finish *f, int64_t rows) {
    vf lo = vf_set(f->out->clip ? f->out->lo_f : -__builtin_inff());
    vf hi = vf_set(f->out->clip ? f->out->hi_f : __builtin_inff());
    for (int64_t r = 0; r < rows; r++) {
        dequantise(f, r, 0, lo, hi);
        if (f->n > VL) dequantise(f, r, VL, lo, hi);
    }
}

static void finish_rows(const struct finish *f, int64_t rows) {
    if (f->out->kind == FZK_QOUT_8) finish_8(f, rows);
    else if (f->out->kind == FZK_QOUT_F32) finish_f32(f, rows);
    else finish_i32(f, rows);
}
