/* How the sums of two tiles of A times a panel of B become outputs, while the products of the next
 * pair are on their way. What stands between two products costs them: a tile load takes as many
 * loads as a vector of each row, and the core looks ahead by some hundred instructions. So the
 * usual pairs are finished two rows at a time by few instructions, with everything that the rows
 * share in registers; finish_some() does the others. */

/* The sums of all pairs have the same place: those of one are finished before those of the next one
 * leave the tiles. Rows past the last one are there for ends that take two at a time. */
struct pair {
    int32_t (*sums)[TILE_COLUMNS];
    int32_t init[2 * TILE_ROWS + 2][TILE_COLUMNS] __attribute__((aligned(64))); /* of rows */
    int64_t first, tiles, j; /* tiles of the block, column of C */
    int64_t done;            /* rows that are finished */
    struct fzk_qout out;
    struct finish finish;    /* of the pair's first row */
    bool usual;
    struct bytes_end bytes;  /* of a usual pair of bytes */
};

/* Of a usual pair: what its rows share, and where the next ones are. */
struct ends {
    int64_t n;            /* columns */
    const int32_t (*sums)[TILE_COLUMNS];
    int64_t left;         /* rows */
    uint32_t own;         /* a bit for each of them: the row is one of C */
    const int64_t *c_row, *r_row;
    void *c;
    const float *residual;
    bool clip;
    vi init[2];
    vf scale[2], bias[2], lo, hi;
    struct bytes_end bytes;
};

/* True if rows have nothing of their own. */
static bool is_usual(const struct fzk_qgemm *g, struct pair *p) {
    if (g->za_rows || g->zb) return false;
    if (g->out.kind == FZK_QOUT_8) return bytes_end(&p->finish, &p->bytes);
    return g->out.kind == FZK_QOUT_I32 || !g->out.row_scale;
}

static void begin_pair(const struct fzk_qgemm *g, const struct rows *w, const struct panel *panel,
                       struct pair *p) {
    const int64_t at = p->first * TILE_ROWS, left = g->n - p->j;
    const bool own = g->za_rows || g->zb;
    p->done = 0;
    p->out = g->out;
    p->out.c = (char *)g->out.c + (size_t)p->j * (g->out.kind == FZK_QOUT_8 ? 1 : 4);
    p->out.residual = g->out.residual ? g->out.residual + p->j : NULL;
    if (own) fill_init(g, &w->block, panel, at, p->tiles * TILE_ROWS, p->j, p->init);
    p->finish = (struct finish){.sums = (const int32_t(*)[TILE_COLUMNS])p->sums,
                                .init = own ? p->init[0] : panel->init,
                                .init_step = own ? TILE_COLUMNS : 0, .out = &p->out,
                                .n = left < TILE_COLUMNS ? left : TILE_COLUMNS,
                                .c_row = w->block.c_row + at, .r_row = w->block.r_row + at,
                                .scale = panel->scale, .bias = panel->bias,
                                .row_scale = w->block.row_scale + at};
    p->usual = is_usual(g, p);
}

/* Finishes ROWS more rows of a pair, or those that are left: rows of C, in stretches. */
static void finish_some(const struct rows *w, struct pair *p, int64_t rows) {
    const bool *own = w->own + p->first * TILE_ROWS;
    int64_t end = p->done + rows, all = p->tiles * TILE_ROWS;
    if (end > all) end = all;
    for (int64_t r = p->done, next; r < end; r = next) {
        struct finish f = p->finish;
        next = r + 1;
        if (!own[r]) continue;
        while (next < end && own[next]) next++;
        f.sums += r;
        f.init += r * f.init_step;
        f.c_row += r;
        f.r_row += r;
        f.row_scale += r;
        finish_rows(&f, next - r);
    }
    if (end > p->done) p->done = end;
}

/* A bit for each row of the pair's tiles. */
static uint32_t own_bits(const struct rows *w, const struct pair *p) {
    const __m256i own = _mm256_loadu_si256((const __m256i *)(w->own + p->first * TILE_ROWS));
    return _cvtmask32_u32(_mm256_test_epi8_mask(own, own));
}

FZK_INLINE void begin_ends(const struct rows *w, const struct pair *p, struct ends *e,
                           const int kind) {
    const struct finish *f = &p->finish;
    const vf a_scale = vf_set(p->out.a_scale);
    e->sums = f->sums + p->done;
    e->left = p->tiles * TILE_ROWS - p->done;
    e->own = (uint32_t)((uint64_t)own_bits(w, p) >> p->done);
    e->c_row = f->c_row + p->done;
    e->r_row = f->r_row + p->done;
    e->c = p->out.c;
    e->residual = p->out.residual;
    e->clip = p->out.clip;
    for (int v = 0; v < 2; v++) {
        e->init[v] = vi_load(f->init + v * VL);
        e->scale[v] = vf_mul(a_scale, vf_load(f->scale + v * VL));
        e->bias[v] = vf_load(f->bias + v * VL);
    }
    if (kind == FZK_QOUT_8) e->bytes = p->bytes;
    e->n = f->n;
    e->lo = vf_set(p->out.lo_f);
    e->hi = vf_set(p->out.hi_f);
}

FZK_INLINE vi sums_at(const struct ends *e, const int r, const int v) {
    return vi_add(vi_load(e->sums[r] + v * VL), e->init[v]);
}

FZK_INLINE vf f32_at(const struct ends *e, const int r, const int v) {
    vf x = vf_add(vf_mul(vf_of(sums_at(e, r, v)), e->scale[v]), e->bias[v]);
    if (e->residual)
        x = vf_add(x, vf_load_n(e->residual + e->r_row[r] + v * VL, e->n - v * VL));
    return e->clip ? vf_min(e->hi, vf_max(e->lo, x)) : x;
}

FZK_INLINE void end_row(const struct ends *e, const int r, const int kind) {
    if (!(e->own >> r & 1)) return;
    FZK_UNROLL
    for (int v = 0; v < 2; v++) {
        char *c = (char *)e->c + e->c_row[r] * 4 + v * LINE;
        const int64_t n = e->n - v * VL;
        if (n <= 0) break;
        if (kind == FZK_QOUT_F32) vf_store((float *)c, f32_at(e, r, v), n);
        else vi_store((int32_t *)c, sums_at(e, r, v), n);
    }
}

FZK_INLINE void end_bytes(const struct ends *e) {
    vi x = bytes_of_sums(&e->bytes, sums_at(e, 0, 0), sums_at(e, 0, 1), sums_at(e, 1, 0),
                         sums_at(e, 1, 1), false);
    if (e->own & 1) vi_store_row((uint8_t *)e->c + e->c_row[0], x, 0, e->n);
    if (e->own & 2) vi_store_row((uint8_t *)e->c + e->c_row[1], x, 1, e->n);
}

/* PAIRS times two more rows of a usual pair, or those that are left. */
FZK_INLINE void end_some(struct ends *e, int64_t pairs, const int kind) {
    for (; pairs > 0 && e->left > 0; pairs--) {
        if (kind == FZK_QOUT_8) end_bytes(e);
        else end_row(e, 0, kind), end_row(e, 1, kind);
        e->sums += 2;
        e->own >>= 2;
        e->left -= 2;
        e->c_row += 2;
        e->r_row += 2;
    }
}

/* Rows of C that the pair's own ends will write, and of the residual: they are on their way while k
 * runs. Bytes are few enough to wait for. */
struct fetch {
    const struct fzk_qout *out;
    const int64_t *c_row, *r_row;
    uint32_t own;
    int64_t left;
};

FZK_INLINE struct fetch begin_fetch(const struct rows *w, const struct pair *p) {
    return (struct fetch){&p->out, p->finish.c_row, p->finish.r_row, own_bits(w, p),
                          p->tiles * TILE_ROWS};
}

FZK_INLINE void fetch_some(struct fetch *f, int64_t rows) {
    for (; rows > 0 && f->left > 0; rows--, f->left--, f->c_row++, f->r_row++, f->own >>= 1) {
        if (!(f->own & 1)) continue;
        const char *c = (const char *)f->out->c + *f->c_row * 4;
        __builtin_prefetch(c, 1);
        __builtin_prefetch(c + LINE, 1);
        if (!f->out->residual) continue;
        __builtin_prefetch(f->out->residual + *f->r_row, 0);
        __builtin_prefetch(f->out->residual + *f->r_row + VL, 0);
    }
}
