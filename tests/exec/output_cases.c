/* Sentences of fz_session_run() on inputs, outputs, shapes and memory. */
#include "support.h"

#include <stdlib.h>

static float ramp[4096];

static void fill_ramp(void) {
    for (int i = 0; i < 4096; i++) ramp[i] = (float)(i - 7) * 0.25f;
}

static fz_tensor_t matrix(int64_t rows, int64_t columns) {
    fill_ramp();
    return floats(ramp, 2, (int64_t[]){rows, columns});
}

static void inputs_that_do_not_fit(void **state) {
    fz_model_t *model = open_built(one_node("Relu", "n,3", "n,3"));
    fz_session_t *session = open_session(model, 1);
    fz_tensor_t x = matrix(2, 3), y[2] = {0}, bad;
    assert_fails(FZ_E_USAGE, fz_session_run(session, &x, 0, y, 1));
    assert_fails(FZ_E_USAGE, fz_session_run(session, &x, 2, y, 1));
    assert_fails(FZ_E_USAGE, fz_session_run(session, &x, 1, y, 2));
    bad = x, bad.dtype = FZ_TYPE_I32;
    assert_fails(FZ_E_TYPE, fz_session_run(session, &bad, 1, y, 1));
    bad = x, bad.dtype = 99;
    assert_fails(FZ_E_TYPE, fz_session_run(session, &bad, 1, y, 1));
    bad = x, bad.rank = 1;
    assert_fails(FZ_E_SHAPE, fz_session_run(session, &bad, 1, y, 1));
    bad = x, bad.rank = -1;
    assert_fails(FZ_E_SHAPE, fz_session_run(session, &bad, 1, y, 1));
    bad = x, bad.rank = FZ_RANK_MAX + 1;
    assert_fails(FZ_E_SHAPE, fz_session_run(session, &bad, 1, y, 1));
    bad = x, bad.dims[1] = 4;
    assert_fails(FZ_E_SHAPE, fz_session_run(session, &bad, 1, y, 1));
    bad = x, bad.dims[0] = -1;
    assert_fails(FZ_E_SHAPE, fz_session_run(session, &bad, 1, y, 1));
    bad = x, bad.size = 23;
    assert_fails(FZ_E_SHAPE, fz_session_run(session, &bad, 1, y, 1));
    bad = x, bad.data = NULL;
    assert_fails(FZ_E_SHAPE, fz_session_run(session, &bad, 1, y, 1));
    bad = x, bad.dims[0] = INT64_MAX / 2;
    assert_int_not_equal(fz_session_run(session, &bad, 1, y, 1), FZ_OK);
    /* None of that has harmed the session. "N_OUTPUTS may be smaller" */
    assert_ok(fz_session_run(session, &x, 1, y, 0));
    y[0] = (fz_tensor_t){0};
    assert_ok(fz_session_run(session, &x, 1, y, 1));
    assert_int_equal(y[0].size, 24);
    fz_session_close(session);
    fz_model_close(model);
}

/* "valid until its next run or its end"; "On success dtype, rank, dims and size ... are set" */
static void outputs_in_the_session(void **state) {
    fz_model_t *model = open_built(one_node("Relu", "n,3", "n,3"));
    fz_session_t *session = open_session(model, 1);
    fz_tensor_t x = matrix(5, 3), y = {.rank = 9, .dtype = 77};
    assert_ok(fz_session_run(session, &x, 1, &y, 1));
    assert_int_equal(y.dtype, FZ_TYPE_F32);
    assert_int_equal(y.rank, 2);
    assert_int_equal(y.dims[0], 5);
    assert_int_equal(y.dims[1], 3);
    assert_int_equal(y.size, 60);
    for (int i = 0; i < 15; i++)
        assert_true(((float *)y.data)[i] == (ramp[i] > 0 ? ramp[i] : 0));
    fz_session_close(session);
    fz_model_close(model);
}

/* "if that is too small the call fails with FZ_E_SHAPE, and dims and size say what is needed" */
static void outputs_of_the_caller(void **state) {
    fz_model_t *model = open_built(one_node("Relu", "n,3", "n,3"));
    fz_session_t *session = open_session(model, 1);
    float buffer[32];
    memset(buffer, 0x55, sizeof buffer);
    fz_tensor_t x = matrix(5, 3), y = {.data = buffer, .size = 59};
    assert_fails(FZ_E_SHAPE, fz_session_run(session, &x, 1, &y, 1));
    assert_int_equal(y.size, 60);
    assert_int_equal(y.dims[0], 5);
    assert_ptr_equal(y.data, buffer);
    for (int i = 0; i < 32; i++) assert_memory_equal(&buffer[i], "\x55\x55\x55\x55", 4);
    assert_ok(fz_session_run(session, &x, 1, &y, 1));
    assert_ptr_equal(y.data, buffer);
    assert_true(buffer[14] == ramp[14]);
    y.size = sizeof buffer;
    assert_ok(fz_session_run(session, &x, 1, &y, 1));
    assert_int_equal(y.size, 60);
    assert_memory_equal(&buffer[15], "\x55\x55\x55\x55", 4);
    fz_session_close(session);
    fz_model_close(model);
}

/* y is x flattened, z is x itself, w the sum: views of inputs are copied for the caller. */
static void views_of_inputs(void **state) {
    struct pb g = {0};
    int64_t all = -1;
    pb_msg(&g, GRAPH_INIT, pb_raw_tensor("s", FZ_TYPE_I64, "1", &all, sizeof all));
    pb_msg(&g, GRAPH_NODE, pb_node("Reshape", "x,s", "y"));
    pb_msg(&g, GRAPH_NODE, pb_node("Identity", "x", "z"));
    pb_msg(&g, GRAPH_NODE, pb_node("Add", "x,x", "w"));
    pb_msg(&g, GRAPH_INPUT, pb_value("x", FZ_TYPE_F32, "n,4"));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("y", FZ_TYPE_F32, "m"));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("z", FZ_TYPE_F32, "n,4"));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("w", FZ_TYPE_F32, "n,4"));
    fz_model_t *model = open_built(pb_model(g));
    fz_session_t *session = open_session(model, 1);
    for (int64_t rows = 3; rows > 0; rows--) {
        float mine[16];
        fz_tensor_t x = matrix(rows, 4), out[3] = {{0}, {.data = mine, .size = sizeof mine}, {0}};
        assert_ok(fz_session_run(session, &x, 1, out, 3));
        assert_int_equal(out[0].rank, 1);
        assert_int_equal(out[0].dims[0], rows * 4);
        assert_true(out[0].data != x.data && out[0].data != out[2].data);
        assert_memory_equal(out[0].data, ramp, (size_t)rows * 16);
        assert_memory_equal(mine, ramp, (size_t)rows * 16);
        assert_true(((float *)out[2].data)[1] == 2 * ramp[1]);
        /* What the session gave may be written by nobody but it; the input is untouched. */
        assert_true(ramp[0] == -1.75f);
    }
    fz_session_close(session);
    fz_model_close(model);
}

/* The NaN that comes out is the canonical one, also where an input passes through. */
static void canonical_nan(void **state) {
    fz_model_t *model = open_built(one_node("Identity", "2", "2"));
    fz_session_t *session = open_session(model, 1);
    uint32_t bits[2] = {0xFFC12345, 0x7F800001}, quiet = 0x7FC00000;
    fz_tensor_t x = floats((float *)bits, 1, (int64_t[]){2}), y = {0};
    assert_ok(fz_session_run(session, &x, 1, &y, 1));
    assert_memory_equal(y.data, &quiet, 4);
    assert_memory_equal((char *)y.data + 4, &quiet, 4);
    assert_int_equal(bits[0], 0xFFC12345);
    fz_session_close(session);
    fz_model_close(model);
}

static void empty_tensors(void **state) {
    fz_model_t *model = open_built(one_node("Relu", "n,3", "n,3"));
    fz_session_t *session = open_session(model, 2);
    fz_tensor_t x = {.dtype = FZ_TYPE_F32, .rank = 2, .dims = {0, 3}}, y = {0};
    assert_ok(fz_session_run(session, &x, 1, &y, 1));
    assert_int_equal(y.size, 0);
    assert_int_equal(y.dims[0], 0);
    assert_int_equal(y.dims[1], 3);
    fz_session_close(session);
    fz_model_close(model);
    model = open_digits("cnn");
    session = open_session(model, 2);
    x = (fz_tensor_t){.dtype = FZ_TYPE_F32, .rank = 4, .dims = {0, 1, 8, 8}};
    y = (fz_tensor_t){0};
    assert_ok(fz_session_run(session, &x, 1, &y, 1));
    assert_int_equal(y.size, 0);
    fz_session_close(session);
    fz_model_close(model);
}

/* More shapes than the session remembers, there and back: every answer is that of a new one. */
static void many_shapes(void **state) {
    fz_model_t *model = open_digits("cnn");
    fz_session_t *session = open_session(model, 1);
    for (int64_t i = 0; i < 60; i++) {
        int64_t n = i < 30 ? 1 + i % 15 : 1 + (59 - i) * 7 % 13;
        fz_tensor_t x = digits(i, n), y = {0}, z = {0};
        fz_session_t *fresh = open_session(model, 1);
        assert_ok(fz_session_run(session, &x, 1, &y, 1));
        assert_ok(fz_session_run(fresh, &x, 1, &z, 1));
        assert_int_equal(y.dims[0], n);
        assert_int_equal(y.size, z.size);
        assert_memory_equal(y.data, z.data, y.size);
        fz_session_close(fresh);
    }
    fz_session_close(session);
    fz_model_close(model);
}

/* A batch is its images one by one. */
static void batches_split(void **state) {
    const char *const models[] = {"cnn", "mlp", "lstm", "vit", "cnn.qdq", "mlp.qdq", "vit.qdq"};
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        fz_model_t *model = open_digits(models[m]);
        fz_session_t *session = open_session(model, 1);
        fz_tensor_t x = digits(0, 9), y = {0};
        assert_ok(fz_session_run(session, &x, 1, &y, 1));
        char *all = malloc(y.size);
        size_t all_size = y.size;
        memcpy(all, y.data, y.size);
        for (int64_t i = 0; i < 9; i++) {
            x = digits(i, 1);
            y = (fz_tensor_t){0};
            assert_ok(fz_session_run(session, &x, 1, &y, 1));
            assert_int_equal(y.size, all_size / 9);
            assert_memory_equal(y.data, all + (size_t)i * y.size, y.size);
        }
        free(all);
        fz_session_close(session);
        fz_model_close(model);
    }
}

/* "After the first run with given shapes, further runs with them allocate nothing" */
static void no_allocation(void **state) {
    const char *const models[] = {"cnn", "mlp", "lstm", "vit", "cnn.dyn", "cnn.qdq", "vit.dyn"};
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        fz_model_t *model = open_digits(models[m]);
        for (int threads = 1; threads <= 2; threads++) {
            fz_session_t *session = open_session(model, threads);
            fz_session_stats_t before, after;
            fz_tensor_t x = digits(0, 5), x2 = digits(1, 3), y = {0};
            assert_ok(fz_session_run(session, &x, 1, &y, 1));
            assert_ok(fz_session_run(session, &x2, 1, (y.data = NULL, &y), 1));
            fz_session_stats(session, &before);
            size_t start = allocations();
            for (int i = 0; i < 10; i++)
                assert_ok(fz_session_run(session, i % 2 ? &x : &x2, 1, (y.data = NULL, &y), 1));
            assert_int_equal(allocations(), start);
            fz_session_stats(session, &after);
            assert_int_equal(after.n_runs, before.n_runs + 10);
            assert_int_equal(after.n_allocations, before.n_allocations);
            assert_true(after.memory_size >= after.arena_size);
            fz_session_close(session);
        }
        fz_model_close(model);
    }
}

/* "FZ_E_VALUE an input's values do not fit (an index, say)" */
static void values_that_do_not_fit(void **state) {
    struct pb g = {0};
    pb_msg(&g, GRAPH_NODE, pb_node("Gather", "x,i", "y"));
    pb_msg(&g, GRAPH_INPUT, pb_value("x", FZ_TYPE_F32, "n,3"));
    pb_msg(&g, GRAPH_INPUT, pb_value("i", FZ_TYPE_I64, "m"));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("y", FZ_TYPE_F32, "m,3"));
    fz_model_t *model = open_built(pb_model(g));
    fz_session_t *session = open_session(model, 1);
    int64_t index[2] = {4, -5};
    fz_tensor_t in[2] = {matrix(5, 3), {.dtype = FZ_TYPE_I64, .rank = 1, .dims = {2},
                                        .data = index, .size = sizeof index}}, y = {0};
    assert_ok(fz_session_run(session, in, 2, &y, 1));
    assert_memory_equal(y.data, &ramp[12], 12);
    assert_memory_equal((float *)y.data + 3, ramp, 12);
    const int64_t bad[] = {5, -6, INT64_MAX, INT64_MIN};
    for (int i = 0; i < 4; i++) {
        index[1] = bad[i];
        y.data = NULL;
        assert_fails(FZ_E_VALUE, fz_session_run(session, in, 2, &y, 1));
        assert_non_null(strstr(fz_last_error(), "Gather"));
    }
    fz_session_close(session);
    fz_model_close(model);
}

/* Shapes that depend on values: every run gets its own, and what is behind them as well. */
static void shapes_of_values(void **state) {
    struct pb g = {0};
    struct pb cast = pb_node("Cast", "z", "y");
    pb_msg(&cast, NODE_ATTR, pb_attr_int("to", FZ_TYPE_F32));
    pb_msg(&g, GRAPH_NODE, pb_node("NonZero", "x", "z"));
    pb_msg(&g, GRAPH_NODE, cast);
    pb_msg(&g, GRAPH_INPUT, pb_value("x", FZ_TYPE_F32, "n"));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("y", FZ_TYPE_F32, "1,m"));
    fz_model_t *model = open_built(pb_model(g));
    fz_session_t *session = open_session(model, 1);
    float x[64] = {0}, mine[4];
    fz_tensor_t in = floats(x, 1, (int64_t[]){64}), y = {0};
    size_t start = 0;
    for (int round = 0; round < 2; round++) {
        for (int n = 64; n >= 0; n--) {
            for (int i = 0; i < 64; i++) x[i] = i >= 64 - n ? 1 : 0;
            y = (fz_tensor_t){0};
            assert_ok(fz_session_run(session, &in, 1, &y, 1));
            assert_int_equal(y.rank, 2);
            assert_int_equal(y.dims[1], n);
            for (int i = 0; i < n; i++) assert_true(((float *)y.data)[i] == (float)(64 - n + i));
        }
        if (round == 0) start = allocations();
    }
    assert_int_equal(allocations(), start);
    for (int i = 0; i < 64; i++) x[i] = i % 8 == 3;
    y = (fz_tensor_t){.data = mine, .size = sizeof mine};
    assert_fails(FZ_E_SHAPE, fz_session_run(session, &in, 1, &y, 1));
    assert_int_equal(y.dims[1], 8);
    assert_int_equal(y.size, 32);
    fz_session_close(session);
    fz_model_close(model);
}

/* "refuse runs that need more" */
static void arena_limit(void **state) {
    fz_model_t *model = open_digits("cnn");
    fz_session_options_t o = {.size = sizeof o, .max_arena_size = 4096};
    fz_session_t *session;
    assert_ok(fz_session_create(model, &o, &session));
    fz_tensor_t x = digits(0, 200), y = {0};
    assert_fails(FZ_E_LIMIT, fz_session_run(session, &x, 1, &y, 1));
    fz_session_close(session);
    fz_model_close(model);
}

struct trace {
    size_t steps, outputs, last;
    bool ordered;
};

static void on_step(void *context, size_t step, const char *op, const char *node,
                    const char *const *value_names, const fz_tensor_t *outputs, size_t n_outputs,
                    uint64_t nanoseconds) {
    struct trace *t = context;
    t->ordered = t->ordered && (t->steps == 0 || step > t->last);
    t->last = step;
    t->steps++;
    for (size_t i = 0; i < n_outputs; i++)
        t->outputs += op[0] && node && value_names[i] && (outputs[i].data || !outputs[i].size);
}

static void tracing(void **state) {
    fz_model_t *model = open_digits("mlp");
    fz_session_t *session = open_session(model, 1);
    fz_model_stats_t stats;
    struct trace t = {.ordered = true};
    fz_tensor_t x = digits(0, 1), y = {0};
    assert_ok(fz_model_stats(model, &stats));
    assert_ok(fz_session_set_trace(session, on_step, &t));
    assert_ok(fz_session_run(session, &x, 1, &y, 1));
    assert_int_equal(t.steps, stats.n_steps);
    assert_true(t.ordered && t.outputs >= t.steps);
    assert_ok(fz_session_set_trace(session, NULL, NULL));
    assert_ok(fz_session_run(session, &x, 1, &y, 1));
    assert_int_equal(t.steps, stats.n_steps);
    fz_session_close(session);
    fz_model_close(model);
}

const struct CMUnitTest output_cases[] = {
    cmocka_unit_test(inputs_that_do_not_fit), cmocka_unit_test(outputs_in_the_session),
    cmocka_unit_test(outputs_of_the_caller),  cmocka_unit_test(views_of_inputs),
    cmocka_unit_test(canonical_nan),          cmocka_unit_test(empty_tensors),
    cmocka_unit_test(many_shapes),            cmocka_unit_test(batches_split),
    cmocka_unit_test(no_allocation),          cmocka_unit_test(arena_limit),
    cmocka_unit_test(tracing),                cmocka_unit_test(values_that_do_not_fit),
    cmocka_unit_test(shapes_of_values),
};
const size_t n_output_cases = sizeof output_cases / sizeof *output_cases;
