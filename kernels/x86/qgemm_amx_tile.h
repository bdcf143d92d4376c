/* The tile instructions of qgemm_amx.c. Tiles 0 to 3 are sums (rows of tile 0 of A, then of tile
 * 1), 4 and 5 are A, 6 and 7 are B. Written as assembly, because the compilers' own forms do not
 * say that they read memory. */

#define TILE_LOAD(t, p, step)                                                                      \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t : : "r"(p), "r"((int64_t)(step)) : "memory")
/* What is not read again soon: it does not push the other operand out of the first-level cache. */
#define TILE_STREAM(t, p, step)                                                                    \
    __asm__ volatile("tileloaddt1 (%0,%1,1), %%tmm" #t                                             \
                     :                                                                             \
                     : "r"(p), "r"((int64_t)(step))                                                \
                     : "memory")
#define TILE_STORE(t, p, step)                                                                     \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)"                                           \
                     :                                                                             \
                     : "r"(p), "r"((int64_t)(step))                                                \
                     : "memory")
#define TILE_DOT(kind, c, a, b)                                                                    \
    __asm__ volatile("tdp" kind "d %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)

/* Palette 1: HEIGHT rows of A and of the sums, DEPTH quads of k. All other bytes are zero. */
static void configure(int64_t height, int64_t depth) {
    uint8_t config[64] __attribute__((aligned(64))) = {1};
    for (int t = 0; t < 8; t++) {
        uint16_t bytes = t == 4 || t == 5 ? (uint16_t)(depth * FZK_QUAD) : 64;
        memcpy(config + 16 + 2 * t, &bytes, sizeof bytes);
        config[48 + t] = (uint8_t)(t < 6 ? height : depth);
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(config) : "memory");
}

/* Clears all tiles: the host finds none in use. */
static void release(void) { __asm__ volatile("tilerelease" : : : "memory"); }

/* One or two tiles of A times the two halves of a panel. */
struct multiply {
    struct chunks chunks;
    const uint8_t *a[2];
    int64_t lda;
    const int8_t *b;
    int8_t (*tails)[TAIL_BYTES]; /* of each segment, for the last of its chunks */
    const int32_t *init;         /* initial sums, init_step bytes from row to row */
    int64_t init_step;
    bool a_signed;
    int64_t j;                   /* the panel's first column */
    const int8_t *ahead;         /* N_AHEAD lines to fetch for later, or NULL */
    int64_t n_ahead;
    const struct rows *rows;
    struct pair *before;         /* finished while k runs */
};

/* One chunk. */
FZK_INLINE void chunk(const struct multiply *m, const uint8_t *a0, const uint8_t *a1,
                      const int8_t *b, const int tiles, const int nv, const bool sign) {
    TILE_STREAM(6, b, QUAD_STEP);
    TILE_LOAD(4, a0, m->lda);
    if (sign) TILE_DOT("bss", 0, 4, 6);
    else TILE_DOT("bus", 0, 4, 6);
    if (nv == 2) {
        TILE_STREAM(7, b + QUAD_STEP / 2, QUAD_STEP);
        if (sign) TILE_DOT("bss", 1, 4, 7);
        else TILE_DOT("bus", 1, 4, 7);
    }
    if (tiles == 1) return;
    TILE_LOAD(5, a1, m->lda);
    if (sign) TILE_DOT("bss", 2, 5, 6);
    else TILE_DOT("bus", 2, 5, 6);
    if (nv == 1) return;
    if (sign) TILE_DOT("bss", 3, 5, 7);
    else TILE_DOT("bus", 3, 5, 7);
}

FZK_INLINE void start(const struct multiply *m, const int tiles, const int nv) {
    const char *init = (const char *)m->init, *second = init + TILE_ROWS * m->init_step;
    TILE_LOAD(0, init, m->init_step);
    if (nv == 2) TILE_LOAD(1, init + 64, m->init_step);
    if (tiles == 1) return;
    TILE_LOAD(2, second, m->init_step);
    if (nv == 2) TILE_LOAD(3, second + 64, m->init_step);
}

/* What is done beside each chunk: lines to fetch, rows of the pair before to finish. */
struct beside {
    int64_t at, lines, rows;
};

static struct beside share(const struct multiply *m) {
    const int64_t n = m->chunks.per_segment * m->chunks.n_segments;
    return (struct beside){.lines = m->ahead ? up(m->n_ahead, n) : 0,
                           .rows = n < 4 ? 2 * TILE_ROWS : up(TILE_ROWS, n) * 2};
}

FZK_INLINE void work_beside(const struct multiply *m, struct beside *s) {
    for (int64_t l = 0; l < s->lines && s->at < m->n_ahead; l++, s->at++)
        _mm_prefetch((const char *)m->ahead + s->at * LINE, _MM_HINT_T1);
    finish_some(m->rows, m->before, s->rows);
}

FZK_INLINE void products(const struct multiply *m, const int tiles, const int nv, const bool sign) {
    const struct chunks *k = &m->chunks;
    const int8_t *b = m->b;
    int64_t whole = k->per_segment - (k->twice != 0);
    struct beside beside = share(m);
    start(m, tiles, nv);
    for (int64_t s = 0; s < k->n_segments; s++) {
        const uint8_t *a0 = m->a[0] + k->segments[s].off, *a1 = m->a[1] + k->segments[s].off;
        FZK_NO_UNROLL
        for (int64_t c = 0; c < whole; c++) {
            chunk(m, a0, a1, b, tiles, nv, sign);
            a0 += k->depth * FZK_QUAD;
            a1 += k->depth * FZK_QUAD;
            b += k->depth * QUAD_STEP;
            work_beside(m, &beside);
        }
        if (!k->twice) continue;
        int64_t back = k->twice * FZK_QUAD;
        chunk(m, a0 - back, a1 - back, m->tails[s], tiles, nv, sign);
        b += (k->depth - k->twice) * QUAD_STEP;
        work_beside(m, &beside);
    }
}

static void products_u(const struct multiply *m, int64_t tiles, int64_t nv) {
    if (tiles == 2 && nv == 2) products(m, 2, 2, false);
    else if (tiles == 2) products(m, 2, 1, false);
    else if (nv == 2) products(m, 1, 2, false);
    else products(m, 1, 1, false);
}

static void products_s(const struct multiply *m, int64_t tiles, int64_t nv) {
    if (tiles == 2 && nv == 2) products(m, 2, 2, true);
    else if (tiles == 2) products(m, 2, 1, true);
    else if (nv == 2) products(m, 1, 2, true);
    else products(m, 1, 1, true);
}

static void multiply(const struct multiply *m, int64_t tiles, int64_t nv) {
    if (m->a_signed) products_s(m, tiles, nv);
    else products_u(m, tiles, nv);
}

/* The sums of the last multiply() to memory. */
static void keep(int32_t (*sums)[TILE_COLUMNS], int64_t tiles, int64_t nv) {
    TILE_STORE(0, sums[0], sizeof sums[0]);
    if (nv == 2) TILE_STORE(1, sums[0] + VL, sizeof sums[0]);
    if (tiles == 1) return;
    TILE_STORE(2, sums[TILE_ROWS], sizeof sums[0]);
    if (nv == 2) TILE_STORE(3, sums[TILE_ROWS] + VL, sizeof sums[0]);
}
