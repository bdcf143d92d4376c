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
#define TILE_ZERO(t) __asm__ volatile("tilezero %%tmm" #t : :)
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
    int64_t lda;
    int8_t (*tails)[TAIL_BYTES]; /* of each segment, for the last of its chunks */
    bool a_signed;
    int64_t j;                   /* the group's first column */
    const uint8_t *a[2], *next_a[2]; /* of this pair of tiles, and of the one behind it */
    const int8_t *b, *next_b;
    const int8_t *ahead;         /* N_AHEAD lines to fetch for later, or NULL */
    int64_t n_ahead;
    const struct rows *rows;
    struct pair *now, *before;   /* the latter is finished while k runs */
};

/* Where the operands of a chunk begin, and chunks of its segment that are left. */
struct operands {
    const uint8_t *a0, *a1;
    const int8_t *b;
    int64_t left;
};

/* The first chunk of segment S; behind the last segment, that of the next pair. */
static struct operands first_operands(const struct multiply *m, int64_t s) {
    const struct chunks *k = &m->chunks;
    const bool next = s == k->n_segments;
    const uint8_t *const *a = next ? m->next_a : m->a;
    const int64_t off = k->segments[next ? 0 : s].off;
    return (struct operands){a[0] + off, a[1] + off,
                             next ? m->next_b : m->b + s * k->quads * QUAD_STEP, k->per_segment};
}

/* The last chunk of segment S, where it begins early. */
static struct operands last_operands(const struct multiply *m, int64_t s) {
    const struct chunks *k = &m->chunks;
    const int64_t a = k->segments[s].off + (k->quads - k->depth) * FZK_QUAD;
    return (struct operands){m->a[0] + a, m->a[1] + a, m->tails[s], 1};
}

/* From a chunk of segment *S to the one behind it. */
FZK_INLINE void go_on(const struct multiply *m, int64_t *s, struct operands *at) {
    const struct chunks *k = &m->chunks;
    if (--at->left == 0) {
        *at = first_operands(m, ++*s);
    } else if (at->left == 1 && k->twice) {
        *at = last_operands(m, *s);
    } else {
        at->a0 += k->depth * FZK_QUAD;
        at->a1 += k->depth * FZK_QUAD;
        at->b += k->depth * QUAD_STEP;
    }
}

/* Operands of a group's first chunk. */
static void load_first(const struct multiply *m) {
    const struct operands first = first_operands(m, m->chunks.n_segments);
    TILE_LOAD(4, first.a0, m->lda);
    TILE_STREAM(6, first.b, QUAD_STEP);
    TILE_LOAD(5, first.a1, m->lda);
    TILE_STREAM(7, first.b + QUAD_STEP / 2, QUAD_STEP);
}

/* What is done beside the products of a pair, in two slots of each chunk: twice ROWS rows of the
 * pair before, and in one of the two LINES lines to fetch. */
struct beside {
    const int8_t *ahead, *ahead_end;
    int64_t lines, rows;
    struct ends ends;
    struct fetch fetch;
};

/* Short chains have no time to wait for the sums to leave the tiles. */
FZK_INLINE bool is_short(int64_t n) { return n < 3; }

FZK_INLINE void begin_beside(const struct multiply *m, int64_t n, struct beside *s,
                             const bool usual, const int kind) {
    s->ahead = m->ahead;
    s->ahead_end = m->ahead ? m->ahead + m->n_ahead * LINE : NULL;
    s->lines = up(m->n_ahead, n);
    s->rows = up(TILE_ROWS, 2 * (is_short(n) ? n : n - 1));
    s->fetch = begin_fetch(m->rows, m->now);
    if (usual) begin_ends(m->rows, m->before, &s->ends, kind);
}

/* USUAL: the pair before is, or is none. */
FZK_INLINE void slot(const struct multiply *m, struct beside *s, const bool usual,
                     const int kind) {
    if (usual) end_some(&s->ends, s->rows, kind);
    else finish_some(m->rows, m->before, 2 * s->rows);
    if (kind != FZK_QOUT_8) fetch_some(&s->fetch, 2 * s->rows);
}

FZK_INLINE void fetch_ahead(struct beside *s) {
    for (int64_t l = s->lines; l > 0 && s->ahead < s->ahead_end; l--, s->ahead += LINE)
        _mm_prefetch((const char *)s->ahead, _MM_HINT_T1);
}

/* Sums T go to the pair before, and start at zero. */
#define TURN_OVER(t)                                                                               \
    do {                                                                                           \
        if (!first) break;                                                                         \
        int32_t(*sums)[TILE_COLUMNS] = m->before->sums;                                            \
        TILE_STORE(t, sums[t / 2 * TILE_ROWS] + t % 2 * VL, sizeof sums[0]);                       \
        TILE_ZERO(t);                                                                              \
    } while (0)

#define DOT(c, a, b)                                                                               \
    do {                                                                                           \
        if (sign) TILE_DOT("bss", c, a, b);                                                        \
        else TILE_DOT("bus", c, a, b);                                                             \
    } while (0)

/* The products of one chunk. Each operand makes room for that of the NEXT chunk when it has been
 * used last: the loads are on their way long before their products, whatever stands between.
 *
 * In the FIRST chunk of a pair the sums of the one before leave the tiles, each when it is next to
 * start, so that the products never wait for all of them. Sums that are not used are kept, too: the
 * pair before may have used them. */
FZK_INLINE void chunk(const struct multiply *m, const struct operands *next,
                      struct beside *beside, const int tiles, const int nv, const bool sign,
                      const bool usual, const int kind, const bool first, const bool busy) {
    TURN_OVER(0);
    DOT(0, 4, 6);
    TURN_OVER(1);
    if (nv == 2) DOT(1, 4, 7);
    TILE_LOAD(4, next->a0, m->lda);
    if (busy) slot(m, beside, usual, kind);
    TURN_OVER(2);
    if (tiles == 2) DOT(2, 5, 6);
    TILE_STREAM(6, next->b, QUAD_STEP);
    TURN_OVER(3);
    if (tiles == 2 && nv == 2) DOT(3, 5, 7);
    TILE_LOAD(5, next->a1, m->lda);
    TILE_STREAM(7, next->b + QUAD_STEP / 2, QUAD_STEP);
    fetch_ahead(beside);
    if (busy) slot(m, beside, usual, kind);
}

FZK_INLINE void products(const struct multiply *m, const int tiles, const int nv, const bool sign,
                         const bool usual, const int kind) {
    const int64_t n = m->chunks.per_segment * m->chunks.n_segments;
    int64_t s = 0;
    struct operands next = first_operands(m, 0);
    struct beside beside;
    begin_beside(m, n, &beside, usual, kind);
    go_on(m, &s, &next);
    if (is_short(n)) chunk(m, &next, &beside, tiles, nv, sign, usual, kind, true, true);
    else chunk(m, &next, &beside, tiles, nv, sign, usual, kind, true, false);
    FZK_NO_UNROLL
    while (s < m->chunks.n_segments) {
        go_on(m, &s, &next);
        chunk(m, &next, &beside, tiles, nv, sign, usual, kind, false, true);
    }
    if (usual) end_some(&beside.ends, TILE_ROWS, kind);
    else finish_some(m->rows, m->before, 2 * TILE_ROWS);
}

/* A pair at an edge, or behind an unusual one. */
static __attribute__((noinline)) void multiply_any(const struct multiply *m) {
    const int nv = m->now->finish.n > VL ? 2 : 1, tiles = (int)m->now->tiles;
    const int kind = m->now->out.kind;
    if (m->before->usual) products(m, tiles, nv, m->a_signed, true, kind);
    else products(m, tiles, nv, m->a_signed, false, kind);
}

/* Functions of their own, for the compiler to keep all they need in registers. */
#define USUAL(name, sign, kind)                                                                    \
    static __attribute__((noinline)) void name(const struct multiply *m) {                         \
        products(m, 2, 2, sign, true, kind);                                                       \
    }
USUAL(multiply_u8_i32, false, FZK_QOUT_I32)
USUAL(multiply_s8_i32, true, FZK_QOUT_I32)
USUAL(multiply_u8_8, false, FZK_QOUT_8)
USUAL(multiply_s8_8, true, FZK_QOUT_8)
USUAL(multiply_u8_f32, false, FZK_QOUT_F32)
USUAL(multiply_s8_f32, true, FZK_QOUT_F32)

static void multiply(const struct multiply *m) {
    static void (*const usual[][2])(const struct multiply *) = {
        [FZK_QOUT_I32] = {multiply_u8_i32, multiply_s8_i32},
        [FZK_QOUT_8] = {multiply_u8_8, multiply_s8_8},
        [FZK_QOUT_F32] = {multiply_u8_f32, multiply_s8_f32},
    };
    if (!m->before->usual || m->now->tiles == 1 || m->now->finish.n <= VL) multiply_any(m);
    else usual[m->now->out.kind][m->a_signed](m);
}

/* The sums of the last multiply() to memory. */
static void keep(int32_t (*sums)[TILE_COLUMNS]) {
    TILE_STORE(0, sums[0], sizeof sums[0]);
    TILE_STORE(1, sums[0] + VL, sizeof sums[0]);
    TILE_STORE(2, sums[TILE_ROWS], sizeof sums[0]);
    TILE_STORE(3, sums[TILE_ROWS] + VL, sizeof sums[0]);
}
