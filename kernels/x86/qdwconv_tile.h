/* The depthwise integer convolution of one instruction set, in vectors of 8 lanes (qgemm_v8.h):
 * included once by each qdwconv_<isa>.c, which provides QISA, struct qa, struct qb, qa_of, qb_of and
 * q_dot as for qgemm_tile.h, and ANY_WIDTH, bytes_load, bytes_store: 32 bytes, or only the first N
 * where N is less (a multiple of four unless ANY_WIDTH).
 *
 * The bytes of four taps of 32 channels are interleaved so that each 32-bit lane holds the four taps
 * of one channel. Unpacking works within halves of a vector: vector v of four holds the channels
 * 4v .. 4v + 3 and 16 + 4v .. 16 + 4v + 3, and packing the four restores the order. Where taps and
 * output pixels step alike, the taps of pixel x serve pixel x + 1, too, with the weights moved on by
 * one tap, as long as there is a free tap in the last quad. */
#include "qgemm_finish.h"

enum {
    N_VECTORS = 4,    /* of 32 channels */
    MAX_QUADS = 64,   /* of all kernel rows; larger kernels take the reference */
    MAX_PIXELS = 16,  /* finished at a time */
    BAND_PIXELS = 64  /* at least, that share one preparation of the weights */
};

/* 32 channels of a convolution, made ready. */
struct channels {
    int64_t kh, quads, n;      /* quads of a kernel row; channels that are real */
    int64_t row_step;          /* bytes from kernel row to kernel row */
    int64_t taps[MAX_QUADS * FZK_QUAD]; /* offsets of the taps of a kernel row */
    vi flip;
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

/* PIXELS neighbours of the output (1 or 2) whose first taps lie at A. */
FZK_INLINE void sum_taps(const struct channels *c, const uint8_t *a, const int pixels,
                         const bool full, vi acc[2][N_VECTORS]) {
    for (int v = 0; v < N_VECTORS; v++) acc[0][v] = acc[1][v] = c->init[v];
    int64_t i = 0;
    for (int64_t r = 0; r < c->kh; r++, a += c->row_step) {
        const int64_t *tap = c->taps;
        for (int64_t q = 0; q < c->quads; q++, tap += FZK_QUAD, i++) {
            vi x[FZK_QUAD];
            FZK_UNROLL
            for (int t = 0; t < FZK_QUAD; t++)
                x[t] = vi_xor(bytes_load(a + tap[t], full ? FZK_PANEL : c->n), c->flip);
            vi lo01 = _mm256_unpacklo_epi8(x[0], x[1]), hi01 = _mm256_unpackhi_epi8(x[0], x[1]);
            vi lo23 = _mm256_unpacklo_epi8(x[2], x[3]), hi23 = _mm256_unpackhi_epi8(x[2], x[3]);
            struct qa y[N_VECTORS] = {qa_of(_mm256_unpacklo_epi16(lo01, lo23)),
                                      qa_of(_mm256_unpackhi_epi16(lo01, lo23)),
                                      qa_of(_mm256_unpacklo_epi16(hi01, hi23)),
                                      qa_of(_mm256_unpackhi_epi16(hi01, hi23))};
            FZK_UNROLL
            for (int p = 0; p < pixels; p++) {
                FZK_UNROLL
                for (int v = 0; v < N_VECTORS; v++)
                    acc[p][v] = q_dot(acc[p][v], y[v], c->weights[p][i][v]);
            }
        }
    }
}

/* See finish_8. Packing within halves puts the channels in order. */
FZK_INLINE void store_8(const struct channels *c, const struct fzk_qout *o, const vi acc[N_VECTORS],
                        uint8_t *to) {
    vi zp = vi_set16(o->zp), lo = vi_set16(o->lo), hi = vi_set16(o->hi), q[N_VECTORS];
    FZK_UNROLL
    for (int v = 0; v < N_VECTORS; v++)
        q[v] = vf_round(vf_min(vf_mul(vf_of(acc[v]), c->scale[v]), vf_set(65536)));
    vi x0 = vi_adds16(vi_pack16(q[0], q[1]), zp), x1 = vi_adds16(vi_pack16(q[2], q[3]), zp);
    x0 = _mm256_and_si256(vi_min16(vi_max16(x0, lo), hi), vi_set16(0xFF));
    x1 = _mm256_and_si256(vi_min16(vi_max16(x1, lo), hi), vi_set16(0xFF));
    bytes_store(to, _mm256_packus_epi16(x0, x1), c->n);
}

/* The sums of pixel I for finish_rows: channels 0 to 15, and 16 to 31. */
FZK_INLINE void keep(const vi acc[N_VECTORS], int32_t sums[2][MAX_PIXELS][TILE_COLUMNS], int64_t i) {
    FZK_UNROLL
    for (int v = 0; v < N_VECTORS; v++) {
        _mm_storeu_si128((__m128i *)(sums[0][i] + 4 * v), _mm256_castsi256_si128(acc[v]));
        _mm_storeu_si128((__m128i *)(sums[1][i] + 4 * v), _mm256_extracti128_si256(acc[v], 1));
    }
}

/* A row of pixels on its way: PAIRED says whether neighbours share their taps. */
struct strip {
    const uint8_t *a;
    int64_t a_step, c_step; /* from pixel to pixel */
    int64_t pixels;
    bool paired;
};

FZK_INLINE void strip_8(const struct channels *c, const struct fzk_qout *o, const struct strip *s,
                        uint8_t *to, const bool full) {
    vi acc[2][N_VECTORS];
    for (int64_t i = 0; i < s->pixels && s->paired; i += 2) {
        if (i + 2 > s->pixels) i--; /* the last pair overlaps */
        sum_taps(c, s->a + i * s->a_step, 2, full, acc);
        store_8(c, o, acc[0], to + i * s->c_step);
        store_8(c, o, acc[1], to + (i + 1) * s->c_step);
    }
    for (int64_t i = 0; i < s->pixels && !s->paired; i++) {
        sum_taps(c, s->a + i * s->a_step, 1, full, acc);
        store_8(c, o, acc[0], to + i * s->c_step);
    }
}

static void strip_sums(const struct channels *c, const struct strip *s,
                       int32_t sums[2][MAX_PIXELS][TILE_COLUMNS]) {
    vi acc[2][N_VECTORS];
    for (int64_t i = 0; i < s->pixels; i++) {
        sum_taps(c, s->a + i * s->a_step, 1, false, acc);
        keep(acc[0], sums, i);
    }
}

/* A strip whose outputs are not bytes: I is its first pixel, CH its first channel. */
static void strip_32(const struct channels *c, const struct fzk_qdwconv *d, const struct panel *p,
                     const struct strip *s, int64_t i, int64_t ch) {
    int32_t sums[2][MAX_PIXELS][TILE_COLUMNS] __attribute__((aligned(64)));
    int64_t c_row[MAX_PIXELS], r_row[MAX_PIXELS];
    float row_scale[MAX_PIXELS];
    struct fzk_qout out = d->out;
    strip_sums(c, s, sums);
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

/* Tap offsets of a kernel row. Free taps have zero weights and read the last real one, which is
 * that of the pixel behind when pixels are paired. */
static void fill_taps(const struct fzk_qdwconv *d, bool paired, struct channels *c) {
    int64_t last = paired ? d->kw : d->kw - 1;
    c->kh = d->kh;
    c->quads = (d->kw + FZK_QUAD - 1) / FZK_QUAD;
    c->row_step = d->dilation_y * d->a_row;
    for (int64_t s = 0; s < c->quads * FZK_QUAD; s++)
        c->taps[s] = (s < last ? s : last) * d->dilation_x * d->a_col;
    c->flip = vi_set(d->a_signed ? (int32_t)0x80808080 : 0);
}

/* The 32 channels from CH on. The weights for the pixel behind are one tap (a byte) further. */
static void fill_channels(const struct fzk_qdwconv *d, const struct panel *p, int64_t ch,
                          struct channels *c) {
    int64_t n_quads = c->kh * c->quads;
    const int8_t *w = d->w + ch / FZK_PANEL * n_quads * FZK_PANEL * FZK_QUAD;
    c->n = d->c - ch < FZK_PANEL ? d->c - ch : FZK_PANEL;
    for (int v = 0; v < N_VECTORS; v++) {
        c->init[v] = gather(p->init, v);
        c->scale[v] = _mm256_castsi256_ps(gather(p->scale, v));
        for (int64_t i = 0; i < n_quads; i++) {
            const int8_t *quad = w + i * FZK_PANEL * FZK_QUAD;
            vi now = gather(quad, v), carry = vi_set(0);
            if (i % c->quads)
                carry = _mm256_srli_epi32(gather(quad - FZK_PANEL * FZK_QUAD, v), 24);
            c->weights[0][i][v] = qb_of(now);
            c->weights[1][i][v] = qb_of(_mm256_or_si256(_mm256_slli_epi32(now, 8), carry));
        }
    }
}

/* ---- the loops around */

/* Row Y of the output for the channels from CH on. */
static void run_row(const struct fzk_qdwconv *d, const struct channels *c, const struct panel *p,
                    bool paired, int64_t y, int64_t ch) {
    const uint8_t *a = (const uint8_t *)d->a + y * d->stride_y * d->a_row + ch;
    struct strip s = {.a = a, .a_step = d->stride_x * d->a_col, .c_step = d->out.ldc,
                      .pixels = d->m_cols, .paired = paired};
    if (d->out.kind == FZK_QOUT_8) {
        uint8_t *to = (uint8_t *)d->out.c + y * d->out.c_run_stride + ch;
        if (c->n == FZK_PANEL) strip_8(c, &d->out, &s, to, true);
        else strip_8(c, &d->out, &s, to, false);
        return;
    }
    for (int64_t x = 0; x < d->m_cols; x += MAX_PIXELS) {
        s.a = a + x * s.a_step;
        s.pixels = d->m_cols - x < MAX_PIXELS ? d->m_cols - x : MAX_PIXELS;
        strip_32(c, d, p, &s, y * d->m_cols + x, ch);
    }
}

static bool too_large(const struct fzk_qdwconv *d) {
    return d->kh > MAX_QUADS || d->kw > MAX_QUADS ||
           d->kh * ((d->kw + FZK_QUAD - 1) / FZK_QUAD) > MAX_QUADS;
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
    bool paired = d->stride_x == d->dilation_x && d->kw % FZK_QUAD && d->m_cols > 1 &&
                  d->out.kind == FZK_QOUT_8;
    int64_t band = d->m_cols > 0 ? (BAND_PIXELS + d->m_cols - 1) / d->m_cols : 0;
    fill_taps(d, paired, &c);
    clear_panel(&p);
    for (int64_t y0 = 0; d->m_cols > 0 && y0 < d->m_rows; y0 += band) {
        int64_t y1 = d->m_rows - y0 < band ? d->m_rows : y0 + band;
        for (int64_t ch = 0; ch < d->c; ch += FZK_PANEL) {
            fill_panel(&columns, ch, &p);
            fill_channels(d, &p, ch, &c);
            for (int64_t y = y0; y < y1; y++) run_row(d, &c, &p, paired, y, ch);
        }
    }
}
