/* Which dimensions are one: each case names a graph and the dimensions of its values.
 *
 * `8!` is fixed, `a8` a whole dimension that may shrink (the same letter wherever it is the same
 * one), `(a4*b16)` a product, `(a8|b8)` a concatenation. */
#include "prune_cases.h"

#include <stdio.h>

struct analysis {
    struct fz_arena arena;
    struct fz_prune_copy copy;
    struct fz_depend depend;
    struct fz_dims leaves; /* in the order of their letters */
};

/* Runs the graph on zeros, open dimensions being 1 and then 2. */
static void run(struct analysis *a, int64_t open) {
    struct fz_graph *graph = a->copy.graph;
    fz_tensor_t inputs[8];
    assert_in_range(graph->n_inputs, 1, 8);
    for (uint32_t i = 0; i < graph->n_inputs; i++) {
        inputs[i] = graph->inputs[i]->t;
        for (int32_t d = 0; d < inputs[i].rank; d++)
            if (inputs[i].dims[d] < 0) inputs[i].dims[d] = open;
        assert_int_equal(fzi_tensor_alloc(&a->arena, &inputs[i]), FZ_OK);
    }
    if (fzi_trace_run(&a->copy.trace, inputs, NULL) != FZ_OK) fail_msg("%s", fzi_error_text());
}

static fz_tensor_t *keep(struct analysis *a) {
    const struct fz_trace *t = &a->copy.trace;
    fz_tensor_t *all = fzi_arena_array(&a->arena, t->n_values, sizeof *all);
    for (uint32_t i = 0; i < t->n_values; i++) {
        all[i] = *fzi_trace_value(t, t->ids[i]);
        all[i].data = fzi_arena_copy(&a->arena, all[i].data, all[i].size);
    }
    return all;
}

static void analyse(struct analysis *a, const char *text, const char *excluded) {
    static const char *names[1];
    const char *path = temporary("in.onnx");
    *a = (struct analysis){0};
    write_model(text, path);
    assert_int_equal(fzi_import_file(path, NULL, &a->copy.arena, &a->copy.source, &a->copy.graph),
                     FZ_OK);
    assert_int_equal(fzi_trace_open(&a->copy.trace, a->copy.graph), FZ_OK);
    run(a, 2);
    fz_tensor_t *other = keep(a);
    run(a, 1);
    names[0] = excluded;
    a->depend = (struct fz_depend){.arena = &a->arena, .trace = &a->copy.trace, .other = other,
                                   .excluded = names, .n_excluded = excluded != NULL};
    if (fzi_depend_analyse(&a->depend) != FZ_OK) fail_msg("%s", fzi_error_text());
}

static void close_analysis(struct analysis *a) {
    fzi_trace_close(&a->copy.trace);
    fzi_source_close(&a->copy.source);
    fzi_arena_free(&a->copy.arena);
    fzi_arena_free(&a->arena);
}

static char letter(struct analysis *a, struct fz_dim *leaf) {
    for (uint32_t i = 0; i < a->leaves.n; i++)
        if (a->leaves.items[i] == leaf) return (char)('a' + i);
    assert_true(fzi_dims_add(&a->arena, &a->leaves, leaf));
    return (char)('a' + a->leaves.n - 1);
}

static void print_dim(struct analysis *a, struct fz_dim *dim, struct fz_text *out) {
    dim = fzi_dim_find(dim);
    if (dim->fixed || dim->size == 1) {
        fzi_text_add(out, "%d%s", (int)dim->size, dim->size == 1 ? "" : "!");
    } else if (dim->form == FZ_DIM_WHOLE) {
        fzi_text_add(out, "%c%d", letter(a, dim), (int)dim->size);
    } else {
        for (uint32_t i = 0; i < dim->n_parts; i++) {
            fzi_text_add(out, i ? dim->form == FZ_DIM_PRODUCT ? "*" : "|" : "(");
            print_dim(a, dim->parts[i], out);
        }
        fzi_text_add(out, ")");
    }
}

/* EXPECTED: a line "name dim dim ..." for some values. */
static void expect(struct analysis *a, const char *expected) {
    struct fz_text got = {0};
    char name[32];
    for (const char *line = expected; *line; line += strcspn(line, "\n") + 1) {
        size_t n = strcspn(line, " ");
        snprintf(name, sizeof name, "%.*s", (int)n, line);
        const struct fz_value *v = NULL;
        for (uint32_t i = 0; i < a->copy.trace.n_values; i++)
            if (strcmp(a->copy.trace.ids[i]->name, name) == 0) v = a->copy.trace.ids[i];
        if (!v) fail_msg("there is no value %s", name);
        fzi_text_add(&got, "%s", name);
        for (int32_t d = 0; d < fzi_depend_value(&a->depend, v)->rank; d++) {
            fzi_text_add(&got, " ");
            print_dim(a, fzi_depend_axis(&a->depend, v, d), &got);
        }
        fzi_text_add(&got, "\n");
    }
    assert_string_equal(got.data, expected);
    fzi_text_free(&got);
}

static void check(const char *text, const char *excluded, const char *expected) {
    struct analysis a;
    analyse(&a, text, excluded);
    expect(&a, expected);
    close_analysis(&a);
}

static void convolutions(void **state) {
    (void)state;
    check("graph(x: float32[N,3,6,6])\n"
          "  w = float32[8,3,3,3] rand 1\n"
          "  b = float32[8] rand 2\n"
          "  h = Conv(x, w, b) pads=[1,1,1,1]\n"
          "  s = float32[8] rand 3\n"
          "  n = BatchNormalization(h, s, b2, m, v)\n"
          "  b2 = float32[8] rand 4\n"
          "  m = float32[8] rand 5\n"
          "  v = float32[8] fill 1\n"
          "  r = Relu(n)\n"
          "  d = float32[8,1,3,3] rand 6\n"
          "  g = Conv(r, d) group=8 pads=[1,1,1,1]\n"
          "  u = float32[5,8,1,1] rand 7\n"
          "  y = Conv(g, u)\n"
          "return y\n",
          NULL,
          "x 1 3! 6! 6!\n"
          "w a8 3! 3! 3!\n"
          "b a8\n"
          "h 1 a8 6! 6!\n"
          "s a8\n"
          "v a8\n"
          "d a8 1 3! 3!\n"
          "g 1 a8 6! 6!\n"
          "u 5! a8 1 1\n");
}

static void residual(void **state) {
    (void)state;
    check("graph(x: float32[2,4])\n"
          "  w = float32[4,8] rand 1\n"
          "  h = MatMul(x, w)\n"
          "  u = float32[8,6] rand 2\n"
          "  r = MatMul(h, u)\n"
          "  v = float32[6,8] rand 3\n"
          "  q = MatMul(r, v)\n"
          "  s = Add(h, q)\n"
          "  z = float32[8,3] rand 4\n"
          "  y = MatMul(s, z)\n"
          "return y\n",
          NULL, "h 2! a8\nw 4! a8\nu a8 b6\nv b6 a8\ns 2! a8\nz a8 3!\n");
}

static void concat_and_flatten(void **state) {
    (void)state;
    check("graph(x: float32[2,3,4,4])\n"
          "  w = float32[4,3,1,1] rand 1\n"
          "  p = Conv(x, w)\n"
          "  u = float32[6,3,1,1] rand 2\n"
          "  q = Conv(x, u)\n"
          "  c = Concat(p, q) axis=1\n"
          "  f = Flatten(c)\n"
          "  z = float32[160,5] rand 3\n"
          "  y = Gemm(f, z)\n"
          "return y\n",
          NULL,
          "p 2! a4 4! 4!\nq 2! b6 4! 4!\nc 2! (a4|b6) 4! 4!\nf 2! ((a4|b6)*4!*4!)\n"
          "z ((a4|b6)*4!*4!) 5!\n");
}

/* Queries, keys and values from one product; heads by Reshape and Transpose. */
static void heads(void **state) {
    (void)state;
    check("graph(x: float32[N,3,8])\n"
          "  w = float32[8,24] rand 1\n"
          "  p = MatMul(x, w)\n"
          "  k3 = int64[3] 8 8 8\n"
          "  q, k, v = Split(p, k3) axis=2\n"
          "  t = int64[4] 0 0 2 4\n"
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
          "  t3 = int64[3] 0 0 8\n"
          "  of = Reshape(ot, t3)\n"
          "  z = float32[8,5] rand 2\n"
          "  y = MatMul(of, z)\n"
          "return y\n",
          NULL,
          "w 8! ((a2*b4)|((a2*b4)|(a2*c4)))\nq 1 3! (a2*b4)\nvt 1 a2 3! c4\na 1 a2 3! 3!\n"
          "of 1 3! (a2*c4)\nz (a2*c4) 5!\n");
}

static void norms_keep_their_width(void **state) {
    (void)state;
    check("graph(x: float32[2,4])\n"
          "  w = float32[4,8] rand 1\n"
          "  h = MatMul(x, w)\n"
          "  g = float32[8] rand 2\n"
          "  b = float32[8] rand 3\n"
          "  n = LayerNormalization(h, g, b)\n"
          "  u = float32[8,6] rand 4\n"
          "  r = MatMul(n, u)\n"
          "  e = Relu(r)\n"
          "  z = float32[6,3] rand 5\n"
          "  y = MatMul(e, z)\n"
          "return y\n",
          NULL, "w 4! 8!\ng 8!\nu 8! a6\nz a6 3!\n");
}

static void groups(void **state) {
    (void)state;
    check("graph(x: float32[1,3,4,4])\n"
          "  w = float32[12,3,1,1] rand 1\n"
          "  h = Conv(x, w)\n"
          "  u = float32[8,3,1,1] rand 2\n"
          "  g = Conv(h, u) group=4\n"
          "  z = float32[5,8,1,1] rand 3\n"
          "  y = Conv(g, z)\n"
          "return y\n",
          NULL, "h 1 (a4*3!) 4! 4!\nu (a4*b2) 3! 1 1\nz 5! (a4*b2) 1 1\n");
}

/* A shape that more than a Reshape depends on; a node that is excluded; an operator without a rule. */
static void what_is_read_as_a_number_stays(void **state) {
    (void)state;
    static const char text[] = "graph(x: float32[2,4])\n"
                               "  w = float32[4,8] rand 1\n"
                               "  h = MatMul(x, w)\n"
                               "  d = Shape(h)\n"
                               "  i = int64[1] 1\n"
                               "  n = Gather(d, i)\n"
                               "  f = Cast(n) to=1\n"
                               "  c = Div(h, f)\n"
                               "  u = float32[8,6] rand 4\n"
                               "  r = MatMul(c, u)\n"
                               "  k = CumSum(r, l)\n"
                               "  l = int64[] 0\n"
                               "  z = float32[6,3] rand 5\n"
                               "  y = MatMul(k, z)\n"
                               "return y\n";
    check(text, NULL, "h 2! 8!\nu 8! 6!\nz 6! 3!\n");
    check("graph(x: float32[2,4])\n"
          "  w = float32[4,8] rand 1\n"
          "  h = MatMul(x, w)\n"
          "  u = float32[8,6] rand 4\n"
          "  r = MatMul(h, u)\n"
          "  z = float32[6,3] rand 5\n"
          "  y = MatMul(r, z)\n"
          "return y\n",
          "r", "h 2! 8!\nu 8! 6!\nz 6! 3!\n");
}

/* A mask over products and concatenations, against one that is counted out by hand. */
static void indices_that_go(void **state) {
    (void)state;
    struct fz_arena arena = {0};
    struct fz_dim *a = fzi_dim_new(&arena, 2), *b = fzi_dim_new(&arena, 3);
    struct fz_dim *c = fzi_dim_new(&arena, 2);
    struct fz_dim *sum = fzi_dim_of(&arena, FZ_DIM_CONCAT, (struct fz_dim *[]){b, c}, 2);
    struct fz_dim *all = fzi_dim_of(&arena, FZ_DIM_PRODUCT, (struct fz_dim *[]){a, sum}, 2);
    uint8_t gone_b[] = {0, 1, 0}, gone_c[] = {1, 0}, got[10];
    static const uint8_t wanted[] = {0, 1, 0, 1, 0, 0, 1, 0, 1, 0};
    static const uint8_t second[] = {0, 0, 0, 0, 0, 1, 1, 1, 1, 1};
    b->gone = gone_b;
    c->gone = gone_c;
    fzi_dim_gone(all, got);
    assert_memory_equal(got, wanted, sizeof got);
    assert_int_equal(fzi_dim_kept(all), 6);
    memset(got, 0, sizeof got);
    fzi_dim_hit(all, a, 1, got);
    assert_memory_equal(got, second, sizeof got);
    fzi_arena_free(&arena);
}

const struct CMUnitTest dim_cases[] = {
    cmocka_unit_test(convolutions),
    cmocka_unit_test(residual),
    cmocka_unit_test(concat_and_flatten),
    cmocka_unit_test(heads),
    cmocka_unit_test(norms_keep_their_width),
    cmocka_unit_test(groups),
    cmocka_unit_test(what_is_read_as_a_number_stays),
    cmocka_unit_test(indices_that_go),
};
const size_t n_dim_cases = FZ_COUNT(dim_cases);
