/* What qdwconv_tile.h and the instruction sets' own parts of it share: included where A_AS_S8 is
 * defined. */
#ifndef FZ_KERNELS_ARM_QDWCONV_GROUP_H
#define FZ_KERNELS_ARM_QDWCONV_GROUP_H

#include "qgemm_finish.h"

enum {
    CHANNELS = 16,
    N_VECTORS = 4,    /* of four channels */
    QUAD_BYTES = CHANNELS * FZK_QUAD,
    MAX_QUADS = 64,   /* of all kernel rows; larger kernels take the reference */
    MAX_PIXELS = 16,  /* finished at a time */
    BAND_PIXELS = 256 /* at least, that share one preparation of the weights */
};

/* Channels of a convolution, made ready. */
struct group {
    int64_t n;                          /* channels: 16, or at most 8 */
    bool paired, single;                /* the way */
    uint8_t flip;                       /* of A's bytes */
    int64_t row_step;                   /* bytes from kernel row to kernel row */
    int64_t taps;                       /* of the kernel, with those that fill quads or pairs */
    int64_t offsets[MAX_QUADS * FZK_QUAD];
    int32_t init[CHANNELS];
    float scale[CHANNELS], bias[CHANNELS];
    int8_t w[MAX_QUADS * 2 * QUAD_BYTES]; /* their weights, as the instruction set likes them */
};

/* How a strip is computed. */
struct way {
    int width;   /* channels: 16, 8, or 0 for fewer */
    bool paired; /* two neighbouring pixels of the output at a time */
    bool single; /* a kernel row has one quad: all rows have the same offsets */
};

/* The bytes of a tap: no more than there are channels. */
FZK_INLINE uint8x16_t tap_load(const uint8_t *p, int64_t n, const struct way way) {
    uint8_t all[8] = {0};
    if (way.width == CHANNELS) return vld1q_u8(p);
    if (way.width == 8) return vcombine_u8(vld1_u8(p), vdup_n_u8(0));
    for (int64_t i = 0; i < n; i++) all[i] = p[i];
    return vcombine_u8(vld1_u8(all), vdup_n_u8(0));
}

#endif
