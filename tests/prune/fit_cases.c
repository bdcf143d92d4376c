/* What comes out: the shapes of pruned models, repairs that must be exact, patterns of zeros, what is
 * refused. */
#include "prune_cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "ops/matmul.h"
#include "prune/solve.h"
#include "prune/sparse.h"

enum { SAMPLES = 64 };

/* ---- samples: rows of N numbers */

struct rows {
    int64_t n;
    size_t count;
    float data[64];
};

static int sample(void *context, size_t index, fz_tensor_t *inputs, size_t n_inputs) {
    struct rows *r = context;
    assert_int_equal(n_inputs, 1);
    if (index == r->count) return 0;
    inputs[0] = (fz_tensor_t){.dtype = FZ_TYPE_F32, .rank = 2, .dims = {1, r->n},
                              .data = r->data, .size = (size_t)r->n * 4};
    text_fill(&inputs[0], 100 + index);
    memcpy(r->data, inputs[0].data, inputs[0].size);
    free(inputs[0].data);
    inputs[0].data = r->data;
    return 1;
}

static fz_prune_options_t with_samples(struct rows *r) {
    return (fz_prune_options_t){.size = sizeof(fz_prune_options_t), .sample = sample,
                                .sample_context = r};
}

/* ---- running files */

struct loaded {
    struct fz_prune_copy copy;
};

static void load(struct loaded *m, const char *path) {
    *m = (struct loaded){0};
    if (fzi_import_file(path, NULL, &m->copy.arena, &m->copy.source, &m->copy.graph) != FZ_OK)
        fail_msg("%s", fzi_error_text());
    assert_int_equal(fzi_trace_open(&m->copy.trace, m->copy.graph), FZ_OK);
}

static void unload(struct loaded *m) {
    fzi_trace_close(&m->copy.trace);
    fzi_source_close(&m->copy.source);
    fzi_arena_free(&m->copy.arena);
}

/* The output for BATCH rows. */
static const fz_tensor_t *answer(struct loaded *m, int64_t batch, float *memory) {
    fz_tensor_t x = m->copy.graph->inputs[0]->t;
    x.dims[0] = batch;
    assert_int_equal(fzi_tensor_measure(&x), FZ_OK);
    text_fill(&x, 7);
    memcpy(memory, x.data, x.size);
    free(x.data);
    x.data = memory;
    if (fzi_trace_run(&m->copy.trace, &x, NULL) != FZ_OK) fail_msg("%s", fzi_error_text());
    return fzi_trace_value(&m->copy.trace, m->copy.graph->outputs[0]);
}

/* The largest difference of the two files' outputs, and the largest output. */
static double difference(const char *a, const char *b, double *largest) {
    static float memory[2][1 << 14];
    struct loaded old, young;
    double most = 0;
    load(&old, a);
    load(&young, b);
    const fz_tensor_t *y = answer(&old, 3, memory[0]), *z = answer(&young, 3, memory[1]);
    assert_true(fzi_shape_equal(y, z));
    *largest = 0;
    for (int64_t i = 0; i < fzi_tensor_count(y); i++) {
        double size = fabs(fzi_tensor_float(y, i));
        double apart = fabs(fzi_tensor_float(y, i) - fzi_tensor_float(z, i));
        if (size > *largest) *largest = size;
        if (!(apart <= most)) most = apart;
    }
    unload(&old);
    unload(&young);
    return most;
}

static void prune(const char *text, const fz_prune_options_t *options, fz_prune_result_t *result) {
    *result = (fz_prune_result_t){.size = sizeof *result};
    write_model(text, temporary("in.onnx"));
    if (fz_prune_file(temporary("in.onnx"), temporary("out.onnx"), options, result) != FZ_OK)
        fail_msg("%s", fz_last_error());
}

/* ---- structured */

/* Of 8 neurons 4 are multiples of the others, up to a constant: half of the work goes, and the
 * repair gives nearly the same answers. (The damping of 1 % keeps them from being the same.) */
static void exact_repair(void **state) {
    (void)state;
    struct rows r = {.n = 4, .count = SAMPLES};
    fz_prune_options_t options = with_samples(&r);
    fz_prune_result_t result;
    double largest;
    options.structured = 0.5;
    prune("graph(x: float32[N,4])\n"
          "  w = float32[4,8] 1 0 0 0 1 0 0 0 0 1 0 0 0 2 0 0 0 0 1 0 0 0 -1 0 0 0 0 1 0 0 0 3\n"
          "  h = MatMul(x, w)\n"
          "  b = float32[8] fill 0.5\n"
          "  g = Add(h, b)\n"
          "  u = float32[8,5] rand 2\n"
          "  c = float32[5] rand 3\n"
          "  y = Gemm(g, u, c)\n"
          "return y\n",
          &options, &result);
    assert_int_equal(result.macs_before, 72);
    assert_int_equal(result.macs_after, 36);
    double error = difference(temporary("in.onnx"), temporary("out.onnx"), &largest);
    if (!(error < 0.05 * largest)) fail_msg("%g of %g", error, largest);
}

/* Each of 4 neurons is there twice, and one of each pair goes. Two products share the weights behind
 * them, so that these keep halves of what they were: depthwise convolutions make up for it. */
static void groups_are_repaired(void **state) {
    (void)state;
    struct rows r = {.n = 4, .count = SAMPLES};
    fz_prune_options_t options = with_samples(&r);
    fz_prune_result_t result;
    double largest;
    options.structured = 0.45;
    prune("graph(x: float32[N,4])\n"
          "  w = float32[4,8] 1 1 0 0 0 0 0 0 0 0 1 1 0 0 0 0 0 0 0 0 1 1 0 0 0 0 0 0 0 0 1 1\n"
          "  h = MatMul(x, w)\n"
          "  u = float32[8,6] 1 2 3 4 5 6 1 2 3 4 5 6 2 1 0 3 1 2 2 1 0 3 1 2"
          " 0 1 4 1 0 2 0 1 4 1 0 2 3 0 1 0 2 1 3 0 1 0 2 1\n"
          "  f = MatMul(h, u)\n"
          "  g = MatMul(h, u)\n"
          "  a = int64[1] 2\n"
          "  f3 = Unsqueeze(f, a)\n"
          "  g3 = Unsqueeze(g, a)\n"
          "  k = float32[6,1,1] 1 2 3 4 5 6\n"
          "  b = float32[6] rand 3\n"
          "  c = Conv(f3, k, b) group=6\n"
          "  l = float32[6,1,1] 2 2 1 1 3 3\n"
          "  d = Conv(g3, l) group=6\n"
          "  y = Add(c, d)\n"
          "return y\n",
          &options, &result);
    assert_true(result.macs_after * 20 <= result.macs_before * 11);
    double error = difference(temporary("in.onnx"), temporary("out.onnx"), &largest);
    if (!(error < 0.05 * largest)) fail_msg("%g of %g", error, largest);
}

/* What is around a Loop, an If in it and an If shrinks (h: each neuron is there twice); what they
 * read (g) keeps its size. */
static void around_subgraphs(void **state) {
    (void)state;
    struct rows r = {.n = 4, .count = SAMPLES};
    fz_prune_options_t options = with_samples(&r);
    fz_prune_result_t result;
    struct loaded m;
    double largest;
    options.structured = 0.25;
    prune("graph(x: float32[N,4])\n"
          "  w = float32[4,8] 1 1 0 0 0 0 0 0 0 0 1 1 0 0 0 0 0 0 0 0 1 1 0 0 0 0 0 0 0 0 1 1\n"
          "  h = MatMul(x, w)\n"
          "  u = float32[8,4] rand 2\n"
          "  p0 = MatMul(h, u)\n"
          "  wg = float32[4,6] rand 3\n"
          "  g = MatMul(x, wg)\n"
          "  ug = float32[6,4] rand 4\n"
          "  uo = float32[6,4] rand 5\n"
          "  p1 = MatMul(g, uo)\n"
          "  p = Add(p0, p1)\n"
          "  n = int64[] 3\n"
          "  c = bool[] 1\n"
          "  q = Loop(n, c, p)\n"
          "    body: graph(i: int64[], k: bool[], v: float32[N,4])\n"
          "      k2 = Identity(k)\n"
          "      a = MatMul(g, ug)\n"
          "      e = If(k)\n"
          "        then_branch: graph()\n"
          "          b = Add(v, a)\n"
          "        return b\n"
          "        else_branch: graph()\n"
          "          d = Neg(v)\n"
          "        return d\n"
          "    return k2, e\n"
          "  z = float32[] 0\n"
          "  s = ReduceSum(x) keepdims=0\n"
          "  o = Less(s, z)\n"
          "  y = If(o)\n"
          "    then_branch: graph()\n"
          "      t = Relu(q)\n"
          "    return t\n"
          "    else_branch: graph()\n"
          "      f = Neg(q)\n"
          "    return f\n"
          "return y\n",
          &options, &result);
    assert_true(result.macs_after * 4 <= result.macs_before * 3);
    double error = difference(temporary("in.onnx"), temporary("out.onnx"), &largest);
    if (!(error < 0.05 * largest)) fail_msg("%g of %g", error, largest);
    load(&m, temporary("out.onnx"));
    for (uint32_t i = 0; i < m.copy.trace.n_values; i++) {
        const struct fz_value *v = m.copy.trace.ids[i];
        if (strcmp(v->name, "w") == 0) assert_true(v->t.dims[1] < 8);
        if (strcmp(v->name, "wg") == 0) assert_int_equal(v->t.dims[1], 6);
    }
    unload(&m);
}

/* Heads, computed targets of Reshape, an open batch: what comes out has the shapes that it should,
 * for batches that no step has seen. */
static void shapes_follow(void **state) {
    (void)state;
    fz_prune_options_t options = {.size = sizeof options, .structured = 0.4};
    fz_prune_result_t result;
    struct loaded m;
    static float memory[1 << 14];
    prune("graph(x: float32[N,3,8])\n"
          "  w = float32[8,48] rand 1\n"
          "  p = MatMul(x, w)\n"
          "  d = Shape(x)\n"
          "  i0 = int64[1] 0\n"
          "  n = Gather(d, i0)\n"
          "  f = int64[3] 3 4 4\n"
          "  t = Concat(n, f) axis=0\n"
          "  k3 = int64[3] 16 16 16\n"
          "  q, k, v = Split(p, k3) axis=2\n"
          "  q4 = Reshape(q, t)\n"
          "  k4 = Reshape(k, t)\n"
          "  v4 = Reshape(v, t)\n"
          "  qt = Transpose(q4) perm=[0,2,1,3]\n"
          "  kt = Transpose(k4) perm=[0,2,3,1]\n"
          "  vt = Transpose(v4) perm=[0,2,1,3]\n"
          "  a = MatMul(qt, kt)\n"
          "  s = Softmax(a)\n"
          "  o = MatMul(s, vt)\n"
          "  ot = Transpose(o) perm=[0,2,1,3]\n"
          "  t3 = int64[3] 0 0 16\n"
          "  of = Reshape(ot, t3)\n"
          "  z = float32[16,5] rand 2\n"
          "  y = MatMul(of, z)\n"
          "return y\n",
          &options, &result);
    assert_true(result.macs_after * 10 <= result.macs_before * 6);
    assert_true(result.weights_after < result.weights_before);
    load(&m, temporary("out.onnx"));
    const fz_tensor_t *y = answer(&m, 5, memory);
    assert_int_equal(y->dims[0], 5);
    assert_int_equal(y->dims[2], 5);
    for (uint32_t i = 0; i < m.copy.trace.n_values; i++) {
        const struct fz_value *v = m.copy.trace.ids[i];
        if (strcmp(v->name, "w") == 0) assert_true(v->t.dims[1] < 48);
    }
    unload(&m);
}

static void same_bytes(void **state) {
    (void)state;
    static char bytes[2][1 << 16];
    struct rows r = {.n = 4, .count = SAMPLES};
    fz_prune_options_t options = with_samples(&r);
    options.structured = 0.3;
    size_t size[2];
    write_model("graph(x: float32[N,4])\n"
                "  w = float32[4,40] rand 1\n"
                "  h = MatMul(x, w)\n"
                "  e = Tanh(h)\n"
                "  u = float32[40,5] rand 2\n"
                "  y = MatMul(e, u)\n"
                "return y\n", temporary("in.onnx"));
    for (int i = 0; i < 2; i++) {
        const char *path = temporary(i ? "again.onnx" : "out.onnx");
        assert_int_equal(fz_prune_file(temporary("in.onnx"), path, &options, NULL), FZ_OK);
        FILE *file = fopen(path, "rb");
        size[i] = fread(bytes[i], 1, sizeof bytes[i], file);
        fclose(file);
    }
    assert_true(size[0] > 100 && size[0] == size[1]);
    assert_memory_equal(bytes[0], bytes[1], size[0]);
}

/* ---- sparse */

static double *random_matrix(int64_t rows, int64_t columns, uint64_t stream) {
    fz_tensor_t t = {.dtype = FZ_TYPE_F32, .rank = 2, .dims = {rows, columns}};
    double *out = calloc((size_t)(rows * columns), sizeof *out);
    text_fill(&t, stream);
    for (int64_t i = 0; i < rows * columns; i++) out[i] = fzi_tensor_float(&t, i);
    free(t.data);
    return out;
}

/* H = X^T X + a little, for inputs that depend on one another. */
static double *correlated(int64_t k) {
    double *x = random_matrix(k / 2 + 8, k, 3), *h = calloc((size_t)(k * k), sizeof *h);
    for (int64_t r = 0; r < k / 2 + 8; r++)
        for (int64_t i = 0; i < k; i++)
            for (int64_t j = 0; j < k; j++) h[i * k + j] += x[r * k + i] * x[r * k + j];
    fzi_solve_damp(h, k, 0.01);
    free(x);
    return h;
}

/* tr(D^T H D) of the difference D: the squared error of the product's outputs. */
static double error_of(const double *w, const double *old, const double *h, int64_t k, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < k; j++)
            for (int64_t o = 0; o < n; o++)
                sum += (w[i * n + o] - old[i * n + o]) * h[i * k + j] *
                       (w[j * n + o] - old[j * n + o]);
    return sum;
}

/* The pattern holds, and repair leaves less than half of the error that there is without it. */
static void check_pattern(const char *pattern, int64_t k, int64_t n, double *repaired) {
    struct fz_sparse sparse;
    double *h = correlated(k), *old = random_matrix(k, n, 4), *blind = random_matrix(k, n, 4);
    assert_int_equal(fzi_sparse_parse(pattern, &sparse), FZ_OK);
    memcpy(repaired, old, (size_t)(k * n) * sizeof *old);
    assert_int_equal(fzi_sparse_apply(&sparse, repaired, h, k, n), FZ_OK);
    assert_int_equal(fzi_sparse_apply(&sparse, blind, NULL, k, n), FZ_OK);
    double with = error_of(repaired, old, h, k, n), without = error_of(blind, old, h, k, n);
    assert_true(with > 0 && with < 0.5 * without);
    free(h);
    free(old);
    free(blind);
}

static void two_of_four(void **state) {
    (void)state;
    static double w[64 * 20];
    check_pattern("2:4", 64, 20, w);
    for (int64_t i = 0; i < 64; i += 4)
        for (int64_t o = 0; o < 20; o++) {
            int zeros = 0;
            for (int64_t j = i; j < i + 4; j++) zeros += w[j * 20 + o] == 0;
            assert_int_equal(zeros, 2);
        }
}

static void blocks_of_zeros(void **state) {
    (void)state;
    static double w[64 * 70];
    static float f[64 * 70];
    check_pattern("block:0.5", 64, 70, w);
    for (int64_t i = 0; i < 64 * 70; i++) f[i] = (float)w[i];
    struct fz_sparse_source source = {f, 64, 70, 70, 1};
    /* Half of 16 times 3 blocks, of 4 rows each. */
    assert_int_equal(fzi_sparse_rows(&source), 24 * 4);
    assert_true(fzi_sparse_wins(&source));
}

/* With all inputs of a panel but S gone, S has the normal equations' own solution. */
static void solves(void **state) {
    (void)state;
    enum { K = 24 };
    double *h = correlated(K), *inverse = calloc(K * K, sizeof *h), *work = calloc(K * K, sizeof *h);
    memcpy(inverse, h, K * K * sizeof *h);
    assert_true(fzi_solve_invert(inverse, K, work));
    for (int i = 0; i < K; i++)
        for (int j = 0; j < K; j++) {
            double sum = 0;
            for (int l = 0; l < K; l++) sum += h[i * K + l] * inverse[l * K + j];
            assert_true(fabs(sum - (i == j)) < 1e-9);
        }
    h[5 * K + 5] = NAN;
    assert_false(fzi_solve_factor(h, K));
    free(h);
    free(inverse);
    free(work);
}

/* ---- refusals */

static void assert_refused(fz_status_t status, const fz_prune_options_t *options,
                           const char *pattern) {
    assert_int_equal(fz_prune_file(temporary("in.onnx"), temporary("out.onnx"), options, NULL),
                     status);
    if (!strstr(fz_last_error(), pattern)) fail_msg("'%s' is not in '%s'", pattern, fz_last_error());
}

static int give_up(void *context, size_t index, fz_tensor_t *inputs, size_t n) {
    (void)context, (void)index, (void)inputs, (void)n;
    return -1;
}

static void refusals(void **state) {
    (void)state;
    struct rows wrong = {.n = 5, .count = 1}, none = {.n = 4};
    fz_prune_options_t options = {.size = sizeof options};
    write_model("graph(x: float32[N,4])\n"
                "  w = float32[4,8] rand 1\n"
                "  h = MatMul(x, w)\n"
                "  u = float32[8,5] rand 2\n"
                "  y = MatMul(h, u)\n"
                "return y\n", temporary("in.onnx"));
    assert_refused(FZ_E_USAGE, &options, "nothing is asked for");
    options.structured = 1;
    assert_refused(FZ_E_USAGE, &options, "below 1");
    options.structured = NAN;
    assert_refused(FZ_E_USAGE, &options, "below 1");
    options.structured = 0.99;
    assert_refused(FZ_E_VALUE, &options, "can be taken out");
    options.structured = 0.5;
    options.exclude = (const char *[]){"nobody"};
    options.n_exclude = 1;
    assert_refused(FZ_E_USAGE, &options, "no node 'nobody'");
    options = with_samples(&wrong);
    options.structured = 0.5;
    assert_refused(FZ_E_SHAPE, &options, "float32[1,5]");
    options.sample = give_up;
    assert_refused(FZ_E_CANCELLED, &options, "given up");
    options = with_samples(&none);
    options.sparse = "3:2";
    assert_refused(FZ_E_USAGE, &options, "3:2");
    options.sparse = "2:4";
    assert_refused(FZ_E_VALUE, &options, "no samples");
    assert_int_equal(fz_prune_file("/no/such/file", temporary("out.onnx"), &options, NULL),
                     FZ_E_IO);
}

const struct CMUnitTest fit_cases[] = {
    cmocka_unit_test(exact_repair),
    cmocka_unit_test(groups_are_repaired), cmocka_unit_test(around_subgraphs),
    cmocka_unit_test(shapes_follow),
    cmocka_unit_test(same_bytes),   cmocka_unit_test(two_of_four),
    cmocka_unit_test(blocks_of_zeros), cmocka_unit_test(solves),
    cmocka_unit_test(refusals),
};
const size_t n_fit_cases = FZ_COUNT(fit_cases);
