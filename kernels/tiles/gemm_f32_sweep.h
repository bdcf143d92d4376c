/* How the hand-written float GEMMs walk over tiles: groups of panels that fit the cache, inside of
 * a group every tile of rows meets all its panels. Where neither A nor B fits the cache, k is cut
 * at blocks into spans: C holds the sum so far, and all of B is read once.
 *
 * Rows split evenly: 49 rows are 13 + 12 + 12 + 12, never 14 + 14 + 14 + 7. Two short runs share a
 * tile: a convolution to 7 x 7 pixels fills 14 rows. The including file defines FINISH, the
 * finish_f32 that ends what is rounded to half precision. */
#ifndef FZ_KERNELS_GEMM_F32_SWEEP_H
#define FZ_KERNELS_GEMM_F32_SWEEP_H

#include "kernels.h"

/* A part of k: LEN terms from term SKIP of SEGMENT on. B starts OFF terms into its panels. */
struct span {
    int64_t segment, skip, off, len;
    int resumed, ends; /* resumed: C holds the sum of earlier parts; ends: the epilogue follows */
};

enum {
    SMALL = 32 * 1024,   /* bytes of A and B: at most as much as the first-level cache holds */
    BIG_A = 256 * 1024,  /* bytes of A: above, its rows are worth fetching ahead of their tile,
                            with one panel of several, or where no panel is */
    NEAR_A = 384 * 1024, /* bytes of A that stay in the cache while the panels pass by */
    FAR_B = 512 * 1024   /* bytes of B: above, to read it twice costs more than C does */
};

/* One tile: its first rows from A0 on, the later half (the larger one first) from A1 on; columns
 * from panel B, C, BIAS and RESIDUAL on. NULL bias and residual: none. */
struct tile {
    const struct fzk_gemm_f32 *g;
    const float *a0, *a1, *b;
    const float *next;   /* what to fetch into L2 meanwhile, STEP floats further on for each k */
    int64_t step;        /* at most 32: two lines */
    int64_t next_by_off; /* 1: next is a row of A, so each segment's offset applies */
    float *c;
    const float *bias, *residual;
    int64_t width; /* columns of the last panel, at most 32 */
    int64_t clip;
    struct span k;
};

typedef void (*tile_fn)(const struct tile *);

/* Rows [I, I + ROWS) by panels [P, P + N). Row I is number IN_RUN of the run that starts at LINE.
 */
struct block {
    int64_t i, rows, p, n;
    int64_t in_run;
    const float *line;
    const float *a0, *a1, *next;
    int64_t step, next_by_off;
    struct span k;
};

/* What rounds stores its sums first: they stay in the nearest cache. */
static void round_tile(const struct fzk_gemm_f32 *g, const struct block *at, int64_t j) {
    int64_t n = g->n - j < at->n * FZK_PANEL ? g->n - j : at->n * FZK_PANEL;
    struct fzk_finish_f32 f = {
        .m = at->rows, .n = n, .c = g->c + at->i * g->ldc + j, .ldc = g->ldc,
        .bias = g->bias ? g->bias + j : NULL, .ldr = g->ldr, .clip = g->clip, .lo = g->lo,
        .hi = g->hi, .round = g->round,
        .residual = g->residual ? g->residual + at->i * g->ldr + j : NULL};
    FINISH(&f);
}

static void run_tile(const struct fzk_gemm_f32 *g, const struct block *at, tile_fn fn) {
    int64_t j = at->p * FZK_PANEL, left = g->n - (at->p + at->n - 1) * FZK_PANEL;
    int ends = at->k.ends && !g->round;
    fn(&(struct tile){.g = g, .a0 = at->a0, .a1 = at->a1,
                      .b = g->b + j * g->k + at->k.off * FZK_PANEL, .k = at->k, .next = at->next,
                      .step = at->step, .next_by_off = at->next_by_off,
                      .c = g->c + at->i * g->ldc + j, .clip = g->clip && ends,
                      .bias = g->bias && ends ? g->bias + j : NULL,
                      .residual = g->residual && ends ? g->residual + at->i * g->ldr + j : NULL,
                      .width = left < FZK_PANEL ? left : FZK_PANEL});
    if (g->round && at->k.ends) round_tile(g, at, j);
}

/* Sets rows, a0 and a1 of the tile that starts at row at->i. Short runs come without a division. */
static void next_rows(const struct fzk_gemm_f32 *g, int64_t max_rows, struct block *at) {
    int64_t run = g->run ? g->run : g->m, left = run - at->in_run;
    if (left > g->m - at->i) left = g->m - at->i;
    at->a0 = at->line + at->in_run * g->lda;
    if (2 * run <= max_rows && at->i + 2 * run <= g->m) {
        at->rows = 2 * run;
        at->a1 = at->a0 + g->run_stride;
        return;
    }
    at->rows = left;
    if (left > max_rows) {
        int64_t tiles = (left + max_rows - 1) / max_rows;
        at->rows = (left + tiles - 1) / tiles;
    }
    at->a1 = at->a0 + (at->rows + 1) / 2 * g->lda;
}

/* Moves AT behind its rows. */
static void step_rows(const struct fzk_gemm_f32 *g, struct block *at) {
    int64_t run = g->run ? g->run : g->m;
    at->i += at->rows;
    at->in_run += at->rows;
    for (; at->in_run >= run; at->in_run -= run) at->line += g->run_stride;
}

/* What a sweep fetches meanwhile: PANELS panels from B on, which the next one needs, in even shares
 * for each of its PASSES (tiles). B NULL: all is near already. */
struct ahead {
    const float *b;
    int64_t panels, passes, step;
};

/* For a sweep over N panels. B: what comes behind it, LEFT panels at most. */
static struct ahead look_ahead(const struct fzk_gemm_f32 *g, const float *b, int64_t left,
                               int64_t n, int64_t max_rows) {
    struct ahead next = {.b = b, .panels = left < n ? left : n,
                         .passes = (g->m + max_rows - 1) / max_rows * n};
    next.step = (FZK_PANEL * next.panels + next.passes - 1) / next.passes;
    return next;
}

/* The share of pass I. */
static void aim(const struct fzk_gemm_f32 *g, const struct ahead *next, int64_t i,
                struct block *at) {
    at->next_by_off = 0;
    at->step = 0;
    at->next = g->b;
    if (!next->b) return;
    int64_t terms = at->k.len * next->panels * i / next->passes;
    int64_t panel = terms / (at->k.len + 1);
    at->step = next->step;
    at->next = next->b + (panel * g->k + terms - panel * at->k.len) * FZK_PANEL;
}

/* Panels [P0, P1) by all rows; NEXT is fetched meanwhile. */
static void sweep_group(const struct fzk_gemm_f32 *g, int64_t p0, int64_t p1, struct span k,
                        struct ahead next, int64_t max_rows, const tile_fn *single) {
    struct block at = {.n = 1, .k = k}, after = {.line = g->a};
    int big_a = g->m * k.len > BIG_A / 4 && (p1 - p0 > 1 || !next.b);
    next_rows(g, max_rows, &after);
    for (int64_t pass = 0; at.i < g->m;) {
        at.rows = after.rows;
        at.a0 = after.a0;
        at.a1 = after.a1;
        step_rows(g, &after);
        if (after.i < g->m) next_rows(g, max_rows, &after);
        for (at.p = p0; at.p < p1; at.p++) {
            aim(g, &next, pass++, &at);
            if (big_a && at.p == p1 - 1 && after.i < g->m) {
                at.next_by_off = 1;
                at.step = FZK_PANEL;
                at.next = after.a0;
            }
            run_tile(g, &at, single[at.rows]);
        }
        at.i = after.i;
    }
}

/* All of k as one span. */
static struct span whole_k(const struct fzk_gemm_f32 *g) {
    return (struct span){.len = g->k, .ends = 1};
}

/* Moves K behind itself: the next span of at most MOST terms. */
static void next_span(const struct fzk_gemm_f32 *g, int64_t most, struct span *k) {
    k->resumed = 1;
    k->off += k->len;
    k->skip += k->len;
    while (k->segment < g->n_segments && k->skip >= g->segments[k->segment].len)
        k->skip -= g->segments[k->segment++].len;
    k->len = g->k - k->off < most ? g->k - k->off : most;
    k->ends = k->off + k->len == g->k;
}

/* Panels [P0, P1) with k cut into even parts of at most MOST terms. TERMS: of k, in all panels of a
 * group. */
static void sweep_spans(const struct fzk_gemm_f32 *g, int64_t p0, int64_t p1, int64_t most,
                        int64_t terms, int64_t max_rows, const tile_fn *single) {
    int64_t parts = (g->k + most - 1) / most, blocks = (g->k + FZK_K_BLOCK - 1) / FZK_K_BLOCK;
    int64_t len = (blocks + parts - 1) / parts * FZK_K_BLOCK, group = terms / len;
    struct span k = {.len = len < g->k ? len : g->k, .ends = len >= g->k};
    int64_t all = (g->n + FZK_PANEL - 1) / FZK_PANEL;
    if (group < 1) group = 1;
    for (;;) {
        for (int64_t p = p0; p < p1; p += group) {
            int64_t end = p + group < p1 ? p + group : p1, then = end < p1 ? end : p0;
            int64_t off = end < p1 ? k.off : k.off + k.len;
            if (end == p1 && k.ends) then = end, off = 0;
            const float *b = then < all ? g->b + (then * g->k + off) * FZK_PANEL : g->ahead;
            int64_t left = then < all ? all - then : group;
            struct ahead next = look_ahead(g, b, left, end - p, max_rows);
            sweep_group(g, p, end, k, next, max_rows, single);
        }
        if (k.ends) return;
        next_span(g, len, &k);
    }
}

/* True if all rows lie LDA apart. */
static int one_run(const struct fzk_gemm_f32 *g) { return g->run == 0 || g->run >= g->m; }

/* A small product: all of it is near, and a division would take as long as a few of its terms. */
static void small(const struct fzk_gemm_f32 *g, int64_t max_rows, const tile_fn *single) {
    int64_t tiles = g->m <= max_rows ? 1 : (g->m + max_rows - 1) / max_rows;
    int64_t rows = tiles == 1 ? g->m : (g->m + tiles - 1) / tiles;
    struct block at = {.n = 1, .k = whole_k(g), .next = g->b};
    for (at.i = 0; at.i < g->m; at.i += rows) {
        at.rows = rows < g->m - at.i ? rows : g->m - at.i;
        at.a0 = g->a + at.i * g->lda;
        at.a1 = at.a0 + (at.rows + 1) / 2 * g->lda;
        for (at.p = 0; at.p * FZK_PANEL < g->n; at.p++) run_tile(g, &at, single[at.rows]);
    }
}

/* GROUP_SIZE: bytes of panels that one sweep over the rows shares. Rows that follow each other in
 * memory are cut by spans of k if they do not fit the cache; those of a convolution, which share
 * their pixels, only where a panel alone is too long. */
static void sweep(const struct fzk_gemm_f32 *g, int64_t group_size, int64_t max_rows,
                  const tile_fn *single) {
    int64_t panels = (g->n + FZK_PANEL - 1) / FZK_PANEL;
    int cuts = g->residual != g->c && g->m > max_rows;
    if (one_run(g) && !g->ahead && (g->m + panels * FZK_PANEL) * g->k <= SMALL / 4) {
        small(g, max_rows, single);
        return;
    }
    int64_t terms = group_size / 4 / FZK_PANEL, group = terms / (g->k + 1);
    int64_t span = NEAR_A / 4 / g->m / FZK_K_BLOCK * FZK_K_BLOCK;
    if (group < 1) group = 1;
    if (span < FZK_K_BLOCK) span = FZK_K_BLOCK;
    if (cuts && g->n_segments == 1 && g->k > span && panels * g->k * FZK_PANEL > FAR_B / 4) {
        sweep_spans(g, 0, panels, span < terms ? span : terms, terms, max_rows, single);
        return;
    }
    for (int64_t p = 0; p < panels; p += group) {
        int64_t end = p + group < panels ? p + group : panels;
        if (cuts && g->k > terms) {
            sweep_spans(g, p, end, terms, terms, max_rows, single);
            continue;
        }
        const float *b = end < panels ? g->b + end * g->k * FZK_PANEL : g->ahead;
        int64_t left = end < panels ? panels - end : group;
        struct ahead next = look_ahead(g, b, left, end - p, max_rows);
        sweep_group(g, p, end, whole_k(g), next, max_rows, single);
    }
}

/* Few rows: one sweep over all panels, AT_ONCE together, so that there are enough chains to hide
 * the latency of an fma and enough streams to keep the memory busy. */
static void skinny(const struct fzk_gemm_f32 *g, int64_t at_once, tile_fn several, tile_fn single) {
    int64_t panels = (g->n + FZK_PANEL - 1) / FZK_PANEL, n;
    for (int64_t done = 0; done < panels; done += n) {
        n = done + at_once <= panels ? at_once : 1;
        int64_t p = g->down ? panels - done - n : done;
        struct block at = {.rows = g->m, .p = p, .n = n, .a0 = g->a, .k = whole_k(g),
                           .a1 = g->a + (g->m + 1) / 2 * g->lda, .next = g->b};
        /* What lies behind the last panel would only drive the weights out of the cache. */
        if (!g->down && (p + n < panels || g->ahead)) {
            at.next = p + n < panels ? g->b + (p + n) * FZK_PANEL * g->k : g->ahead;
            at.step = FZK_PANEL;
        }
        run_tile(g, &at, n == 1 ? single : several);
    }
}

#endif
