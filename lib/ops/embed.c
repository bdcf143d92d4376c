/* EmbedLayerNormalization and QEmbedLayerNormalization of com.microsoft: rows of two or three
 * tables are added, word, position, segment, and normalised. */
#include "ops/compose.h"

/* The inputs of either operator. */
struct embed {
    struct fz_compose e;
    struct fz_value *ids, *segments, *words, *places, *kinds, *gamma, *beta, *mask, *positions;
};

static struct fz_value *rows(struct fz_compose *e, struct fz_value *table, struct fz_value *ids) {
    return fzi_compose(e, "Gather", FZ_IN(table, ids), FZ_ATTRS(FZ_ATTR_OF_INT("axis", 0)));
}

/* Tokens are counted from 0 where there are no positions. */
static struct fz_value *positions(struct embed *m) {
    struct fz_compose *e = &m->e;
    if (m->positions) return m->positions;
    struct fz_value *zero = fzi_compose_int(e, 0), *one = fzi_compose_int(e, 1);
    return fzi_compose(e, "Range", FZ_IN(zero, fzi_compose_dim(e, m->ids, 1), one), FZ_NO_ATTRS);
}

static struct fz_value *sum(struct embed *m) {
    struct fz_compose *e = &m->e;
    struct fz_value *y = rows(e, m->words, m->ids);
    y = fzi_compose(e, "Add", FZ_IN(y, rows(e, m->places, positions(m))), FZ_NO_ATTRS);
    if (!m->segments || !m->kinds) return y;
    return fzi_compose(e, "Add", FZ_IN(y, rows(e, m->kinds, m->segments)), FZ_NO_ATTRS);
}

/* Tokens that the mask lets through, for each of the batch; 0 without a mask. */
static struct fz_value *count(struct embed *m) {
    static const int64_t last[] = {1};
    struct fz_compose *e = &m->e;
    struct fz_value *axes = fzi_compose_ints(e, last, 1);
    struct fz_value *ones = m->mask;
    if (!ones) {
        struct fz_value *ids = fzi_compose_cast(e, m->ids, FZ_TYPE_I32);
        ones = fzi_compose(e, "Sub", FZ_IN(ids, ids), FZ_NO_ATTRS);
    }
    return fzi_compose(e, "ReduceSum", FZ_IN(ones, axes),
                       FZ_ATTRS(FZ_ATTR_OF_INT("keepdims", 0)));
}

static fz_status_t finish(struct embed *m) {
    struct fz_compose *e = &m->e;
    struct fz_value *y = sum(m);
    double eps;
    FZ_TRY(fzi_attr_float(e->node, "epsilon", 1e-12f, &eps));
    e->out[2] = y;
    e->out[0] = fzi_compose(e, "LayerNormalization", FZ_IN(y, m->gamma, m->beta),
                            FZ_ATTRS(FZ_ATTR_OF_INT("axis", -1), FZ_ATTR_OF_FLOAT("epsilon", eps)));
    if (fzi_out(e->node, 1)) e->out[1] = count(m);
    return fzi_compose_done(e);
}

static fz_status_t plain(struct fz_lower *lower, struct fz_node *node) {
    struct embed m = {.e = {.lower = lower, .node = node},
                      .ids = node->in[0], .segments = fzi_in(node, 1), .words = fzi_in(node, 2),
                      .places = fzi_in(node, 3), .kinds = fzi_in(node, 4),
                      .gamma = fzi_in(node, 5), .beta = fzi_in(node, 6),
                      .mask = fzi_in(node, 7), .positions = fzi_in(node, 8)};
    fzi_compose_need(&m.e, 1 << 2 | 1 << 3 | 1 << 5 | 1 << 6);
    return finish(&m);
}

/* Table I of five: their scales are inputs 8 to 12, their zero points 13 to 17. */
static struct fz_value *real(struct embed *m, uint32_t i) {
    const struct fz_node *node = m->e.node;
    if (!fzi_in(node, 2 + i)) return NULL;
    return fzi_compose(&m->e, "DequantizeLinear",
                       FZ_IN(node->in[2 + i], fzi_in(node, 8 + i), fzi_in(node, 13 + i)),
                       FZ_NO_ATTRS);
}

static fz_status_t quantised(struct fz_lower *lower, struct fz_node *node) {
    struct embed m = {.e = {.lower = lower, .node = node}, .ids = node->in[0],
                      .segments = fzi_in(node, 1), .mask = fzi_in(node, 7)};
    fzi_compose_need(&m.e, 1 << 2 | 1 << 3 | 1 << 5 | 1 << 6);
    m.words = real(&m, 0);
    m.places = real(&m, 1);
    m.kinds = real(&m, 2);
    m.gamma = real(&m, 3);
    m.beta = real(&m, 4);
    return finish(&m);
}

#define ROW(onnx, least, most, outs, known, how)                                                   \
    {.name = onnx, .domain = "com.microsoft", .since = 1, .rev = 1, .min_in = least,               \
     .max_in = most, .min_out = 1, .max_out = outs, .attrs = known, .compose = how}

const struct fz_op fz_ops_embed[] = {
    ROW("EmbedLayerNormalization", 1, 9, 3, "epsilon mask_index_type", plain),
    ROW("QEmbedLayerNormalization", 1, 18, 2, "epsilon", quantised),
    {0},
};
