/* The integer GEMM for AMX: a tile product adds 16 x 16 sums of up to 16 quads of k in some 16
 * cycles, exact modulo 2^32. What tiles do not pay for (few rows, short chains) goes to AVX-512
 * VNNI, and so does what they cannot read.
 *
 * Two tiles of A meet two of B: four tiles of sums. A panel of B is two tiles side by side as it is
 * packed. A tile of A is up to 16 rows of the matrix, a constant stride apart, read where they
 * lie: see qgemm_amx_rows.h. A segment of k is cut into chunks of equal depth; where they do not
 * divide it, the last begins early, and B has zeros for the k that come twice. */
#include "qgemm_v16.h"

enum { BLOCK_TILES = 32, TILE_ROWS = 16, BLOCK_ROWS = BLOCK_TILES * TILE_ROWS };

enum { A_AS_S8 = 2 };

#include "qgemm_finish.h"
#include "tiles/qgemm_block.h"

enum {
    QUAD_STEP = FZK_PANEL * FZK_QUAD, /* bytes from quad to quad in a panel */
    LINE = 64,
    DEPTH_MAX = 16,                   /* quads of a chunk */
    TAIL_BYTES = DEPTH_MAX * QUAD_STEP,
    GROUP_MAX = 8, GROUP_BYTES = 128 << 10 /* panels that a pair of tiles goes through at a time */
};

#include "qgemm_amx_rows.h"

struct pair;
static void finish_some(const struct rows *w, struct pair *p, int64_t rows);

#include "qgemm_amx_tile.h"

/* Of two tiles of A and a panel: their sums, and what ends them. */
struct pair {
    int32_t sums[2 * TILE_ROWS + 2][TILE_COLUMNS] __attribute__((aligned(64)));
    const struct panel *panel;
    int64_t first, tiles, j; /* tiles of the block, column of C */
    int64_t done;            /* rows that are finished */
    struct fzk_qout out;
    struct finish finish;
};

static void begin_finish(const struct fzk_qgemm *g, struct pair *p) {
    p->out = g->out;
    p->out.c = (char *)g->out.c + (size_t)p->j * (g->out.kind == FZK_QOUT_8 ? 1 : 4);
    p->out.residual = g->out.residual ? g->out.residual + p->j : NULL;
    p->finish = (struct finish){.out = &p->out, .n = g->n - p->j, .scale = p->panel->scale,
                                .bias = p->panel->bias};
    if (p->finish.n > TILE_COLUMNS) p->finish.n = TILE_COLUMNS;
    p->done = 0;
}

static void finish_from(const struct rows *w, struct pair *p, int64_t r, int64_t rows) {
    const int64_t at = p->first * TILE_ROWS + r;
    struct finish *f = &p->finish;
    f->sums = (const int32_t(*)[TILE_COLUMNS])(p->sums + r);
    f->c_row = w->block.c_row + at;
    f->r_row = w->block.r_row + at;
    f->row_scale = w->block.row_scale + at;
    finish_rows(f, rows);
}

/* Those of rows FROM to END that are rows of C, in stretches. */
static void finish_stretches(const struct rows *w, struct pair *p, int64_t from, int64_t end) {
    const bool *own = w->own + p->first * TILE_ROWS;
    for (int64_t r = from, next; r < end; r = next) {
        next = r + 1;
        if (!own[r]) continue;
        while (next < end && own[next]) next++;
        finish_from(w, p, r, next - r);
    }
}

/* Finishes ROWS more rows of a pair, or those that are left. */
static void finish_some(const struct rows *w, struct pair *p, int64_t rows) {
    int64_t end = p->tiles * TILE_ROWS;
    if (end - p->done < rows) rows = end - p->done;
    if (rows <= 0) return;
    if (w->all_own[p->first] && w->all_own[p->first + p->tiles - 1])
        finish_from(w, p, p->done, rows);
    else finish_stretches(w, p, p->done, p->done + rows);
    p->done += rows;
}

/* The last chunks of segments that are cut unevenly: zeros, then the k that are left. */
static void fill_tails(const struct chunks *k, const int8_t *b, int8_t (*tails)[TAIL_BYTES]) {
    for (int64_t s = 0; k->twice && s < k->n_segments; s++) {
        int64_t quads = k->depth - k->twice, zeros = k->twice * QUAD_STEP;
        memset(tails[s], 0, (size_t)zeros);
        memcpy(tails[s] + zeros, b + ((s + 1) * k->quads - quads) * QUAD_STEP,
               (size_t)(quads * QUAD_STEP));
    }
}

/* Some panels, through which each pair of tiles goes while it lies in the first-level cache. */
struct group {
    struct panel panels[GROUP_MAX];
    int64_t n, step; /* panels, and bytes of one */
    struct pair pairs[2];
    int turn;
};

/* Lines of C, and of the residual, that the pair will write or read: they come while k runs. */
static void fetch_outputs(const struct rows *w, const struct pair *p) {
    const int64_t at = p->first * TILE_ROWS, wide = p->finish.n * 4;
    const char *c = p->out.c, *residual = (const char *)p->out.residual;
    if (p->out.kind == FZK_QOUT_8) return;
    for (int64_t r = 0; r < p->tiles * TILE_ROWS; r++) {
        const char *row = c + w->block.c_row[at + r] * 4;
        if (!w->own[at + r]) continue;
        for (int64_t l = 0; l < wide; l += LINE) __builtin_prefetch(row + l, 1);
        __builtin_prefetch(row + wide - 1, 1);
        if (!residual) continue;
        row = residual + w->block.r_row[at + r] * 4;
        for (int64_t l = 0; l < wide; l += LINE) __builtin_prefetch(row + l, 0);
    }
}

/* One pair, from tile FIRST on, times panel I of the group. While its products are on their way the
 * pair before it is finished, some rows between two chunks. */
static void run_pair(const struct fzk_qgemm *g, const struct rows *w, struct multiply *m,
                     struct group *all, int64_t first, int64_t i) {
    int32_t init[2 * TILE_ROWS][FZK_PANEL] __attribute__((aligned(64)));
    struct pair *now = &all->pairs[all->turn];
    const struct panel *p = &all->panels[i];
    const bool own = g->za_rows || g->zb;
    now->panel = p;
    now->first = first;
    now->tiles = w->n_tiles - first < 2 ? 1 : 2;
    now->j = m->j + i * FZK_PANEL;
    begin_finish(g, now);
    fetch_outputs(w, now);
    const int64_t nv = g->n - now->j > VL ? 2 : 1;
    if (own) fill_init(g, &w->block, p, first * TILE_ROWS, now->tiles * TILE_ROWS, now->j, init);
    m->init = own ? init[0] : p->init;
    m->init_step = own ? (int64_t)sizeof init[0] : 0;
    m->a[0] = w->a[first];
    m->a[1] = w->a[first + now->tiles - 1];
    all->turn ^= 1;
    m->before = &all->pairs[all->turn];
    multiply(m, now->tiles, nv);
    finish_some(w, m->before, 2 * TILE_ROWS);
    keep(now->sums, now->tiles, nv);
}

/* The tiles of a block times a group of panels, the first at B. Each pair fetches its share of the
 * group behind. */
static void run_group(const struct fzk_qgemm *g, const struct rows *w, struct multiply *m,
                      struct group *all, const int8_t *b) {
    const int64_t n_pairs = (w->n_tiles + 1) / 2, lines = all->step / LINE;
    const int64_t left = (g->n - m->j + FZK_PANEL - 1) / FZK_PANEL - all->n;
    for (int64_t t = 0; t < n_pairs; t++)
        for (int64_t i = 0; i < all->n; i++) {
            m->b = b + i * all->step;
            m->ahead = i < left ? m->b + all->n * all->step + lines * t / n_pairs * LINE : NULL;
            m->n_ahead = lines * (t + 1) / n_pairs - lines * t / n_pairs;
            run_pair(g, w, m, all, 2 * t, i);
        }
    finish_some(w, &all->pairs[all->turn ^ 1], 2 * TILE_ROWS);
}

/* Panels of a group. The last chunks of segments that are cut unevenly are made for one. */
static int64_t group_size(const struct rows *w, int64_t step) {
    int64_t fit = GROUP_BYTES / step;
    return w->chunks.twice || fit < 1 ? 1 : fit < GROUP_MAX ? fit : GROUP_MAX;
}

static void run_block(const struct fzk_qgemm *g, const struct rows *w) {
    struct group all;
    int8_t tails[TAILS][TAIL_BYTES] __attribute__((aligned(64)));
    struct multiply m = {.chunks = w->chunks, .lda = w->lda, .tails = tails, .rows = w,
                         .a_signed = g->a_signed != 0};
    const int64_t most = group_size(w, w->block.kq * QUAD_STEP);
    const int64_t n_panels = (g->n + FZK_PANEL - 1) / FZK_PANEL;
    const int8_t *b = g->b;
    all.step = w->block.kq * QUAD_STEP;
    all.turn = 0;
    all.pairs[0].tiles = all.pairs[1].tiles = 0;
    all.pairs[0].done = all.pairs[1].done = 0;
    for (int64_t i = 0; i < most && i < n_panels; i++) clear_panel(&all.panels[i]);
    for (; m.j < g->n; m.j += all.n * FZK_PANEL, b += all.n * all.step) {
        int64_t left = n_panels - m.j / FZK_PANEL;
        all.n = left < most ? left : most;
        for (int64_t i = 0; i < all.n; i++) fill_panel(g, m.j + i * FZK_PANEL, &all.panels[i]);
        fill_tails(&m.chunks, b, tails);
        run_group(g, w, &m, &all, b);
    }
}

void fzk_qgemm_u8s8_amx(const struct fzk_qgemm *g) {
    struct rows w;
    if (!choose_rows(g, &w)) {
        fzk_qgemm_u8s8_avx512vnni(g);
        return;
    }
    uint8_t packed[PACKED_BYTES] __attribute__((aligned(64)));
    configure(w.height, w.chunks.depth);
    int64_t per_block = block_tiles(&w);
    for (int64_t i = 0; i < w.all_tiles; i += per_block) {
        fill_tiles(g, &w, i, w.all_tiles - i < per_block ? w.all_tiles - i : per_block, packed);
        run_block(g, &w);
    }
    release();
}
