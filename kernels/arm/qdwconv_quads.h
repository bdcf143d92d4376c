/* The sums of a depthwise convolution by dot products, for qdwconv_tile.h: included behind
 *     q_dot(acc, a, w)     acc + the four products of each lane, exact modulo 2^32.
 *
 * The bytes of four taps of 16 channels are zipped so that each 32-bit lane holds the four taps of
 * one channel. Where taps and output pixels step alike, the taps of pixel x serve pixel x + 1, too,
 * with the weights moved on by one tap, as long as there is a free tap in the last quad. */

/* Adds the quad whose taps' bytes are X to one pixel or two. W are its weights, and behind them
 * those moved on. */
FZK_INLINE void add_quad(const uint8x16_t x[FZK_QUAD], const int8_t *w, const struct way way,
                         int32x4_t acc[2][N_VECTORS]) {
    uint16x8_t low01 = vreinterpretq_u16_u8(vzip1q_u8(x[0], x[1]));
    uint16x8_t low23 = vreinterpretq_u16_u8(vzip1q_u8(x[2], x[3]));
    uint16x8_t high01 = vreinterpretq_u16_u8(vzip2q_u8(x[0], x[1]));
    uint16x8_t high23 = vreinterpretq_u16_u8(vzip2q_u8(x[2], x[3]));
    uint16x8_t y[N_VECTORS] = {vzip1q_u16(low01, low23), vzip2q_u16(low01, low23),
                               vzip1q_u16(high01, high23), vzip2q_u16(high01, high23)};
    const int vectors = way.width == CHANNELS ? N_VECTORS : 2;
    FZK_UNROLL
    for (int v = 0; v < vectors; v++) {
        uint8x16_t a = vreinterpretq_u8_u16(y[v]);
        acc[0][v] = q_dot(acc[0][v], a, vld1q_s8(w + 16 * v));
        if (way.paired) acc[1][v] = q_dot(acc[1][v], a, vld1q_s8(w + QUAD_BYTES + 16 * v));
    }
}

/* The sums of the pixel, or pair, whose first tap lies at A. */
FZK_INLINE void sum_taps(const struct group *g, const uint8_t *a, int64_t a_step,
                         const struct way way, int32x4_t acc[2][N_VECTORS]) {
    (void)a_step;
    const int64_t n = g->n, row_step = g->row_step;
    const uint8x16_t flip = vdupq_n_u8(g->flip);
    const int64_t *offset = g->offsets;
    const int64_t o1 = offset[1], o2 = offset[2], o3 = offset[3];
    const int8_t *w = g->w, *end = w + g->taps / FZK_QUAD * 2 * QUAD_BYTES;
    FZK_UNROLL
    for (int v = 0; v < N_VECTORS; v++) acc[0][v] = acc[1][v] = vld1q_s32(g->init + 4 * v);
    FZK_NO_UNROLL
    for (; w < end; w += 2 * QUAD_BYTES) {
        uint8x16_t x[FZK_QUAD];
        x[0] = tap_load(a + (way.single ? 0 : offset[0]), n, way);
        x[1] = tap_load(a + (way.single ? o1 : offset[1]), n, way);
        x[2] = tap_load(a + (way.single ? o2 : offset[2]), n, way);
        x[3] = tap_load(a + (way.single ? o3 : offset[3]), n, way);
        if (A_AS_S8) {
            FZK_UNROLL
            for (int t = 0; t < FZK_QUAD; t++) x[t] = veorq_u8(x[t], flip);
        }
        if (way.single) a += row_step;
        else offset += FZK_QUAD;
        add_quad(x, w, way, acc);
    }
}

/* Free taps have zero weights and read the last real one of their row, which is that of the pixel
 * behind when pixels are paired. */
static void fill_taps(const struct fzk_qdwconv *d, struct group *g) {
    const int64_t taps = (d->kw + 3) / FZK_QUAD * FZK_QUAD;
    g->paired = d->stride_x == d->dilation_x && d->kw % FZK_QUAD && d->m_cols > 1 &&
                d->out.kind == FZK_QOUT_8;
    g->single = taps == FZK_QUAD;
    g->row_step = d->dilation_y * d->a_row;
    g->taps = d->kh * taps;
    g->flip = a_flip(d->a_signed);
    const int64_t last = g->paired ? d->kw : d->kw - 1;
    for (int64_t r = 0; r < d->kh; r++)
        for (int64_t s = 0; s < taps; s++)
            g->offsets[r * taps + s] =
                r * g->row_step + (s < last ? s : last) * d->dilation_x * d->a_col;
}

/* The weights of a pixel, and those for the one behind: one tap (a byte) further. */
static void fill_group(const struct fzk_qdwconv *d, int64_t ch, struct group *g) {
    const int64_t row_quads = (d->kw + 3) / FZK_QUAD, quads = g->taps / FZK_QUAD;
    const int64_t step = FZK_PANEL * FZK_QUAD;
    const int8_t *w = d->w + (ch / FZK_PANEL * quads * FZK_PANEL + ch % FZK_PANEL) * FZK_QUAD;
    int8_t *to = g->w;
    for (int64_t i = 0; i < quads; i++, w += step, to += 2 * QUAD_BYTES)
        for (int v = 0; v < (g->n > 8 ? N_VECTORS : 2); v++) {
            uint32x4_t now = vreinterpretq_u32_s8(vld1q_s8(w + 16 * v)), carry = vdupq_n_u32(0);
            if (i % row_quads) carry = vreinterpretq_u32_s8(vld1q_s8(w + 16 * v - step));
            vst1q_s8(to + 16 * v, vreinterpretq_s8_u32(now));
            now = vsraq_n_u32(vshlq_n_u32(now, 8), carry, 24);
            vst1q_s8(to + QUAD_BYTES + 16 * v, vreinterpretq_s8_u32(now));
        }
}
