/* The transform for one type: REAL and NAME(...) are defined by whoever includes this. */

typedef struct {
    REAL re, im;
} NAME(complex);

/* One transform within the whole one of length WHOLE. */
struct NAME(part) {
    const struct fz_env *env;
    const NAME(complex) * w;
    NAME(complex) * temp;
    int64_t whole;
};

static void NAME(table)(const struct fzk_table *k, int64_t n, bool inverse, NAME(complex) * w) {
    enum { BLOCK = 256 };
    double angle[BLOCK], re[BLOCK], im[BLOCK];
    for (int64_t j = 0; j < n; j += BLOCK) {
        int64_t size = fzi_min_i64(BLOCK, n - j);
        for (int64_t i = 0; i < size; i++)
            angle[i] = 2 * 3.14159265358979323846 * ((double)(j + i) / (double)n);
        k->unary_f64(FZK_FN_COS, re, angle, size, 0, 0);
        k->unary_f64(FZK_FN_SIN, im, angle, size, 0, 0);
        for (int64_t i = 0; i < size; i++) {
            w[j + i].re = (REAL)re[i];
            w[j + i].im = (REAL)(inverse ? im[i] : -im[i]);
        }
    }
}

static NAME(complex) NAME(times)(NAME(complex) a, NAME(complex) b) {
    NAME(complex) c = {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
    return c;
}

/* P transforms of length M at Y become one: output r * m + k is the sum over q of term q times
 * w^(q r m). */
static void NAME(join)(const struct NAME(part) * part, int64_t p, int64_t m, NAME(complex) * y) {
    int64_t step = part->whole / (p * m); /* of W for a transform of length p * m */
    NAME(complex) *t = part->temp;
    for (int64_t k = 0; k < m; k++) {
        for (int64_t q = 0; q < p; q++) t[q] = NAME(times)(y[q * m + k], part->w[q * k * step]);
        for (int64_t r = 0; r < p; r++) {
            NAME(complex) sum = t[0];
            if (p > 64 && part->env->poll(part->env) != FZ_OK) return;
            for (int64_t q = 1, at = 0; q < p; q++) {
                at += r;
                if (at >= p) at -= p;
                NAME(complex) x = NAME(times)(t[q], part->w[at * m * step]);
                sum.re = sum.re + x.re;
                sum.im = sum.im + x.im;
            }
            y[r * m + k] = sum;
        }
    }
}

/* Recursion is as deep as N has prime factors; the largest one is joined last. */
static void NAME(transform)(const struct NAME(part) * part, int64_t n, int64_t step,
                            const NAME(complex) * x, NAME(complex) * y) {
    if (n == 1) {
        *y = *x;
        return;
    }
    int64_t p = largest_factor(n), m = n / p;
    for (int64_t q = 0; q < p; q++)
        NAME(transform)(part, m, step * p, x + q * step, y + q * m);
    NAME(join)(part, p, m, y);
}

static void NAME(run_task)(void *arg, size_t number) {
    const struct task *t = arg;
    const struct fz_fft_job *job = t->job;
    int64_t i = (int64_t)number, n = job->n;
    NAME(complex) *x = (NAME(complex) *)t->scratch + n + 3 * n * i, *y = x + n, *temp = y + n;
    struct NAME(part) part = {t->env, t->scratch, temp, n};
    for (int64_t l = job->lines * i / t->count; l < job->lines * (i + 1) / t->count; l++) {
        if (t->env->poll(t->env) != FZ_OK) return;
        job->load(job->arg, l, x);
        NAME(transform)(&part, n, 1, x, y);
        job->store(job->arg, l, y);
    }
}
