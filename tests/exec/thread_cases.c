/* Threads: any number of them gives the same bits; deadlines, cancelling, many sessions at once. */
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const char *const models[] = {"cnn", "mlp", "lstm", "vit", "cnn.qdq", "mlp.dyn", "vit.dyn"};
/* SLOW: the reference kernels, under a sanitizer or valgrind. */
enum {
    N_MODELS = sizeof models / sizeof *models,
    N_IMAGES = SLOW ? 24 : 260,
    N_REPEATS = SLOW ? 2 : 5,
    SECONDS = SLOW ? 30 : 2 /* until a run that is told to end has ended, at most */
};

/* The answer of one thread, to be freed. */
static char *answer_of(fz_model_t *model, size_t *size) {
    fz_session_t *session = open_session(model, 1);
    fz_tensor_t x = digits(0, N_IMAGES), y = {0};
    assert_ok(fz_session_run(session, &x, 1, &y, 1));
    char *copy = malloc(*size = y.size);
    memcpy(copy, y.data, y.size);
    fz_session_close(session);
    return copy;
}

static void same_answer(fz_session_t *session, const char *want, size_t size) {
    fz_tensor_t x = digits(0, N_IMAGES), y = {0};
    assert_ok(fz_session_run(session, &x, 1, &y, 1));
    assert_int_equal(y.size, size);
    assert_memory_equal(y.data, want, size);
}

static void any_number_of_threads(void **state) {
    const int counts[] = {0, 1, 2, 3, 8, -1};
    for (size_t m = 0; m < N_MODELS; m++) {
        size_t size;
        fz_model_t *model = open_digits(models[m]);
        char *want = answer_of(model, &size);
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            fz_session_t *session = open_session(model, counts[i]);
            for (int j = 0; j < N_REPEATS; j++) same_answer(session, want, size);
            fz_session_close(session);
        }
        free(want);
        fz_model_close(model);
    }
}

/* A system that gives no threads: the caller does all the work. */
static void no_thread_to_be_had(void **state) {
    size_t size;
    fz_model_t *model = open_digits("cnn");
    char *want = answer_of(model, &size);
    refuse_threads(true);
    fz_session_t *session = open_session(model, 4);
    same_answer(session, want, size);
    refuse_threads(false);
    same_answer(session, want, size);
    fz_session_close(session);
    free(want);
    fz_model_close(model);
}

/* A parallel-for of the caller's: backwards, or half of it on a thread of its own. */
struct half {
    fz_task_fn task;
    void *arg;
    size_t first, end;
};

static void *run_half(void *arg) {
    const struct half *h = arg;
    for (size_t i = h->end; i > h->first; i--) h->task(h->arg, i - 1);
    return NULL;
}

static void halves(void *context, size_t count, fz_task_fn task, void *arg) {
    struct half low = {task, arg, 0, count / 2}, high = {task, arg, count / 2, count};
    pthread_t thread;
    ++*(int *)context;
    bool started = pthread_create(&thread, NULL, run_half, &high) == 0;
    run_half(&low);
    if (started) pthread_join(thread, NULL);
    else run_half(&high);
}

static void threads_of_the_caller(void **state) {
    const int widths[] = {0, 1, 2, 7};
    int calls = 0;
    for (size_t m = 0; m < N_MODELS; m++) {
        size_t size;
        fz_model_t *model = open_digits(models[m]);
        char *want = answer_of(model, &size);
        for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
            fz_session_options_t o = {.size = sizeof o, .parallel = halves,
                                      .parallel_context = &calls, .parallel_width = widths[i]};
            fz_session_t *session;
            assert_ok(fz_session_create(model, &o, &session));
            same_answer(session, want, size);
            fz_session_close(session);
        }
        free(want);
        fz_model_close(model);
    }
    assert_true(calls > 0);
}

/* "A model may be used by any number of threads at once" */
struct caller {
    fz_model_t *model;
    const char *want;
    size_t size;
    atomic_int *wrong;
};

static void *call_often(void *arg) {
    const struct caller *c = arg;
    fz_session_options_t o = {.size = sizeof o, .threads = 2};
    for (int i = 0; i < 4; i++) {
        fz_session_t *session;
        fz_tensor_t x = digits(0, N_IMAGES), y = {0};
        *c->wrong += fz_session_create(c->model, &o, &session) != FZ_OK;
        for (int j = 0; j < 2 * N_REPEATS; j++, y.data = NULL)
            if (fz_session_run(session, &x, 1, &y, 1) != FZ_OK || y.size != c->size) ++*c->wrong;
            else if (memcmp(y.data, c->want, c->size) != 0) ++*c->wrong;
        *c->wrong += fz_model_scrub(c->model, 65536) != FZ_OK;
        *c->wrong += fz_model_verify(c->model) != FZ_OK;
        fz_session_close(session);
    }
    return NULL;
}

static void many_callers(void **state) {
    char *path = strdup(temporary("t.fz"));
    assert_ok(fz_freeze_file(data_path("digits/digits_cnn.onnx"), path, NULL, NULL));
    for (uint32_t flags = 0; flags <= FZ_OPEN_MAP; flags++) {
        fz_open_options_t o = {.size = sizeof o, .flags = flags};
        fz_model_t *model, *other = open_digits("cnn");
        assert_ok(fz_model_open(path, &o, &model));
        pthread_t threads[4];
        atomic_int wrong = 0;
        struct caller c = {.model = model, .wrong = &wrong};
        char *want = answer_of(other, &c.size);
        c.want = want;
        for (int i = 0; i < 4; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, call_often, &c), 0);
        for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
        assert_int_equal(wrong, 0);
        free(want);
        fz_model_close(other);
        fz_model_close(model);
    }
    free(path);
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static float zeros[64 * 512];

/* Runs of MODEL take long; they end soon after the deadline. */
static void deadline(void **state) {
    fz_model_t *model = open_built(products(500, 512));
    fz_session_t *session = open_session(model, 2);
    fz_tensor_t x = floats(zeros, 2, (int64_t[]){64, 512}), y = {0};
    for (int i = 0; i < 3; i++) {
        assert_ok(fz_session_set_deadline(session, 2000));
        double start = seconds();
        assert_fails(FZ_E_DEADLINE, fz_session_run(session, &x, 1, &y, 1));
        assert_true(seconds() - start < SECONDS);
    }
    fz_session_close(session);
    fz_model_close(model);
    /* A short run is in time, and 0 takes the deadline away. */
    model = open_digits("mlp");
    session = open_session(model, 1);
    x = digits(0, 1), y = (fz_tensor_t){0};
    assert_ok(fz_session_set_deadline(session, 60000000));
    assert_ok(fz_session_run(session, &x, 1, &y, 1));
    assert_ok(fz_session_set_deadline(session, 1));
    x = digits(0, SLOW ? 40 : 400);
    assert_fails(FZ_E_DEADLINE, fz_session_run(session, &x, 1, &y, 1));
    assert_ok(fz_session_set_deadline(session, 0));
    assert_ok(fz_session_run(session, &x, 1, (y.data = NULL, &y), 1));
    fz_session_close(session);
    fz_model_close(model);
}

static void *cancel_soon(void *session) {
    usleep(5000);
    fz_session_cancel(session);
    return NULL;
}

/* "Makes the run of SESSION that is under way, or else its next one, end" */
static void cancelling(void **state) {
    fz_model_t *model = open_built(products(500, 512));
    fz_session_t *session = open_session(model, 2);
    fz_tensor_t x = floats(zeros, 2, (int64_t[]){64, 512}), y = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, session), 0);
    double start = seconds();
    assert_fails(FZ_E_CANCELLED, fz_session_run(session, &x, 1, &y, 1));
    assert_true(seconds() - start < SECONDS);
    pthread_join(thread, NULL);
    /* Used up: the next run ends for another reason. */
    assert_ok(fz_session_set_deadline(session, 1));
    assert_fails(FZ_E_DEADLINE, fz_session_run(session, &x, 1, &y, 1));
    fz_session_close(session);
    fz_model_close(model);
    model = open_digits("mlp");
    session = open_session(model, 1);
    x = digits(0, 1), y = (fz_tensor_t){0};
    fz_session_cancel(session);
    assert_fails(FZ_E_CANCELLED, fz_session_run(session, &x, 1, &y, 1));
    assert_ok(fz_session_run(session, &x, 1, &y, 1));
    fz_session_close(session);
    fz_model_close(model);
}

const struct CMUnitTest thread_cases[] = {
    cmocka_unit_test(any_number_of_threads), cmocka_unit_test(no_thread_to_be_had),
    cmocka_unit_test(threads_of_the_caller), cmocka_unit_test(many_callers),
    cmocka_unit_test(deadline),              cmocka_unit_test(cancelling),
};
const size_t n_thread_cases = sizeof thread_cases / sizeof *thread_cases;
