/* The profile blas: products by OpenBLAS are near the portable ones, the same for every number of
 * tasks, and refused while no BLAS is open. Exits with 77 (skipped) where there is no OpenBLAS. */
#include <stdio.h>

#include "blas/blas.h"
#include "ops/conv.h"
#include "ops/matmul.h"

static struct fz_arena arena;
static struct fzk_table kernels;
static int failures;

static void check(int good, const char *what) {
    if (good) return;
    failures++;
    printf("failed: %s\n", what);
}

static fz_status_t go_on(const struct fz_env *env) {
    (void)env;
    return FZ_OK;
}

/* Tasks in reverse order: the result must not depend on it. */
static void backwards(const struct fz_env *env, size_t count, fz_task_fn task, void *arg) {
    (void)env;
    for (size_t i = count; i-- > 0;) task(arg, i);
}

static fz_tensor_t *tensor(int32_t rank, const int64_t *dims) {
    static uint64_t state = 1;
    fz_tensor_t *t = fzi_arena_alloc(&arena, sizeof *t);
    t->dtype = FZ_TYPE_F32;
    fzi_shape_set(t, rank, dims);
    check(fzi_tensor_alloc(&arena, t) == FZ_OK, "memory");
    for (size_t i = 0; i < t->size / sizeof(float); i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        ((float *)t->data)[i] = (float)(state >> 40) / 16777216.0f - 0.5f;
    }
    return t;
}

/* Infers and runs OP; *OUT has no data if it fails. */
static fz_status_t run(const struct fz_op *op, const void *params, fz_tensor_t *const *in,
                       uint32_t n_in, const struct fz_blas *blas, uint32_t threads,
                       fz_tensor_t *out) {
    struct fz_env env = {.k = &kernels, .threads = threads, .parallel = backwards,
                         .poll = go_on, .blas = blas};
    fz_tensor_t *const outs[] = {out};
    struct fz_call call = {.params = params, .n_in = n_in, .n_out = 1,
                           .in = (const fz_tensor_t *const *)in, .out = outs, .env = &env};
    FZ_TRY(op->infer(op, &call));
    FZ_TRY(fzi_tensor_alloc(&arena, out));
    if (op->scratch) call.scratch = fzi_arena_alloc(&arena, op->scratch(op, &call));
    return op->run(op, &call);
}

/* The outputs agree to 1e-4, far more than rounding and far less than any mistake. */
static int near(const fz_tensor_t *a, const fz_tensor_t *b) {
    if (a->size != b->size) return 0;
    for (size_t i = 0; i < a->size / sizeof(float); i++) {
        float d = ((const float *)a->data)[i] - ((const float *)b->data)[i];
        if (!(d < 1e-4f && d > -1e-4f)) return 0;
    }
    return 1;
}

/* OP with PORTABLE inputs and params, and by BLAS with its own. */
static void compare(const char *what, const struct fz_op *op, const void *params,
                    fz_tensor_t *const *in, const void *blas_params, fz_tensor_t *const *blas_in,
                    uint32_t n_in, const struct fz_blas *blas) {
    fz_tensor_t out[3] = {{0}};
    check(run(op, params, in, n_in, NULL, 1, &out[0]) == FZ_OK, what);
    check(run(op, blas_params, blas_in, n_in, blas, 1, &out[1]) == FZ_OK, what);
    check(run(op, blas_params, blas_in, n_in, blas, 3, &out[2]) == FZ_OK, what);
    check(near(&out[0], &out[1]), what);
    check(memcmp(out[1].data, out[2].data, out[1].size) == 0, what);
}

static void test_conv(const struct fz_blas *blas, const int64_t x[4], const int64_t w[4],
                      int64_t stride, int64_t pad, int64_t group) {
    struct fz_graph *graph = fzi_graph_new(&arena, NULL, "test");
    struct fz_value weights = {.name = "w", .t = *tensor(4, w)}, *packed, *plain;
    const struct fz_conv_params conv = {
        .spatial = 2, .kernel = {1, 0, 0}, .stride = {1, stride, stride}, .dilation = {1, 1, 1},
        .before = {0, pad, pad}, .after = {0, pad, pad}, .group = group};
    struct fz_conv_params p, q;
    fz_tensor_t *in[] = {tensor(4, x), NULL, tensor(1, w)}, *blas_in[] = {in[0], NULL, in[2]};
    fz_tensor_t out = {0};
    check(fzi_conv_choose(&conv, &weights.t, false, &p) == FZ_OK, "choice");
    p.act = (struct fz_act){.kind = FZ_ACT_CLIP, .b = 6};
    q = p;
    q.blas = 1;
    check(fzi_conv_pack(graph, &weights, &p, &packed) == FZ_OK, "packing");
    check(fzi_conv_pack(graph, &weights, &q, &plain) == FZ_OK, "packing");
    in[1] = &packed->t;
    blas_in[1] = &plain->t;
    const struct fz_op *op = fzi_op_find("frozen", "Conv", 1);
    compare("frozen.Conv", op, &p, in, &q, blas_in, 3, blas);
    check(run(op, &q, blas_in, 3, NULL, 1, &out) == FZ_E_PROFILE, "refusal without a BLAS");
}

static void test_products(const struct fz_blas *blas) {
    const int64_t a[] = {2, 300, 40}, b[] = {2, 1100, 40}, c[] = {2, 40, 1100};
    const int64_t rows[] = {300, 40}, matrix[] = {40, 1100};
    struct fz_matmul_dyn_params p = {1, FZ_SCALE_DIV, 8};
    fz_tensor_t *in[] = {tensor(3, a), tensor(3, b)}, *plain[] = {in[0], tensor(3, c)};
    fz_tensor_t *two[] = {tensor(2, rows), tensor(2, matrix)};
    const struct fz_op *op = fzi_op_find("frozen", "MatMulDyn", 1);
    compare("frozen.MatMulDyn", op, &p, in, &p, in, 2, blas);
    memset(&p, 0, sizeof p);
    op = fzi_op_find("", "MatMul", 13);
    compare("MatMul", op, &p, plain, &p, plain, 2, blas);
    compare("MatMul of matrices", op, &p, two, &p, two, 2, blas);
}

static void test_refusals(void) {
    struct fz_blas none;
    check(fzk_blas_open("libnothing-of-this-name.so", &none) && !none.sgemm, "no such library");
    check(fzk_blas_open("libm.so.6", &none) && !none.library, "another library");
}

int main(int argc, char **argv) {
    static const int64_t x[3][4] = {{2, 20, 19, 12}, {1, 30, 31, 8}, {3, 17, 18, 12}};
    static const int64_t w[3][4] = {{40, 12, 3, 3}, {1100, 8, 1, 1}, {12, 4, 3, 3}};
    struct fz_blas blas;
    const char *trouble = fzk_blas_open(argc > 1 ? argv[1] : "libopenblas.so.0", &blas);
    fzk_table_fill(&kernels, fzk_cpu_mask());
    test_refusals();
    if (trouble) {
        printf("skipped: %s\n", trouble);
        return failures ? 1 : 77;
    }
    printf("OpenBLAS %s, core %s\n", blas.version, blas.core);
    test_conv(&blas, x[0], w[0], 2, 1, 1);
    test_conv(&blas, x[1], w[1], 1, 0, 1);
    test_conv(&blas, x[2], w[2], 1, 1, 3);
    test_products(&blas);
    fzk_blas_close(&blas);
    fzi_arena_free(&arena);
    printf("%d failed\n", failures);
    return failures != 0;
}
