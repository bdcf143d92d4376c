/* GridSample's places, weights and mixes in one precision: REAL, with NAME(f) for the functions,
 * ELEMENT(job, i) and PLACE(job, i) for what is read, PUT(job, i, v) for what is written. */

/* floor(x) where it fits 32 bits, as places inside of or near an image do. */
static int64_t NAME(floor_of)(REAL x) {
    int64_t n = (int64_t)x;
    return (REAL)n > x ? n - 1 : n;
}

static REAL NAME(round_even)(REAL x) {
    int64_t low = NAME(floor_of)(x);
    REAL rest = x - (REAL)low;
    return (REAL)(low + (rest > (REAL)0.5 || (rest == (REAL)0.5 && (low & 1))));
}

/* X thrown back at the ends LOW and HIGH until it lies between them. */
static REAL NAME(reflect)(REAL x, REAL low, REAL high) {
    REAL range = high - low, over = x < low ? low - x : x - high;
    if (x >= low && x <= high) return x;
    if (!(range > 0)) return low;
    REAL turns = over / range;
    if (!(turns < (REAL)0x1p30)) return low;
    int64_t n = (int64_t)turns;
    REAL rest = over - (REAL)n * range;
    bool odd = n & 1, below = x < low;
    return below != odd ? low + rest : high - rest;
}

/* A place of the grid along a dimension of SIZE points, inside if the padding mode says so. */
static REAL NAME(locate)(const struct params *p, REAL place, int64_t size) {
    REAL n = (REAL)size, x = place != place ? -1 : place;
    x = p->align ? (x + 1) / 2 * (n - 1) : ((x + 1) * n - 1) / 2;
    x = x < -(REAL)0x1p30 ? -(REAL)0x1p30 : x > (REAL)0x1p30 ? (REAL)0x1p30 : x;
    if (x != x) x = 0; /* an infinite place along a single point */
    if (p->mode == NEAREST) x = NAME(round_even)(x);
    if (p->padding == BORDER && p->mode != CUBIC) x = x < 0 ? 0 : x > n - 1 ? n - 1 : x;
    if (p->padding == REFLECTION && p->mode != CUBIC)
        x = p->align ? NAME(reflect)(x, 0, n - 1) : NAME(reflect)(x, -(REAL)0.5, n - (REAL)0.5);
    return x;
}

/* The point that stands for I along a dimension of N points; -1: there is 0. */
static int64_t NAME(point_of)(const struct params *p, int64_t i, int64_t n) {
    if (i >= 0 && i < n) return i;
    if (p->padding == ZEROS) return -1;
    if (p->padding == BORDER) return i < 0 ? 0 : n - 1;
    REAL x = (REAL)i;
    x = p->align ? NAME(reflect)(x, 0, (REAL)(n - 1))
                 : NAME(reflect)(x, -(REAL)0.5, (REAL)n - (REAL)0.5);
    i = (int64_t)x;
    return i < 0 ? 0 : i < n ? i : n - 1;
}

/* The points and weights of one dimension. */
struct NAME(taps) {
    int32_t n;
    int64_t point[MAX_TAPS];
    REAL weight[MAX_TAPS];
};

static REAL NAME(cubic)(REAL x) {
    const REAL a = -(REAL)0.75;
    x = x < 0 ? -x : x;
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static void NAME(find_taps)(const struct params *p, REAL place, int64_t size,
                            struct NAME(taps) *taps) {
    REAL x = NAME(locate)(p, place, size);
    int64_t base = NAME(floor_of)(x);
    REAL rest = x - (REAL)base;
    taps->n = p->mode == NEAREST ? 1 : p->mode == LINEAR ? 2 : 4;
    for (int32_t t = 0; t < taps->n; t++) {
        int32_t step = p->mode == CUBIC ? t - 1 : t;
        taps->point[t] = NAME(point_of)(p, base + step, size);
        taps->weight[t] = p->mode == CUBIC    ? NAME(cubic)(rest - (REAL)step)
                          : p->mode == LINEAR ? (t ? rest : 1 - rest)
                                              : 1;
    }
}

/* The mix of dimensions D and on, at row ROW of the ones before; ROW -1: all of it is 0. */
static REAL NAME(mix)(const struct job *job, const struct NAME(taps) *taps, int64_t x, int32_t d,
                      int64_t row) {
    if (d == MAX_DIMS || d == job->n_dims) return row < 0 ? 0 : ELEMENT(job, x + row);
    REAL sum = 0;
    for (int32_t t = 0; t < taps[d].n; t++) {
        int64_t point = taps[d].point[t];
        int64_t next = row < 0 || point < 0 ? -1 : row * job->in[d] + point;
        REAL v = NAME(mix)(job, taps, x, d + 1, next);
        sum = t ? sum + taps[d].weight[t] * v : taps[d].weight[t] * v;
    }
    return sum;
}

/* Output points, counted over all images: all channels of each. */
static void NAME(point_range)(void *arg, int64_t begin, int64_t end) {
    const struct job *job = arg;
    for (int64_t i = begin; i < end; i++) {
        struct NAME(taps) taps[MAX_DIMS];
        int64_t image = i / job->out_size;
        int64_t x = image * job->channels * job->in_size;
        int64_t y = image * job->channels * job->out_size + i % job->out_size;
        /* A place names the last dimension first. */
        for (int32_t d = 0; d < job->n_dims; d++)
            NAME(find_taps)(job->p, PLACE(job, (i + 1) * job->n_dims - 1 - d), job->in[d],
                            &taps[d]);
        for (int64_t c = 0; c < job->channels; c++)
            PUT(job, y + c * job->out_size, NAME(mix)(job, taps, x + c * job->in_size, 0, 0));
    }
}
