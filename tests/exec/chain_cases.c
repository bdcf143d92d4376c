/* Chains: steps that run together by bands of rows give the bits of steps that run one by one. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

enum { SIDE = SLOW ? 66 : 190, IMAGES = 2, CHANNELS = 32 };

/* A weight or bias of DIMS, N numbers in all. */
static void constant(struct pb *g, const char *name, const char *dims, size_t n) {
    float *w = malloc(n * sizeof *w);
    assert_non_null(w);
    for (size_t i = 0; i < n; i++) w[i] = (float)((i + n) * 7919 % 1000) / 2500.0f - 0.2f;
    pb_msg(g, GRAPH_INIT, pb_raw_tensor(name, FZ_TYPE_F32, dims, w, n * sizeof *w));
    free(w);
}

static struct pb ints(const char *name, int64_t value, int n) {
    struct pb attr = pb_attr(name, 7);
    for (int i = 0; i < n; i++) pb_int(&attr, ATTR_INTS, value);
    return attr;
}

/* A square kernel with as much padding as keeps the size where STRIDE is 1. */
static void conv(struct pb *g, const char *io[3], int cin, int cout, int side, int stride,
                 int group) {
    char dims[64], inputs[64];
    snprintf(dims, sizeof dims, "%d,%d,%d,%d", cout, cin / group, side, side);
    constant(g, io[1], dims, (size_t)(cout * (cin / group) * side * side));
    snprintf(inputs, sizeof inputs, "%s,%s", io[0], io[1]);
    struct pb node = pb_node("Conv", inputs, io[2]);
    pb_msg(&node, NODE_ATTR, ints("kernel_shape", side, 2));
    pb_msg(&node, NODE_ATTR, ints("strides", stride, 2));
    pb_msg(&node, NODE_ATTR, ints("pads", side / 2, 4));
    pb_msg(&node, NODE_ATTR, pb_attr_int("group", group));
    pb_msg(g, GRAPH_NODE, node);
}
#define CONV(g, from, w, to, ...) conv(g, (const char *[3]){from, w, to}, __VA_ARGS__)

static void pool(struct pb *g, const char *from, const char *to) {
    struct pb node = pb_node("MaxPool", from, to);
    pb_msg(&node, NODE_ATTR, ints("kernel_shape", 3, 2));
    pb_msg(&node, NODE_ATTR, ints("strides", 2, 2));
    pb_msg(&node, NODE_ATTR, ints("pads", 1, 4));
    pb_msg(g, GRAPH_NODE, node);
}

static void concat(struct pb *g, const char *from, const char *to) {
    struct pb node = pb_node("Concat", from, to);
    pb_msg(&node, NODE_ATTR, pb_attr_int("axis", 1));
    pb_msg(g, GRAPH_NODE, node);
}

/* Strides, depthwise, Winograd, a residual over several rows, elementwise steps, a pool and two
 * branches that meet again. */
static struct pb image_net(void) {
    struct pb g = {0};
    char dims[64];
    int c = CHANNELS;
    CONV(&g, "x", "w0", "a", 3, c, 3, 1, 1);
    pb_msg(&g, GRAPH_NODE, pb_node("Relu", "a", "b"));
    CONV(&g, "b", "w1", "c", c, c, 5, 1, c);
    pb_msg(&g, GRAPH_NODE, pb_node("Tanh", "c", "d"));
    CONV(&g, "d", "w2", "e", c, c, 3, 1, 1);
    pb_msg(&g, GRAPH_NODE, pb_node("Add", "e,b", "f"));
    pool(&g, "f", "h");
    CONV(&g, "h", "w3", "i", c, 2 * c, 1, 1, 1);
    CONV(&g, "h", "w4", "j", c, 2 * c, 3, 1, 1);
    concat(&g, "i,j", "k");
    CONV(&g, "k", "w5", "y", 4 * c, c, 3, 2, 1);
    snprintf(dims, sizeof dims, "%d,3,%d,%d", IMAGES, SIDE, SIDE - 7);
    pb_msg(&g, GRAPH_INPUT, pb_value("x", FZ_TYPE_F32, dims));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("y", FZ_TYPE_F32, NULL));
    return pb_model(g);
}

static void ignore(void *context, size_t step, const char *op, const char *node,
                   const char *const *names, const fz_tensor_t *outputs, size_t n_outputs,
                   uint64_t ns) {
    (void)step, (void)op, (void)node, (void)names, (void)outputs, (void)n_outputs, (void)ns;
    ++*(size_t *)context;
}

/* Runs and gives a copy of the bytes of y; the arena's size in *ARENA. */
static char *answer(fz_session_t *session, const fz_tensor_t *x, size_t *size, uint64_t *arena) {
    fz_tensor_t y = {0};
    fz_session_stats_t stats;
    assert_ok(fz_session_run(session, x, 1, &y, 1));
    assert_ok(fz_session_stats(session, &stats));
    char *copy = malloc(*size = y.size);
    assert_non_null(copy);
    memcpy(copy, y.data, y.size);
    *arena = stats.arena_size;
    return copy;
}

static void bands_of_rows(void **state) {
    const int64_t dims[] = {IMAGES, 3, SIDE, SIDE - 7};
    size_t n = (size_t)(dims[0] * dims[1] * dims[2] * dims[3]), steps = 0, size, size_one;
    uint64_t whole, chained;
    float *pixels = malloc(n * sizeof *pixels);
    assert_non_null(pixels);
    for (size_t i = 0; i < n; i++) pixels[i] = (float)(i * 131 % 997) / 500.0f - 1;
    fz_model_t *model = open_built(image_net());
    fz_tensor_t x = floats(pixels, 4, dims);
    fz_session_t *session = open_session(model, 1);
    assert_ok(fz_session_set_trace(session, ignore, &steps));
    char *one_by_one = answer(session, &x, &size_one, &whole);
    assert_true(steps > 8);
    fz_session_close(session);
    for (int threads = 1; threads <= 5; threads++) {
        session = open_session(model, threads);
        for (int run = 0; run < 2; run++) {
            char *y = answer(session, &x, &size, &chained);
            assert_int_equal(size, size_one);
            assert_memory_equal(y, one_by_one, size);
            free(y);
        }
        if (threads == 1 && !SLOW) assert_true(chained < whole); /* there were chains */
        fz_session_close(session);
    }
    free(one_by_one), free(pixels);
    fz_model_close(model);
}

const struct CMUnitTest chain_cases[] = {cmocka_unit_test(bands_of_rows)};
const size_t n_chain_cases = sizeof chain_cases / sizeof *chain_cases;
