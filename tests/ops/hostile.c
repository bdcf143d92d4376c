/* What a hostile file can do to an operator: every params field and every input, spoilt one at a
 * time. Nothing is compared; the process must live, under sanitizers above all. */
#include "subject.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 60, WHAT_SIZE = 256, MAX_IN = 256, MAX_OUT = 16 };
static const size_t max_size = 1 << 24; /* larger outputs are not worth the time */

static const int64_t extremes[] = {-1, 0, 1, 2, 3, 5, 8, 12, 13, 100, 4096, -7, INT32_MAX,
                                   (int64_t)INT32_MAX + 1, 1ll << 40, -(1ll << 40), INT64_MAX,
                                   INT64_MIN, 0x7FF8000000000000, 0x3FE0000000000000};

struct trial {
    const struct subject *s;
    char *what;             /* shared with the parent */
    void *params;           /* a copy */
    fz_tensor_t in[MAX_IN]; /* copies; data of exactly their size */
    const fz_tensor_t *ins[MAX_IN];
    uint32_t n_in;
};

static void serial(const struct fz_env *env, size_t count, fz_task_fn task, void *arg) {
    (void)env;
    for (size_t i = 0; i < count; i++) task(arg, i);
}

static fz_status_t poll(const struct fz_env *env) {
    (void)env;
    return FZ_OK;
}

static fz_status_t allocate(fz_tensor_t *t) {
    FZ_TRY(fzi_tensor_measure(t));
    if (t->size > max_size) return FZ_E_LIMIT;
    free(t->data);
    t->data = malloc(t->size);
    if (t->size) memset(t->data, 0, t->size);
    return FZ_OK;
}

static fz_status_t resize(const struct fz_call *call, uint32_t i, int32_t rank,
                          const int64_t *dims) {
    if (i >= call->n_out || !call->out[i]) return FZ_OK;
    fzi_shape_set(call->out[i], rank, dims);
    return allocate(call->out[i]);
}

/* False if an output's shape is open though the operator does not say that it may be. */
static bool allocate_outputs(const struct fz_op *op, fz_tensor_t *out, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        if (fzi_shape_known(&out[i])) {
            if (allocate(&out[i]) != FZ_OK) return false;
        } else if (!(op->flags & FZ_OP_LATE_SHAPE)) return false;
    }
    return true;
}

static void run(const struct fz_op *op, struct fz_call *call) {
    if (op->scratch) {
        size_t size = op->scratch(op, call);
        if (size > max_size) return;
        call->scratch = aligned_alloc(64, size + (64 - size % 64));
    }
    op->run(op, call);
    free(call->scratch);
}

static void attempt(const struct trial *t) {
    struct fz_arena heap = {0};
    struct fz_env env = {.k = t->s->k, .threads = 1, .parallel = serial, .resize = resize,
                         .poll = poll, .heap = &heap};
    fz_tensor_t out[MAX_OUT] = {{0}}, *outs[MAX_OUT];
    for (uint32_t i = 0; i < t->s->n_out; i++) {
        out[i].rank = FZ_RANK_UNKNOWN;
        outs[i] = &out[i];
    }
    struct fz_call call = {.params = t->params, .n_in = t->n_in, .n_out = t->s->n_out,
                           .in = t->ins, .out = outs, .env = &env};
    if (fzi_op_infer(t->s->op, &call) == FZ_OK &&
        allocate_outputs(t->s->op, out, t->s->n_out))
        run(t->s->op, &call);
    for (uint32_t i = 0; i < t->s->n_out; i++) free(out[i].data);
    fzi_arena_free(&heap);
}

/* ---- what is spoilt */

static void spoil_params(struct trial *t) {
    for (size_t i = 0; i < t->s->op->params_size / 8; i++) {
        int64_t *word = (int64_t *)t->params + i, old = *word;
        for (size_t j = 0; j < FZ_COUNT(extremes); j++) {
            snprintf(t->what, WHAT_SIZE, "params word %zu = %lld", i, (long long)extremes[j]);
            *word = extremes[j];
            attempt(t);
        }
        *word = old;
    }
}

/* Sets element I of an integer or bool tensor. */
static void set_int(fz_tensor_t *t, int64_t i, int64_t value) {
    size_t width = fzi_type_width(t->dtype);
    char *at = (char *)t->data + (size_t)i * width;
    int32_t narrow = (int32_t)value;
    int16_t half = (int16_t)value;
    int8_t byte = t->dtype == FZ_TYPE_BOOL ? value & 1 : (int8_t)value;
    memcpy(at, width == 8 ? (void *)&value : width == 4 ? (void *)&narrow
               : width == 2 ? (void *)&half : (void *)&byte, width);
}

static void spoil_values(struct trial *t, uint32_t i) {
    fz_tensor_t *in = &t->in[i];
    int64_t n = fzi_tensor_count(in), places[] = {0, n / 2, n - 1};
    bool integer = fzi_type_is_integer(in->dtype) && fz_type_bits(in->dtype) >= 8;
    if (!n || (!integer && in->dtype != FZ_TYPE_BOOL)) return;
    for (size_t p = 0; p < FZ_COUNT(places); p++) {
        int64_t old = fzi_tensor_int(in, places[p]);
        for (size_t j = 0; j < FZ_COUNT(extremes); j++) {
            snprintf(t->what, WHAT_SIZE, "input %u element %lld = %lld", i, (long long)places[p],
                     (long long)extremes[j]);
            set_int(in, places[p], extremes[j]);
            attempt(t);
        }
        set_int(in, places[p], old);
    }
}

/* Tries input I with other dims or another type over fresh data. */
static void attempt_with(struct trial *t, uint32_t i, const fz_tensor_t *spoilt) {
    fz_tensor_t old = t->in[i];
    char text[160];
    t->in[i] = *spoilt;
    t->in[i].data = NULL;
    if (allocate(&t->in[i]) == FZ_OK) {
        size_t common = old.size < t->in[i].size ? old.size : t->in[i].size;
        if (common && old.dtype == spoilt->dtype) memcpy(t->in[i].data, old.data, common);
        snprintf(t->what, WHAT_SIZE, "input %u as %s", i, fzi_shape_text(spoilt, text, 160));
        attempt(t);
    }
    free(t->in[i].data);
    t->in[i] = old;
}

static void spoil_dims(struct trial *t, uint32_t i) {
    for (int32_t d = 0; d < t->in[i].rank; d++) {
        int64_t n = t->in[i].dims[d], others[] = {0, 1, n - 1, n + 1, 2 * n, 1000};
        for (size_t j = 0; j < FZ_COUNT(others); j++) {
            fz_tensor_t spoilt = t->in[i];
            spoilt.dims[d] = others[j];
            attempt_with(t, i, &spoilt);
        }
        fz_tensor_t fewer = t->in[i];
        fewer.rank = d;
        attempt_with(t, i, &fewer);
    }
    for (int32_t rank = t->in[i].rank + 1; rank <= FZ_RANK_MAX; rank++) {
        fz_tensor_t more = t->in[i];
        for (int32_t d = t->in[i].rank; d < rank; d++) more.dims[d] = 1;
        more.rank = rank;
        attempt_with(t, i, &more);
    }
}

static void spoil_type(struct trial *t, uint32_t i) {
    static const int32_t types[] = {FZ_TYPE_F32, FZ_TYPE_U8, FZ_TYPE_I64, FZ_TYPE_I32,
                                    FZ_TYPE_BOOL, FZ_TYPE_F16, FZ_TYPE_F64, FZ_TYPE_STRING,
                                    FZ_TYPE_C64, FZ_TYPE_U4, FZ_TYPE_F8E5M2, FZ_TYPE_I8};
    for (size_t j = 0; j < FZ_COUNT(types); j++) {
        fz_tensor_t spoilt = t->in[i];
        spoilt.dtype = types[j];
        attempt_with(t, i, &spoilt);
    }
}

/* Optional inputs go, those that lower appends, too. */
static void spoil_presence(struct trial *t, uint32_t i) {
    const fz_tensor_t *old = t->ins[i];
    uint32_t n = t->n_in;
    if (i < t->s->op->min_in) return;
    t->ins[i] = NULL;
    snprintf(t->what, WHAT_SIZE, "input %u absent", i);
    attempt(t);
    t->n_in = i;
    snprintf(t->what, WHAT_SIZE, "only %u inputs", i);
    attempt(t);
    t->ins[i] = old;
    t->n_in = n;
}

static void spoil_all(struct trial *t) {
    spoil_params(t);
    for (uint32_t i = 0; i < t->s->n_in; i++) {
        spoil_presence(t, i);
        if (!t->ins[i]) continue;
        spoil_values(t, i);
        spoil_dims(t, i);
        spoil_type(t, i);
    }
}

static void start(struct trial *t, const struct subject *s) {
    t->s = s;
    t->n_in = s->n_in;
    t->params = malloc(s->op->params_size);
    if (s->op->params_size) memcpy(t->params, s->node->params, s->op->params_size);
    for (uint32_t i = 0; i < s->n_in && i < MAX_IN; i++) {
        if (!s->in[i]) continue;
        t->in[i] = *s->in[i];
        t->in[i].data = malloc(s->in[i]->size);
        if (s->in[i]->size) memcpy(t->in[i].data, s->in[i]->data, s->in[i]->size);
        t->ins[i] = &t->in[i];
    }
}

bool hostile_case(const struct subject *s, char *what, size_t size) {
    static struct trial t;
    char *shared = mmap(NULL, WHAT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int state = 1;
    pid_t child = shared == MAP_FAILED ? -1 : fork();
    if (child == 0) {
        /* Of the CPU: other programs may have it for long. */
        setitimer(ITIMER_PROF, &(struct itimerval){.it_value.tv_sec = SECONDS}, NULL);
        t.what = shared;
        start(&t, s);
        spoil_all(&t);
        _exit(0);
    }
    if (child > 0) waitpid(child, &state, 0);
    snprintf(what, size, "%s", child > 0 ? shared : "no child process");
    if (shared != MAP_FAILED) munmap(shared, WHAT_SIZE);
    return child > 0 && state == 0;
}
