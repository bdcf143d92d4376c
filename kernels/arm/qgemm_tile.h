/* The integer GEMM of one instruction set: included once by each qgemm_<isa>.c, which provides
 * A_AS_S8 and R_MAX (rows of a tile), includes qgemm_rows.h, and has
 *     a_size(rows, kq)     the bytes of ROWS rows of KQ quads made ready;
 *     place_of(tile, r, rows)  where row R of them is;
 *     put_quads(w, q, x)   writes the four quads from Q on of the row at W; put_quad(w, q, x)
 *                          one; both return what is to be added to the row's sums;
 *     EVEN                 1 if rows must have an even number of quads;
 *     TILES(X)             one X(rows, vectors) for each number of rows up to R_MAX, for
 *     tile(t, rows, nv)    the products of a tile, NV vectors of four columns at a time.
 *
 * A is made ready once for all panels: the order of its bytes is that of the tile's work, so that
 * one load feeds many products. Where even one tile's rows do not fit their place on the stack, k
 * is cut and each panel makes them ready anew. */

typedef void (*tile_fn)(const struct tile *t);

#define TILE(rows, nv) static void tile_##rows(const struct tile *t) { tile(t, rows, nv); }
TILES(TILE)
#undef TILE

#define TILE(rows, nv) [rows] = tile_##rows,
static const tile_fn tiles[R_MAX + 1] = {TILES(TILE)};
#undef TILE

/* ---- making A ready */

/* Up to three bytes, the others zero. */
FZK_INLINE uint32_t tail_quad(const uint8_t *a, int64_t n) {
    uint32_t x = n > 0 ? a[0] : 0;
    if (n > 1) x |= (uint32_t)a[1] << 8;
    if (n > 2) x |= (uint32_t)a[2] << 16;
    return x;
}

/* QUADS quads of a segment, LEN bytes from A on, as those from AT on. Bytes past the segment's end
 * meet weights of zero. */
FZK_INLINE uint32_t ready_quads(const uint8_t *a, int64_t len, int64_t quads, struct place w,
                                int64_t at, uint32_t flip) {
    const uint8x16_t flips = vreinterpretq_u8_u32(vdupq_n_u32(flip));
    int64_t i = 0, whole = quads < len / FZK_QUAD ? quads : len / FZK_QUAD;
    uint32_t x, more = 0;
    for (; i + 4 <= whole; i += 4)
        more += put_quads(w, at + i, veorq_u8(vld1q_u8(a + i * FZK_QUAD), flips));
    for (; i < whole; i++) {
        memcpy(&x, a + i * FZK_QUAD, FZK_QUAD);
        more += put_quad(w, at + i, x ^ flip);
    }
    if (i < quads) more += put_quad(w, at + i, tail_quad(a + i * FZK_QUAD, len % 4) ^ flip);
    return more;
}

/* Quads Q0 .. Q1 of a row that begins at A: the segments' quads in a row. */
static uint32_t ready_row(const struct fzk_qgemm *g, const uint8_t *a, int64_t q0, int64_t q1,
                          struct place w) {
    const uint32_t flip = a_flip(g->a_signed) * 0x01010101u;
    const struct fzk_segment *segments = g->segments;
    int64_t first = 0, n = g->n_segments; /* FIRST: quad of the segment */
    uint32_t more = 0;
    for (int64_t s = 0; s < n && first < q1; s++) {
        int64_t len = segments[s].len, quads = (len + FZK_QUAD - 1) / FZK_QUAD;
        int64_t from = first < q0 ? q0 - first : 0, end = q1 - first < quads ? q1 - first : quads;
        if (from < end)
            more += ready_quads(a + segments[s].off + from * FZK_QUAD, len - from * FZK_QUAD,
                                end - from, w, first + from - q0, flip);
        first += quads;
    }
    if (EVEN && (q1 - q0) % 2) more += put_quad(w, q1 - q0, 0);
    return more;
}

/* Quads Q0 .. Q1 of rows R0 .. R0 + ROWS of a block, and what they add to their sums. */
static void ready_tile(const struct fzk_qgemm *g, const struct block *k, int64_t r0, int64_t rows,
                       int64_t q0, int64_t q1, uint8_t *to, uint32_t *more) {
    for (int64_t r = 0; r < rows; r++)
        more[r] = ready_row(g, (const uint8_t *)g->a + k->a_row[r0 + r], q0, q1,
                            place_of(to, r, rows));
}

/* ---- the loops around */

enum { CUT = 1024 }; /* quads at a time of rows that do not fit */

/* All k of a tile, into sums. */
static void sum_tile(const struct fzk_qgemm *g, const struct block *k, struct ready *ready,
                     int64_t i, int64_t r0, int64_t rows, struct tile *t) {
    t->more = ready->more + r0;
    t->kq = k->kq;
    t->a = ready->space + (ready->whole ? i * ready->tile_size : 0);
    if (ready->whole) {
        tiles[rows](t);
        return;
    }
    for (int64_t q0 = 0; q0 < k->kq; q0 += CUT, t->b += CUT * FZK_PANEL * FZK_QUAD) {
        t->kq = k->kq - q0 < CUT ? k->kq - q0 : CUT;
        ready_tile(g, k, r0, rows, q0, q0 + t->kq, ready->space, ready->more + r0);
        tiles[rows](t);
        t->init = t->sums[0];
        t->init_step = FZK_PANEL;
    }
}

/* One panel of tile I of the block, rows R0 .. R0 + ROWS. */
static void run_tile(const struct fzk_qgemm *g, const struct block *k, struct ready *ready,
                     const struct panel *p, const int8_t *b, int64_t i, int64_t r0, int64_t rows,
                     int64_t j) {
    int32_t own_init[R_MAX][FZK_PANEL], sums[R_MAX][FZK_PANEL];
    bool own = g->za_rows || g->zb;
    if (own) fill_init(g, k, p, r0, rows, j, own_init);
    struct tile t = {.b = b, .n = g->n - j < FZK_PANEL ? g->n - j : FZK_PANEL,
                     .init = own ? own_init[0] : p->init, .init_step = own ? FZK_PANEL : 0,
                     .sums = sums};
    sum_tile(g, k, ready, i, r0, rows, &t);
    struct fzk_qout out = g->out;
    out.c = (char *)out.c + j * (out.kind == FZK_QOUT_8 ? 1 : 4);
    if (out.residual) out.residual += j;
    finish_rows(&(struct finish){.sums = (const int32_t(*)[FZK_PANEL])sums, .out = &out, .n = t.n,
                                 .c_row = k->c_row + r0, .r_row = k->r_row + r0,
                                 .scale = p->scale, .bias = p->bias,
                                 .row_scale = k->row_scale + r0},
                rows);
}

/* The rows of a block are cut into tiles that are as equal as possible. */
static void run_block(const struct fzk_qgemm *g, const struct block *k, struct ready *ready) {
    struct panel p;
    const int64_t n_tiles = (k->rows + R_MAX - 1) / R_MAX;
    for (int64_t i = 0, r0 = 0, end; ready->whole && i < n_tiles; i++, r0 = end) {
        end = k->rows * (i + 1) / n_tiles;
        ready_tile(g, k, r0, end - r0, 0, k->kq, ready->space + i * ready->tile_size,
                   ready->more + r0);
    }
    clear_panel(&p);
    const int8_t *b = g->b;
    for (int64_t j = 0; j < g->n; j += FZK_PANEL, b += k->kq * FZK_PANEL * FZK_QUAD) {
        fill_panel(g, j, &p);
        for (int64_t i = 0, r0 = 0, end; i < n_tiles; i++, r0 = end) {
            end = k->rows * (i + 1) / n_tiles;
            run_tile(g, k, ready, &p, b, i, r0, end - r0, j);
        }
    }
}

void CAT(fzk_qgemm_u8s8_, QISA)(const struct fzk_qgemm *g) {
    uint8_t space[SPACE] __attribute__((aligned(64)));
    struct block k;
    k.kq = 0;
    for (int64_t s = 0; s < g->n_segments; s++)
        k.kq += (g->segments[s].len + FZK_QUAD - 1) / FZK_QUAD;
    struct ready ready = {.space = space, .tile_size = a_size(g->m < R_MAX ? g->m : R_MAX, k.kq)};
    ready.whole = ready.tile_size <= SPACE;
    int64_t n_tiles = (g->m + R_MAX - 1) / R_MAX, per_block = BLOCK_TILES;
    if (ready.tile_size > SPACE / BLOCK_TILES && ready.whole) per_block = SPACE / ready.tile_size;
    int64_t n_blocks = (n_tiles + per_block - 1) / per_block, i0 = 0;
    for (int64_t i = 0; i < n_blocks; i++) {
        int64_t end = g->m * (i + 1) / n_blocks;
        fill_block(g, i0, end - i0, &k);
        run_block(g, &k, &ready);
        i0 = end;
    }
}
