/* The body of elementwise operators with two operands. */
#include "ops/pairs.h"

#include "ops/act.h"
#include "ops/walk.h"

enum {
    GRAIN = 16384, /* elements of a task: some 10 us */
    SHORT = 192,   /* runs below this many elements are gathered */
    NEAR = 2048    /* elements that stay in the nearest cache until they are rounded */
};

fz_status_t fzi_pairs_lower(struct fz_lower *lower, struct fz_node *node, void *params) {
    struct fz_pairs_params *p = params;
    (void)lower;
    p->legacy = node->op->until == 6;
    p->has_axis = fzi_attr(node, "axis") != NULL;
    FZ_TRY(fzi_attr_int(node, "broadcast", 0, &p->broadcast));
    return fzi_attr_int(node, "axis", 0, &p->axis);
}

/* B as opsets 1 to 6 place it under A: its dims begin at AXIS of A, or end with A's. */
static fz_status_t place(const struct fz_op *op, const struct fz_pairs_params *params,
                         const fz_tensor_t *a, fz_tensor_t *b) {
    if (!params->legacy || a->rank < 0 || b->rank < 0) return FZ_OK;
    if (!params->broadcast && a->rank != b->rank)
        return fzi_error(FZ_E_SHAPE, "%s: ranks %d and %d differ without broadcast", op->name,
                         a->rank, b->rank);
    int64_t axis = params->has_axis ? params->axis : (int64_t)a->rank - b->rank;
    if (axis < 0) axis += a->rank;
    if (axis < 0 || b->rank > a->rank || axis > a->rank - b->rank)
        return fzi_error(FZ_E_SHAPE, "%s: rank %d does not fit into rank %d at axis %lld", op->name,
                         b->rank, a->rank, (long long)params->axis);
    int64_t dims[FZ_RANK_MAX];
    int32_t n = a->rank - (int32_t)axis;
    for (int32_t i = 0; i < n; i++) dims[i] = i < b->rank ? b->dims[i] : 1;
    fzi_shape_set(b, n, dims);
    return FZ_OK;
}

fz_status_t fzi_pairs_shape(const struct fz_op *op, const struct fz_call *call,
                            const struct fz_pairs_params *params, fz_tensor_t *out) {
    fz_tensor_t b = *call->in[1], shape = {0};
    if (params->round < 0 || params->round > FZK_ROUND_BF16)
        return fzi_error(FZ_E_FORMAT, "%s: unknown rounding %lld", op->name,
                         (long long)params->round);
    FZ_TRY(place(op, params, call->in[0], &b));
    const fz_tensor_t *const both[2] = {call->in[0], &b};
    FZ_TRY(fzi_infer_broadcast(op, both, 2, &shape));
    fzi_shape_copy(out, &shape);
    return FZ_OK;
}

struct job {
    const struct fzk_table *k;
    fz_pair_fn fn;
    const fz_tensor_t *in[2], *out;
    bool dense[2]; /* the operand's elements are the output's, in its order */
    struct fz_walk walk;
    int64_t round;
};

struct buffers {
    union fz_wide_block in[2], out;
};

/* N elements from POS on, operands at AT. */
static void run_block(const struct job *job, struct buffers *buffers, const struct fz_walk_at *at,
                      int64_t pos, int64_t n) {
    const void *in[2];
    int64_t step[2];
    for (uint32_t i = 0; i < 2; i++) {
        step[i] = fzi_walk_step(&job->walk, i);
        in[i] = fzi_wide_load(job->k, job->in[i]->dtype, job->in[i]->data, at->off[i],
                              step[i] ? n : 1, &buffers->in[i]);
    }
    const fz_tensor_t *out = job->out;
    void *y = fzi_wide_target(out->dtype, out->data, pos, &buffers->out);
    job->fn(job->k, n, in[0], step[0], in[1], step[1], y);
    fzi_round_run(job->k, job->round, y, n);
    fzi_wide_store(job->k, out->dtype, out->data, pos, n, y);
}

/* Copies operand I's elements for the N outputs from AT on to BUFFER, in its own type. */
static void gather(const struct job *job, uint32_t i, struct fz_walk_at at, int64_t n,
                   void *buffer) {
    size_t width = fzi_type_width(job->in[i]->dtype);
    int64_t step = fzi_walk_step(&job->walk, i);
    char *to = buffer;
    for (int64_t run; n > 0; n -= run, to += run * (int64_t)width) {
        const char *from = (const char *)job->in[i]->data + at.off[i] * (int64_t)width;
        run = fzi_walk_run(&job->walk, &at, n);
        if (step && run >= 8) memcpy(to, from, (size_t)run * width);
        else if (width == 4)
            for (int64_t j = 0; j < run; j++) memcpy(to + j * 4, from + j * step * 4, 4);
        else
            for (int64_t j = 0; j < run; j++)
                memcpy(to + j * (int64_t)width, from + j * step * (int64_t)width, width);
        fzi_walk_next(&job->walk, &at, run);
    }
}

/* Short runs are not worth a call each: operands are written out a block at a time. */
static void run_blocks(const struct job *job, int64_t begin, int64_t end) {
    struct buffers buffers;
    union fz_wide_block gathered[2];
    for (int64_t n; begin < end; begin += n) {
        struct fz_walk_at at;
        const void *in[2];
        n = fzi_min_i64(end - begin, FZ_WIDE_BLOCK);
        fzi_walk_seek(&job->walk, &at, begin);
        for (uint32_t i = 0; i < 2; i++) {
            int32_t dtype = job->in[i]->dtype;
            if (!job->dense[i]) gather(job, i, at, n, &gathered[i]);
            const void *from = job->dense[i] ? job->in[i]->data : &gathered[i];
            in[i] = fzi_wide_load(job->k, dtype, from, job->dense[i] ? begin : 0, n,
                                  &buffers.in[i]);
        }
        void *y = fzi_wide_target(job->out->dtype, job->out->data, begin, &buffers.out);
        job->fn(job->k, n, in[0], 1, in[1], 1, y);
        fzi_round_run(job->k, job->round, y, n);
        fzi_wide_store(job->k, job->out->dtype, job->out->data, begin, n, y);
    }
}

static void run_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    struct buffers buffers;
    struct fz_walk_at at;
    bool native = fzi_wide_native(job->in[0]->dtype) && fzi_wide_native(job->in[1]->dtype) &&
                  fzi_wide_native(job->out->dtype);
    int64_t most = !native ? FZ_WIDE_BLOCK : job->round ? NEAR : INT64_MAX;
    int64_t last = job->walk.dims[job->walk.rank - 1];
    bool moves = fzi_type_width(job->in[0]->dtype) <= 8 && fzi_type_width(job->in[1]->dtype) <= 8;
    if (last < SHORT && job->walk.rank > 1 && moves) {
        run_blocks(job, begin, end);
        return;
    }
    fzi_walk_seek(&job->walk, &at, begin);
    while (begin < end) {
        int64_t n = fzi_walk_run(&job->walk, &at, fzi_min_i64(end - begin, most));
        run_block(job, &buffers, &at, begin, n);
        fzi_walk_next(&job->walk, &at, n);
        begin += n;
    }
}

fz_status_t fzi_pairs_run(const struct fz_call *call, const struct fz_pairs_params *params,
                          fz_pair_fn fn, bool swap) {
    fz_tensor_t b = *call->in[1];
    fz_tensor_t *out = call->out[0];
    static const struct fz_op unnamed = {.name = "broadcast"};
    FZ_TRY(place(&unnamed, params, call->in[0], &b));
    struct job job = {call->env->k, fn, {call->in[0], &b}, out, {false, false}, {0}, 0};
    if (out->dtype == FZ_TYPE_F32) job.round = params->round;
    if (swap) job.in[0] = &b, job.in[1] = call->in[0];
    fzi_walk_init(&job.walk, out, job.in, 2);
    for (int i = 0; i < 2; i++)
        job.dense[i] = fzi_tensor_count(job.in[i]) == fzi_tensor_count(out);
    fzi_run_range(call->env, fzi_tensor_count(out), GRAIN, run_range, &job);
    return FZ_OK;
}
