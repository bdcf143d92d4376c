/* The hand-written products with narrow weights: a few rows of A meet a few vectors of columns;
 * each weight is widened once, in registers, and used for all rows.
 *
 * Who includes this defines LANES; MAX_ROWS, at most 4; SLIM, the vectors of a tile, which divide
 * a panel, and WIDE, those of one with at most two rows, which may be two panels; LOOKS_UP, 1 where
 * a look-up is faster than a zero point for all; the type vec of LANES floats and words of as many
 * 32-bit integers; and, all FZK_INLINE: splat, load, load_some, store_some, add, sub, mul, muladd,
 * clamp (of vectors), halves, bhalves, bytes, load_words, shift, field (integer I of a form's words
 * as floats), make_table and lookup (field I less the table's middle). */
#ifndef FZ_KERNELS_NGEMM_F32_TILE_H
#define FZ_KERNELS_NGEMM_F32_TILE_H

enum {
    PANEL_VECS = FZK_PANEL / LANES,
    MAX_VECS = WIDE > PANEL_VECS ? WIDE : PANEL_VECS,
    AHEAD = 2048, /* bytes of a panel between what is read and what is fetched */
    CENTRED = 8   /* added to a form whose blocks have the same zero point */
};

/* Some rows by some vectors of columns. */
struct tile {
    const struct fzk_ngemm_f32 *g;
    const float *a;
    const uint8_t *b, *zero;
    const float *scale;
    int64_t blocks, size; /* of a panel */
    float *c;
    const float *bias, *residual;
    int64_t width;        /* columns in all */
};

/* Scales and zero points of a block. */
struct grid {
    vec scale[MAX_VECS], zero[MAX_VECS];
};

FZK_INLINE void load_grid(int form, int vecs, const struct tile *t, int64_t block,
                          struct grid *grid) {
    FZK_UNROLL
    for (int v = 0; v < vecs; v++) {
        int64_t at = (v / PANEL_VECS * t->blocks + block) * FZK_PANEL + v % PANEL_VECS * LANES;
        if (form < FZK_NARROW_8) continue;
        grid->scale[v] = load(t->scale + at);
        if (form >= CENTRED) continue;
        grid->zero[v] = t->zero ? bytes(t->zero + at) : splat((float)t->g->w.middle);
    }
}

/* Row I of the words W of vector V. */
FZK_INLINE vec widen(int form, const struct grid *grid, words w, int i, int v,
                     const table *values) {
    if (form >= CENTRED) return mul(lookup(form - CENTRED, w, i, values), grid->scale[v]);
    return mul(sub(field(form, w, i), grid->zero[v]), grid->scale[v]);
}

/* Row 0 of vector V, of forms without words, from AT on. */
FZK_INLINE vec widen_row(int form, const struct grid *grid, const uint8_t *at, int v) {
    if (form == FZK_NARROW_F16) return halves((const uint16_t *)(const void *)at);
    if (form == FZK_NARROW_BF16) return bhalves((const uint16_t *)(const void *)at);
    return mul(sub(bytes(at), grid->zero[v]), grid->scale[v]);
}

/* acc[r][v] += a[r][k] * b[k][v] over N rows of the panels at B that share a word. */
FZK_INLINE void step(int form, int rows, int vecs, vec (*acc)[MAX_VECS], const float *a,
                     int64_t lda, const uint8_t *b, int64_t size, const struct grid *grid,
                     const table *values, int n) {
    const int plain = form & 7, worded = plain >= FZK_NARROW_4;
    const int bytes_of = LANES * (plain <= FZK_NARROW_BF16 ? 2 : plain == FZK_NARROW_8 ? 1 : 4);
    words w[MAX_VECS];
    FZK_UNROLL
    for (int v = 0; v < vecs; v++) {
        const uint8_t *at = b + v / PANEL_VECS * size + v % PANEL_VECS * bytes_of;
        if (worded) w[v] = load_words((const uint32_t *)(const void *)at);
        if (v * bytes_of % 64 == 0) __builtin_prefetch(at + AHEAD);
    }
    FZK_UNROLL
    for (int i = 0; i < n; i++) {
        vec ar[4];
        FZK_UNROLL
        for (int r = 0; r < rows; r++) ar[r] = splat(a[r * lda + i]);
        FZK_UNROLL
        for (int v = 0; v < vecs; v++) {
            const uint8_t *at = b + v / PANEL_VECS * size + v % PANEL_VECS * bytes_of;
            vec bv = worded ? widen(form, grid, w[v], i, v, values) : widen_row(form, grid, at, v);
            FZK_UNROLL
            for (int r = 0; r < rows; r++) acc[r][v] = muladd(ar[r], bv, acc[r][v]);
        }
    }
}

/* Ends a block of the chains: Y becomes or takes in the sums, which start again at +0. */
FZK_INLINE void fold(int rows, int vecs, vec (*acc)[MAX_VECS], vec *y, int first) {
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        FZK_UNROLL
        for (int v = 0; v < vecs; v++) {
            vec *at = &y[r * vecs + v];
            *at = first ? acc[r][v] : add(*at, acc[r][v]);
            acc[r][v] = splat(0);
        }
    }
}

/* Bias, residual, clip, and the store. */
FZK_INLINE void finish(int rows, int vecs, const vec *y, const struct tile *t) {
    const struct fzk_ngemm_f32 *g = t->g;
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        FZK_UNROLL
        for (int v = 0; v < vecs; v++) {
            int64_t left = t->width - v * LANES;
            vec x = y[r * vecs + v];
            if (left <= 0) continue;
            if (t->bias) x = add(x, load_some(t->bias + v * LANES, left));
            if (t->residual) x = add(x, load_some(t->residual + r * g->ldr + v * LANES, left));
            if (g->clip) x = clamp(x, g->lo, g->hi);
            store_some(t->c + r * g->ldc + v * LANES, x, left);
        }
    }
}

/* Rows K to END of the panels, which have one scale and one block of the chains; a last word that
 * is not full is the last of all. */
FZK_INLINE void run_rows(int form, int rows, int vecs, vec (*acc)[MAX_VECS], const struct tile *t,
                         int64_t k, int64_t end, const struct grid *grid, const table *values) {
    const int plain = form & 7, n = plain == FZK_NARROW_4 ? 8 : plain == FZK_NARROW_2 ? 16 : 1;
    const int64_t by = FZK_PANEL * (plain <= FZK_NARROW_BF16 ? 2 : plain == FZK_NARROW_8 ? 1 : 4);
    const uint8_t *b = t->b + k / n * by;
    const float *a = t->a + k, *last = t->a + end;
    FZK_NO_UNROLL
    for (; a + n <= last; a += n, b += by)
        step(form, rows, vecs, acc, a, t->g->lda, b, t->size, grid, values, n);
    for (int i = 0; n > 1 && a + i < last; i++) {
        FZK_UNROLL
        for (int v = 0; v < vecs; v++) {
            const uint8_t *at = b + v / PANEL_VECS * t->size + v % PANEL_VECS * LANES * 4;
            words w = load_words((const uint32_t *)(const void *)at);
            vec bv = widen(form, grid, shift(w, i * (32 / n)), 0, v, values);
            FZK_UNROLL
            for (int r = 0; r < rows; r++)
                acc[r][v] = muladd(splat(a[r * t->g->lda + i]), bv, acc[r][v]);
        }
    }
}

/* A whole tile. */
FZK_INLINE void tile(int form, int rows, int vecs, const struct tile *t) {
    const struct fzk_narrow *w = &t->g->w;
    const table values = make_table(form & 7, w->middle);
    vec acc[4][MAX_VECS], y[4 * MAX_VECS];
    struct grid grid;
    int64_t block = form < FZK_NARROW_8 ? w->k : w->block, k = 0, stop = FZK_K_BLOCK;
    FZK_ANY(y);
    FZK_ANY(grid);
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        FZK_UNROLL
        for (int v = 0; v < vecs; v++) acc[r][v] = splat(0);
    }
    for (int64_t q = 0, next = block; k < w->k; q++, next += block) {
        int64_t until = next < w->k ? next : w->k;
        load_grid(form, vecs, t, q, &grid);
        for (int64_t end; k < until; k = end) {
            if (k == stop) {
                fold(rows, vecs, acc, y, k == FZK_K_BLOCK);
                stop += FZK_K_BLOCK;
            }
            end = until < stop ? until : stop;
            run_rows(form, rows, vecs, acc, t, k, end, &grid, &values);
        }
    }
    fold(rows, vecs, acc, y, w->k <= FZK_K_BLOCK);
    finish(rows, vecs, y, t);
}

typedef void (*tile_fn)(const struct tile *);

#define TILE(form, rows, vecs)                                                                     \
    static void tile_##form##_##rows##_##vecs(const struct tile *t) {                              \
        tile(LOOKS_UP ? form : form & 7, rows < MAX_ROWS ? rows : MAX_ROWS, vecs, t);              \
    }
#define FORM(form) TILE(form, 1, SLIM) TILE(form, 2, SLIM) TILE(form, 3, SLIM) TILE(form, 4, SLIM) \
                   TILE(form, 1, WIDE) TILE(form, 2, WIDE)
#define NAMES(form) {{tile_##form##_1_SLIM, tile_##form##_2_SLIM, tile_##form##_3_SLIM,            \
                      tile_##form##_4_SLIM},                                                       \
                     {tile_##form##_1_WIDE, tile_##form##_2_WIDE}}

/* Forms by number: 11 and 12 are CENTRED forms of 4 and 2 bits. */
FORM(0) FORM(1) FORM(2) FORM(3) FORM(4) FORM(11) FORM(12)
_Static_assert(FZK_NARROW_4 + CENTRED == 11 && FZK_NARROW_2 + CENTRED == 12, "forms by number");

static const tile_fn tiles[7][2][4] = {NAMES(0), NAMES(1),  NAMES(2), NAMES(3),
                                              NAMES(4), NAMES(11), NAMES(12)};

/* The tile from row I and column J on, of VECS vectors. */
FZK_INLINE void run_tile(const struct fzk_ngemm_f32 *g, int64_t i, int64_t j, int64_t vecs,
                         tile_fn fn) {
    const struct fzk_narrow *w = &g->w;
    int64_t blocks = fzk_narrow_blocks(w), size = fzk_narrow_size(w->form, w->k);
    int64_t panel = j / FZK_PANEL, column = j % FZK_PANEL, left = g->n - j;
    int64_t at = panel * blocks * FZK_PANEL + column;
    fn(&(struct tile){.g = g, .a = g->a + i * g->lda, .blocks = blocks, .size = size,
                      .b = (const uint8_t *)w->b + panel * size +
                           column * fzk_narrow_width(w->form),
                      .zero = w->zero ? w->zero + at : NULL,
                      .scale = w->scale ? w->scale + at : NULL,
                      .c = g->c + i * g->ldc + j, .bias = g->bias ? g->bias + j : NULL,
                      .residual = g->residual ? g->residual + i * g->ldr + j : NULL,
                      .width = left < vecs * LANES ? left : vecs * LANES});
}

FZK_INLINE void multiply(const struct fzk_ngemm_f32 *g) {
    int kind = g->w.form >= FZK_NARROW_4 && !g->w.zero ? g->w.form + 2 : g->w.form;
    for (int64_t j = 0, vecs; j < g->n; j += vecs * LANES) {
        int wide = g->m <= 2 && g->n - j > SLIM * LANES;
        vecs = wide ? WIDE : SLIM;
        for (int64_t i = 0, rows; i < g->m; i += rows) {
            rows = g->m - i < MAX_ROWS ? g->m - i : MAX_ROWS;
            run_tile(g, i, j, vecs, tiles[kind][wide][rows - 1]);
        }
    }
}

/* Rows [K, END) of one panel, of one block, to TO. */
FZK_INLINE void unpack_rows(int form, const struct tile *t, int64_t k, int64_t end,
                            const struct grid *grid, float *to) {
    const int n = form == FZK_NARROW_4 ? 8 : form == FZK_NARROW_2 ? 16 : 1;
    const int64_t by = FZK_PANEL * (form <= FZK_NARROW_BF16 ? 2 : form == FZK_NARROW_8 ? 1 : 4);
    const table none = make_table(form, 0);
    for (; k < end; k += n, to += n * FZK_PANEL) {
        const uint8_t *b = t->b + k / n * by;
        int64_t rows = end - k < n ? end - k : n;
        FZK_UNROLL
        for (int v = 0; v < PANEL_VECS; v++) {
            const uint8_t *at = b + v * (by / PANEL_VECS);
            words w;
            if (n == 1) {
                store_some(to + v * LANES, widen_row(form, grid, at, v), LANES);
                continue;
            }
            w = load_words((const uint32_t *)(const void *)at);
            for (int64_t i = 0; i < rows; i++, w = shift(w, 32 / n))
                store_some(to + i * FZK_PANEL + v * LANES, widen(form, grid, w, 0, v, &none),
                           LANES);
        }
    }
}

FZK_INLINE void unpack_panel(int form, const struct tile *t, float *to) {
    const struct fzk_narrow *w = &t->g->w;
    int64_t block = form < FZK_NARROW_8 ? w->k : w->block, k = 0;
    for (int64_t q = 0, end; k < w->k; q++, k = end) {
        struct grid grid;
        FZK_ANY(grid);
        end = w->k - k < block ? w->k : k + block;
        load_grid(form, PANEL_VECS, t, q, &grid);
        unpack_rows(form, t, k, end, &grid, to + k * FZK_PANEL);
    }
}

static void unpack(float *to, const struct fzk_narrow *w, int64_t panels) {
    const struct fzk_ngemm_f32 g = {.w = *w};
    int64_t blocks = fzk_narrow_blocks(w), size = fzk_narrow_size(w->form, w->k);
    for (int64_t p = 0; p < panels; p++, to += w->k * FZK_PANEL) {
        const struct tile t = {.g = &g, .b = (const uint8_t *)w->b + p * size, .blocks = blocks,
                               .zero = w->zero ? w->zero + p * blocks * FZK_PANEL : NULL,
                               .scale = w->scale ? w->scale + p * blocks * FZK_PANEL : NULL};
        if (w->form == FZK_NARROW_F16) unpack_panel(FZK_NARROW_F16, &t, to);
        else if (w->form == FZK_NARROW_BF16) unpack_panel(FZK_NARROW_BF16, &t, to);
        else if (w->form == FZK_NARROW_8) unpack_panel(FZK_NARROW_8, &t, to);
        else if (w->form == FZK_NARROW_4) unpack_panel(FZK_NARROW_4, &t, to);
        else unpack_panel(FZK_NARROW_2, &t, to);
    }
}

#endif
