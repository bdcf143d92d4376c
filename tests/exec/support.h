/* What the tests of the executor share: models made on the spot, digits models, runs. */
#ifndef EXEC_SUPPORT_H
#define EXEC_SUPPORT_H

#include <setjmp.h>
#include <stdbool.h>

#include <frozen/freeze.h>

#include "../import/onnx_writer.h"

#include <cmocka.h>

/* The path of a file below tests/data; valid until the fourth call from here. */
const char *data_path(const char *format, ...);
/* Freezes and opens digits_NAME.onnx; must succeed. */
fz_model_t *open_digits(const char *name);
/* Freezes MODEL, which it releases, without a known answer, and opens it; must succeed. */
fz_model_t *open_built(struct pb model);
fz_session_t *open_session(fz_model_t *model, int32_t threads);

/* A path in the test's own folder of temporary files. */
const char *temporary(const char *name);
void *read_whole(const char *path, size_t *size);
void write_whole(const char *path, const void *data, size_t size);
bool file_exists(const char *path);

/* N images of the digits' test set, N x 1 x 8 x 8, from image FIRST on; N + FIRST <= 497. */
fz_tensor_t digits(int64_t first, int64_t n);
/* A float tensor over DATA. */
fz_tensor_t floats(float *data, int32_t rank, const int64_t *dims);
/* Y = OP(X) over floats, X of DIMS. */
struct pb one_node(const char *op, const char *dims, const char *out_dims);
/* N products of X (64 x SIZE) with a constant SIZE x SIZE matrix, one after the other. */
struct pb products(int n, int size);
/* The calls of malloc and its kin, mmap included, since the program's start. */
size_t allocations(void);
/* While true, pthread_create fails. */
void refuse_threads(bool on);

#define assert_ok(expr)                                                                            \
    do {                                                                                           \
        fz_status_t status_ = (expr);                                                              \
        if (status_ != FZ_OK) print_error("%s: %s\n", fz_status_name(status_), fz_last_error());   \
        assert_int_equal(status_, FZ_OK);                                                          \
    } while (0)
/* Must fail with STATUS, and say something. */
#define assert_fails(status, expr)                                                                 \
    do {                                                                                           \
        fz_set_last_error("");                                                                     \
        assert_string_equal(fz_status_name(expr), #status);                                        \
        assert_true(fz_last_error()[0] != 0);                                                      \
    } while (0)

/* Cases, one list a file; the sum is in exec_test.c. */
extern const struct CMUnitTest argument_cases[], output_cases[], model_cases[], host_cases[],
    quota_cases[], thread_cases[], receipt_cases[], chain_cases[];
extern const size_t n_argument_cases, n_output_cases, n_model_cases, n_host_cases, n_quota_cases,
    n_thread_cases, n_receipt_cases, n_chain_cases;

#endif
