/* The depthwise integer convolution of one instruction set, in vectors of 8 lanes (qgemm_v8.h):
 * included once by each qdwconv_<isa>.c, which provides QISA, struct qa, struct qb, qa_of, qb_of
 * and q_dot as for qgemm_tile.h, and ANY_WIDTH, bytes_load, bytes_store: 32 bytes, or only the
 * first N where N is less (a multiple of four unless ANY_WIDTH).
 *
 * The bytes of four taps of 32 channels are interleaved so that each 32-bit lane holds the four
 * taps of one channel. Unpacking works within halves of a vector: vector v of four holds the
 * channels 4v .. 4v + 3 and 16 + 4v .. 16 + 4v + 3, and packing the four restores the order. Where
 * taps and output pixels step alike, the taps of pixel x serve pixel x + 1, too, with the weights
 * moved on by one tap, as long as there is a free tap in the last quad. */
enum { A_AS_S8 = 0 };

#include "qgemm_finish.h"

enum {
    N_VECTORS = 4,    /* of 32 channels */
    MAX_QUADS = 64,   /* of all kernel rows; larger kernels take the reference */
    MAX_PIXELS = 16,  /* finished at a time */
    BAND_PIXELS = 256 /* at least, that share one preparation of the weights */
};

/* 32 channels of a convolution, made ready. */
struct channels {
    int64_t quads, n;                   /* of the kernel; channels that are real */
    int64_t taps[MAX_QUADS * FZK_QUAD]; /* offsets */
    int64_t tap_step, row_step;         /* the same for kernel rows of three, in bytes */
    uint32_t flip;                      /* 0x80808080 for s8, else 0 */
    bool large;                         /* a sum times its scale may leave the int32 */
    vi init[N_VECTORS];
    vf scale[N_VECTORS];
    struct qb weights[2][MAX_QUADS][N_VECTORS]; /* of the pixel, and of the one behind it */
};

/* Lanes of vector V from 32 values in natural order. */
FZK_INLINE vi gather(const void *values, int v) {
    const char *p = (const char *)values + 16 * v;
    return _mm256_set_m128i(_mm_loadu_si128((const __m128i *)(p + 64)),
                            _mm_loadu_si128((const __m128i *)p));
}

/* How the taps of a strip are found. */
struct way {
    bool full;   /* 32 channels, not fewer */
    bool paired; /* two neighbouring pixels of the output at a time */
    bool three;  /* kernel rows of three taps, evenly spaced: no need to look up offsets */
};

/* Adds quad I, whose taps' bytes are X, to one pixel or two. */
FZK_INLINE void add_quad(const struct channels *c, int64_t i, const vi x[FZK_QUAD],
                         const bool paired, vi acc[2][N_VECTORS]) {
    vi lo01 = _mm256_unpacklo_epi8(x[0], x[1]), hi01 = _mm256_unpackhi_epi8(x[0], x[1]);
    vi lo23 = _mm256_unpacklo_epi8(x[2], x[3]), hi23 = _mm256_unpackhi_epi8(x[2], x[3]);
    struct qa y[N_VECTORS] = {qa_of(_mm256_unpacklo_epi16(lo01, lo23)),
                              qa_of(_mm256_unpackhi_epi16(lo01, lo23)),
                              qa_of(_mm256_unpacklo_epi16(hi01, hi23)),
                              qa_of(_mm256_unpackhi_epi16(hi01, hi23))};
    FZK_UNROLL
    for (int v = 0; v < N_VECTORS; v++) {
        acc[0][v] = q_dot(acc[0][v], y[v], c->weights[0][i][v]);
        if (paired) acc[1][v] = q_dot(acc[1][v], y[v], c->weights[1][i][v]);
    }
}

/* The sums of the pixel, or pair, whose first tap lies at A. */
FZK_INLINE void sum_taps(const struct channels *c, const uint8_t *a, const struct way way,
                         vi acc[2][N_VECTORS]) {
    const int64_t n = way.full ? FZK_PANEL : c->n, step = c->tap_step;
    vi flip = vi_set((int32_t)c->flip), x[FZK_QUAD];
    FZK_UNROLL
    for (int v = 0; v < N_VECTORS; v++) acc[0][v] = acc[1][v] = c->init[v];
    for (int64_t i = 0; i < c->quads; i++) {
        if (way.three) {
            x[0] = bytes_load(a, n);
            x[1] = bytes_load(a + step, n);
            x[2] = bytes_load(a + 2 * step, n);
            x[3] = way.paired ? bytes_load(a + 3 * step, n) : x[2];
            a += c->row_step;
        } else {
            FZK_UNROLL
            for (int t = 0; t < FZK_QUAD; t++)
                x[t] = bytes_load(a + c->taps[i * FZK_QUAD + t], n);
        }
        if (c->flip) {
            FZK_UNROLL
            for (int t = 0; t < FZK_QUAD; t++) x[t] = vi_xor(x[t], flip);
        }
        add_quad(c, i, x, way.paired, acc);
    }
}

/* What every pixel needs at its end, in registers: stores of bytes may alias anything else. */
struct ending {
    vf scale[N_VECTORS];
    vi zp, lo, hi, flip;
    int64_t n;
    bool large;
};

FZK_INLINE struct ending ending_of(const struct channels *c, const struct fzk_qout *o) {
    bool is_signed = o->lo < 0;
    struct ending e = {.n = c->n, .large = c->large};
    for (int v = 0; v < N_VECTORS; v++) e.scale[v] = c->scale[v];
    e.flip = vi_set(is_signed ? (int32_t)0x80808080 : 0);
    e.zp = vi_set16(o->zp + (is_signed ? 128 : 0));
    e.lo = vi_xor(_mm256_set1_epi8((char)o->lo), e.flip);
    e.hi = vi_xor(_mm256_set1_epi8((char)o->hi), e.flip);
    return e;
}

/* See finish_8. Packing within halves puts the channels in order. s8 goes the way of u8 with 128
 * more. */
FZK_INLINE void store_8(const struct ending *e, const vi acc[N_VECTORS], uint8_t *to,
                        const bool full) {
    vf x[N_VECTORS];
    FZK_UNROLL
    for (int v = 0; v < N_VECTORS; v++) x[v] = vf_mul(vf_of(acc[v]), e->scale[v]);
    if (e->large) {
        FZK_UNROLL
        for (int v = 0; v < N_VECTORS; v++) x[v] = vf_min(x[v], vf_set(65536));
    }
    vi x0 = vi_adds16(vi_pack16(vf_round(x[0]), vf_round(x[1])), e->zp);
    vi x1 = vi_adds16(vi_pack16(vf_round(x[2]), vf_round(x[3])), e->zp);
    vi q = _mm256_max_epu8(_mm256_packus_epi16(x0, x1), e->lo);
    bytes_store(to, vi_xor(_mm256_min_epu8(q, e->hi), e->flip), full ? FZK_PANEL : e->n);
}

/* The sums of pixel I for finish_rows: channels 0 to 15, and 16 to 31. */
FZK_INLINE void keep(const vi acc[N_VECTORS], int64_t i,
                     int32_t sums[2][MAX_PIXELS][TILE_COLUMNS]) {
    FZK_UNROLL
    for (int v = 0; v < N_VECTORS; v++) {
        _mm_storeu_si128((__m128i *)(sums[0][i] + 4 * v), _mm256_castsi256_si128(acc[v]));
        _mm_storeu_si128((__m128i *)(sums[1][i] + 4 * v), _mm256_extracti128_si256(acc[v], 1));
    }
}

/* A row of pixels on its way. */
struct strip {
    const uint8_t *a;
    int64_t a_step, c_step; /* from pixel to pixel */
    int64_t pixels;
};

FZK_INLINE void strip_8(const struct channels *c, const struct fzk_qout *o, const struct strip *s,
                        uint8_t *to, const struct way way) {
    vi acc[2][N_VECTORS];
    const struct ending e = ending_of(c, o);
    const int64_t pixels = s->pixels, a_step = s->a_step, c_step = s->c_step;
    const uint8_t *a = s->a;
    for (int64_t i = 0; i < pixels; i += way.paired ? 2 : 1) {
        if (way.paired && i + 2 > pixels) i--; /* the last pair overlaps */
        sum_taps(c, a + i * a_step, way, acc);
        store_8(&e, acc[0], to + i * c_step, way.full);
        if (way.paired) store_8(&e, acc[1], to + (i + 1) * c_step, way.full);
    }
}

typedef void (*strip_fn)(const struct channels *c, const struct fzk_qout *o,
                         const struct strip *s, uint8_t *to);

/* One function for each way, so that none has to share its registers. */
#define STRIP(name, full, paired, three)                                                           \
    static void name(const struct channels *c, const struct fzk_qout *o, const struct strip *s,    \
                     uint8_t *to) {                                                                \
        strip_8(c, o, s, to, (struct way){full, paired, three});                                   \
    }
STRIP(strip_000, false, false, false)
STRIP(strip_001, false, false, true)
STRIP(strip_010, false, true, false)
STRIP(strip_011, false, true, true)
STRIP(strip_100, true, false, false)
STRIP(strip_101, true, false, true)
STRIP(strip_110, true, true, false)
STRIP(strip_111, true, true, true)
#undef STRIP

static const strip_fn strips[2][2][2] = {{{strip_000, strip_001}, {strip_010, strip_011}},
                                         {{strip_100, strip_101}, {strip_110, strip_111}}};

FZK_INLINE void strip_sums(const struct channels *c, const struct strip *s,
                           int32_t sums[2][MAX_PIXELS][TILE_COLUMNS], const struct way way) {
    vi acc[2][N_VECTORS];
    for (int64_t i = 0; i < s->pixels; i += way.paired ? 2 : 1) {
        if (way.paired && i + 2 > s->pixels) i--; /* the last pair overlaps */
        sum_taps(c, s->a + i * s->a_step, way, acc);
        keep(acc[0], i, sums);
        if (way.paired) keep(acc[1], i + 1, sums);
    }
}

typedef void (*sums_fn)(const struct channels *c, const struct strip *s,
                        int32_t sums[2][MAX_PIXELS][TILE_COLUMNS]);
#define SUMS(name, full, paired, three)                                                            \
    static void name(const struct channels *c, const struct strip *s,                              \
                     int32_t sums[2][MAX_PIXELS][TILE_COLUMNS]) {                                  \
        strip_sums(c, s, sums, (struct way){full, paired, three});                                 \
    }
SUMS(sums_000, false, false, false)
SUMS(sums_001, false, false, true)
SUMS(sums_010, false, true, false)
SUMS(sums_011, false, true, true)
SUMS(sums_100, true, false, false)
SUMS(sums_101, true, false, true)
SUMS(sums_110, true, true, false)
SUMS(sums_111, true, true, true)
#undef SUMS

static const sums_fn sums_of[2][2][2] = {{{sums_000, sums_001}, {sums_010, sums_011}},
                                         {{sums_100, sums_101}, {sums_110, sums_111}}};

/* A strip whose outputs are not bytes: I is its first pixel, CH its first channel. */
static void strip_32(const struct channels *c, const struct fzk_qdwconv *d, const struct panel *p,
                     const struct strip *s, sums_fn fill, int64_t i, int64_t ch) {
    int32_t sums[2][MAX_PIXELS][TILE_COLUMNS] __attribute__((aligned(64)));
    int64_t c_row[MAX_PIXELS], r_row[MAX_PIXELS];
    float row_scale[MAX_PIXELS];
    struct fzk_qout out = d->out;
    fill(c, s, sums);
    for (int64_t l = 0; l < s->pixels; l++) {
        c_row[l] = i / d->m_cols * out.c_run_stride + (i % d->m_cols + l) * out.ldc;
        r_row[l] = i / d->m_cols * out.r_run_stride + (i % d->m_cols + l) * out.ldr;
        row_scale[l] = out.row_scale ? out.row_scale[i + l] : out.a_scale;
    }
    for (int half = 0; half < 2 && half * TILE_COLUMNS < c->n; half++) {
        int64_t j = ch + half * TILE_COLUMNS;
        out.c = (char *)d->out.c + j * 4;
        out.residual = d->out.residual ? d->out.residual + j : NULL;
        struct finish f = {.sums = (const int32_t(*)[TILE_COLUMNS])sums[half], .out = &out,
                           .n = c->n - half * TILE_COLUMNS, .c_row = c_row, .r_row = r_row,
                           .scale = p->scale + half * TILE_COLUMNS,
                           .bias = p->bias + half * TILE_COLUMNS, .row_scale = row_scale};
        if (f.n > TILE_COLUMNS) f.n = TILE_COLUMNS;
        finish_rows(&f, s->pixels);
    }
}

/* ---- preparation */

static int64_t kernel_rows(const struct fzk_qdwconv *d) { return d->twice ? 2 * d->kh : d->kh; }

/* Free taps have zero weights and read the last real one of their row, which is that of the pixel
 * behind when pixels are paired. */
static void fill_taps(const struct fzk_qdwconv *d, bool paired, struct channels *c) {
    int64_t last = paired ? d->kw : d->kw - 1, taps = (d->kw + 3) / FZK_QUAD * FZK_QUAD;
    int64_t rows = kernel_rows(d);
    c->quads = rows * taps / FZK_QUAD;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t s = 0; s < taps; s++)
            c->taps[r * taps + s] = r % d->kh * d->dilation_y * d->a_row +
                                    (s < last ? s : last) * d->dilation_x * d->a_col;
    c->tap_step = d->dilation_x * d->a_col;
    c->row_step = d->dilation_y * d->a_row;
    c->flip = d->a_signed ? 0x80808080 : 0;
}

/* The 32 channels from CH on. The weights for the pixel behind are one tap (a byte) further. */
static void fill_channels(const struct fzk_qdwconv *d, const struct panel *p, int64_t ch,
                          bool paired, struct channels *c) {
    int64_t row_quads = (d->kw + 3) / FZK_QUAD;
    const int8_t *w = d->w + ch / FZK_PANEL * c->quads * FZK_PANEL * FZK_QUAD;
    c->n = d->c - ch < FZK_PANEL ? d->c - ch : FZK_PANEL;
    vf most = vf_set(0);
    for (int v = 0; v < N_VECTORS; v++) {
        c->init[v] = gather(p->init, v);
        c->scale[v] = _mm256_castsi256_ps(gather(p->scale, v));
        most = vf_max(_mm256_andnot_ps(vf_set(-0.0f), c->scale[v]), most);
        for (int64_t i = 0; i < c->quads; i++) {
            const int8_t *quad = w + i * FZK_PANEL * FZK_QUAD;
            vi now = gather(quad, v), carry = vi_set(0);
            c->weights[0][i][v] = qb_of(now);
            if (!paired) continue;
            if (i % row_quads)
                carry = _mm256_srli_epi32(gather(quad - FZK_PANEL * FZK_QUAD, v), 24);
            c->weights[1][i][v] = qb_of(_mm256_or_si256(_mm256_slli_epi32(now, 8), carry));
        }
    }
    c->large = _mm256_movemask_ps(_mm256_cmp_ps(most, vf_set(1), _CMP_GE_OQ)) != 0;
}

/* ---- the loops around */

/* Row Y of the output for the channels from CH on. No strip of several is one pixel, which is no
 * pair. */
static void run_row(const struct fzk_qdwconv *d, const struct channels *c, const struct panel *p,
                    bool paired, int64_t y, int64_t ch) {
    const uint8_t *a = (const uint8_t *)d->a + y * d->stride_y * d->a_row + ch;
    const bool three = d->kw == 3 && !d->twice;
    struct strip s = {.a = a, .a_step = d->stride_x * d->a_col, .c_step = d->out.ldc,
                      .pixels = d->m_cols};
    if (d->out.kind == FZK_QOUT_8) {
        uint8_t *to = (uint8_t *)d->out.c + y * d->out.c_run_stride + ch;
        strips[c->n == FZK_PANEL][paired][three](c, &d->out, &s, to);
        return;
    }
    for (int64_t x = 0; x < d->m_cols; x += s.pixels) {
        int64_t left = d->m_cols - x;
        s.a = a + x * s.a_step;
        s.pixels = left == MAX_PIXELS + 1 ? left / 2 : left < MAX_PIXELS ? left : MAX_PIXELS;
        strip_32(c, d, p, &s, sums_of[c->n == FZK_PANEL][paired][three], y * d->m_cols + x, ch);
    }
}

static bool too_large(const struct fzk_qdwconv *d) {
    return d->kh > MAX_QUADS || d->kw > MAX_QUADS ||
           kernel_rows(d) * ((d->kw + FZK_QUAD - 1) / FZK_QUAD) > MAX_QUADS;
}

void fzk_qdwconv_u8s8_v3(const struct fzk_qdwconv *d); /* the reference, compiled for AVX2 */

void CAT(fzk_qdwconv_u8s8_, QISA)(const struct fzk_qdwconv *d) {
    if (too_large(d) || d->kw < 1 || (!ANY_WIDTH && d->c % 4)) {
        fzk_qdwconv_u8s8_v3(d);
        return;
    }
    struct channels c;
    struct panel p;
    struct fzk_qgemm columns = {.n = d->c, .col_sum = d->col_sum, .za = d->za,
                                .a_signed = d->a_signed, .out = d->out};
    bool paired = d->stride_x == d->dilation_x && d->kw % FZK_QUAD && d->m_cols > 1;
    int64_t band = d->m_cols > 0 ? (BAND_PIXELS + d->m_cols - 1) / d->m_cols : 0;
    fill_taps(d, paired, &c);
    clear_panel(&p);
    for (int64_t y0 = 0; d->m_cols > 0 && y0 < d->m_rows; y0 += band) {
        int64_t y1 = d->m_rows - y0 < band ? d->m_rows : y0 + band;
        for (int64_t ch = 0; ch < d->c; ch += FZK_PANEL) {
            fill_panel(&columns, ch, &p);
            fill_channels(d, &p, ch, paired, &c);
            for (int64_t y = y0; y < y1; y++) run_row(d, &c, &p, paired, y, ch);
        }
    }
}
