/* One model and one input have one answer, whatever surrounds the run: threads, the caller's own
 * threads, batches, floating-point environments, other sessions, fork, earlier runs of other shapes
 * or such that ended early, addresses of the caller's buffers.
 *
 * usage: invariance [--full] NAME=MODEL.onnx[=DATA_SET]...     DATA_SET: a folder of input_0.pb, ...
 * One line a check; ends in 'N passed, N failed'. */
#include "subject.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum outcome check_threads(struct subject *s) {
    const int counts[] = {1, 2, 3, 8, 16, -1};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (!same_with(s, counts[i])) return BAD;
    bad(s, "1, 2, 3, 8, 16 and all");
    return GOOD;
}

/* ---- a parallel-for of the caller's: backwards, on two threads */

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
    (void)context;
    bool started = pthread_create(&thread, NULL, run_half, &high) == 0;
    run_half(&low);
    if (started) pthread_join(thread, NULL);
    else run_half(&high);
}

static enum outcome check_parallel(struct subject *s) {
    const int widths[] = {1, 2, 7, 64};
    bool good = true;
    for (size_t i = 0; i < sizeof widths / sizeof *widths && good; i++) {
        fz_session_options_t options = {
            .size = sizeof options, .parallel = halves, .parallel_width = widths[i]};
        fz_session_t *session;
        if (fz_session_create(s->model, &options, &session) != FZ_OK) return BAD;
        good = same_answer(s, session) && same_answer(s, session);
        fz_session_close(session);
    }
    if (good) bad(s, "widths 1, 2, 7 and 64");
    return good ? GOOD : BAD;
}

/* ---- sessions beside each other */

struct caller {
    struct subject s; /* a copy: notes of its own */
    int threads, runs;
    bool good;
};

static void *call(void *arg) {
    struct caller *c = arg;
    fz_session_t *session = session_of(&c->s, c->threads);
    c->good = true;
    for (int i = 0; i < c->runs && c->good; i++) c->good = same_answer(&c->s, session);
    fz_session_close(session);
    return NULL;
}

static enum outcome two_callers(struct subject *s, fz_model_t *second) {
    struct caller callers[2];
    pthread_t thread;
    int runs = s->seconds < 0.005 ? 20 : s->seconds < 0.1 ? 4 : 1;
    for (int i = 0; i < 2; i++) {
        callers[i] = (struct caller){.s = *s, .threads = 1 + i, .runs = runs};
        if (i) callers[i].s.model = second;
    }
    if (pthread_create(&thread, NULL, call, &callers[0]) != 0) return BAD;
    call(&callers[1]);
    pthread_join(thread, NULL);
    for (int i = 0; i < 2; i++)
        if (!callers[i].good) return bad(s, "%s", callers[i].s.note), BAD;
    return GOOD;
}

static enum outcome check_two_sessions(struct subject *s) { return two_callers(s, s->model); }

static enum outcome check_opened_twice(struct subject *s) {
    fz_freeze_options_t options = {.size = sizeof options, .flags = s->freeze_flags};
    fz_open_options_t open = {.size = sizeof open, .protection = FZ_PROTECT_PAGES};
    fz_model_t *second;
    char a[65], b[65];
    if (fz_freeze_open(s->path, &options, &open, &second) != FZ_OK)
        return bad(s, "%s", fz_last_error()), BAD;
    enum outcome outcome = two_callers(s, second);
    if (fz_model_id(s->model, a) != FZ_OK || fz_model_id(second, b) != FZ_OK || strcmp(a, b) != 0)
        outcome = (bad(s, "two ids"), BAD);
    fz_model_close(second);
    return outcome;
}

/* ---- one session again and again */

static enum outcome check_repeats(struct subject *s) {
    int n = s->full || s->seconds < 0.003 ? 100 : s->seconds < 0.03 ? 20 : 5;
    bool good = true;
    for (int threads = 1; threads <= 2 && good; threads++) {
        fz_session_t *session = session_of(s, threads);
        for (int i = 0; i < n && good; i++) good = same_answer(s, session);
        fz_session_close(session);
    }
    if (good) bad(s, "%d with 1 thread, %d with 2", n, n);
    return good ? GOOD : BAD;
}

/* A run that ended early, by STATUS, or was done before. */
static bool ends_early(struct subject *s, fz_session_t *session, fz_status_t status) {
    struct tensors out;
    fz_status_t got = run_once(session, s->model, &s->inputs, &out);
    if (got == FZ_OK) return tensors_same(&out, &s->want) || bad(s, "other bits");
    return got == status || bad(s, "%s", fz_last_error());
}

static enum outcome check_deadline(struct subject *s) {
    bool good = true;
    for (int threads = 1; threads <= 3 && good; threads += 2) {
        fz_session_t *session = session_of(s, threads);
        for (int i = 0; i < 6 && good; i++) {
            fz_session_set_deadline(session, 1 + (uint64_t)(s->seconds * 2e5 * i));
            good = ends_early(s, session, FZ_E_DEADLINE);
            fz_session_set_deadline(session, 0);
            good = good && same_answer(s, session);
        }
        fz_session_close(session);
    }
    return good ? GOOD : BAD;
}

struct canceller {
    fz_session_t *session;
    useconds_t wait;
};

static void *cancel(void *arg) {
    const struct canceller *c = arg;
    usleep(c->wait);
    fz_session_cancel(c->session);
    return NULL;
}

static enum outcome check_cancel(struct subject *s) {
    fz_session_t *session = session_of(s, 2);
    bool good = true;
    for (int i = 0; i < 4 && good; i++) {
        struct canceller c = {session, (useconds_t)(s->seconds * 2.5e5 * i)};
        pthread_t thread;
        if (pthread_create(&thread, NULL, cancel, &c) != 0) break;
        good = ends_early(s, session, FZ_E_CANCELLED);
        pthread_join(thread, NULL);
        /* A cancel that came too late ends the next run. */
        good = good && ends_early(s, session, FZ_E_CANCELLED) && same_answer(s, session);
    }
    fz_session_close(session);
    return good ? GOOD : BAD;
}

/* ---- the caller's buffers at any address */

/* Runs with every input and output OFFSET bytes behind an aligned address. */
static bool run_at(struct subject *s, size_t offset, int threads) {
    fz_session_t *session = session_of(s, threads);
    struct tensors in, out;
    tensors_copy(&in, &s->inputs, offset);
    tensors_copy(&out, &s->want, offset);
    for (size_t i = 0; i < out.n; i++) memset(out.at[i].data, 0x5A, out.at[i].size);
    bool good = fz_session_run(session, in.at, in.n, out.at, out.n) == FZ_OK
                    ? tensors_same(&out, &s->want) || bad(s, "other bits at offset %zu", offset)
                    : bad(s, "offset %zu: %s", offset, fz_last_error());
    if (good && !tensors_same(&in, &s->inputs)) good = bad(s, "an input was written");
    tensors_free(&in, offset);
    tensors_free(&out, offset);
    fz_session_close(session);
    return good;
}

static enum outcome check_addresses(struct subject *s) {
    static const size_t offsets[] = {8, 20, 4, 1, 2, 3, 13};
    bool good = true;
    /* Where loads must be aligned to their element, so must the caller's tensors. */
    size_t n = 3;
#if defined(__x86_64__) || defined(__aarch64__)
    n = sizeof offsets / sizeof *offsets;
#endif
    for (size_t i = 0; i < n && good; i++) good = run_at(s, offsets[i], 1 + (int)(i % 2));
    return good ? GOOD : BAD;
}

/* ---- all of them */

static const struct {
    const char *name;
    enum outcome (*run)(struct subject *s);
} checks[] = {
    {"threads", check_threads},
    {"threads of the caller", check_parallel},
    {"rows of a batch", check_rows},
    {"ranges of rows alone", check_ranges},
    {"environments", check_environment},
    {"two sessions at once", check_two_sessions},
    {"opened twice", check_opened_twice},
    {"fork", check_fork},
    {"fork during a run", check_fork_during_run},
    {"repeats", check_repeats},
    {"other shapes between", check_shapes},
    {"after a deadline", check_deadline},
    {"after a cancel", check_cancel},
    {"addresses", check_addresses},
};

static int passed, failed;

static void report(const struct subject *s, const char *check, enum outcome outcome) {
    static const char *const words[] = {"ok", "FAIL", "exception", ""};
    if (outcome == NONE) return;
    printf("%-9s %-32s %-22s %s\n", words[outcome], s->name, check, s->note);
    fflush(stdout);
    passed += outcome == GOOD;
    failed += outcome == BAD;
}

/* True if the model has ranges that it takes as it runs. */
static bool try_model(struct subject *s, const char *folder) {
    if (!subject_open(s, folder)) {
        report(s, "open and run", BAD);
        return false;
    }
    const char *operators = fz_model_text(s->model, "operators");
    bool dynamic = operators && strstr(operators, "DynamicQuantizeLinear ");
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        s->note[0] = 0;
        enum outcome outcome = checks[i].run(s);
        report(s, checks[i].name, outcome);
    }
    subject_close(s);
    return dynamic;
}

int main(int argc, char **argv) {
    bool full = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--full") == 0) {
            full = true;
            continue;
        }
        char *path = strchr(argv[i], '='), *folder = path ? strchr(path + 1, '=') : NULL;
        if (!path) {
            fprintf(stderr, "usage: invariance [--full] NAME=MODEL.onnx[=DATA_SET]...\n");
            return 2;
        }
        *path++ = 0;
        if (folder) *folder++ = 0;
        /* Models that quantise as they run are frozen both ways. */
        uint64_t ways[] = {0, FZ_FREEZE_RANGE_PER_ROW};
        bool again = true;
        for (size_t way = 0; way < 2 && again; way++) {
            struct subject s = {.path = path, .full = full, .freeze_flags = ways[way]};
            snprintf(s.name, sizeof s.name, "%s%s", argv[i], way ? " per row" : "");
            again = try_model(&s, folder);
        }
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
