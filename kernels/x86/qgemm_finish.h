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
    const int32_t *init;          /* SUMS_LACK_INIT: of the sums, INIT_STEP from row to row */
    int64_t init_step;
    const struct fzk_qout *out;   /* its C and residual begin at the first column */
    int64_t n;                    /* columns, at most TILE_COLUMNS */
    const int64_t *c_row, *r_row; /* offsets of the rows in C and the residual */
    const float *scale, *bias;    /* of the columns */
    const float *row_scale;       /* of the rows */
};

FZK_INLINE vi sums_row(const struct finish *f, int64_t r, int64_t v) {
    vi x = vi_load(f->sums[r] + v);
#ifdef SUMS_LACK_INIT
    x = vi_add(x, vi_load(f->init + r * f->init_step + v));
#endif
    return x;
}

static void finish_i32(const struct finish *f, int64_t rows) {
    for (int64_t r = 0; r < rows; r++) {
        int32_t *c = (int32_t *)f->out->c + f->c_row[r];
        vi_store(c, sums_row(f, r, 0), f->n);
        if (f->n > VL) vi_store(c + VL, sums_row(f, r, VL), f->n - VL);
    }
}

FZK_INLINE vi requantise(vi acc, vf scale, const bool large) {
    vf t = vf_mul(vf_of(acc), scale);
    return vf_round(large ? vf_min(t, vf_set(65536)) : t);
}

/* What turns sums into bytes. */
struct bytes_end {
    vf s0, s1;
    vi zp, lo, hi, flip;
};

/* Rounding gives the least int32 below the range; a minimum keeps it from doing so above, where
 * scales are large enough to get there: false. Then 16 bits that saturate hold everything that zp
 * and the clamp can still tell apart. s8 goes the way of u8 with 128 more. */
FZK_INLINE bool bytes_end(const struct finish *f, struct bytes_end *e) {
    const struct fzk_qout *o = f->out;
    e->flip = vi_set(o->lo < 0 ? (int32_t)0x80808080 : 0);
    e->zp = vi_set16(o->zp + (o->lo < 0 ? 128 : 0));
    e->lo = vi_xor(vi_set8(o->lo), e->flip);
    e->hi = vi_xor(vi_set8(o->hi), e->flip);
    e->s0 = vf_load(f->scale);
    e->s1 = vf_load(f->scale + VL);
    return vf_below_1(e->s0) && vf_below_1(e->s1);
}

/* Two rows of 16 bits each. */
FZK_INLINE vi bytes_of_rows(const struct bytes_end *e, vi x0, vi x1) {
    vi x = vi_pack_rows(vi_adds16(x0, e->zp), vi_adds16(x1, e->zp));
    return vi_xor(vi_min_u8(vi_max_u8(x, e->lo), e->hi), e->flip);
}

/* Two rows of sums, A and B, as bytes. */
FZK_INLINE vi bytes_of_sums(const struct bytes_end *e, vi a0, vi a1, vi b0, vi b1,
                            const bool large) {
    vi a = vi_pack16(requantise(a0, e->s0, large), requantise(a1, e->s1, large));
    vi b = vi_pack16(requantise(b0, e->s0, large), requantise(b1, e->s1, large));
    return bytes_of_rows(e, a, b);
}

FZK_INLINE void requantise_rows(const struct finish *f, const struct bytes_end end, int64_t rows,
                                const bool large) {
    const int64_t n = f->n, *c_row = f->c_row;
    uint8_t *c = f->out->c;
    for (int64_t r = 0; r < rows; r += 2) {
        vi x = bytes_of_sums(&end, sums_row(f, r, 0), sums_row(f, r, VL), sums_row(f, r + 1, 0),
                             sums_row(f, r + 1, VL), large);
        vi_store_row(c + c_row[r], x, 0, n);
        if (r + 1 < rows) vi_store_row(c + c_row[r + 1], x, 1, n);
    }
}

static void finish_8(const struct finish *f, int64_t rows) {
    struct bytes_end end;
    if (bytes_end(f, &end)) requantise_rows(f, end, rows, false);
    else requantise_rows(f, end, rows, true);
}

/* An absent bias is -0, which changes no bit. */
FZK_INLINE void dequantise(const struct finish *f, int64_t r, int64_t v, vf col, vf bias) {
    const struct fzk_qout *o = f->out;
    vf x = vf_mul(vf_of(sums_row(f, r, v)), vf_mul(vf_set(f->row_scale[r]), col));
    x = vf_add(x, bias);
    if (o->residual) x = vf_add(x, vf_load_n(o->residual + f->r_row[r] + v, f->n - v));
    if (o->clip) x = vf_min(vf_set(o->hi_f), vf_max(vf_set(o->lo_f), x));
    vf_store((float *)o->c + f->c_row[r] + v, x, f->n - v);
}

static void finish_f32(const struct finish *f, int64_t rows) {
    const vf c0 = vf_load(f->scale), c1 = vf_load(f->scale + VL);
    const vf b0 = vf_load(f->bias), b1 = vf_load(f->bias + VL);
    for (int64_t r = 0; r < rows; r++) {
        dequantise(f, r, 0, c0, b0);
        if (f->n > VL) dequantise(f, r, VL, c1, b1);
    }
}

static void finish_rows(const struct finish *f, int64_t rows) {
    if (f->out->kind == FZK_QOUT_8) finish_8(f, rows);
    else if (f->out->kind == FZK_QOUT_F32) finish_f32(f, rows);
    else finish_i32(f, rows);
}
