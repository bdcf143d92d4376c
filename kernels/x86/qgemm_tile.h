/* The integer GEMM of one instruction set: included once by each qgemm_<isa>.c, which provides
 * the vectors (qgemm_v16.h or qgemm_v8.h), QISA, R_MAX (rows of a tile), and
 *     struct qa  four bytes of a row of A in every lane;      qa_of(vi dword)
 *     struct qb  four bytes of each of VL columns of B;       qb_of(vi bytes)
 *     q_dot(vi acc, qa, qb)  acc + the four products, exact modulo 2^32; A as u8, B as s8.
 * Where qa_of is not free, QWIDE says so: A is then widened once for all panels, to pairs of dwords
 * (bytes 0 and 2 of a quad, bytes 1 and 3), and qa_wide(pair) spreads a pair.
 *
 * s8 values of A enter as u8 by flipping the top bit, which adds 128 to them and to their zero
 * point. Without QWIDE this happens once for all panels, too, in a copy of the rows: a flip in the
 * tile would be a third vector instruction beside the two products of a row. QLONG(g) serves rows
 * that are too long for the copy. */
enum { A_AS_S8 = 0 };

#include "qgemm_finish.h"

enum {
    QUAD_STEP = FZK_PANEL * FZK_QUAD, /* bytes from quad to quad in a panel */
    SETS_MAX = 4, /* sums of each output */
    BLOCK_TILES = 16,
    BLOCK_ROWS = BLOCK_TILES * R_MAX,
    BLOCK_BYTES = 192 << 10, /* of A, to stay in the second-level cache beside a panel of B */
    READY_SIZE = 8192        /* dwords: 32 KiB of stack for rows that are made ready */
};

#include "tiles/qgemm_block.h"

/* What a tile needs, in the order of the work. Pointers are to the tile's first row. */
struct tile {
    const uint8_t *a;
    const int64_t *a_row; /* offsets of the tile's rows */
    const struct fzk_segment *segments;
    int64_t n_segments;
    const int8_t *b;     /* the panel at the tile's first column */
    const int32_t *init; /* initial sums, init_step from row to row */
    int64_t init_step;
    uint32_t flip;       /* QWIDE: 0, or 0x80808080 for s8 A */
    const uint32_t *wide; /* QWIDE: the tile's rows widened, or NULL */
    int64_t kq;          /* quads of k, and dword pairs of a widened row */
    int32_t (*sums)[TILE_COLUMNS]; /* the result */
};

/* ---- the sums */

/* One quad of k. REST is 4, or 1 to 3 at a segment's end. */
FZK_INLINE void quad(vi acc[R_MAX][2], const uint8_t *a, const int64_t *a_row, const int8_t *b,
                 int64_t rest, const int rows, const int nv, vi flip) {
    struct qb b0 = qb_of(vi_load(b)), b1 = qb_of(vi_load(b + (nv - 1) * VL * FZK_QUAD));
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        vi x = rest == FZK_QUAD ? bytes_quad(a + a_row[r]) : bytes_tail(a + a_row[r], rest);
#ifdef QWIDE
        x = vi_xor(x, flip);
#endif
        struct qa ar = qa_of(x);
        acc[r][0] = q_dot(acc[r][0], ar, b0);
        if (nv == 2) acc[r][1] = q_dot(acc[r][1], ar, b1);
    }
}

/* ROWS x (NV * VL) outputs. A tile of few rows keeps SETS sums of each output: the additions of one
 * chain would wait for each other. (Loops over sets that turn once would not be unrolled by clang,
 * which then leaves all sums in memory.) */
FZK_INLINE void sum_tile(const struct tile *t, const int rows, const int nv, const int sets,
                         vi acc[SETS_MAX][R_MAX][2]) {
    vi flip = vi_set((int32_t)t->flip);
#ifdef QWIDE
    FZK_HIDE(flip);
#endif
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        FZK_UNROLL
        for (int v = 0; v < nv; v++) {
            acc[0][r][v] = vi_load(t->init + r * t->init_step + v * VL);
            FZK_UNROLL
            for (int s = 1; s < sets; s++) acc[s][r][v] = vi_set(0);
        }
    }
    const int8_t *b = t->b;
    for (int64_t i = 0; i < t->n_segments; i++) {
        const uint8_t *a = t->a + t->segments[i].off;
        int64_t left = t->segments[i].len;
        FZK_NO_UNROLL
        for (; left >= sets * FZK_QUAD; left -= sets * FZK_QUAD) {
            FZK_UNROLL
            for (int s = 0; s < SETS_MAX; s++)
                if (s < sets)
                    quad(acc[s], a + s * FZK_QUAD, t->a_row, b + s * QUAD_STEP, FZK_QUAD, rows,
                         nv, flip);
            a += sets * FZK_QUAD;
            b += sets * QUAD_STEP;
        }
        FZK_NO_UNROLL
        for (; sets > 1 && left >= FZK_QUAD; left -= FZK_QUAD) {
            quad(acc[0], a, t->a_row, b, FZK_QUAD, rows, nv, flip);
            a += FZK_QUAD;
            b += QUAD_STEP;
        }
        if (left) {
            quad(acc[0], a, t->a_row, b, left, rows, nv, flip);
            b += QUAD_STEP;
        }
    }
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        FZK_UNROLL
        for (int v = 0; v < nv; v++) {
            FZK_UNROLL
            for (int s = 1; s < sets; s++)
                acc[0][r][v] = vi_add(acc[0][r][v], acc[s][r][v]);
        }
    }
}

FZK_INLINE void tile(const struct tile *t, const int rows, const int nv, const int sets) {
    vi acc[SETS_MAX][R_MAX][2];
    sum_tile(t, rows, nv, sets, acc);
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        FZK_UNROLL
        for (int v = 0; v < nv; v++) vi_save(t->sums[r] + v * VL, acc[0][r][v]);
    }
}

#ifdef QWIDE
/* The same from widened rows. */
FZK_INLINE void wide_tile(const struct tile *t, const int rows, const int nv) {
    vi acc[R_MAX][2];
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        FZK_UNROLL
        for (int v = 0; v < nv; v++) acc[r][v] = vi_load(t->init + r * t->init_step + v * VL);
    }
    const int8_t *b = t->b;
    const uint32_t *a = t->wide;
    const int64_t step = 2 * t->kq;
    FZK_NO_UNROLL
    for (int64_t q = 0; q < t->kq; q++, a += 2, b += QUAD_STEP) {
        struct qb b0 = qb_of(vi_load(b)), b1 = qb_of(vi_load(b + (nv - 1) * VL * FZK_QUAD));
        FZK_UNROLL
        for (int r = 0; r < rows; r++) {
            struct qa x = qa_wide(a + r * step);
            acc[r][0] = q_dot(acc[r][0], x, b0);
            if (nv == 2) acc[r][1] = q_dot(acc[r][1], x, b1);
        }
    }
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        FZK_UNROLL
        for (int v = 0; v < nv; v++) vi_save(t->sums[r] + v * VL, acc[r][v]);
    }
}
#define WIDE(t, rows, nv, sets) ((t)->wide ? wide_tile(t, rows, nv) : tile(t, rows, nv, sets))
#else
#define WIDE(t, rows, nv, sets) tile(t, rows, nv, sets)

/* A full tile whose sums become bytes before they leave the registers. */
static void tile_8(const struct tile *t, const struct bytes_end *e, uint8_t *c,
                   const int64_t *c_row) {
    vi acc[SETS_MAX][R_MAX][2];
    sum_tile(t, R_MAX, 2, 1, acc);
    FZK_UNROLL
    for (int r = 0; r < R_MAX; r += 2) {
        vi x = bytes_of_sums(e, acc[0][r][0], acc[0][r][1], acc[0][r + 1][0], acc[0][r + 1][1],
                             false);
        vi_store_row(c + c_row[r], x, 0, TILE_COLUMNS);
        vi_store_row(c + c_row[r + 1], x, 1, TILE_COLUMNS);
    }
}
#endif

typedef void (*tile_fn)(const struct tile *t);

/* One function per number of rows and columns (one or two vectors). */
#define TILE(rows, sets)                                                                           \
    static void tile_##rows##_1(const struct tile *t) { WIDE(t, rows, 1, sets); }                  \
    static void tile_##rows##_2(const struct tile *t) { WIDE(t, rows, 2, sets); }
TILES(TILE)
#undef TILE

#define TILE(rows, sets) [rows] = {tile_##rows##_1, tile_##rows##_2},
static const tile_fn tiles[R_MAX + 1][2] = {TILES(TILE)};
#undef TILE

/* ---- the loops around */

#ifdef QWIDE
enum { READY_WORDS = 2 }; /* of a quad */

/* Where a whole tile fits. */
static bool is_ready(const struct fzk_qgemm *g, int64_t kq) {
    (void)g;
    return READY_WORDS * kq * R_MAX <= READY_SIZE;
}

/* The quads of a row as pairs of dwords; bytes past a segment's end are zero. */
static void ready_row(const struct fzk_qgemm *g, const uint8_t *row, uint32_t *pair) {
    const uint32_t bytes = 0x00FF00FF, flip = g->a_signed ? 0x80808080 : 0;
    for (int64_t i = 0; i < g->n_segments; i++) {
        const uint8_t *a = row + g->segments[i].off;
        int64_t len = g->segments[i].len, quads = len / FZK_QUAD;
        uint32_t x = 0;
        for (int64_t q = 0; q < quads; q++) {
            memcpy(&x, a + q * FZK_QUAD, FZK_QUAD);
            pair[2 * q] = (x ^ flip) & bytes;
            pair[2 * q + 1] = (x ^ flip) >> 8 & bytes;
        }
        pair += 2 * quads;
        if (len % FZK_QUAD == 0) continue;
        x = 0;
        for (int64_t l = len / FZK_QUAD * FZK_QUAD; l < len; l++)
            x |= (uint32_t)a[l] << 8 * (l % FZK_QUAD);
        pair[0] = (x ^ flip) & bytes;
        pair[1] = (x ^ flip) >> 8 & bytes;
        pair += 2;
    }
}
#else
enum { READY_WORDS = 1 };

static bool is_ready(const struct fzk_qgemm *g, int64_t kq) { return g->a_signed && kq > 0; }

/* The quads of a row of s8 with their top bits flipped; bytes past a segment's end are zero. */
static void ready_row(const struct fzk_qgemm *g, const uint8_t *row, uint32_t *to) {
    for (int64_t i = 0; i < g->n_segments; i++) {
        const uint8_t *a = row + g->segments[i].off;
        int64_t len = g->segments[i].len, quads = len / FZK_QUAD, rest = len % FZK_QUAD;
        for (int64_t q = 0; q < quads; q++) {
            uint32_t x;
            memcpy(&x, a + q * FZK_QUAD, FZK_QUAD);
            to[q] = x ^ 0x80808080;
        }
        to += quads;
        if (!rest) continue;
        *to = 0;
        for (int64_t l = 0; l < rest; l++)
            *to |= (uint32_t)(a[quads * FZK_QUAD + l] ^ 0x80) << 8 * l;
        to++;
    }
}
#endif

/* Where the tiles find A: the matrix itself, or the block's rows made ready. */
struct source {
    const uint8_t *a;
    const struct fzk_segment *segments;
    int64_t n_segments;
    struct fzk_segment whole;
};

static void ready_block(const struct fzk_qgemm *g, struct block *k, struct source *s) {
    const int64_t words = READY_WORDS * k->kq;
    *s = (struct source){g->a, g->segments, g->n_segments, {0, FZK_QUAD * k->kq}};
    for (int64_t r = 0; k->wide && r < k->rows; r++)
        ready_row(g, (const uint8_t *)g->a + k->a_row[r], k->wide + words * r);
    if (!k->wide || READY_WORDS == 2) return;
    for (int64_t r = 0; r < k->rows; r++) k->a_row[r] = FZK_QUAD * k->kq * r;
    s->a = (const uint8_t *)k->wide;
    s->segments = &s->whole;
    s->n_segments = 1;
}

/* One panel of rows R0 .. R0 + ROWS of the block. */
static void run_tile(const struct fzk_qgemm *g, const struct block *k, const struct source *from,
                     const struct panel *p, const int8_t *b, int64_t r0, int64_t rows,
                     int64_t j) {
    int32_t own_init[R_MAX][FZK_PANEL] __attribute__((aligned(64)));
    int32_t sums[(R_MAX + 1) / 2 * 2][TILE_COLUMNS] __attribute__((aligned(64)));
    bool own = g->za_rows || g->zb;
    if (own) fill_init(g, k, p, r0, rows, j, own_init);
    struct fzk_qout out = g->out;
    size_t width = out.kind == FZK_QOUT_8 ? 1 : 4;
    for (int64_t l = 0; l < FZK_PANEL && j + l < g->n; l += TILE_COLUMNS) {
        out.c = (char *)g->out.c + (size_t)(j + l) * width;
        out.residual = g->out.residual ? g->out.residual + j + l : NULL;
        struct tile t = {.a = from->a, .a_row = k->a_row + r0, .segments = from->segments,
                         .n_segments = from->n_segments, .b = b + l * FZK_QUAD,
                         .init = (own ? own_init[0] : p->init) + l,
                         .init_step = own ? FZK_PANEL : 0,
                         .flip = g->a_signed ? 0x80808080 : 0,
                         .wide = k->wide ? k->wide + READY_WORDS * k->kq * r0 : NULL,
                         .kq = k->kq,
                         .sums = sums};
        struct finish f = {.sums = (const int32_t(*)[TILE_COLUMNS])sums, .out = &out,
                           .n = g->n - j - l, .c_row = k->c_row + r0, .r_row = k->r_row + r0,
                           .scale = p->scale + l, .bias = p->bias + l,
                           .row_scale = k->row_scale + r0};
        if (f.n > TILE_COLUMNS) f.n = TILE_COLUMNS;
#ifndef QWIDE
        struct bytes_end end;
        if (rows == R_MAX && f.n == TILE_COLUMNS && out.kind == FZK_QOUT_8 &&
            bytes_end(&f, &end)) {
            tile_8(&t, &end, out.c, f.c_row);
            continue;
        }
#endif
        tiles[rows][f.n > VL](&t);
        finish_rows(&f, rows);
    }
}

static void run_block(const struct fzk_qgemm *g, const struct block *k,
                      const struct source *from) {
    struct panel p;
    int64_t n_tiles = (k->rows + R_MAX - 1) / R_MAX;
    clear_panel(&p);
    const int8_t *b = g->b;
    for (int64_t j = 0; j < g->n; j += FZK_PANEL, b += k->kq * QUAD_STEP) {
        fill_panel(g, j, &p);
        int64_t r0 = 0;
        for (int64_t i = 0; i < n_tiles; i++) {
            int64_t end = k->rows * (i + 1) / n_tiles;
            run_tile(g, k, from, &p, b, r0, end - r0, j);
            r0 = end;
        }
    }
}

/* Rows of a block: those of A fit the cache, or those that are made ready, WORDS dwords each, their
 * place. */
static int64_t block_rows(int64_t kq, int64_t words) {
    int64_t bytes = FZK_QUAD * kq, fit = bytes ? BLOCK_BYTES / bytes : BLOCK_ROWS;
    if (words) fit = READY_SIZE / words;
    if (fit >= BLOCK_ROWS) return BLOCK_ROWS;
    if (fit >= R_MAX) return fit / R_MAX * R_MAX;
    return words ? fit : R_MAX;
}

/* Tiles are as equal as possible: 49 rows are 12, 12, 12 and 13. */
void CAT(fzk_qgemm_u8s8_, QISA)(const struct fzk_qgemm *g) {
    struct block k;
    struct source from;
    k.kq = 0;
    for (int64_t s = 0; s < g->n_segments; s++)
        k.kq += (g->segments[s].len + FZK_QUAD - 1) / FZK_QUAD;
    uint32_t wide[READY_SIZE];
    int64_t words = is_ready(g, k.kq) ? READY_WORDS * k.kq : 0;
#ifndef QWIDE
    if (words > READY_SIZE) {
        QLONG(g);
        return;
    }
#endif
    k.wide = words ? wide : NULL;
    int64_t rows = block_rows(k.kq, words), n_blocks = (g->m + rows - 1) / rows, i0 = 0;
    for (int64_t i = 0; i < n_blocks; i++) {
        int64_t end = g->m * (i + 1) / n_blocks;
        fill_block(g, i0, end - i0, &k);
        ready_block(g, &k, &from);
        run_block(g, &k, &from);
        i0 = end;
    }
}
