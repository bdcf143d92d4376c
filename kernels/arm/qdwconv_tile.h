/* The depthwise integer convolution of one instruction set: included once by each qdwconv_<isa>.c
 * after qdwconv_group.h and its own
 *     fill_group(d, ch, g)          the weights of the channels from CH on;
 *     sum_taps(g, a, a_step, way, acc)  the sums of the pixel at A, or of it and the one behind;
 *     fill_taps(d, g)               what all channels share.
 *
 * Sixteen channels are on their way at a time, in four vectors; at the end eight or fewer. */

/* A row of pixels. */
struct strip {
    const uint8_t *a;
    int64_t a_step, c_step; /* from pixel to pixel */
    int64_t pixels;
    uint8_t *to;                /* bytes, or NULL: */
    int32_t (*sums)[FZK_PANEL]; /* the sums of each pixel */
};

FZK_INLINE void save(const int32x4_t acc[N_VECTORS], int32_t *sums) {
    FZK_UNROLL
    for (int v = 0; v < N_VECTORS; v++) vst1q_s32(sums + 4 * v, acc[v]);
}

FZK_INLINE void store(const int32x4_t acc[N_VECTORS], const float32x4_t scale[N_VECTORS],
                      struct ending e, int64_t n, const struct way way, uint8_t *to) {
    uint8x8_t low = requantise(acc[0], acc[1], scale[0], scale[1], e);
    if (way.width < CHANNELS) bytes_store(to, low, way.width ? way.width : n);
    else vst1q_u8(to, vcombine_u8(low, requantise(acc[2], acc[3], scale[2], scale[3], e)));
}

FZK_INLINE void run_strip(const struct group *g, const struct fzk_qout *o, const struct strip *s,
                          const struct way way) {
    const struct strip own = *s; /* stores of bytes may alias anything else */
    const struct ending e = ending_of(o->zp, o->lo, o->hi);
    const int64_t n = g->n;
    int32x4_t acc[2][N_VECTORS];
    float32x4_t scale[N_VECTORS];
    FZK_UNROLL
    for (int v = 0; v < N_VECTORS; v++) scale[v] = vld1q_f32(g->scale + 4 * v);
    for (int64_t i = 0; i < own.pixels; i += way.paired ? 2 : 1) {
        if (way.paired && i + 2 > own.pixels) i--; /* the last pair overlaps */
        sum_taps(g, own.a + i * own.a_step, own.a_step, way, acc);
        if (!own.to) {
            save(acc[0], own.sums[i]);
            if (way.paired) save(acc[1], own.sums[i + 1]);
            continue;
        }
        store(acc[0], scale, e, n, way, own.to + i * own.c_step);
        if (way.paired) store(acc[1], scale, e, n, way, own.to + (i + 1) * own.c_step);
    }
}

typedef void (*strip_fn)(const struct group *g, const struct fzk_qout *o, const struct strip *s);

/* One function for each way, so that none has to share its registers. */
#define STRIP(width, paired, single)                                                               \
    static void strip_##width##_##paired##_##single(                                               \
        const struct group *g, const struct fzk_qout *o, const struct strip *s) {                  \
        run_strip(g, o, s, (struct way){width, paired, single});                                   \
    }
#define STRIPS(width) STRIP(width, 0, 0) STRIP(width, 1, 0) STRIP(width, 0, 1) STRIP(width, 1, 1)
STRIPS(16)
STRIPS(8)
STRIPS(0)
#undef STRIPS
#undef STRIP

#define STRIPS(width)                                                                              \
    {{strip_##width##_0_0, strip_##width##_0_1}, {strip_##width##_1_0, strip_##width##_1_1}}
static const strip_fn strips[3][2][2] = {STRIPS(0), STRIPS(8), STRIPS(16)};
#undef STRIPS

/* A strip whose outputs are not bytes: I is its first pixel, CH its first channel. */
static void finish_strip(const struct fzk_qdwconv *d, const struct group *g, const struct strip *s,
                         int64_t i, int64_t ch) {
    int64_t c_row[MAX_PIXELS], r_row[MAX_PIXELS];
    float row_scale[MAX_PIXELS];
    struct fzk_qout out = d->out;
    for (int64_t l = 0; l < s->pixels; l++) {
        c_row[l] = i / d->m_cols * out.c_run_stride + (i % d->m_cols + l) * out.ldc;
        r_row[l] = i / d->m_cols * out.r_run_stride + (i % d->m_cols + l) * out.ldr;
        row_scale[l] = out.row_scale ? out.row_scale[i + l] : out.a_scale;
    }
    out.c = (char *)out.c + ch * 4;
    if (out.residual) out.residual += ch;
    finish_rows(&(struct finish){.sums = (const int32_t(*)[FZK_PANEL])s->sums, .out = &out,
                                 .n = g->n, .c_row = c_row, .r_row = r_row, .scale = g->scale,
                                 .bias = g->bias, .row_scale = row_scale},
                s->pixels);
}

/* Row Y of the output for the channels from CH on. */
static void run_row(const struct fzk_qdwconv *d, struct group *g, int64_t y, int64_t ch) {
    int32_t sums[MAX_PIXELS][FZK_PANEL];
    const uint8_t *a = (const uint8_t *)d->a + y * d->stride_y * d->a_row + ch;
    strip_fn run = strips[g->n / 8][g->paired][g->single];
    struct strip s = {.a = a, .a_step = d->stride_x * d->a_col, .c_step = d->out.ldc,
                      .pixels = d->m_cols};
    if (d->out.kind == FZK_QOUT_8) {
        s.to = (uint8_t *)d->out.c + y * d->out.c_run_stride + ch;
        run(g, &d->out, &s);
        return;
    }
    s.sums = sums;
    for (int64_t x = 0; x < d->m_cols; x += MAX_PIXELS) {
        s.a = a + x * s.a_step;
        s.pixels = d->m_cols - x < MAX_PIXELS ? d->m_cols - x : MAX_PIXELS;
        if (s.pixels == 1) run = strips[g->n / 8][0][g->single];
        run(g, &d->out, &s);
        finish_strip(d, g, &s, y * d->m_cols + x, ch);
    }
}

/* Initial sums, scales and biases of the channels from CH on: a part of their panel. */
static void fill_ends(const struct panel *p, int64_t ch, struct group *g) {
    const int64_t at = ch % FZK_PANEL;
    const size_t size = (g->n > 8 ? CHANNELS : 8) * sizeof g->init[0];
    memcpy(g->init, p->init + at, size);
    memcpy(g->scale, p->scale + at, size);
    memcpy(g->bias, p->bias + at, size);
}

/* Rows Y0 .. Y1, sixteen channels at a time; of a rest beyond eight, these eight first. */
static void run_band(const struct fzk_qdwconv *d, struct panel *p, struct group *g, int64_t y0,
                     int64_t y1) {
    const struct fzk_qgemm columns = {.n = d->c, .col_sum = d->col_sum, .za = d->za,
                                      .a_signed = d->a_signed, .out = d->out};
    for (int64_t ch = 0; ch < d->c; ch += g->n) {
        int64_t left = d->c - ch;
        g->n = left >= CHANNELS ? CHANNELS : left > 8 ? 8 : left;
        if (ch % FZK_PANEL == 0) fill_panel(&columns, ch, p);
        fill_ends(p, ch, g);
        fill_group(d, ch, g);
        for (int64_t y = y0; y < y1; y++) run_row(d, g, y, ch);
    }
}

void fzk_qdwconv_u8s8_c(const struct fzk_qdwconv *d); /* the reference */

void CAT(fzk_qdwconv_u8s8_, QISA)(const struct fzk_qdwconv *d) {
    if (d->twice || d->kw < 1 || d->kh > MAX_QUADS || d->kw > MAX_QUADS ||
        d->kh * ((d->kw + FZK_QUAD - 1) / FZK_QUAD) > MAX_QUADS) {
        fzk_qdwconv_u8s8_c(d);
        return;
    }
    struct group g;
    struct panel p;
    int64_t band = d->m_cols > 0 ? (BAND_PIXELS + d->m_cols - 1) / d->m_cols : 0;
    fill_taps(d, &g);
    clear_panel(&p);
    for (int64_t y0 = 0; d->m_cols > 0 && y0 < d->m_rows; y0 += band)
        run_band(d, &p, &g, y0, d->m_rows - y0 < band ? d->m_rows : y0 + band);
}
