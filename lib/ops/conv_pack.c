/* Weights of convolutions in the layouts that the kernels read. */
#include "ops/conv.h"
#include "ops/matmul.h"

/* These dims are the contract between freeze and infer: a constant of other dims is refused, so
 * that the kernels may read whole panels without asking. */
int32_t fzi_conv_packed_dims(const struct fz_conv_params *p, int64_t dims[FZ_RANK_MAX]) {
    int64_t cin_g = p->cin / p->group, cout_g = p->cout / p->group;
    int64_t taps = p->kernel[0] * p->kernel[1] * p->kernel[2];
    int64_t panels = fzi_ceil_div(cout_g, FZK_PANEL);
    if (fzi_conv_uses_blas(p)) {
        dims[0] = p->group, dims[1] = taps * cin_g, dims[2] = cout_g;
        return 3;
    }
    if (p->algorithm == FZ_CONV_DEPTHWISE) {
        dims[0] = fzi_ceil_div(p->cout, FZK_PANEL), dims[1] = taps, dims[2] = FZK_PANEL;
        return 3;
    }
    bool winograd = p->algorithm == FZ_CONV_WINOGRAD;
    dims[0] = winograd ? 16 : p->group;
    dims[1] = panels;
    dims[2] = winograd ? p->cin : taps * cin_g;
    dims[3] = FZK_PANEL;
    return 4;
}

/* For forms that pack into scratch. */
bool fzi_conv_packed_size(const struct fz_conv_params *p, size_t *size) {
    fz_tensor_t t = {.dtype = FZ_TYPE_F32};
    t.rank = fzi_conv_packed_dims(p, t.dims);
    if (fzi_tensor_measure(&t) != FZ_OK) return false;
    *size = t.size;
    return true;
}

/* One group: the weight of output o, input c, tap t is w[o * by_out + c * by_in + t]. Row k = t *
 * cin + c of the result lies in WIDTH columns of each panel, or of the one matrix for the profile
 * blas. */
struct source {
    const float *w;
    int64_t cout, cin, taps, by_out, by_in;
};

static void pack_group(const struct source *s, int64_t width, float *out) {
    for (int64_t at = 0; at < s->cout; at += width) {
        int64_t n = fzi_min_i64(s->cout - at, width);
        for (int64_t t = 0; t < s->taps; t++) {
            for (int64_t c = 0; c < s->cin; c++, out += width) {
                const float *from = s->w + at * s->by_out + c * s->by_in + t;
                for (int64_t j = 0; j < n; j++) out[j] = from[j * s->by_out];
                for (int64_t j = n; j < width; j++) out[j] = 0;
            }
        }
    }
}

/* A panel holds a tap of 32 channels side by side: one vector load for each tap. */
static void pack_depthwise(const float *w, int64_t channels, int64_t taps, float *out) {
    for (int64_t at = 0; at < channels; at += FZK_PANEL) {
        for (int64_t t = 0; t < taps; t++, out += FZK_PANEL)
            for (int64_t j = 0; j < FZK_PANEL; j++)
                out[j] = at + j < channels ? w[(at + j) * taps + t] : 0;
    }
}

/* Sixteen matrices of panels behind each other, one for each point of the transformed tile. */
static void pack_winograd(const float *w, int64_t cout, int64_t cin, float *out) {
    int64_t panels = fzi_ceil_div(cout, FZK_PANEL), plane = panels * cin * FZK_PANEL;
    memset(out, 0, (size_t)(16 * plane) * sizeof *out);
    for (int64_t o = 0; o < cout; o++) {
        for (int64_t c = 0; c < cin; c++) {
            float u[16];
            fzk_winograd_weights(u, w + (o * cin + c) * 9);
            float *to = out + (o / FZK_PANEL * cin + c) * FZK_PANEL + o % FZK_PANEL;
            for (int i = 0; i < 16; i++) to[i * plane] = u[i];
        }
    }
}

void fzi_conv_pack_into(const struct fz_conv_params *p, const float *w, float *out) {
    int64_t cin = p->cin / p->group, cout = p->cout / p->group;
    int64_t taps = p->kernel[0] * p->kernel[1] * p->kernel[2];
    if (p->algorithm == FZ_CONV_DEPTHWISE) {
        pack_depthwise(w, p->cout, taps, out);
        return;
    }
    if (p->algorithm == FZ_CONV_WINOGRAD) {
        pack_winograd(w, cout, cin, out);
        return;
    }
    int64_t width = fzi_conv_uses_blas(p) ? cout : FZK_PANEL;
    int64_t columns = fzi_ceil_div(cout, FZK_PANEL) * FZK_PANEL;
    int64_t size = taps * cin * (fzi_conv_uses_blas(p) ? cout : columns);
    for (int64_t g = 0; g < p->group; g++) {
        struct source s = {w + g * cout * cin * taps, cout, cin, taps, cin * taps, taps};
        pack_group(&s, width, out + g * size);
    }
}

void fzi_conv_transpose_pack_into(const struct fz_conv_params *p, const float *w, float *out) {
    int64_t cin = p->cin / p->group, cout = p->cout / p->group;
    int64_t taps = p->kernel[0] * p->kernel[1] * p->kernel[2];
    int64_t size = fzi_ceil_div(cout, FZK_PANEL) * FZK_PANEL * taps * cin;
    for (int64_t g = 0; g < p->group; g++) {
        struct source s = {w + g * cin * cout * taps, cout, cin, taps, taps, cout * taps};
        pack_group(&s, FZK_PANEL, out + g * size);
    }
}

/* Winograd's products must outweigh its transforms, which like whole vectors of channels: measured
 * 0.7 x at 16 to 16 channels and at 96 to 24, 1.0 x at 32 to 32, 1.3 to 1.4 x at 32 to 128, 48 to
 * 192 and 64 to 64, 1.7 to 2 x from 128 to 128 on. */
static bool winograd_pays(int64_t cin, int64_t cout) {
    return cin >= 32 && cout >= 32 && cin * cout >= 2048 && (cin % 16 == 0 || cin >= 64);
}

/* Sizes of images play no part: a symbolic size must not change the bits. */
static int64_t choose_algorithm(const struct fz_conv_params *p, bool winograd) {
    bool plain = true, unit = true;
    for (int d = 0; d < 3; d++) {
        if (p->dilation[d] != 1) plain = false;
        if (p->stride[d] != 1) unit = false;
    }
    if (p->group > 1 && p->group == p->cin && p->group == p->cout && p->spatial <= 2)
        return FZ_CONV_DEPTHWISE;
    if (winograd && p->spatial == 2 && p->group == 1 && plain && unit && p->kernel[1] == 3 &&
        p->kernel[2] == 3 && winograd_pays(p->cin, p->cout))
        return FZ_CONV_WINOGRAD;
    return FZ_CONV_GEMM;
}

/* Fills in channels and kernel from weights [first][second][kernel...]. */
static fz_status_t complete(const struct fz_conv_params *conv, const fz_tensor_t *w,
                            struct fz_conv_params *out) {
    char text[160];
    *out = *conv;
    bool good = w->dtype == FZ_TYPE_F32 && conv->spatial == w->rank - 2 && fzi_shape_known(w) &&
                conv->group >= 1 && w->dims[0] >= 1 && w->dims[1] >= 1;
    for (int32_t i = 2; good && i < w->rank; i++) {
        int64_t *kernel = &out->kernel[3 - conv->spatial + i - 2];
        if (*kernel == 0) *kernel = w->dims[i];
        if (*kernel != w->dims[i] || *kernel < 1) good = false;
    }
    if (good) return FZ_OK;
    return fzi_error(FZ_E_SHAPE, "weights of %s do not fit the convolution's attributes",
                     fzi_shape_text(w, text, sizeof text));
}

/* Channels and kernel come from the weights, never from attributes that could contradict them. */
fz_status_t fzi_conv_choose(const struct fz_conv_params *conv, const fz_tensor_t *w, bool winograd,
                            struct fz_conv_params *out) {
    FZ_TRY(complete(conv, w, out));
    out->cout = w->dims[0];
    if (out->cout % out->group || !fzi_mul_i64(w->dims[1], out->group, &out->cin))
        return fzi_error(FZ_E_SHAPE, "%lld outputs do not divide into %lld groups",
                         (long long)out->cout, (long long)out->group);
    out->algorithm = choose_algorithm(out, winograd);
    return FZ_OK;
}

/* The packed constant keeps the name of what it was made from. */
static fz_status_t new_packed(struct fz_graph *graph, const struct fz_value *w,
                              const struct fz_conv_params *p, struct fz_value **packed) {
    int64_t dims[FZ_RANK_MAX];
    int32_t rank = fzi_conv_packed_dims(p, dims);
    *packed = fzi_graph_new_constant(graph, w->name, FZ_TYPE_F32, rank, dims);
    if (!*packed) return fzi_error(FZ_E_NOMEM, "no memory to pack '%s'", w->name);
    return FZ_OK;
}

/* Freeze only: run never packs a constant. */
fz_status_t fzi_conv_pack(struct fz_graph *graph, const struct fz_value *w,
                          const struct fz_conv_params *params, struct fz_value **packed) {
    FZ_TRY(new_packed(graph, w, params, packed));
    fzi_conv_pack_into(params, w->t.data, (*packed)->t.data);
    return FZ_OK;
}

/* Panels of a matrix by strides, so that a transposed one is read in place. */
static void pack_matrix(const float *b, int64_t k, int64_t n, int64_t row, int64_t col,
                        float *out) {
    for (int64_t at = 0; at < n; at += FZK_PANEL) {
        int64_t width = fzi_min_i64(n - at, FZK_PANEL);
        for (int64_t i = 0; i < k; i++, out += FZK_PANEL) {
            const float *from = b + i * row + at * col;
            for (int64_t j = 0; j < width; j++) out[j] = from[j * col];
            for (int64_t j = width; j < FZK_PANEL; j++) out[j] = 0;
        }
    }
}

fz_status_t fzi_conv_transpose_choose(const struct fz_conv_params *conv, const fz_tensor_t *w,
                                      struct fz_conv_params *out) {
    FZ_TRY(complete(conv, w, out));
    out->cin = w->dims[0];
    out->algorithm = FZ_CONV_GEMM;
    if (out->cin % out->group || !fzi_mul_i64(w->dims[1], out->group, &out->cout))
        return fzi_error(FZ_E_SHAPE, "%lld inputs do not divide into %lld groups",
                         (long long)out->cin, (long long)out->group);
    return FZ_OK;
}

/* The taps stay in the order of the kernel; which of them an output meets is found at run time. */
fz_status_t fzi_conv_transpose_pack(struct fz_graph *graph, const struct fz_value *w,
                                    const struct fz_conv_params *params, struct fz_value **packed) {
    struct fz_conv_params p = *params;
    p.blas = 0;
    FZ_TRY(new_packed(graph, w, &p, packed));
    fzi_conv_transpose_pack_into(&p, w->t.data, (*packed)->t.data);
    return FZ_OK;
}

/* The profile blas keeps rows: OpenBLAS packs by itself, at every call. */
fz_status_t fzi_matmul_pack(struct fz_graph *graph, const struct fz_value *w, bool trans, bool blas,
                            struct fz_value **packed) {
    if (w->t.rank != 2 || w->t.dtype != FZ_TYPE_F32)
        return fzi_error(FZ_E_SHAPE, "'%s' is no float32 matrix", w->name);
    int64_t k = w->t.dims[trans ? 1 : 0], n = w->t.dims[trans ? 0 : 1];
    int64_t row = trans ? 1 : n, col = trans ? k : 1;
    int64_t dims[3] = {fzi_ceil_div(n, FZK_PANEL), k, FZK_PANEL};
    if (blas) dims[0] = k, dims[1] = n;
    *packed = fzi_graph_new_constant(graph, w->name, FZ_TYPE_F32, blas ? 2 : 3, dims);
    if (!*packed) return fzi_error(FZ_E_NOMEM, "no memory to pack '%s'", w->name);
    float *out = (*packed)->t.data;
    if (!blas) pack_matrix(w->t.data, k, n, row, col, out);
    for (int64_t i = 0; blas && i < k; i++)
        for (int64_t j = 0; j < n; j++)
            out[i * n + j] = ((const float *)w->t.data)[i * row + j * col];
    return FZ_OK;
}
