/* The time steps of LSTM, GRU and RNN.
 *
 * A gate's input is (chain(W, x) + (Wb + Rb)) + chain(R, h): gx holds the first sum for all steps,
 * the GEMM kernel adds it as a residual. What follows is elementwise, each product and sum rounded:
 * LSTM with peepholes i + P c; c' = f c + i g; h' = o h(c'). GRU: h' = (1 - z) g + z h. */
#include "ops/quant.h"
#include "ops/rnn.h"

/* The same of bytes, for rows of the batch from B on. */
static void recur_bytes(const struct fz_rnn_pass *pass, int64_t m, int64_t b, float *c,
                        const float *residual) {
    const struct fz_rnn_bytes *q = pass->bytes;
    int64_t n = pass->s.hidden, columns = pass->s.columns;
    struct fzk_segment segment = {0, n};
    for (int64_t i = b; i < b + m; i++) {
        const float *h = pass->h + i * n;
        fzi_quant_choose(pass->k, h, n, &q->h_scales[i], &q->h_zeros[i]);
        pass->k->quantize_f32_u8(q->h + i * n, h, n, q->h_scales[i], q->h_zeros[i]);
    }
    struct fzk_qgemm g = {
        .m = m, .n = columns, .k = n, .a = q->h + b * n, .lda = n, .segments = &segment,
        .n_segments = 1, .b = q->w, .col_sum = q->sums, .zb = q->zeros, .za_rows = q->h_zeros + b,
        .out = {.c = c, .ldc = columns, .kind = FZK_QOUT_F32, .scale = q->scale,
                .n_scale = q->n_scale, .row_scale = q->h_scales + b, .residual = residual,
                .ldr = pass->b_step * columns}};
    pass->k->qgemm_u8s8(&g);
}

/* C = chain(R, A) + residual (or + bias) for M rows of the batch: N columns of R from panel
 * FIRST. */
struct recurrence {
    int64_t m, first, n;
    const float *a;
    float *c;
    int64_t ldc;
    const float *residual, *bias;
};

/* Few rows are as fast as R comes out of the cache: every second time step goes through it
 * backwards, and meets first what is still near. */
static void recur(const struct fz_rnn_pass *pass, bool down, const struct recurrence *p) {
    int64_t hidden = pass->s.hidden;
    struct fzk_segment segment = {0, hidden};
    struct fzk_gemm_f32 g = {
        .m = p->m, .n = p->n, .k = hidden, .a = p->a, .lda = hidden, .segments = &segment,
        .n_segments = 1, .b = pass->r + p->first * FZK_PANEL * hidden, .down = down, .c = p->c,
        .ldc = p->ldc, .bias = p->bias, .residual = p->residual,
        .ldr = pass->b_step * pass->s.columns};
    pass->k->gemm_f32(&g);
}

/* Clip and activation F of N values. */
static void activate(const struct fz_rnn_pass *pass, int f, float *x, int64_t n) {
    const struct fz_rnn_act *act = &pass->act[f];
    float clip = (float)pass->p->clip;
    if (pass->p->has_clip) pass->k->unary_f32(FZK_FN_CLIP, x, x, n, -clip, clip);
    pass->k->unary_f32((int32_t)act->kind, x, x, n, (float)act->alpha, (float)act->beta);
}

/* x = x + a b, two roundings: the library itself is compiled without fused operations. */
static void add_product(float *x, const float *a, const float *b, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] = x[i] + a[i] * b[i];
}

/* Gates i, o, f, c of one row, as sums, become the row's new c and h. */
static void lstm_cell(const struct fz_rnn_pass *pass, float *gates, float *c, float *h, float *t) {
    int64_t n = pass->s.hidden;
    float *i = gates, *o = gates + n, *f = gates + 2 * n, *g = gates + 3 * n;
    const float *p = pass->peephole;
    if (p) {
        add_product(i, p, c, n);
        add_product(f, p + 2 * n, c, n);
        activate(pass, 0, i, n);
        activate(pass, 0, f, n);
    } else activate(pass, 0, i, 3 * n);
    activate(pass, 1, g, n);
    if (pass->p->input_forget)
        for (int64_t j = 0; j < n; j++) f[j] = 1.0f - i[j];
    for (int64_t j = 0; j < n; j++) c[j] = f[j] * c[j] + i[j] * g[j];
    if (p) {
        add_product(o, p + n, c, n);
        activate(pass, 0, o, n);
    }
    const struct fz_rnn_act *act = &pass->act[2];
    pass->k->unary_f32((int32_t)act->kind, t, c, n, (float)act->alpha, (float)act->beta);
    for (int64_t j = 0; j < n; j++) h[j] = o[j] * t[j];
}

/* M rows of the batch from B on: one product, then each row's cell. */
static void lstm_step(const struct fz_rnn_pass *pass, int64_t b, int64_t m, const float *gx,
                      bool down) {
    int64_t n = pass->s.hidden, columns = pass->s.columns;
    float *gates = pass->gates + b * columns;
    if (pass->bytes) recur_bytes(pass, m, b, gates, gx);
    else
        recur(pass, down,
              &(struct recurrence){.m = m, .n = columns, .a = pass->h + b * n, .c = gates,
                                   .ldc = columns, .residual = gx});
    for (int64_t i = 0; i < m; i++)
        lstm_cell(pass, gates + i * columns, pass->c + (b + i) * n, pass->h + (b + i) * n,
                  pass->t + (b + i) * n);
}

/* The gate is the new state. */
static void rnn_step(const struct fz_rnn_pass *pass, int64_t b, int64_t m, const float *gx,
                     bool down) {
    int64_t n = pass->s.hidden;
    recur(pass, down, &(struct recurrence){.m = m, .n = n, .a = pass->h + b * n,
                                           .c = pass->gates + b * n, .ldc = n, .residual = gx});
    activate(pass, 0, pass->gates + b * n, m * n);
    memcpy(pass->h + b * n, pass->gates + b * n, (size_t)(m * n) * sizeof(float));
}

/* Gates z, r in pass->gates, rows of 3 hidden; the candidate in u. */
static void gru_step(const struct fz_rnn_pass *pass, int64_t b, int64_t m, const float *gx,
                     bool down) {
    int64_t n = pass->s.hidden, columns = pass->s.columns;
    int64_t h_panel = fzi_ceil_div(2 * n, FZK_PANEL);
    bool linear = pass->p->linear_before_reset;
    float *gates = pass->gates + b * columns, *h = pass->h + b * n, *t = pass->t + b * n;
    float *u = pass->u + b * n;
    struct recurrence both = {.m = m, .n = 2 * n, .a = h, .c = gates, .ldc = columns,
                              .residual = gx};
    struct recurrence third = {.m = m, .first = h_panel, .n = n, .a = linear ? h : t, .c = u,
                               .ldc = n, .residual = linear ? NULL : gx + 2 * n,
                               .bias = linear ? pass->r_bias : NULL};
    if (linear && down) recur(pass, down, &third);
    recur(pass, down, &both);
    if (linear && !down) recur(pass, down, &third);
    for (int64_t i = 0; i < m; i++) activate(pass, 0, gates + i * columns, 2 * n);
    for (int64_t i = 0; i < m; i++) {
        const float *r = gates + i * columns + n, *x = gx + i * pass->b_step * columns + 2 * n;
        for (int64_t j = i * n; j < (i + 1) * n; j++) {
            if (linear) u[j] = x[j - i * n] + r[j - i * n] * u[j];
            else t[j] = r[j - i * n] * h[j];
        }
    }
    if (!linear) recur(pass, down, &third);
    activate(pass, 1, u, m * n);
    for (int64_t i = 0; i < m; i++) {
        const float *z = gates + i * columns;
        for (int64_t j = i * n; j < (i + 1) * n; j++)
            h[j] = (1.0f - z[j - i * n]) * u[j] + z[j - i * n] * h[j];
    }
}

void fzi_rnn_rows(const struct fz_rnn_pass *pass, int64_t begin, int64_t end) {
    int64_t n = pass->s.hidden, len = pass->lens[begin];
    for (int64_t s = 0; s < pass->s.steps; s++) {
        int64_t t = s < len && pass->backwards ? len - 1 - s : s;
        const float *gx = pass->gx + (t * pass->t_step + begin * pass->b_step) * pass->s.columns;
        if (s >= len) {
            for (int64_t b = begin; pass->y && b < end; b++)
                memset(pass->y + t * pass->y_t + b * pass->y_b, 0, (size_t)n * sizeof(float));
            continue;
        }
        int64_t m = end - begin;
        if (pass->s.gates == FZ_RNN_GATES_LSTM) lstm_step(pass, begin, m, gx, s & 1);
        else if (pass->s.gates == FZ_RNN_GATES_GRU) gru_step(pass, begin, m, gx, s & 1);
        else rnn_step(pass, begin, m, gx, s & 1);
        for (int64_t b = begin; pass->y && b < end; b++)
            memcpy(pass->y + t * pass->y_t + b * pass->y_b, pass->h + b * n,
                   (size_t)n * sizeof(float));
    }
}
