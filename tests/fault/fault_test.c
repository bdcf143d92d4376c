/* Lets every allocation from the ONNX bytes to the answer fail in turn: nothing may crash, every
 * failure is FZ_E_NOMEM, and nothing is left behind. The linker sends the calls of malloc and its
 * kin, and of mmap, here (--wrap). */
#include <frozen/custom.h>
#include <frozen/freeze.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* How many calls succeed before one fails; the rest succeed again, or none does any more. */
static atomic_size_t countdown = SIZE_MAX;
static atomic_bool for_good;
static atomic_size_t n_live, n_mapped;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void __real_free(void *p);
void *__real_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t off);
int __real_munmap(void *at, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
void __wrap_free(void *p);
void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t off);
int __wrap_munmap(void *at, size_t size);

static bool fails(void) {
    if (countdown == SIZE_MAX) return false;
    if (countdown == 0 && for_good) return true;
    return countdown-- == 0;
}

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

void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t off) {
    if (fails()) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    void *p = __real_mmap64(at, size, protection, flags, fd, off);
    n_mapped += p != MAP_FAILED;
    return p;
}

int __wrap_munmap(void *at, size_t size) {
    n_mapped--;
    return __real_munmap(at, size);
}

/* Open descriptors of this process. */
static size_t n_open(void) {
    size_t n = 0;
    for (int fd = 0; fd < 256; fd++) n += fcntl(fd, F_GETFD) != -1;
    return n;
}

/* ---- what is done with failing allocations: everything that WAY says, in one go */

struct way {
    const char *onnx, *fz;        /* frozen in memory, or opened from a file */
    const void *data;             /* bytes of ONNX instead */
    size_t size;
    fz_open_options_t open;
    fz_freeze_options_t freeze;
    int32_t threads;
    int64_t n_images;
    const fz_custom_op_t *op;
};

static fz_status_t open_model(const struct way *w, fz_model_t **model) {
    if (w->fz) return fz_model_open(w->fz, &w->open, model);
    if (w->data) return fz_freeze_open_memory(w->data, w->size, &w->freeze, &w->open, model);
    return fz_freeze_open(w->onnx, &w->freeze, &w->open, model);
}

static float images[9 * 64];

static fz_status_t run(const struct way *w, fz_session_t *session) {
    fz_status_t status = FZ_OK;
    for (int64_t n = 1; status == FZ_OK && n <= w->n_images; n++) {
        fz_tensor_t x = {.dtype = FZ_TYPE_F32, .rank = 4, .dims = {n, 1, 8, 8}, .data = images,
                         .size = (size_t)n * 256}, y = {0};
        status = fz_session_run(session, &x, 1, &y, 1);
    }
    return status;
}

static fz_status_t run_all(const struct way *w);

/* With the way's custom operator, if it has one. */
static fz_status_t go(const struct way *way) {
    struct way w = *way;
    fz_custom_t *custom = NULL;
    fz_status_t status = way->op ? fz_custom_create(&way->op, 1, &custom) : FZ_OK;
    w.open.custom = w.freeze.custom = custom;
    if (status == FZ_OK) status = run_all(&w);
    fz_custom_close(custom);
    return status;
}

static fz_status_t run_all(const struct way *w) {
    fz_model_t *model = NULL;
    fz_session_t *session = NULL;
    fz_session_options_t options = {.size = sizeof options, .threads = w->threads};
    fz_status_t status = open_model(w, &model);
    if (status == FZ_OK) status = fz_session_create(model, &options, &session);
    if (status == FZ_OK) status = run(w, session);
    if (status == FZ_OK) status = fz_model_known_answer(model);
    if (status == FZ_E_UNSUPPORTED && w->freeze.flags & FZ_FREEZE_NO_KAT) status = FZ_OK;
    /* A session that an allocation failed in still works. */
    if (session && status == FZ_E_NOMEM) {
        size_t left = countdown;
        countdown = SIZE_MAX;
        assert_int_equal(run(w, session), FZ_OK);
        countdown = left;
    }
    fz_session_close(session);
    fz_model_close(model);
    return status;
}

static void every_failure(const struct way *way) {
    struct way w = *way;
    w.open.size = sizeof w.open;
    w.freeze.size = sizeof w.freeze;
    assert_int_equal(go(&w), FZ_OK); /* what the system makes once, it has made */
    size_t fds = n_open(), live = n_live, mapped = n_mapped, n = 0;
    for (int stays = 0; stays < 2; stays++) {
        for_good = stays;
        for (size_t i = 0;; i++) {
            countdown = i;
            fz_status_t status = go(&w);
            bool through = countdown != SIZE_MAX && countdown > 0;
            countdown = SIZE_MAX;
            if (status != FZ_OK) {
                if (status != FZ_E_NOMEM)
                    print_error("allocation %zu: %s: %s\n", i, fz_status_name(status),
                                fz_last_error());
                assert_int_equal(status, FZ_E_NOMEM);
                assert_true(fz_last_error()[0] != 0);
            }
            assert_int_equal(n_live, live);
            assert_int_equal(n_mapped, mapped);
            assert_int_equal(n_open(), fds);
            if (through) break;
            n++;
        }
    }
    print_message("    %zu failures\n", n);
    assert_true(n > 20);
}

static char data[4][512];

static const char *onnx(const char *name) {
    static int next;
    char *path = data[next++ % 4];
    snprintf(path, sizeof data[0], "%s/digits/digits_%s.onnx", TEST_DATA, name);
    return path;
}

static void from_onnx(void **state) {
    every_failure(&(struct way){.onnx = onnx("mlp"), .n_images = 2});
    every_failure(&(struct way){.onnx = onnx("cnn.qdq"), .n_images = 1});
    every_failure(&(struct way){.onnx = onnx("lstm"), .n_images = 1});
}

static void from_onnx_without_answer(void **state) {
    every_failure(&(struct way){.onnx = onnx("cnn"), .n_images = 2,
                                .freeze = {.flags = FZ_FREEZE_NO_KAT | FZ_FREEZE_KEEP_ONNX}});
}

static fz_status_t best_infer(void *context, const fz_custom_call_t *call) {
    call->outputs[0]->dtype = FZ_TYPE_I64;
    call->outputs[0]->rank = 1;
    call->outputs[0]->dims[0] = -1;
    return FZ_OK;
}

/* Asks for memory in every way that there is. */
static fz_status_t best_run(void *context, const fz_custom_call_t *call) {
    int64_t n = call->inputs[0]->dims[0];
    if (!call->allocate(call, 1 << 16)) return call->error(call, FZ_E_NOMEM, "no memory");
    fz_status_t status = call->resize(call, 0, 1, &n);
    if (status == FZ_OK) memset(call->outputs[0]->data, 0, call->outputs[0]->size);
    return status;
}

static size_t best_scratch(void *context, const fz_custom_call_t *call) { return 1000; }

static void from_onnx_with_custom(void **state) {
    static const fz_custom_attr_t attrs[] = {{"margin", FZ_CUSTOM_FLOAT, 0}};
    fz_custom_op_t op = {.size = sizeof op, .domain = "com.example", .name = "Best", .opset = 1,
                         .version = 1, .digest = {1}, .min_inputs = 1, .max_inputs = 1,
                         .min_outputs = 1, .max_outputs = 1, .attributes = attrs,
                         .n_attributes = 1, .flags = FZ_CUSTOM_LATE_SHAPE, .infer = best_infer,
                         .scratch = best_scratch, .run = best_run};
    char path[512];
    snprintf(path, sizeof path, "%s/custom/digits_best.onnx", TEST_DATA);
    every_failure(&(struct way){.onnx = path, .n_images = 2, .op = &op});
}

/* A model with eight faults, all of which are told, or that there is no memory to tell them. */
static void from_faulty(void **state) {
    char path[512];
    snprintf(path, sizeof path, "%s/faults/faulty.onnx", TEST_DATA);
    size_t live = n_live, mapped = n_mapped, n = 0;
    for (bool through = false; !through; n++) {
        fz_model_t *model;
        countdown = n;
        fz_status_t status = fz_freeze_open(path, NULL, NULL, &model);
        through = countdown != SIZE_MAX && countdown > 0;
        countdown = SIZE_MAX;
        assert_null(model);
        /* Texts that are only for the file may fail unnoticed: there will be none. */
        assert_true(status == FZ_E_UNSUPPORTED || (status == FZ_E_NOMEM && !through));
        assert_int_equal(n_live, live);
        assert_int_equal(n_mapped, mapped);
    }
    assert_non_null(strstr(fz_last_error(), "not supported, 8 cases"));
    assert_true(n > 20);
}

static void from_file(void **state) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/fault_test.%ld.fz", (long)getpid());
    assert_int_equal(fz_freeze_file(onnx("vit"), path, NULL, NULL), FZ_OK);
    every_failure(&(struct way){.fz = path, .n_images = 9, .threads = 1});
    every_failure(&(struct way){.fz = path, .n_images = 2, .open = {.flags = FZ_OPEN_MAP}});
    every_failure(&(struct way){.fz = path, .n_images = 2, .open = {.protection = 1}});
    unlink(path);
}

/* fz_freeze_file() leaves no file behind. */
static void to_file(void **state) {
    char path[64], part[96];
    snprintf(path, sizeof path, "/tmp/fault_test.%ld.fz", (long)getpid());
    snprintf(part, sizeof part, "%s.%ld.part", path, (long)getpid());
    size_t fds = n_open(), live = n_live;
    fz_status_t status = FZ_E_NOMEM;
    for (size_t i = 0; status != FZ_OK; i++) {
        countdown = i;
        status = fz_freeze_file(onnx("mlp"), path, NULL, NULL);
        countdown = SIZE_MAX;
        assert_true(status == FZ_OK || status == FZ_E_NOMEM);
        assert_int_equal(access(path, F_OK) == 0, status == FZ_OK);
        assert_int_not_equal(access(part, F_OK), 0);
        assert_int_equal(n_live, live);
        assert_int_equal(n_open(), fds);
    }
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_onnx),
        cmocka_unit_test(from_onnx_without_answer),
        cmocka_unit_test(from_onnx_with_custom),
        cmocka_unit_test(from_faulty),
        cmocka_unit_test(from_file),
        cmocka_unit_test(to_file),
    };
    return cmocka_run_group_tests_name("failing allocations", tests, NULL, NULL);
}
