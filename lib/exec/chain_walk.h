/* What choosing chains and walking through them share. */
#ifndef FZ_EXEC_CHAIN_WALK_H
#define FZ_EXEC_CHAIN_WALK_H

#include "exec/chain.h"

enum { FZ_CHAIN_INPUTS = 12 }; /* of a link, at most */

/* Where an input's rows are. */
enum { FZ_CHAIN_OUTSIDE = -1, FZ_CHAIN_WHOLE = -2, FZ_CHAIN_ITSELF = -3 };

/* One step. Rows are those of its output; the last step's lie in a whole tensor. */
struct fz_link {
    uint32_t step;
    int16_t source[FZ_CHAIN_INPUTS]; /* what makes input i: a link, _OUTSIDE, _WHOLE */
    struct fz_rows rows[FZ_CHAIN_INPUTS];
    int64_t height, row_size, align;
    int64_t window;             /* rows, at most */
    size_t off;                 /* of the window in a lane's memory */
    int into;                   /* the link that joins rows side by side in whose window this
                                   one's output lies, COLUMN bytes into its pixels; or _ITSELF */
    int64_t column, pixel;      /* PIXEL: elements between pixels of the output; 0: dense */
    bool joined;                /* all inputs lie in the window already */
};

/* What one thread needs to walk through the chain. */
struct fz_lane {
    struct fz_env env;
    struct fz_call *calls;
    struct fz_band *bands;
    fz_tensor_t *tensors;
    int64_t *done, *base, *goal; /* per link: rows computed; the window's first row; rows to have */
    char *memory;
};

struct fz_chain {
    struct fz_session *session;
    const struct fz_binding *binding;
    uint32_t n, n_lanes, n_parts; /* links; threads; pieces of an image */
    int64_t images, band;
    size_t lane_size, scratch_off, scratch_size;
    uint64_t off;
    char *arena; /* of this run */
    _Atomic uint32_t failed; /* 1 + the step that failed; 0: none */
    _Atomic int32_t status;
    struct fz_lane *lanes;
    struct fz_link links[];
};


/* Walking: starts a part at row R0 of the last link; sets the goals for the last link to have rows
 * up to R1; after a band, moves the windows to the first row that is needed again, their bytes only
 * if MOVE. */
void fzi_chain_begin(const struct fz_chain *c, struct fz_lane *lane, int64_t r0);
void fzi_chain_aim(const struct fz_chain *c, struct fz_lane *lane, int64_t r1);
void fzi_chain_advance(const struct fz_chain *c, struct fz_lane *lane, bool move);
/* Points the call of link J at the windows of its next rows, of IMAGE. */
void fzi_chain_point(const struct fz_chain *c, struct fz_lane *lane, uint32_t j, int64_t image);
/* The rows of part PART: nearly as many as any other's. */
void fzi_chain_part(const struct fz_chain *c, int64_t part, int64_t *r0, int64_t *r1);

#endif
