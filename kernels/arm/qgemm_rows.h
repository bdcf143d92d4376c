/* What qgemm_tile.h and the instruction sets' own parts of it share: included where A_AS_S8 and
 * R_MAX are defined. */
#ifndef FZ_KERNELS_ARM_QGEMM_ROWS_H
#define FZ_KERNELS_ARM_QGEMM_ROWS_H

#include "qgemm_finish.h"

enum {
    QUAD_STEP = FZK_PANEL * FZK_QUAD, /* bytes from quad to quad in a panel */
    BLOCK_TILES = 16,
    BLOCK_ROWS = BLOCK_TILES * R_MAX,
    SPACE = 64 << 10 /* bytes of A made ready, on the stack */
};

#include "tiles/qgemm_block.h"

/* The rows of a block made ready, tile by tile. */
struct ready {
    uint8_t *space;
    int64_t tile_size;
    bool whole; /* their whole k is there */
    uint32_t more[BLOCK_ROWS];
};

/* Where a row of a tile is made ready: its first bytes, and the step to its next ones. */
struct place {
    uint8_t *to;
    int64_t step;
};

/* The products of a tile are added to its initial sums. */
struct tile {
    const uint8_t *a;     /* rows made ready */
    const int8_t *b;      /* the panel at the tile's first quad */
    int64_t kq, n;        /* quads; columns, at most 32 */
    const int32_t *init;  /* initial sums, init_step from row to row; may be the sums themselves */
    int64_t init_step;
    const uint32_t *more; /* of each row */
    int32_t (*sums)[FZK_PANEL];
};

/* sdot, sudot and their like take the lane as a constant. */
#define EACH_LANE(lane, dot)                                                                       \
    switch (lane) {                                                                                \
    case 0: return dot(0);                                                                         \
    case 1: return dot(1);                                                                         \
    case 2: return dot(2);                                                                         \
    default: return dot(3);                                                                        \
    }

#endif
