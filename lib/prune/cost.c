/* Costs of nodes, by sizes alone: the same on every machine. */
#include "prune/cost.h"

#include "ops/op.h"

/* In the time of multiply-accumulates, as measured: writing a number, and beginning with a product
 * of two computed matrices, one of which is packed. A vector has 16 numbers. */
enum { ELEMENT_TIME = 8, MATRIX_TIME = 16384, VECTOR = 16 };

struct finder {
    struct fz_depend *depend;
    struct fz_cost *costs;
    uint32_t *n;
};

static struct fz_cost *begin(struct finder *f, uint64_t factor, bool macs) {
    struct fz_cost *cost = &f->costs[(*f->n)++];
    *cost = (struct fz_cost){.factor = factor, .macs = macs, .vector = -1};
    return cost;
}

/* The first N dimensions of V. */
static bool add_dims(struct finder *f, struct fz_cost *cost, const struct fz_value *v, int32_t n) {
    for (int32_t j = 0; j < n; j++) {
        struct fz_dim *axis = fzi_depend_axis(f->depend, v, j);
        if (!axis || !fzi_dims_add(f->depend->arena, &cost->dims, axis)) return false;
    }
    return true;
}

static int32_t rank_of(const struct finder *f, const struct fz_value *v) {
    return fzi_depend_value(f->depend, v)->rank;
}

/* Every output takes one product per index of what is summed over: the dimensions of A, of which
 * that at VECTOR is the outputs', and dimension I of B, with its taps behind. */
static bool products(struct finder *f, const struct fz_value *a, int32_t vector,
                     const struct fz_value *b, int32_t i, bool taps) {
    const fz_tensor_t *tb = fzi_depend_value(f->depend, b);
    struct fz_cost *cost = begin(f, 1, true);
    if (!add_dims(f, cost, a, rank_of(f, a))) return false;
    cost->vector = vector;
    for (int32_t j = 2; taps && j < tb->rank; j++) cost->factor *= (uint64_t)tb->dims[j];
    struct fz_dim *axis = fzi_depend_axis(f->depend, b, i);
    return axis && fzi_dims_add(f->depend->arena, &cost->dims, axis);
}

/* Writing an element costs time as well. */
static bool output(struct finder *f, const struct fz_node *node) {
    const struct fz_op *op = fzi_op_find(node->domain, node->type, node->opset);
    const fz_tensor_t *t = node->out[0] ? fzi_depend_value(f->depend, node->out[0]) : NULL;
    if (!t || t->dtype != FZ_TYPE_F32 || !op || op->flags & FZ_OP_VIEW) return true;
    return add_dims(f, begin(f, ELEMENT_TIME, false), node->out[0], t->rank);
}

/* Images lie by channels: vectors of their elements run along dimension 1. */
static bool image_output(struct finder *f, const struct fz_node *node) {
    uint32_t before = *f->n;
    if (!output(f, node)) return false;
    if (*f->n > before) f->costs[before].vector = 1;
    return true;
}

static bool matmul(struct finder *f, const struct fz_node *node) {
    const struct fz_value *y = node->out[0], *a = node->in[0];
    int32_t rank = rank_of(f, y);
    if (!products(f, y, rank - 1, a, rank_of(f, a) - 1, false)) return false;
    if (fzi_is_constant(node->in[1]) || rank < 2) return true;
    return add_dims(f, begin(f, MATRIX_TIME, false), y, rank - 2);
}

static bool is(const struct fz_node *node, const char *type) {
    return !*node->domain && strcmp(node->type, type) == 0;
}

bool fzi_cost_find(struct fz_depend *depend, const struct fz_node *node, struct fz_cost *costs,
                   uint32_t *n) {
    struct finder f = {depend, costs, n};
    if (is(node, "Conv"))
        return image_output(&f, node) && products(&f, node->out[0], 1, node->in[1], 1, true);
    if (is(node, "MaxPool") || is(node, "AveragePool")) return image_output(&f, node);
    if (!output(&f, node)) return false;
    if (is(node, "ConvTranspose")) return products(&f, node->in[0], -1, node->in[1], 1, true);
    if (is(node, "Gemm"))
        return products(&f, node->out[0], 1, node->in[0], !fzi_depend_int(node, "transA", 0),
                        false);
    return is(node, "MatMul") ? matmul(&f, node) : true;
}

uint64_t fzi_cost_macs(const struct fz_cost *cost) {
    uint64_t n = cost->factor;
    if (!cost->macs) return 0;
    for (uint32_t i = 0; i < cost->dims.n; i++) n *= (uint64_t)fzi_dim_kept(cost->dims.items[i]);
    return n;
}

uint64_t fzi_cost_time(const struct fz_cost *cost) {
    uint64_t n = cost->factor;
    for (uint32_t i = 0; i < cost->dims.n; i++) {
        int64_t kept = fzi_dim_kept(cost->dims.items[i]);
        if ((int32_t)i == cost->vector) kept = fzi_ceil_div(kept, VECTOR) * VECTOR;
        n *= (uint64_t)kept;
    }
    return n;
}
