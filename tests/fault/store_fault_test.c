/* Lets every allocation of a store's changes fail in turn, those of the JSON library included: each
 * is done or FZ_E_NOMEM, and the store is sound whatever happened. */
#include <frozen/freeze.h>
#include <frozen/store.h>

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static size_t countdown = SIZE_MAX;

static int fails(void) { return countdown != SIZE_MAX && countdown-- == 0; }

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_malloc(size_t size) { return fails() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t n, size_t size) { return fails() ? NULL : __real_calloc(n, size); }
void *__wrap_realloc(void *p, size_t size) { return fails() ? NULL : __real_realloc(p, size); }

static char folder[] = "/tmp/store_fault_test.XXXXXX", store[64], cnn[64], mlp[64], id[65];

static fz_status_t put(void) { return fz_store_put(store, mlp, "new", NULL); }
static fz_status_t tag(void) { return fz_store_tag(store, id, "new"); }
static fz_status_t pin(void) { return fz_store_pin(store, id, 1); }
static fz_status_t roll_back(void) { return fz_store_rollback(store, "new", NULL); }
static fz_status_t collect(void) { return fz_store_gc(store, 1, NULL, NULL); }

/* A blob that could not be parsed for lack of memory counts as damaged. Each change is made once:
 * rolling back takes what was put first. */
static void every_failure(void **state) {
    fz_status_t (*const changes[])(void) = {put, tag, pin, roll_back, collect};
    for (size_t c = 0; c < sizeof changes / sizeof *changes; c++) {
        fz_status_t status = FZ_E_NOMEM;
        for (size_t i = 0; status != FZ_OK; i++) {
            assert_true(i < 3000);
            countdown = i;
            status = changes[c]();
            countdown = SIZE_MAX;
            assert_true(status == FZ_OK || status == FZ_E_NOMEM || status == FZ_E_CORRUPT);
            assert_int_equal(fz_store_fsck(store, NULL, NULL, NULL), FZ_OK);
        }
    }
    char hex[65], first[65];
    assert_int_equal(fz_store_resolve(store, "new", hex, NULL, 0), FZ_OK);
    assert_int_equal(fz_store_put(store, mlp, NULL, first), FZ_OK);
    assert_string_equal(hex, first);
}

static int set_up(void **state) {
    if (!mkdtemp(folder)) return -1;
    snprintf(store, sizeof store, "%s/s", folder);
    snprintf(cnn, sizeof cnn, "%s/cnn.fz", folder);
    snprintf(mlp, sizeof mlp, "%s/mlp.fz", folder);
    json_set_alloc_funcs(__wrap_malloc, free);
    return fz_freeze_file(TEST_DATA "/digits/digits_cnn.onnx", cnn, NULL, NULL) ||
           fz_freeze_file(TEST_DATA "/digits/digits_mlp.onnx", mlp, NULL, NULL) ||
           fz_store_init(store) || fz_store_put(store, cnn, "prod", id);
}

static int tear_down(void **state) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_failure)};
    return cmocka_run_group_tests_name("failing allocations of the store", tests, set_up,
                                       tear_down);
}
