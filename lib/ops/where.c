/* Where: each element from X or from Y, as a broadcast condition says. */
#include "ops/move.h"

static fz_status_t infer(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *x = call->in[1], *y = call->in[2];
    fz_tensor_t out = {.dtype = x->dtype};
    FZ_TRY(fzi_infer_type(op, call, 0, FZ_T(BOOL)));
    FZ_TRY(fzi_move_type(op, call, 1));
    if (x->dtype != y->dtype)
        return fzi_error(FZ_E_TYPE, "%s: inputs of %s and %s", op->name, fz_type_name(x->dtype),
                         fz_type_name(y->dtype));
    FZ_TRY(fzi_infer_broadcast(op, call->in, 3, &out));
    fzi_infer_like(call, 0, x->dtype, &out);
    return FZ_OK;
}

enum { CONDITION, X, Y, OPERANDS };

/* The output in rows; strides of the operands are elements, 0 where they repeat. */
struct job {
    const char *in[OPERANDS];
    char *out;
    size_t width;
    int32_t rank;                           /* outer dims */
    int64_t dims[FZ_RANK_MAX], stride[OPERANDS][FZ_RANK_MAX];
    int64_t n, step[OPERANDS];              /* a row */
};

/* Both are loaded and one is kept, so that the loops vectorise. */
#define CHOOSE(type)                                                                               \
    typedef type __attribute__((may_alias)) any_##type;                                            \
    static inline __attribute__((always_inline)) void loop_##type(                                 \
        const uint8_t *c, const any_##type *x, const any_##type *y, any_##type *out, int64_t n,    \
        int64_t x_step, int64_t y_step) {                                                          \
        for (int64_t j = 0; j < n; j++) {                                                          \
            type a = x[j * x_step], b = y[j * y_step];                                             \
            out[j] = c[j] ? a : b;                                                                 \
        }                                                                                          \
    }                                                                                              \
    static void choose_##type(const struct job *job, const uint8_t *c, const void *x,              \
                              const void *y, void *out) {                                          \
        if (job->step[X] && job->step[Y]) loop_##type(c, x, y, out, job->n, 1, 1);                 \
        else if (job->step[X]) loop_##type(c, x, y, out, job->n, 1, 0);                            \
        else if (job->step[Y]) loop_##type(c, x, y, out, job->n, 0, 1);                            \
        else loop_##type(c, x, y, out, job->n, 0, 0);                                              \
    }
CHOOSE(uint8_t)
CHOOSE(uint16_t)
CHOOSE(uint32_t)
CHOOSE(uint64_t)

static void choose_wide(const struct job *job, const uint8_t *c, const char *x, const char *y,
                        char *out) {
    int64_t w = (int64_t)job->width;
    for (int64_t j = 0; j < job->n; j++)
        memcpy(out + j * w, c[j] ? x + j * job->step[X] * w : y + j * job->step[Y] * w,
               job->width);
}

static void choose_row(const struct job *job, const uint8_t *c, const char *x, const char *y,
                       char *out) {
    switch (job->width) {
    case 1: choose_uint8_t(job, c, x, y, out); break;
    case 2: choose_uint16_t(job, c, x, y, out); break;
    case 4: choose_uint32_t(job, c, x, y, out); break;
    case 8: choose_uint64_t(job, c, x, y, out); break;
    default: choose_wide(job, c, x, y, out); break;
    }
}

/* A condition that holds for the whole row makes it a copy. */
static void run_row(const struct job *job, const int64_t at[OPERANDS], char *out) {
    int64_t w = (int64_t)job->width;
    const uint8_t *c = (const uint8_t *)job->in[CONDITION] + at[CONDITION];
    const char *from[OPERANDS] = {NULL, job->in[X] + at[X] * w, job->in[Y] + at[Y] * w};
    int which = *c ? X : Y;
    if (job->step[CONDITION]) choose_row(job, c, from[X], from[Y], out);
    else if (job->step[which]) memcpy(out, from[which], (size_t)(job->n * w));
    else fzi_move_fill(out, job->n, from[which], job->width);
}

static void range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    for (int64_t r = begin; r < end; r++) {
        int64_t at[OPERANDS] = {0}, rest = r;
        for (int32_t d = job->rank; d-- > 0; rest /= job->dims[d])
            for (int i = 0; i < OPERANDS; i++) at[i] += rest % job->dims[d] * job->stride[i][d];
        run_row(job, at, job->out + r * job->n * (int64_t)job->width);
    }
}

static void set_strides(struct job *job, int which, const fz_tensor_t *t, int32_t rank) {
    int64_t strides[FZ_RANK_MAX];
    fzi_move_strides(t->rank, t->dims, strides);
    for (int32_t d = 0; d < rank; d++) {
        int32_t at = d - (rank - t->rank);
        job->stride[which][d] = at >= 0 && t->dims[at] != 1 ? strides[at] : 0;
    }
}

/* Whether dims D and D + 1 step as one in every operand. */
static bool joins(const struct job *job, int32_t d) {
    for (int i = 0; i < OPERANDS; i++)
        if (job->stride[i][d] != job->stride[i][d + 1] * job->dims[d + 1]) return false;
    return true;
}

static void erase(struct job *job, int32_t d) {
    job->rank--;
    for (; d < job->rank; d++) {
        job->dims[d] = job->dims[d + 1];
        for (int i = 0; i < OPERANDS; i++) job->stride[i][d] = job->stride[i][d + 1];
    }
}

static void collapse(struct job *job) {
    for (int32_t d = job->rank; d-- > 0;)
        if (job->dims[d] == 1) erase(job, d);
    for (int32_t d = job->rank - 1; d-- > 0;) {
        if (!joins(job, d)) continue;
        job->dims[d + 1] *= job->dims[d];
        erase(job, d);
    }
    job->n = 1;
    if (job->rank == 0) return;
    int32_t last = --job->rank;
    job->n = job->dims[last];
    for (int i = 0; i < OPERANDS; i++) job->step[i] = job->stride[i][last];
}

static fz_status_t run(const struct fz_op *op, const struct fz_call *call) {
    const fz_tensor_t *out = call->out[0];
    struct job job = {.out = out->data, .width = fzi_type_width(out->dtype), .rank = out->rank};
    int64_t rows = 1;
    (void)op;
    if (out->size == 0) return FZ_OK;
    for (int32_t d = 0; d < out->rank; d++) job.dims[d] = out->dims[d];
    for (int i = 0; i < OPERANDS; i++) {
        job.in[i] = call->in[i]->data;
        set_strides(&job, i, call->in[i], out->rank);
    }
    collapse(&job);
    /* One long row is cut, so that several threads can share it. */
    if (job.rank == 0 && job.n > 65536 && job.n % 64 == 0) {
        job.rank = 1;
        job.dims[0] = 64;
        job.n /= 64;
        for (int i = 0; i < OPERANDS; i++) job.stride[i][0] = job.step[i] * job.n;
    }
    for (int32_t d = 0; d < job.rank; d++) rows *= job.dims[d];
    fzi_run_range(call->env, rows, 65536 / job.n + 1, range, &job);
    return FZ_OK;
}

const struct fz_op fz_ops_where[] = {
    {.name = "Where", .domain = "", .since = 9, .rev = 1, .flags = FZ_OP_ANY_TYPE,
     .min_in = 3, .max_in = 3, .min_out = 1, .max_out = 1, .infer = infer, .run = run},
    {0},
};
