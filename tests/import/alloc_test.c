/* Lets every allocation of an import fail in turn: each time the import must say so and leave
 * nothing behind. The linker sends the calls of malloc and its kin here (--wrap). */
#include "onnx_writer.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

/* How many allocations succeed before one fails; the rest succeed again. */
static size_t countdown = SIZE_MAX;
static size_t n_live;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
void __wrap_free(void *p);

static bool fails(void) { return countdown-- == 0; }

static void *count(void *p) {
    n_live += p != NULL;
    return p;
}

void *__wrap_malloc(size_t size) { return fails() ? NULL : count(__real_malloc(size)); }
void *__wrap_calloc(size_t n, size_t size) {
    return fails() ? NULL : count(__real_calloc(n, size));
}

void *__wrap_aligned_alloc(size_t align, size_t size) {
    return fails() ? NULL : count(__real_aligned_alloc(align, size));
}

void *__wrap_realloc(void *p, size_t size) {
    if (fails()) return NULL;
    void *moved = __real_realloc(p, size);
    return p ? moved : count(moved);
}

void __wrap_free(void *p) {
    n_live -= p != NULL;
    __real_free(p);
}

static void every_allocation(void **state) {
    struct pb m = pb_rich_model();
    size_t before = n_live, n = 0;
    for (fz_status_t status = FZ_E_NOMEM; status != FZ_OK; n++) {
        struct fz_arena arena = {0};
        struct fz_source source;
        struct fz_graph *graph;
        countdown = n;
        status = fzi_import_memory(m.data, m.size, NULL, &arena, &source, &graph);
        countdown = SIZE_MAX;
        assert_true(status == FZ_OK || (status == FZ_E_NOMEM && !graph));
        fzi_source_close(&source);
        fzi_arena_free(&arena);
        assert_int_equal(n_live, before);
    }
    /* The messages alone take dozens of allocations. */
    assert_true(n > 50);
    pb_free(&m);
}

/* Arenas that end early: the same, at every size. */
static void every_arena_size(void **state) {
    struct pb m = pb_rich_model();
    fz_status_t status = FZ_E_NOMEM;
    for (size_t limit = 64; status != FZ_OK; limit += 64) {
        struct fz_arena arena = {.limit = limit};
        struct fz_source source;
        struct fz_graph *graph;
        status = fzi_import_memory(m.data, m.size, NULL, &arena, &source, &graph);
        assert_true(status == FZ_OK || status == FZ_E_LIMIT);
        fzi_source_close(&source);
        fzi_arena_free(&arena);
    }
    pb_free(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation),
        cmocka_unit_test(every_arena_size),
    };
    return cmocka_run_group_tests_name("allocations", tests, NULL, NULL);
}
