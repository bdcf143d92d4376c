/* Conv and ConvTranspose of binary64 images, as ONNX lays them out: one chain an output, its order
 * and blocks those of binary32 (taps, then the channels of the group), a product and a sum each
 * rounded. Nothing is packed and nothing is wide: these are rare. */
#include "ops/conv.h"
#include "ops/sum.h"

struct job {
    const struct fz_conv_params *p;
    const struct fz_conv_geometry *g;
    bool transpose;
    const double *x, *w, *bias;
    double *y;
};

/* The input that tap T of axis D meets at output OUT: -1 for padding, -2 for no input at all. */
static int64_t meet(const struct job *job, int d, int64_t out, int64_t t) {
    const struct fz_conv_params *p = job->p;
    const struct fz_conv_geometry *g = job->g;
    int64_t at = out * p->stride[d] - g->before[d] + t * p->dilation[d];
    if (!job->transpose) return at >= 0 && at < g->in[d] ? at : -1;
    at = out + g->before[d] - t * p->dilation[d];
    if (at < 0 || at % p->stride[d] || at / p->stride[d] >= g->in[d]) return -2;
    return at / p->stride[d];
}

/* Where tap TAP lies in the image at output POINT. */
static int64_t pixel_of(const struct job *job, int64_t point, int64_t tap) {
    int64_t at[3];
    for (int d = 2; d >= 0; d--) {
        at[d] = meet(job, d, point % job->g->out[d], tap % job->p->kernel[d]);
        point /= job->g->out[d];
        tap /= job->p->kernel[d];
    }
    for (int d = 0; d < 3; d++)
        if (at[d] < 0) return job->transpose ? -2 : -1;
    return (at[0] * job->g->in[1] + at[1]) * job->g->in[2] + at[2];
}

/* Outputs of all images, channels and points, numbered as they lie. */
static void output_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    const struct fz_conv_geometry *g = job->g;
    int64_t points = g->out[0] * g->out[1] * g->out[2], pixels = g->in[0] * g->in[1] * g->in[2];
    for (int64_t i = begin; i < end; i++) {
        int64_t channel = i / points % job->p->cout, group = channel / g->cout_g;
        int64_t image = i / points / job->p->cout * job->p->cin + group * g->cin_g;
        struct fz_chain chain = {0};
        for (int64_t tap = 0; tap < g->taps; tap++) {
            int64_t pixel = pixel_of(job, i % points, tap);
            for (int64_t c = 0; pixel > -2 && c < g->cin_g; c++) {
                int64_t of = job->transpose
                                 ? (group * g->cin_g + c) * g->cout_g + channel % g->cout_g
                                 : channel * g->cin_g + c;
                fzi_chain_add(&chain, job->w[of * g->taps + tap],
                              pixel < 0 ? 0 : job->x[(image + c) * pixels + pixel]);
            }
        }
        job->y[i] = fzi_chain_end(&chain) + (job->bias ? job->bias[channel] : 0);
    }
}

void fzi_conv_f64(const struct fz_call *call, const struct fz_conv_params *p,
                  const struct fz_conv_geometry *g, bool transpose) {
    struct job job = {p, g, transpose, call->in[0]->data, call->in[1]->data,
                      call->n_in > 2 && call->in[2] ? call->in[2]->data : NULL,
                      call->out[0]->data};
    int64_t work = fzi_max_i64(1, g->k);
    fzi_run_range(call->env, fzi_tensor_count(call->out[0]), fzi_max_i64(1, 8192 / work),
                  output_range, &job);
}
