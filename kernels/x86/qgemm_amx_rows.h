/* How qgemm_amx.c cuts the rows of A into tiles of HEIGHT rows, a constant stride apart.
 *
 * RUNS: tiles of each run by themselves. The last of a run begins early, so that all are full; its
 *   rows that an earlier tile holds are computed, but not its own.
 * VIRTUAL: where runs lie a whole number P of rows apart (a convolution without strides: P is the
 *   width of the padded image) all rows from the first to the last are one run, with P - RUN
 *   rows between that nobody owns. Bytes between the rows of two runs are read, none beyond.
 * PACKED: the rows are copied, segments side by side, each padded to whole quads as B is. Any A
 *   will do, but the copies must fit the stack. */

enum {
    PACKED_BYTES = 32 << 10,
    TAILS = 8,                 /* segments that are cut unevenly */
    A_BYTES = 1280 << 10,      /* of a block, to stay in the second-level cache */
    /* What tiles pay for: rows, quads of k, and products of the call. */
    ROWS_LEAST = 8, QUADS_LEAST = 10, WORK_LEAST = 1 << 18
};

enum mode { RUNS, VIRTUAL, PACKED };

/* The segments, each of PER_SEGMENT chunks of DEPTH quads, the last with TWICE quads of the one
 * before it. */
struct chunks {
    const struct fzk_segment *segments;
    int64_t n_segments, quads; /* quads of a segment */
    int64_t per_segment, depth, twice;
};

struct rows {
    enum mode mode;
    int64_t height;       /* of a tile */
    int64_t lda;          /* of tiles */
    int64_t run, per_run; /* rows that are cut into PER_RUN tiles */
    int64_t all_tiles;
    int64_t pitch;        /* rows from run to run of A */
    struct chunks chunks;
    struct fzk_segment whole; /* PACKED */
    /* The tiles of a block. */
    int64_t n_tiles;
    const uint8_t *a[BLOCK_TILES];
    bool own[BLOCK_ROWS + TILE_ROWS];
    bool all_own[BLOCK_TILES]; /* 16 rows of the tile, all of them its own */
    struct block block;
};

static int64_t up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Cuts segments of QUADS quads into as few chunks as possible. */
static void cut_chunks(struct chunks *k, const struct fzk_segment *segments, int64_t n_segments,
                       int64_t quads) {
    k->segments = segments;
    k->n_segments = n_segments;
    k->quads = quads;
    k->per_segment = up(quads, DEPTH_MAX);
    k->depth = up(quads, k->per_segment);
    k->twice = k->per_segment * k->depth - quads;
}

/* True if the segments are of one length, of whole quads. */
static bool even_segments(const struct fzk_qgemm *g) {
    for (int64_t s = 0; s < g->n_segments; s++)
        if (g->segments[s].len != g->segments[0].len || g->segments[s].len % FZK_QUAD) return false;
    return true;
}

static void cut_rows(struct rows *w, enum mode mode, int64_t run, int64_t n_runs) {
    w->mode = mode;
    w->run = run;
    w->per_run = up(run, TILE_ROWS);
    w->height = up(run, w->per_run);
    w->all_tiles = n_runs * w->per_run;
}

/* Runs by themselves, or all as one if that takes fewer tiles. */
static bool choose_direct(const struct fzk_qgemm *g, struct rows *w) {
    int64_t run = g->run && g->run < g->m ? g->run : g->m, n_runs = up(g->m, run);
    if (!even_segments(g)) return false;
    cut_chunks(&w->chunks, g->segments, g->n_segments, g->segments[0].len / FZK_QUAD);
    if (w->chunks.twice && g->n_segments > TAILS) return false;
    w->lda = g->lda;
    w->pitch = run;
    cut_rows(w, RUNS, run, n_runs);
    bool whole = g->m % run == 0;
    if (n_runs == 1 || g->lda <= 0 || g->run_stride % g->lda || g->run_stride / g->lda < run)
        return whole;
    int64_t pitch = g->run_stride / g->lda, all = (n_runs - 1) * pitch + (g->m - 1) % run + 1;
    if (whole && up(all, TILE_ROWS) >= w->all_tiles) return true;
    w->pitch = pitch;
    cut_rows(w, VIRTUAL, all, 1);
    return true;
}

static bool choose_packed(const struct fzk_qgemm *g, struct rows *w) {
    int64_t bytes = w->block.kq * FZK_QUAD;
    if (bytes * TILE_ROWS > PACKED_BYTES) return false;
    w->whole = (struct fzk_segment){0, bytes};
    cut_chunks(&w->chunks, &w->whole, 1, w->block.kq);
    w->lda = bytes;
    w->pitch = g->run ? g->run : g->m;
    cut_rows(w, PACKED, g->m, 1);
    return true;
}

/* False if tiles do not pay, or cannot read A. */
static bool choose_rows(const struct fzk_qgemm *g, struct rows *w) {
    w->block.kq = 0;
    if (g->m < ROWS_LEAST || g->m * g->n * g->k < WORK_LEAST) return false;
    for (int64_t s = 0; s < g->n_segments; s++)
        w->block.kq += (g->segments[s].len + FZK_QUAD - 1) / FZK_QUAD;
    return w->block.kq >= QUADS_LEAST && (choose_direct(g, w) || choose_packed(g, w));
}

static int64_t block_tiles(const struct rows *w) {
    int64_t bytes = TILE_ROWS * w->block.kq * FZK_QUAD;
    int64_t fit = (w->mode == PACKED ? PACKED_BYTES : A_BYTES) / bytes;
    return fit > BLOCK_TILES ? BLOCK_TILES : fit < 2 ? (w->mode == PACKED ? 1 : 2) : fit;
}

/* The rows of tile T: those from FROM on are its own, those from BEGIN on are read. Rows are
 * counted with those between runs. */
static void tile_rows(const struct rows *w, int64_t t, int64_t *begin, int64_t *from) {
    int64_t first = t / w->per_run * w->run, limit = first + w->run;
    *from = first + t % w->per_run * w->height;
    *begin = *from + w->height > limit ? limit - w->height : *from;
}

/* Scale and zero points of row I of C, at AT of the block, where rows have their own. */
static void fill_row(const struct fzk_qgemm *g, struct block *k, int64_t i, int64_t at) {
    const struct fzk_qout *o = &g->out;
    if (o->kind == FZK_QOUT_F32) k->row_scale[at] = o->row_scale ? o->row_scale[i] : o->a_scale;
    if (!g->za_rows && !g->zb) return;
    uint32_t za = (uint32_t)(g->za_rows ? g->za_rows[i] : g->za);
    k->minus_za[at] = -za;
    if (g->zb)
        k->excess[at] = (uint32_t)g->k * za - row_sum(g, (const uint8_t *)g->a + k->a_row[at]);
}

/* Rows X to X + N of run Y of C, from AT of the block on. */
static void fill_run(const struct fzk_qgemm *g, struct block *k, int64_t y, int64_t x, int64_t n,
                     int64_t at) {
    const struct fzk_qout *o = &g->out;
    int64_t a = y * g->run_stride + x * g->lda, c = y * o->c_run_stride + x * o->ldc;
    int64_t r = y * o->r_run_stride + x * o->ldr;
    for (int64_t l = at; l < at + n; l++, a += g->lda, c += o->ldc, r += o->ldr) {
        k->a_row[l] = a;
        k->c_row[l] = c;
        k->r_row[l] = r;
    }
    if (o->kind != FZK_QOUT_F32 && !g->za_rows && !g->zb) return;
    for (int64_t l = 0; l < n; l++) fill_row(g, k, y * g->run + x + l, at + l);
}

/* Some bytes of a segment of a tile's rows, on their way into the copy. */
struct piece {
    const uint8_t *from;
    const int64_t *a_row;
    uint8_t *to;
    int64_t len, rows, lda, room; /* bytes, and what the copy's row has left */
};

/* The first N of 64 bytes, N > 0. */
FZK_INLINE __mmask64 first_bytes(int64_t n) { return ~(uint64_t)0 >> (LINE - n); }

/* 1 to 64 bytes of each row, then zeros: to the end of a vector, or of the quad where the row has
 * no room. */
FZK_INLINE void pack_piece(const struct piece *p) {
    const __mmask64 real = first_bytes(p->len);
    const __mmask64 kept = first_bytes(p->room >= LINE ? LINE : up(p->len, FZK_QUAD) * FZK_QUAD);
    uint8_t *to = p->to;
    for (int64_t r = 0; r < p->rows; r++, to += p->lda)
        _mm512_mask_storeu_epi8(to, kept, _mm512_maskz_loadu_epi8(real, p->from + p->a_row[r]));
}

/* The same for up to 32 bytes, which cross fewer lines. */
FZK_INLINE void pack_short(const struct piece *p) {
    const __mmask32 real = ~(uint32_t)0 >> (32 - p->len);
    uint8_t *to = p->to;
    for (int64_t r = 0; r < p->rows; r++, to += p->lda)
        _mm256_storeu_si256((__m256i *)to,
                            _mm256_maskz_loadu_epi8(real, p->from + p->a_row[r]));
}

/* The rows of a tile, their segments side by side, each with zeros up to whole quads. What a vector
 * writes behind one segment the next one writes again. */
static void pack_rows(const struct fzk_qgemm *g, const struct rows *w, int64_t at, uint8_t *to) {
    struct piece p = {.a_row = w->block.a_row + at * TILE_ROWS, .rows = w->height, .lda = w->lda,
                      .room = w->lda};
    for (int64_t s = 0; s < g->n_segments; s++) {
        const int64_t len = g->segments[s].len;
        p.from = (const uint8_t *)g->a + g->segments[s].off;
        for (int64_t l = 0; l < len; l += LINE, p.from += LINE) {
            p.len = len - l < LINE ? len - l : LINE;
            p.to = to + w->lda - p.room;
            if (p.len <= 32 && p.room >= 32) pack_short(&p);
            else pack_piece(&p);
            p.room -= up(p.len, FZK_QUAD) * FZK_QUAD;
        }
    }
}

/* Tile T, as number AT of the block. Its rows come in stretches of real ones, between runs of which
 * there may be others. */
static void fill_tile(const struct fzk_qgemm *g, struct rows *w, int64_t t, int64_t at,
                      uint8_t *packed) {
    int64_t begin, from, run = g->run ? g->run : g->m, first = at * TILE_ROWS, real = 0;
    tile_rows(w, t, &begin, &from);
    int64_t y = begin / w->pitch, x = begin - y * w->pitch;
    w->a[at] = (const uint8_t *)g->a + y * g->run_stride + x * g->lda;
    if (w->mode == PACKED) w->a[at] = packed;
    memset(w->own + first, 0, TILE_ROWS * sizeof *w->own);
    memset(w->block.minus_za + first, 0, TILE_ROWS * sizeof *w->block.minus_za);
    memset(w->block.excess + first, 0, TILE_ROWS * sizeof *w->block.excess);
    for (int64_t r = 0, n; r < w->height; r += n, x = 0, y++) {
        int64_t end = run < g->m - y * run ? run : g->m - y * run; /* of the run */
        n = w->pitch - x < w->height - r ? w->pitch - x : w->height - r;
        int64_t some = end - x < n ? end - x : n;
        if (some <= 0) continue;
        fill_run(g, &w->block, y, x, some, first + r);
        for (int64_t l = 0; l < some; l++) w->own[first + r + l] = begin + r + l >= from;
        real += some;
    }
    w->all_own[at] = real == TILE_ROWS && begin == from;
    if (w->mode == PACKED) pack_rows(g, w, at, packed);
}

/* Makes tiles I .. I + N ready. */
static void fill_tiles(const struct fzk_qgemm *g, struct rows *w, int64_t i, int64_t n,
                       uint8_t *packed) {
    w->n_tiles = n;
    for (int64_t t = 0; t < n; t++)
        fill_tile(g, w, i + t, t, packed + t * w->height * w->lda);
}
