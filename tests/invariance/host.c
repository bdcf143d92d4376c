/* What the host may have set, and fork. */
#include "subject.h"

#include <fenv.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- floating-point environments: control bits and sticky flags, as the CPU has them */

struct environment {
    const char *name;
    uint64_t bits;
};

#if defined(__x86_64__)
#define FLAGS 0x3Full
static uint64_t get(void) { return __builtin_ia32_stmxcsr(); }
static void set(uint64_t bits) { __builtin_ia32_ldmxcsr((uint32_t)bits); }
static const struct environment environments[] = {
    {"plain", 0x1F80},          {"flush to zero", 0x9F80},   {"denormals are zero", 0x1FC0},
    {"both of them", 0x9FC0},   {"round down", 0x3F80},      {"round up", 0x5F80},
    {"round to zero", 0x7F80},  {"traps on", 0x0000},        {"all flags raised", 0x1FBF},
    {"the worst of all", 0xE040}};
#elif defined(__aarch64__)
/* FPCR below, FPSR above. A CPU may lack traps: what it keeps of the bits is what counts. */
#define FLAGS (0x9Full << 32)
static uint64_t get(void) {
    uint64_t control, flags;
    __asm__ volatile("mrs %0, fpcr\n\tmrs %1, fpsr" : "=r"(control), "=r"(flags));
    return (control & 0xFFFFFFFF) | flags << 32;
}
static void set(uint64_t bits) {
    __asm__ volatile("msr fpcr, %0\n\tmsr fpsr, %1"
                     : : "r"(bits & 0xFFFFFFFF), "r"(bits >> 32));
}
static const struct environment environments[] = {
    {"plain", 0},                      {"flush to zero", 1 << 24},
    {"flush to zero in f16", 1 << 19}, {"default NaN", 1 << 25},
    {"round up", 1 << 22},             {"round down", 2 << 22},
    {"round to zero", 3 << 22},        {"traps on", 0x9F00},
    {"all flags raised", FLAGS},       {"the worst of all", (3 << 22 | 1 << 24) + 0x9F00}};
#else
#define FLAGS ((uint64_t)FE_ALL_EXCEPT << 32)
static uint64_t get(void) {
    return (uint64_t)fegetround() | (uint64_t)fetestexcept(FE_ALL_EXCEPT) << 32;
}
static void set(uint64_t bits) {
    fesetround((int)(bits & 0xFFFFFFFF));
    feclearexcept(FE_ALL_EXCEPT);
    if (bits >> 32) feraiseexcept((int)(bits >> 32));
}
static const struct environment environments[] = {
    {"plain", FE_TONEAREST},    {"round down", FE_DOWNWARD},
    {"round up", FE_UPWARD},    {"round to zero", FE_TOWARDZERO},
    {"all flags raised", FE_TONEAREST | (uint64_t)FE_INEXACT << 32}};
#endif
enum { N_ENVIRONMENTS = sizeof environments / sizeof *environments };

/* The environment as the CPU takes it, and after a run; the run's status. */
struct visit {
    uint64_t before, after;
    fz_status_t status;
    bool same;
};

static struct visit run_in(struct subject *s, fz_session_t *session, uint64_t bits) {
    struct visit v;
    struct tensors out;
    uint64_t mine = get();
    set(bits);
    v.before = get();
    v.status = run_once(session, s->model, &s->inputs, &out);
    v.after = get();
    set(mine);
    v.same = v.status == FZ_OK && tensors_same(&out, &s->want);
    return v;
}

static bool environment_holds(struct subject *s, const struct environment *e, int threads) {
    fz_session_t *session = session_of(s, threads);
    bool good = true;
    for (int i = 0; good && i < 2; i++) { /* the first run makes the session's plan for the shapes */
        struct visit v = run_in(s, session, e->bits);
        if (v.status != FZ_OK) good = bad(s, "%s: %s", e->name, fz_last_error());
        else if (!v.same) good = bad(s, "%s, %d threads: other bits", e->name, threads);
        else if (v.after != v.before)
            good = bad(s, "%s: %llx became %llx", e->name, (unsigned long long)v.before,
                       (unsigned long long)v.after);
    }
    fz_session_close(session);
    return good;
}

/* The known answer of a model that is opened in such an environment; the flags are not promised. */
static bool answer_holds(struct subject *s, const struct environment *e) {
    uint64_t mine = get(), before, after;
    set(e->bits);
    before = get();
    fz_status_t status = fz_model_known_answer(s->model);
    after = get();
    set(mine);
    if (status == FZ_E_UNSUPPORTED) status = FZ_OK; /* a model that cannot run on such inputs */
    if (status != FZ_OK) return bad(s, "%s: %s", e->name, fz_last_error());
    return (before & ~FLAGS) == (after & ~FLAGS) || bad(s, "%s: lost", e->name);
}

enum outcome check_environment(struct subject *s) {
    bool good = true;
    for (int i = 0; i < N_ENVIRONMENTS && good; i++) {
        good = environment_holds(s, &environments[i], 1);
        if (good && (s->full || s->seconds < 0.05)) good = environment_holds(s, &environments[i], 3);
        if (good && s->seconds < 0.05) good = answer_holds(s, &environments[i]);
    }
    if (good) bad(s, "%d of them, control bits and flags as before", N_ENVIRONMENTS);
    return good ? GOOD : BAD;
}

/* ---- fork */

/* What the child did: 0 if all was as it must be. */
static bool child_is_good(struct subject *s, pid_t child, const char *what) {
    int status = -1;
    if (child < 0) return bad(s, "no child");
    if (waitpid(child, &status, 0) != child || status != 0)
        return bad(s, "%s ended with %x", what, (unsigned)status);
    return true;
}

/* "after fork() the child's runs start their own" threads; the parent's go on. */
static bool fork_holds(struct subject *s, fz_session_t *session) {
    pid_t child = fork();
    if (child == 0) {
        bool good = true;
        for (int i = 0; good && i < 3; i++) good = same_answer(s, session);
        good = good && same_with(s, 2);
        fz_session_close(session);
        good = good && fz_model_verify(s->model) == FZ_OK;
        _exit(good ? 0 : 1);
    }
    bool good = same_answer(s, session);
    return child_is_good(s, child, "the child") && good;
}

enum outcome check_fork(struct subject *s) {
    fz_session_t *session = session_of(s, 3);
    bool good = same_answer(s, session);
    for (int i = 0; i < (s->full ? 5 : 2) && good; i++) good = fork_holds(s, session);
    good = good && same_answer(s, session);
    fz_session_close(session);
    return good ? GOOD : BAD;
}

struct runner {
    struct subject *s;
    atomic_bool stop;
    atomic_int runs, wrong;
};

static void *run_on(void *arg) {
    struct runner *r = arg;
    struct subject mine = *r->s; /* a note of its own */
    fz_session_t *session = session_of(&mine, 2);
    while (!atomic_load(&r->stop)) {
        if (!same_answer(&mine, session)) atomic_fetch_add(&r->wrong, 1);
        atomic_fetch_add(&r->runs, 1);
    }
    fz_session_close(session);
    return NULL;
}

/* Forks while another thread, with a worker, is inside of a run: the child has the model and a
 * session of its own. */
enum outcome check_fork_during_run(struct subject *s) {
    struct runner r = {.s = s};
    pthread_t thread;
    bool good = true;
    int n = s->full ? 8 : 3;
    if (pthread_create(&thread, NULL, run_on, &r) != 0) return BAD;
    while (atomic_load(&r.runs) == 0) usleep(100);
    for (int i = 0; i < n && good; i++) {
        usleep((useconds_t)(s->seconds * 3e5 * (i + 1) / n));
        pid_t child = fork();
        if (child == 0) _exit(same_with(s, 1) && same_with(s, 3) ? 0 : 1);
        good = child_is_good(s, child, "the child");
    }
    atomic_store(&r.stop, true);
    pthread_join(thread, NULL);
    if (good && r.wrong) good = bad(s, "the parent's other thread got other bits");
    return good ? GOOD : BAD;
}
