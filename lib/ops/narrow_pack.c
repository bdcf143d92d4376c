/* Packing weights for frozen.MatMulNarrow. */
#include "ops/narrow.h"

static fz_status_t no_memory(const char *name) {
    return fzi_error(FZ_E_NOMEM, "no memory to pack '%s'", name);
}

/* NaN is narrowed only if it is the canonical one: the kernels rely on it. */
static bool fits(int64_t form, float x) {
    uint32_t bits, back;
    memcpy(&bits, &x, sizeof bits);
    if (form == FZK_NARROW_BF16) return !(bits & 0xFFFF) && (x == x || bits == 0x7FC00000);
    float y = fzi_f16_to_f32(fzi_f32_to_f16(x));
    memcpy(&back, &y, sizeof back);
    return bits == back;
}

int64_t fzi_narrow_half_form(const fz_tensor_t *w) {
    const float *x = w->data;
    int64_t n = fzi_tensor_count(w);
    for (int64_t form = FZK_NARROW_F16; form <= FZK_NARROW_BF16; form++) {
        int64_t i = 0;
        while (i < n && fits(form, x[i])) i++;
        if (i == n) return form;
    }
    return -1;
}

static struct fz_value *new_panels(struct fz_graph *graph, const char *name, int32_t dtype,
                                   int64_t rows, int64_t n) {
    const int64_t dims[] = {fzi_ceil_div(n, FZK_PANEL), rows, FZK_PANEL};
    return fzi_graph_new_constant(graph, name, dtype, 3, dims);
}

fz_status_t fzi_narrow_pack_halves(struct fz_graph *graph, const struct fz_value *w, bool trans,
                                   int64_t form, struct fz_narrow_params *p,
                                   struct fz_value **in) {
    const float *from = w->t.data;
    bool f16 = form == FZK_NARROW_F16;
    p->k = w->t.dims[trans], p->n = w->t.dims[!trans], p->form = form;
    in[FZ_NARROW_W] = new_panels(graph, w->name, f16 ? FZ_TYPE_F16 : FZ_TYPE_BF16, p->k, p->n);
    if (!in[FZ_NARROW_W]) return no_memory(w->name);
    uint16_t *to = in[FZ_NARROW_W]->t.data;
    for (int64_t j = 0; j < p->n; j++) {
        uint16_t *column = to + j / FZK_PANEL * FZK_PANEL * p->k + j % FZK_PANEL;
        for (int64_t i = 0; i < p->k; i++) {
            float x = from[trans ? j * p->k + i : i * p->n + j];
            uint32_t bits;
            memcpy(&bits, &x, sizeof bits);
            column[i * FZK_PANEL] = f16 ? fzi_f32_to_f16(x) : (uint16_t)(bits >> 16);
        }
    }
    return FZ_OK;
}

/* Column J: words that hold several rows, the first one in the lowest bits, or bytes. */
static void pack_column(const struct fz_narrow_source *source, const struct fz_narrow_params *p,
                        int64_t j, void *out) {
    int64_t fields = fzk_narrow_fields(p->form), rows = fzi_ceil_div(p->k, fields);
    int64_t at = j / FZK_PANEL * rows * FZK_PANEL + j % FZK_PANEL;
    for (int64_t i = 0; i < p->k; i++) {
        int64_t q = source->get(source->data, i, j);
        if (p->form == FZK_NARROW_8) ((uint8_t *)out)[at + i * FZK_PANEL] = (uint8_t)q;
        else
            ((uint32_t *)out)[at + i / fields * FZK_PANEL] |=
                (uint32_t)q << i % fields * (32 / fields);
    }
}

/* Scales, and zero points unless all are the same. Past N they are 0. */
static fz_status_t pack_grid(struct fz_graph *graph, const char *name,
                             const struct fz_narrow_source *source, struct fz_narrow_params *p,
                             struct fz_value **in) {
    int64_t blocks = fzi_ceil_div(p->k, p->block);
    struct fz_value *scale = new_panels(graph, name, FZ_TYPE_F32, blocks, p->n);
    struct fz_value *zero = new_panels(graph, name, FZ_TYPE_U8, blocks, p->n);
    bool differ = false;
    if (!scale || !zero) return no_memory(name);
    p->middle = source->zero(source->data, 0, 0);
    for (int64_t j = 0; j < p->n; j++)
        for (int64_t b = 0; b < blocks; b++) {
            int64_t at = (j / FZK_PANEL * blocks + b) * FZK_PANEL + j % FZK_PANEL;
            int64_t z = source->zero(source->data, b, j);
            ((float *)scale->t.data)[at] = source->scale(source->data, b, j);
            ((uint8_t *)zero->t.data)[at] = (uint8_t)z;
            differ = differ || z != p->middle;
        }
    in[FZ_NARROW_SCALE] = scale;
    in[FZ_NARROW_ZERO] = differ ? zero : NULL;
    if (differ) p->middle = 0;
    return FZ_OK;
}

fz_status_t fzi_narrow_pack(struct fz_graph *graph, const char *name,
                            const struct fz_narrow_source *source, struct fz_narrow_params *p,
                            struct fz_value **in) {
    int64_t rows = fzi_ceil_div(p->k, fzk_narrow_fields(p->form));
    in[FZ_NARROW_W] = new_panels(graph, name, p->form == FZK_NARROW_8 ? FZ_TYPE_U8 : FZ_TYPE_U32,
                                 rows, p->n);
    if (!in[FZ_NARROW_W]) return no_memory(name);
    for (int64_t j = 0; j < p->n; j++) pack_column(source, p, j, in[FZ_NARROW_W]->t.data);
    return pack_grid(graph, name, source, p, in);
}
