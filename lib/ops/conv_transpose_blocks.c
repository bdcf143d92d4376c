/* ConvTranspose whose kernels lie side by side: each input pixel makes a block of outputs.
 *
 * Each output meets one tap, so that all taps and channels of a block are the columns of one
 * product over the input's channels. Where they fit one panel, that is much faster than a product
 * per tap. */
#include "ops/conv.h"

enum { PIXELS = 64 }; /* of an input row at a time */

bool fzi_conv_transpose_in_blocks(const struct fz_conv_job *job) {
    const struct fz_conv_params *p = job->p;
    const struct fz_conv_geometry *g = job->g;
    if (p->group != 1 || job->residual || g->taps * p->cout > FZK_PANEL) return false;
    for (int d = 0; d < 3; d++)
        if (p->kernel[d] != p->stride[d] || p->dilation[d] != 1 || g->before[d] ||
            g->out[d] != g->in[d] * p->stride[d])
            return false;
    return p->kernel[0] == 1;
}

struct blocks {
    const struct fz_conv_job *job;
    float *b;              /* one panel: column tap * cout + channel */
    float bias[FZK_PANEL]; /* of each column */
    int64_t n;             /* columns */
};

static void assemble(struct blocks *blocks) {
    const struct fz_conv_job *job = blocks->job;
    int64_t cin = job->p->cin, cout = job->p->cout;
    memset(blocks->b, 0, (size_t)(cin * FZK_PANEL) * sizeof *blocks->b);
    for (int64_t j = 0; j < blocks->n; j++) {
        int64_t tap = j / cout, channel = j % cout;
        blocks->bias[j] = job->bias ? job->bias[channel] : 0;
        for (int64_t k = 0; k < cin; k++)
            blocks->b[k * FZK_PANEL + j] = job->w[(tap * cin + k) * FZK_PANEL + channel];
    }
}

/* N blocks at FROM to the output rows that begin at TO. */
static void scatter(const struct blocks *blocks, const float *from, int64_t n, float *to) {
    const struct fz_conv_params *p = blocks->job->p;
    int64_t width = p->kernel[2] * p->cout, row = blocks->job->g->out[2] * p->cout;
    for (int64_t h = 0; h < p->kernel[1]; h++, from += width, to += row)
        for (int64_t x = 0; x < n; x++)
            for (int64_t j = 0; j < width; j++) to[x * width + j] = from[x * blocks->n + j];
}

/* Input rows [begin, end), numbered through the images. */
static void rows(void *arg, int64_t begin, int64_t end) {
    const struct blocks *blocks = arg;
    const struct fz_conv_job *job = blocks->job;
    const struct fz_conv_params *p = job->p;
    const struct fz_conv_geometry *g = job->g;
    const struct fzk_segment whole = {0, p->cin};
    float block[PIXELS * FZK_PANEL];
    for (int64_t i = begin; i < end; i++) {
        for (int64_t x = 0; x < g->in[2]; x += PIXELS) {
            int64_t n = fzi_min_i64(PIXELS, g->in[2] - x);
            struct fzk_gemm_f32 gemm = {
                .m = n, .n = blocks->n, .k = p->cin, .a = job->x + (i * g->in[2] + x) * p->cin,
                .lda = p->cin, .segments = &whole, .n_segments = 1, .b = blocks->b, .c = block,
                .ldc = blocks->n, .bias = job->bias ? blocks->bias : NULL};
            fzi_act_clip(&p->act, &gemm);
            job->env->k->gemm_f32(&gemm);
            scatter(blocks, block, n,
                    job->y + (i * p->kernel[1] * g->out[2] + x * p->kernel[2]) * p->cout);
        }
    }
}

void fzi_conv_transpose_blocks(const struct fz_conv_job *job) {
    const struct fz_conv_geometry *g = job->g;
    struct blocks blocks = {.job = job, .b = job->scratch, .n = g->taps * job->p->cout};
    assemble(&blocks);
    int64_t work = g->in[2] * FZK_PANEL * job->p->cin;
    fzi_run_range(job->env, g->n * g->in[1], 1 + FZ_TASK_MACS / (work + 1), rows, &blocks);
}
