/* The depthwise float convolution, written once for all vector widths. The including file defines
 * VEC, MASK, LANES, PIXELS (outputs of a row that share a tile) and
 *   LOAD(p, mask), STORE(p, mask, v)   lanes outside of mask are +0 and stay untouched in memory
 *   LOAD_WHOLE(p)                      all lanes
 *   TILE_LOAD, TILE_STORE, TILE_MASKED what the big tiles use: if TILE_MASKED is 0 they see whole
 *                                      vectors only
 *   MEMORY_OPERANDS                    1: a multiply-add can take its input from memory
 *   FIRST(n)                           the mask of the first n lanes, n > 0
 *   SPLAT(x), ZERO(), ADD, FMADD, MIN, MAX
 *   FINISH                             the finish_f32 that ends what is rounded to half precision
 * The common kernels (3 x 3 and 5 x 5, stride 1 and 2; 7 x 7, stride 1; not dilated) take tiles of
 * two output rows by PIXELS or HALF_PIXELS, so that an input row serves all windows that it lies
 * in. Any other shape takes one row and addresses each tap. A row's last tile moves back to
 * overlap the one before: the pixels in both are computed twice, to the same bits. */
#ifndef FZ_KERNELS_DWCONV_F32_TILE_H
#define FZ_KERNELS_DWCONV_F32_TILE_H

enum { HALF_PIXELS = (PIXELS + 1) / 2 };

/* A vector of channels: the first window's first tap, weights, bias, output (0, 0). A tile is such
 * a spot moved by IN_OFF and OUT_OFF. */
struct spot {
    const struct fzk_dwconv_f32 *d;
    const float *in, *w, *bias;
    float *out;
    MASK mask;
};

/* Bias, clip and store of a row of a tile. */
FZK_INLINE void finish(int pixels, int masked, const struct spot *t, VEC *sum, float *out) {
    const struct fzk_dwconv_f32 *d = t->d;
    const int64_t pixel = d->out_pixel;
    const MASK mask = t->mask;
    if (t->bias) {
        VEC bias = masked ? LOAD(t->bias, mask) : LOAD_WHOLE(t->bias);
        FZK_UNROLL
        for (int x = 0; x < pixels; x++) sum[x] = ADD(sum[x], bias);
    }
    if (d->clip) {
        VEC lo = SPLAT(d->lo), hi = SPLAT(d->hi);
        FZK_UNROLL
        for (int x = 0; x < pixels; x++) sum[x] = MIN(hi, MAX(lo, sum[x]));
    }
    FZK_UNROLL
    for (int x = 0; x < pixels; x++) {
        if (masked) STORE(out + x * pixel, mask, sum[x]);
        else TILE_STORE(out + x * pixel, mask, sum[x]);
    }
}

#if MEMORY_OPERANDS
/* ROWS x PIXELS outputs of a square kernel of SIZE and STRIDE: input row by input row, so that each
 * output takes its taps in order. Row iy is kernel row iy - r * stride of output row r. */
FZK_INLINE void square(int size, int stride, int rows, int pixels, const struct spot *t,
                       int64_t in_off, int64_t out_off) {
    const struct fzk_dwconv_f32 *d = t->d;
    const int64_t pixel = d->in_pixel;
    const MASK mask = t->mask;
    (void)mask;
    VEC acc[2][PIXELS];
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        FZK_UNROLL
        for (int x = 0; x < pixels; x++) acc[r][x] = ZERO();
    }
    FZK_UNROLL
    for (int iy = 0; iy < (rows - 1) * stride + size; iy++) {
        const float *in = t->in + in_off + iy * d->in_row;
        FZK_UNROLL
        for (int kx = 0; kx < size; kx++) {
            FZK_UNROLL
            for (int r = 0; r < rows; r++) {
                int ky = iy - r * stride;
                if (ky < 0 || ky >= size) continue;
                VEC w = LOAD_WHOLE(t->w + (ky * size + kx) * FZK_PANEL);
                FZK_UNROLL
                for (int x = 0; x < pixels; x++) {
                    VEC at = TILE_LOAD(in + (x * stride + kx) * pixel, mask);
                    acc[r][x] = FMADD(at, w, acc[r][x]);
                }
            }
        }
    }
    FZK_UNROLL
    for (int r = 0; r < rows; r++)
        finish(pixels, TILE_MASKED, t, acc[r], t->out + out_off + r * d->out_row);
}
#else
/* Adds input row IY, which starts at IN, to the chains. OFF are the bytes from one of eight pixels
 * to the first. */
FZK_INLINE void input_row(int size, int stride, int rows, int pixels, int iy, VEC (*acc)[PIXELS],
                          const struct spot *t, const float *in, const int64_t *off) {
    VEC w[2][7];
    const float *weights = t->w;
    FZK_FORGET(weights); /* else all rows are kept, and registers run out */
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        int ky = iy - r * stride;
        if (ky < 0 || ky >= size) continue;
        FZK_UNROLL
        for (int kx = 0; kx < size; kx++)
            w[r][kx] = LOAD_WHOLE(weights + (ky * size + kx) * FZK_PANEL);
    }
    const char *from = (const char *)in;
    FZK_UNROLL
    for (int i = 0; i < (pixels - 1) * stride + size; i++) {
        if (i == 8 || i == 16) from += 8 * off[1];
        VEC at = LOAD_WHOLE((const float *)(from + off[i % 8]));
        FZK_UNROLL
        for (int kx = 0; kx < size; kx++) {
            int x = (i - kx) / stride;
            if (i < kx || x * stride + kx != i || x >= pixels) continue;
            FZK_UNROLL
            for (int r = 0; r < rows; r++) {
                int ky = iy - r * stride;
                if (ky >= 0 && ky < size) acc[r][x] = FMADD(at, w[r][kx], acc[r][x]);
            }
        }
    }
}

/* The same where loads are instructions of their own: each input is loaded once. */
FZK_INLINE void square(int size, int stride, int rows, int pixels, const struct spot *t,
                       int64_t in_off, int64_t out_off) {
    const struct fzk_dwconv_f32 *d = t->d;
    int64_t off[8];
    VEC acc[2][PIXELS];
    FZK_UNROLL
    for (int i = 0; i < 8; i++) {
        off[i] = i * d->in_pixel * 4;
        FZK_FORGET(off[i]); /* else every load adds it up again */
    }
    FZK_UNROLL
    for (int r = 0; r < rows; r++) {
        FZK_UNROLL
        for (int x = 0; x < pixels; x++) acc[r][x] = ZERO();
    }
    FZK_UNROLL
    for (int iy = 0; iy < (rows - 1) * stride + size; iy++)
        input_row(size, stride, rows, pixels, iy, acc, t, t->in + in_off + iy * d->in_row, off);
    FZK_UNROLL
    for (int r = 0; r < rows; r++)
        finish(pixels, TILE_MASKED, t, acc[r], t->out + out_off + r * d->out_row);
}
#endif

/* PIXELS outputs of one row, any kernel. */
FZK_INLINE void general(int pixels, int masked, const struct spot *t, int64_t in_off,
                        int64_t out_off) {
    const struct fzk_dwconv_f32 *d = t->d;
    const int64_t step = d->stride_w * d->in_pixel;
    VEC acc[PIXELS], y[PIXELS];
    int64_t room = FZK_K_BLOCK;
    int first = 1;
    FZK_UNROLL
    for (int x = 0; x < pixels; x++) acc[x] = ZERO();
    const float *w = t->w;
    for (int64_t ky = 0; ky < d->kernel_h; ky++)
        for (int64_t kx = 0; kx < d->kernel_w; kx++, w += FZK_PANEL) {
            if (room == 0) {
                FZK_UNROLL
                for (int x = 0; x < pixels; x++) {
                    y[x] = first ? acc[x] : ADD(y[x], acc[x]);
                    acc[x] = ZERO();
                }
                first = 0;
                room = FZK_K_BLOCK;
            }
            const float *in = t->in + in_off + ky * d->dilation_h * d->in_row +
                              kx * d->dilation_w * d->in_pixel;
            VEC weight = LOAD_WHOLE(w);
            FZK_UNROLL
            for (int x = 0; x < pixels; x++) {
                VEC at = masked ? LOAD(in + x * step, t->mask) : LOAD_WHOLE(in + x * step);
                acc[x] = FMADD(at, weight, acc[x]);
            }
            room--;
        }
    FZK_UNROLL
    for (int x = 0; x < pixels; x++) acc[x] = first ? acc[x] : ADD(y[x], acc[x]);
    finish(pixels, masked, t, acc, t->out + out_off);
}

typedef void (*tile_fn)(const struct spot *t, int64_t in_off, int64_t out_off);

#define SQUARE(size, stride, rows, n, name)                                                        \
    static void square_##size##_##stride##_##rows##_##name(const struct spot *t, int64_t in_off,   \
                                                           int64_t out_off) {                      \
        square(size, stride, rows, n, t, in_off, out_off);                                         \
    }
#define SQUARES(size, stride)                                                                      \
    SQUARE(size, stride, 1, HALF_PIXELS, half)                                                     \
    SQUARE(size, stride, 1, PIXELS, full)                                                          \
    SQUARE(size, stride, 2, HALF_PIXELS, half)                                                     \
    SQUARE(size, stride, 2, PIXELS, full)
SQUARES(3, 1) SQUARES(3, 2) SQUARES(5, 1) SQUARES(5, 2) SQUARES(7, 1)

#define GENERAL(n, masked, name)                                                                   \
    static void general_##name(const struct spot *t, int64_t in_off, int64_t out_off) {            \
        general(n, masked, t, in_off, out_off);                                                    \
    }
GENERAL(PIXELS, TILE_MASKED, full) GENERAL(HALF_PIXELS, TILE_MASKED, half)
GENERAL(1, TILE_MASKED, one)
GENERAL(PIXELS, 1, part_full) GENERAL(HALF_PIXELS, 1, part_half) GENERAL(1, 1, part_one)

/* Tiles of one kind of kernel: [rows - 1][0 for HALF_PIXELS, 1 for PIXELS]. */
#define SQUARE_ROW(size, stride)                                                                   \
    {{square_##size##_##stride##_1_half, square_##size##_##stride##_1_full},                       \
     {square_##size##_##stride##_2_half, square_##size##_##stride##_2_full}}
static const tile_fn square_tiles[5][2][2] = {SQUARE_ROW(3, 1), SQUARE_ROW(3, 2), SQUARE_ROW(5, 1),
                                              SQUARE_ROW(5, 2), SQUARE_ROW(7, 1)};

/* Which of square_tiles fits D; -1: none. */
static int square_kind(const struct fzk_dwconv_f32 *d) {
    int64_t k = d->kernel_h, s = d->stride_h;
    if (k != d->kernel_w || s != d->stride_w || s < 1 || s > 2) return -1;
    if (k != 3 && k != 5 && (k != 7 || s != 1)) return -1;
    if (d->dilation_h != 1 || d->dilation_w != 1 || d->width < HALF_PIXELS) return -1;
    return (int)(k - 3 + s - 1);
}

/* ROWS output rows from Y on, of the N vectors of channels at T. The vectors are innermost: they
 * share cache lines. */
static void strip(const struct spot *t, int n, int64_t y, const tile_fn full, const tile_fn half,
                  const tile_fn one) {
    const struct fzk_dwconv_f32 *d = t->d;
    for (int64_t x = 0, pixels; x < d->width; x += pixels) {
        int64_t left = d->width - x;
        tile_fn fn = full;
        pixels = PIXELS;
        if (left <= HALF_PIXELS || left == 2 * HALF_PIXELS || d->width < PIXELS) {
            pixels = d->width < HALF_PIXELS ? 1 : HALF_PIXELS;
            fn = d->width < HALF_PIXELS ? one : half;
        }
        if (left < pixels) x = d->width - pixels;
        int64_t in_off = y * d->stride_h * d->in_row + x * d->stride_w * d->in_pixel;
        int64_t out_off = y * d->out_row + x * d->out_pixel;
        for (int i = 0; i < n; i++) fn(&t[i], in_off, out_off);
    }
}

/* ROWS output rows from Y on, of the panel of channels that starts at C. */
static void panel(const struct fzk_dwconv_f32 *d, int64_t c, int64_t y, int64_t rows, int kind) {
    int64_t taps = d->kernel_h * d->kernel_w;
    struct spot t[FZK_PANEL / LANES];
    int n = 0, n_whole = 0;
    for (; n < FZK_PANEL / LANES && c + n * LANES < d->channels; n++) {
        int64_t at = c + n * LANES, left = d->channels - at;
        t[n] = (struct spot){.d = d, .in = d->in + at, .out = d->out + at,
                             .mask = FIRST(left < LANES ? left : LANES),
                             .w = d->weights + c * taps + n * LANES,
                             .bias = d->bias ? d->bias + at : NULL};
        if (TILE_MASKED || left >= LANES) n_whole = n + 1;
    }
    if (kind >= 0 && n_whole > 0)
        strip(t, n_whole, y, square_tiles[kind][rows - 1][1], square_tiles[kind][rows - 1][0],
              NULL);
    for (int64_t r = 0; r < rows && kind < 0 && n_whole > 0; r++)
        strip(t, n_whole, y + r, general_full, general_half, general_one);
    for (int64_t r = 0; r < rows && n > n_whole; r++)
        strip(t + n_whole, n - n_whole, y + r, general_part_full, general_part_half,
              general_part_one);
}

/* Rounds ROWS output rows from Y on, of the panel of channels that starts at C. */
static void round_panel(const struct fzk_dwconv_f32 *d, int64_t c, int64_t y, int64_t rows) {
    int64_t left = d->channels - c;
    for (int64_t r = y; r < y + rows; r++)
        FINISH(&(struct fzk_finish_f32){
            .m = d->width, .n = left < FZK_PANEL ? left : FZK_PANEL, .ldc = d->out_pixel,
            .c = d->out + r * d->out_row + c, .bias = d->bias ? d->bias + c : NULL,
            .clip = d->clip, .lo = d->lo, .hi = d->hi, .round = d->round});
}

/* Rows outermost: the few input rows of a strip stay in the cache while all channels pass. */
static void dwconv(const struct fzk_dwconv_f32 *d) {
    struct fzk_dwconv_f32 sums = *d;
    int kind = square_kind(d);
    int64_t rows;
    if (d->round) {
        sums.bias = NULL;
        sums.clip = 0;
    }
    for (int64_t y = d->row_begin; y < d->row_end; y += rows) {
        rows = kind >= 0 && d->row_end - y >= 2 ? 2 : 1;
        for (int64_t c = 0; c < d->channels; c += FZK_PANEL) {
            panel(&sums, c, y, rows, kind);
            if (d->round) round_panel(d, c, y, rows);
        }
    }
}

#endif
