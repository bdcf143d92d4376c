/* What the host may have set, and what the library may ask of it. */
#include "support.h"

#include <fenv.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/seccomp.h>

/* "with one thread, make no system call": in strict mode any but read, write and exit kills. */
static void run_confined(fz_session_t *session, const char *want, size_t size) {
    fz_tensor_t x = digits(0, 7), y = {0};
    int status = 1;
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0) {
        status = 2;
        for (int i = 0; i < 3; i++, y.data = NULL)
            status |= fz_session_run(session, &x, 1, &y, 1) != FZ_OK ? 4 : 0;
        fz_session_run(session, &x, 1, &y, 1);
        if (status == 2 && y.size == size && memcmp(y.data, want, size) == 0) status = 0;
    }
    syscall(SYS_exit, status);
}

static void no_system_call(void **state) {
    const char *const models[] = {"cnn", "mlp", "lstm", "vit", "cnn.qdq", "vit.dyn"};
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        fz_model_t *model = open_digits(models[m]);
        fz_session_t *session = open_session(model, 1);
        fz_tensor_t x = digits(0, 7), y = {0};
        assert_ok(fz_session_run(session, &x, 1, &y, 1));
        char *want = malloc(y.size);
        memcpy(want, y.data, y.size);
        pid_t child = fork();
        if (child == 0) run_confined(session, want, y.size);
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        free(want);
        fz_session_close(session);
        fz_model_close(model);
    }
}

/* Tiny numbers times halves, sums that round: every bit of the environment would show. */
static struct pb touchy(void) {
    float w[16], b[4] = {0x1p-149f, -0x1p-140f, 0x1.000002p-126f, 1.0f / 3};
    struct pb g = {0};
    for (int i = 0; i < 16; i++) w[i] = (float)(i + 1) / 3.0f;
    pb_msg(&g, GRAPH_INIT, pb_raw_tensor("w", FZ_TYPE_F32, "4,4", w, sizeof w));
    pb_msg(&g, GRAPH_INIT, pb_raw_tensor("b", FZ_TYPE_F32, "4", b, sizeof b));
    pb_msg(&g, GRAPH_NODE, pb_node("MatMul", "x,w", "p"));
    pb_msg(&g, GRAPH_NODE, pb_node("Mul", "b,b", "bb"));
    pb_msg(&g, GRAPH_NODE, pb_node("Div", "b,w", "c"));
    pb_msg(&g, GRAPH_NODE, pb_node("Add", "p,c", "q"));
    pb_msg(&g, GRAPH_NODE, pb_node("Sub", "q,bb", "r"));
    pb_msg(&g, GRAPH_NODE, pb_node("Mul", "r,b", "s"));
    pb_msg(&g, GRAPH_NODE, pb_node("Exp", "r", "e"));
    pb_msg(&g, GRAPH_NODE, pb_node("Add", "s,e", "t"));
    pb_msg(&g, GRAPH_NODE, pb_node("Mul", "t,b", "y"));
    pb_msg(&g, GRAPH_INPUT, pb_value("x", FZ_TYPE_F32, "4,4"));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("y", FZ_TYPE_F32, "4,4"));
    return pb_model(g);
}

#if defined(__x86_64__)
static uint32_t environment(void) { return __builtin_ia32_stmxcsr(); }
static void set_environment(uint32_t bits) { __builtin_ia32_ldmxcsr(bits); }
/* FTZ, DAZ, both, the three other roundings, all exceptions unmasked, sticky flags. */
static const uint32_t environments[] = {0x9F80, 0x1FC0, 0x9FC0, 0x3F80, 0x5F80, 0x7F80, 0x0000,
                                        0xFFC0, 0x1FBF};
#else
static uint32_t environment(void) { return (uint32_t)fegetround(); }
static void set_environment(uint32_t bits) { fesetround((int)bits); }
static const uint32_t environments[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
#endif
enum { N_ENVIRONMENTS = sizeof environments / sizeof *environments };

/* One run, and one with two threads, in ENVIRONMENT, which must be as before afterwards. */
static void run_in(uint32_t bits, fz_model_t *model, const fz_tensor_t *x, float *y, size_t size) {
    for (int threads = 1; threads <= 2; threads++) {
        fz_session_t *session = open_session(model, threads);
        fz_tensor_t out = {.data = y, .size = size};
        uint32_t mine = environment();
        set_environment(bits);
        fz_status_t status = fz_session_run(session, x, 1, &out, 1);
        uint32_t after = environment();
        set_environment(mine);
        assert_ok(status);
        assert_int_equal(after, bits);
        fz_session_close(session);
    }
}

static void floating_point_environment(void **state) {
    float x[16], want[16], got[16];
    for (int i = 0; i < 16; i++) x[i] = (i % 3 ? 0x1.23456p-127f : 0.7f) * (float)(i - 7);
    fz_tensor_t in = floats(x, 2, (int64_t[]){4, 4});
    fz_model_t *model = open_built(touchy());
    run_in(environment(), model, &in, want, sizeof want);
    for (int i = 0; i < N_ENVIRONMENTS; i++) {
        run_in(environments[i], model, &in, got, sizeof got);
        assert_memory_equal(got, want, sizeof want);
    }
    fz_model_close(model);
}

/* A parallel-for of the caller's whose own thread is in ENVIRONMENT. */
struct guest {
    uint32_t environment;
    size_t n_changed, n_tasks;
};
struct share {
    struct guest *guest;
    fz_task_fn task;
    void *arg;
    size_t count;
};

/* Task by task: each must find and leave the environment as it is. */
static void *run_share(void *arg) {
    const struct share *s = arg;
    uint32_t mine = environment();
    for (size_t i = 0; i < s->count; i++) {
        set_environment(s->guest->environment);
        s->task(s->arg, i);
        uint32_t after = environment();
        set_environment(mine);
        s->guest->n_tasks++;
        s->guest->n_changed += after != s->guest->environment;
    }
    return NULL;
}

static void parallel_as_guest(void *context, size_t count, fz_task_fn task, void *arg) {
    struct share share = {context, task, arg, count};
    pthread_t thread;
    if (pthread_create(&thread, NULL, run_share, &share) == 0) pthread_join(thread, NULL);
}

static void environment_of_the_callers_threads(void **state) {
    const char *const models[] = {"cnn", "lstm", "vit", "cnn.qdq"};
    struct guest guest = {0};
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        fz_model_t *model = open_digits(models[m]);
        fz_session_t *session = open_session(model, 1);
        fz_tensor_t x = digits(0, 64), want = {0};
        assert_ok(fz_session_run(session, &x, 1, &want, 1));
        for (int i = 0; i < N_ENVIRONMENTS; i++) {
            fz_session_options_t o = {.size = sizeof o, .parallel = parallel_as_guest,
                                      .parallel_context = &guest, .parallel_width = 3};
            fz_session_t *other;
            fz_tensor_t y = {0};
            guest.environment = environments[i];
            assert_ok(fz_session_create(model, &o, &other));
            assert_ok(fz_session_run(other, &x, 1, &y, 1));
            assert_int_equal(y.size, want.size);
            assert_memory_equal(y.data, want.data, want.size);
            fz_session_close(other);
        }
        fz_session_close(session);
        fz_model_close(model);
    }
    assert_true(guest.n_tasks > 0);
    assert_int_equal(guest.n_changed, 0);
}

/* Freezing computes as well: the id says whether it did so in its own environment. */
static void freezing_in_any_environment(void **state) {
    const char *const models[] = {"cnn", "vit", "mlp.qdq", "lstm.dyn"};
    struct pb built = touchy();
    for (size_t m = 0; m <= sizeof models / sizeof *models; m++) {
        char want[65], got[65];
        for (int i = -1; i < N_ENVIRONMENTS; i++) {
            fz_model_t *model;
            uint32_t mine = environment(), bits = i < 0 ? mine : environments[i];
            set_environment(bits);
            fz_status_t status =
                m == sizeof models / sizeof *models
                    ? fz_freeze_open_memory(built.data, built.size, NULL, NULL, &model)
                    : fz_freeze_open(data_path("digits/digits_%s.onnx", models[m]), NULL, NULL,
                                     &model);
            uint32_t after = environment();
            set_environment(mine);
            assert_ok(status);
            assert_int_equal(after & 0xFFFFFFC0, bits & 0xFFFFFFC0);
            assert_ok(fz_model_id(model, i < 0 ? want : got));
            if (i >= 0) assert_string_equal(got, want);
            fz_model_close(model);
        }
    }
    pb_free(&built);
}

/* "after fork() the child's runs start their own" threads */
static void run_after_fork(void **state) {
    fz_model_t *model = open_digits("cnn");
    fz_session_t *session = open_session(model, 3);
    fz_tensor_t x = digits(0, 64), y = {0};
    assert_ok(fz_session_run(session, &x, 1, &y, 1));
    char *want = malloc(y.size);
    memcpy(want, y.data, y.size);
    for (int i = 0; i < 5; i++) {
        pid_t child = fork();
        if (child == 0) {
            int bad = 0;
            for (int j = 0; j < 20; j++) {
                y.data = NULL;
                bad |= fz_session_run(session, &x, 1, &y, 1) != FZ_OK;
                bad |= bad || memcmp(y.data, want, y.size) != 0;
            }
            fz_session_close(session);
            fz_model_close(model);
            _exit(bad);
        }
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        y.data = NULL;
        assert_ok(fz_session_run(session, &x, 1, &y, 1));
    }
    free(want);
    fz_session_close(session);
    fz_model_close(model);
}

const struct CMUnitTest host_cases[] = {
    cmocka_unit_test(no_system_call),
    cmocka_unit_test(floating_point_environment),
    cmocka_unit_test(environment_of_the_callers_threads),
    cmocka_unit_test(freezing_in_any_environment),
    cmocka_unit_test(run_after_fork),
};
const size_t n_host_cases = sizeof host_cases / sizeof *host_cases;
