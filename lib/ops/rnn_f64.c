/* LSTM, GRU and RNN in binary64: rows of the batch one by one, each through all time steps, with
 * the products of plain_product.c. The order of everything is that of rnn_cell.c. */
#include "ops/matmul.h"
#include "ops/rnn.h"

struct job {
    const struct fz_call *call;
    const struct fz_rnn_params *p;
    struct fz_rnn_sizes s;
    int64_t d; /* direction */
    const struct fz_rnn_act *act;
    const int64_t *lens;
    const double *w, *r, *bias, *peephole;
    double *room;
};

/* What a row of the batch works on: [columns] each, then [hidden] each. */
struct row {
    double *gx, *gates, *h, *c, *t, *u;
};

static int64_t row_size(const struct fz_rnn_sizes *s) { return 2 * s->columns + 4 * s->hidden; }

size_t fzi_rnn_scratch_f64(const struct fz_rnn_sizes *s) {
    return (size_t)s->batch * (sizeof(int64_t) + (size_t)row_size(s) * sizeof(double));
}

static struct row row_at(const struct job *job, int64_t b) {
    int64_t columns = job->s.columns, n = job->s.hidden;
    double *at = job->room + b * row_size(&job->s), *h = at + 2 * columns;
    return (struct row){at, at + columns, h, h + n, h + 2 * n, h + 3 * n};
}

/* Y = chain(W, x): W is N x K. */
static void multiply(const double *w, int64_t n, int64_t k, const double *x, double *y) {
    struct fz_plain_product p = {FZ_TYPE_F64, 1, n, k, x, w, y, k, 1, 1, k};
    fzi_plain_product(&p);
}

static void add(double *y, const double *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = y[i] + x[i];
}

static void apply(const struct job *job, int f, double *y, const double *x, int64_t n) {
    const struct fz_rnn_act *act = &job->act[f];
    job->call->env->k->unary_f64((int32_t)act->kind, y, x, n, act->alpha, act->beta);
}

static void activate(const struct job *job, int f, double *x, int64_t n) {
    double clip = job->p->clip;
    if (job->p->has_clip) job->call->env->k->unary_f64(FZK_FN_CLIP, x, x, n, -clip, clip);
    apply(job, f, x, x, n);
}

static void add_product(double *x, const double *a, const double *b, int64_t n) {
    for (int64_t i = 0; a && i < n; i++) x[i] = x[i] + a[i] * b[i];
}

static void lstm_step(const struct job *job, const struct row *row) {
    int64_t n = job->s.hidden;
    double *i = row->gates, *o = i + n, *f = i + 2 * n, *g = i + 3 * n, *c = row->c;
    const double *p = job->peephole;
    add_product(i, p, c, n);
    add_product(f, p ? p + 2 * n : NULL, c, n);
    activate(job, 0, i, n);
    activate(job, 0, f, n);
    activate(job, 1, g, n);
    for (int64_t j = 0; j < n; j++) {
        if (job->p->input_forget) f[j] = 1 - i[j];
        c[j] = f[j] * c[j] + i[j] * g[j];
    }
    add_product(o, p ? p + n : NULL, c, n);
    activate(job, 0, o, n);
    apply(job, 2, row->t, c, n);
    for (int64_t j = 0; j < n; j++) row->h[j] = o[j] * row->t[j];
}

static void gru_step(const struct job *job, const struct row *row) {
    int64_t n = job->s.hidden;
    bool linear = job->p->linear_before_reset;
    double *z = row->gates, *r = z + n, *u = row->u, *h = row->h;
    const double *weights = job->r + 2 * n * n, *x = row->gx + 2 * n;
    const double *bias = job->bias ? job->bias + job->s.columns + 2 * n : NULL;
    activate(job, 0, z, 2 * n);
    for (int64_t j = 0; j < n; j++) row->t[j] = linear ? h[j] : r[j] * h[j];
    multiply(weights, n, n, row->t, u);
    for (int64_t j = 0; j < n; j++) {
        if (linear) u[j] = x[j] + r[j] * (bias ? u[j] + bias[j] : u[j]);
        else u[j] = u[j] + x[j];
    }
    activate(job, 1, u, n);
    for (int64_t j = 0; j < n; j++) h[j] = (1 - z[j]) * u[j] + z[j] * h[j];
}

/* chain(W, x) + (Wb + Rb); but Rb of GRU's candidate stays apart with linear_before_reset. */
static void find_gx(const struct job *job, const double *x, double *gx) {
    int64_t columns = job->s.columns, until = columns;
    const double *b = job->bias;
    if (job->s.gates == FZ_RNN_GATES_GRU && job->p->linear_before_reset) until = 2 * job->s.hidden;
    multiply(job->w, columns, job->s.input, x, gx);
    for (int64_t i = 0; b && i < columns; i++)
        gx[i] = gx[i] + (i < until ? b[i] + b[columns + i] : b[i]);
}

static void step(const struct job *job, const struct row *row, const double *x) {
    int64_t n = job->s.hidden, first = job->s.columns;
    if (job->s.gates == FZ_RNN_GATES_GRU) first = 2 * n; /* the candidate waits for the gates */
    find_gx(job, x, row->gx);
    multiply(job->r, first, n, row->h, row->gates);
    add(row->gates, row->gx, first);
    if (job->s.gates == FZ_RNN_GATES_LSTM) lstm_step(job, row);
    else if (job->s.gates == FZ_RNN_GATES_GRU) gru_step(job, row);
    else {
        activate(job, 0, row->gates, n);
        memcpy(row->h, row->gates, (size_t)n * sizeof(double));
    }
}

static void *output(const struct job *job, uint32_t i) {
    return i < job->call->n_out && job->call->out[i] ? job->call->out[i]->data : NULL;
}

/* The state of row B from input I, or to output I. */
static void copy_state(const struct job *job, int64_t b, uint32_t i, double *state, bool out) {
    const struct fz_call *call = job->call;
    int64_t n = job->s.hidden, at = job->p->layout ? b * job->s.dirs + job->d
                                                   : job->d * job->s.batch + b;
    size_t size = (size_t)n * sizeof(double);
    if (out && output(job, i)) memcpy((double *)output(job, i) + at * n, state, size);
    if (out) return;
    if (i < call->n_in && call->in[i]) memcpy(state, (double *)call->in[i]->data + at * n, size);
    else memset(state, 0, size);
}

static void row_range(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    const struct fz_rnn_sizes *s = &job->s;
    bool first = job->p->layout, backwards = job->d || job->p->reverse;
    for (int64_t b = begin; b < end; b++) {
        struct row row = row_at(job, b);
        copy_state(job, b, 5, row.h, false);
        copy_state(job, b, 6, row.c, false);
        for (int64_t i = 0; i < s->steps; i++) {
            int64_t t = backwards && i < job->lens[b] ? job->lens[b] - 1 - i : i;
            int64_t x = (first ? b * s->steps + t : t * s->batch + b) * s->input;
            int64_t at = first ? (b * s->steps + t) * s->dirs + job->d
                               : (t * s->dirs + job->d) * s->batch + b;
            double *y = output(job, 0);
            if (i < job->lens[b]) step(job, &row, (const double *)job->call->in[0]->data + x);
            for (int64_t j = 0; y && j < s->hidden; j++)
                y[at * s->hidden + j] = i < job->lens[b] ? row.h[j] : 0;
        }
        copy_state(job, b, 1, row.h, true);
        copy_state(job, b, 2, row.c, true);
    }
}

static const double *part(const struct fz_call *call, uint32_t i, int64_t at) {
    return i < call->n_in && call->in[i] ? (const double *)call->in[i]->data + at : NULL;
}

void fzi_rnn_run_f64(const struct fz_call *call, const struct fz_rnn_sizes *s) {
    const struct fz_rnn_params *p = call->params;
    for (int64_t d = 0; d < s->dirs; d++) {
        int64_t columns = s->columns;
        struct job job = {.call = call, .p = p, .s = *s, .d = d, .act = p->act + 3 * d,
                          .lens = call->scratch, .room = (double *)call->scratch + s->batch,
                          .w = part(call, 1, d * columns * s->input),
                          .r = part(call, 2, d * columns * s->hidden),
                          .bias = part(call, 3, d * 2 * columns)};
        if (p->gates == FZ_RNN_GATES_LSTM) job.peephole = part(call, 7, d * 3 * s->hidden);
        fzi_run_range(call->env, s->batch, 1, row_range, &job);
    }
}
