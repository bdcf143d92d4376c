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

#define SUMS_LACK_INIT 1
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
#include "qgemm_amx_ends.h"
#include "qgemm_amx_tile.h"

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
    int32_t sums[2 * TILE_ROWS + 2][TILE_COLUMNS] __attribute__((aligned(64)));
    struct pair pairs[2];
    int turn;
};

/* The pair behind is that from tile FIRST on times the panel at B. */
static void aim(const struct rows *w, struct multiply *m, int64_t first, const int8_t *b) {
    m->next_a[0] = w->a[first];
    m->next_a[1] = w->a[first + 1 < w->n_tiles ? first + 1 : first];
    m->next_b = b;
}

/* The pair that was aimed at, from tile FIRST on, times panel I of the group. The sums of the pair
 * before it leave the tiles as its own ones start, and are finished while its products are on their
 * way, some rows between two of them. */
static void run_pair(const struct fzk_qgemm *g, const struct rows *w, struct multiply *m,
                     struct group *all, int64_t first, int64_t i) {
    struct pair *now = &all->pairs[all->turn];
    now->first = first;
    now->tiles = w->n_tiles - first < 2 ? 1 : 2;
    now->j = m->j + i * FZK_PANEL;
    begin_pair(g, w, &all->panels[i], now);
    m->now = now;
    all->turn ^= 1;
    m->before = &all->pairs[all->turn];
    multiply(m);
}

/* What is left of the last pair. */
static void end_group(const struct rows *w, struct group *all) {
    struct pair *last = &all->pairs[all->turn ^ 1];
    keep(last->sums);
    finish_some(w, last, 2 * TILE_ROWS);
}

/* The tiles of a block times a group of panels, the first at B. Each pair fetches its share of the
 * group behind. */
static void run_group(const struct fzk_qgemm *g, const struct rows *w, struct multiply *m,
                      struct group *all, const int8_t *b) {
    const int64_t n_pairs = (w->n_tiles + 1) / 2, lines = all->step / LINE;
    const int64_t left = (g->n - m->j + FZK_PANEL - 1) / FZK_PANEL - all->n;
    aim(w, m, 0, b);
    load_first(m);
    for (int64_t t = 0; t < n_pairs; t++)
        for (int64_t i = 0; i < all->n; i++) {
            m->a[0] = m->next_a[0];
            m->a[1] = m->next_a[1];
            m->b = m->next_b;
            if (i + 1 < all->n) aim(w, m, 2 * t, m->b + all->step);
            else if (t + 1 < n_pairs) aim(w, m, 2 * t + 2, b);
            m->ahead = i < left ? m->b + all->n * all->step + lines * t / n_pairs * LINE : NULL;
            m->n_ahead = lines * (t + 1) / n_pairs - lines * t / n_pairs;
            run_pair(g, w, m, all, 2 * t, i);
        }
    end_group(w, all);
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
    all.pairs[0].sums = all.pairs[1].sums = all.sums;
    all.pairs[0].tiles = all.pairs[1].tiles = 0;
    all.pairs[0].done = all.pairs[1].done = 0;
    all.pairs[0].usual = all.pairs[1].usual = false;
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
