/* How a convolution is cut into units of work, for the files of its body. */
#ifndef FZ_OPS_CONV_TILE_H
#define FZ_OPS_CONV_TILE_H

#include "ops/conv.h"

/* Where a unit's input lies. */
enum { FZ_TILE_DIRECT, FZ_TILE_COPY, FZ_TILE_GATHER };

/* Units are (image, output depth, band of rows, band of columns) times a split of the output
 * channels. COUNT tasks share them; each task has UNIT_SIZE bytes of scratch of its own, behind
 * SHARED_SIZE and, with ONCE, PREPARED_SIZE bytes for all. None of these numbers changes a bit. */
struct fz_tiling {
    int mode;
    int64_t rows, cols;         /* output rows and columns of the largest unit */
    int64_t step;               /* rows are cut at its multiples */
    int64_t bands_h, bands_w, bands, split, count;
    int64_t rows_in, cols_in;   /* of the zero-padded copy of a unit's input */
    int64_t pixel;              /* elements between the copy's pixels, or between gathered rows */
    bool once;                  /* one band split by channels: its input is prepared once for all */
    size_t shared_size, prepared_size, unit_size;
};

/* One unit: a rectangle of output pixels of one image and depth. */
struct fz_rect {
    int64_t n, d, h, w, rows, cols;
};

/* Rows and columns for units of about TARGET pixels, of nearly the same size, and the number of
 * bands. */
void fzi_tile_bands(const struct fz_env *env, const struct fz_conv_geometry *g, int64_t target,
                    struct fz_tiling *t);
/* Shares the bands among at most TASKS tasks; COLUMNS of the output channels can be split. */
void fzi_tile_tasks(int64_t tasks, int64_t columns, struct fz_tiling *t);
struct fz_rect fzi_tile_rect(const struct fz_conv_geometry *g, const struct fz_tiling *t,
                             int64_t band);
/* Copies the input of R, with zeros where it leaves the image, to TO: [kernel depth][rows_in]
 * [cols_in][pixel]. */
void fzi_tile_copy(const struct fz_conv_job *job, const struct fz_tiling *t,
                   const struct fz_rect *r, float *to);
/* Part I of N of that. */
void fzi_tile_copy_part(const struct fz_conv_job *job, const struct fz_tiling *t,
                        const struct fz_rect *r, int64_t i, int64_t n, float *to);
/* The offset of R's first value in the residual, and in y. */
int64_t fzi_tile_residual(const struct fz_conv_job *job, const struct fz_rect *r);
int64_t fzi_tile_out(const struct fz_conv_job *job, const struct fz_rect *r);

/* One output pixel's taps in order, [taps][cin_g], zeros outside of the image. AT: the image and
 * the input coordinates of the first tap. */
void fzi_tile_gather(const struct fz_conv_job *job, const int64_t at[4], int64_t group, float *to);
/* Applies an activation that the kernels do not know to channels [FIRST, LAST) of R's outputs. */
void fzi_tile_activate(const struct fz_conv_job *job, const struct fz_rect *r, int64_t first,
                       int64_t last);
/* R's input as an image of rows of *ROW elements, zero-padded: in place, or copied to TO. */
const float *fzi_tile_input(const struct fz_conv_job *job, const struct fz_tiling *t,
                            const struct fz_rect *r, float *to, int64_t *row);

/* Runs the units on t->count tasks; before them, with t->once, the t->count parts of PREPARE, which
 * fill what fzi_tile_prepared gives. */
struct fz_tile_work {
    const struct fz_conv_job *job;
    const struct fz_tiling *tiling;
    void (*unit)(const struct fz_tile_work *work, const struct fz_rect *r, int64_t part,
                 void *scratch);
    void *shared;
    void (*prepare)(const struct fz_tile_work *work, const struct fz_rect *r, int64_t i, int64_t n,
                    void *scratch);
};
void fzi_tile_run(struct fz_tile_work *work);
static inline void *fzi_tile_prepared(const struct fz_tile_work *work) {
    return (char *)work->job->scratch + work->tiling->shared_size;
}
/* Bytes of scratch for all of it. */
static inline size_t fzi_tile_scratch(const struct fz_tiling *t) {
    return t->shared_size + t->prepared_size + (size_t)t->count * t->unit_size;
}

/* The algorithms: sizes of one call and the call. */
void fzi_conv_gemm_tiling(const struct fz_conv_params *p, const struct fz_conv_geometry *g,
                          const struct fz_env *env, struct fz_tiling *t);
void fzi_conv_gemm_run(const struct fz_conv_job *job, const struct fz_tiling *t);
void fzi_conv_depthwise_tiling(const struct fz_conv_params *p, const struct fz_conv_geometry *g,
                               const struct fz_env *env, struct fz_tiling *t);
void fzi_conv_depthwise_run(const struct fz_conv_job *job, const struct fz_tiling *t);
void fzi_conv_winograd_tiling(const struct fz_conv_params *p, const struct fz_conv_geometry *g,
                              const struct fz_env *env, struct fz_tiling *t);
void fzi_conv_winograd_run(const struct fz_conv_job *job, const struct fz_tiling *t);
void fzi_conv_blas_tiling(const struct fz_conv_params *p, const struct fz_conv_geometry *g,
                          const struct fz_env *env, struct fz_tiling *t);
fz_status_t fzi_conv_blas_run(const struct fz_conv_job *job, const struct fz_tiling *t);

#endif
