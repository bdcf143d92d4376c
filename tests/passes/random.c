/* Random small graphs. Sizes are drawn so that every output has at least one element, and so that
 * panels, quads and vectors end in the middle as well as at their edges. */
#include "random.h"

#include "random_net.h"

#include "base/philox.h"

struct maker {
    struct fz_text *out;
    uint64_t seed, counter;
    int names;
};

/* A number of [low, high]. */
static int64_t draw(struct maker *m, int64_t low, int64_t high) {
    uint32_t x[4];
    fzi_philox(m->seed, 4711, m->counter++, x);
    return low + (int64_t)(x[0] % (uint64_t)(high - low + 1));
}

static bool chance(struct maker *m, int percent) { return draw(m, 1, 100) <= percent; }

static double scale(struct maker *m) { return (double)draw(m, 1, 1000) * 1e-4; }

/* "NAME = type[N] ..." of scales: one, or N of them. */
static void put_scales(struct maker *m, const char *name, int64_t n) {
    if (n) fzi_text_add(m->out, "  %s = float32[%lld]", name, (long long)n);
    else fzi_text_add(m->out, "  %s = float32[]", name);
    for (int64_t i = 0; i < (n ? n : 1); i++) fzi_text_add(m->out, " %.9g", scale(m));
    fzi_text_add(m->out, "\n");
}

/* Zero points of the type: none of them 0, all 0, or small ones. */
static void put_zeros(struct maker *m, const char *name, bool is_signed, int64_t n) {
    const char *type = is_signed ? "int8" : "uint8";
    int64_t low = is_signed ? -128 : 0, middle = low + 128, way = draw(m, 0, 2);
    if (n) fzi_text_add(m->out, "  %s = %s[%lld]", name, type, (long long)n);
    else fzi_text_add(m->out, "  %s = %s[]", name, type);
    for (int64_t i = 0; i < (n ? n : 1); i++) {
        int64_t z = way == 0 ? middle : way == 1 ? draw(m, middle - 3, middle + 3)
                                                 : draw(m, low, low + 255);
        fzi_text_add(m->out, " %lld", (long long)z);
    }
    fzi_text_add(m->out, "\n");
}

static void put_random(struct maker *m, const char *name, const char *type, const char *dims) {
    fzi_text_add(m->out, "  %s = %s[%s] rand %lld\n", name, type, dims,
                 (long long)draw(m, 1, 100000));
}

/* ---- shapes */

struct conv {
    int64_t spatial, group, n, cin, cout;
    int64_t in[3], kernel[3], stride[3], dilation[3], before[3], after[3], out[3];
    int64_t more[3]; /* output_padding of ConvTranspose */
    const char *auto_pad;
};

static void draw_channels(struct maker *m, struct conv *c) {
    int64_t way = draw(m, 0, 3);
    if (way == 0) { /* depthwise */
        c->group = c->cin = draw(m, 1, 70);
        c->cout = c->cin * (chance(m, 20) ? 2 : 1);
    } else if (way == 1) {
        c->group = draw(m, 2, 5);
        c->cin = c->group * draw(m, 1, 14);
        c->cout = c->group * draw(m, 1, 36);
    } else {
        c->group = 1;
        c->cin = draw(m, 1, chance(m, 50) ? 8 : 70);
        c->cout = draw(m, 1, 70);
    }
}

static struct conv draw_conv(struct maker *m, int64_t max_spatial) {
    static const char *const pads[] = {"SAME_UPPER", "SAME_LOWER", "VALID"};
    struct conv c = {.spatial = chance(m, 75) ? 2 : draw(m, 1, max_spatial), .n = draw(m, 1, 2)};
    draw_channels(m, &c);
    bool point = chance(m, 20), plain = chance(m, 30);
    c.auto_pad = !point && chance(m, 10) ? pads[draw(m, 0, 2)] : NULL;
    for (int64_t i = 0; i < c.spatial; i++) {
        int64_t most = c.spatial == 3 ? 3 : 5;
        c.kernel[i] = point ? 1 : plain ? 3 : draw(m, 1, most);
        c.stride[i] = point || plain ? 1 : draw(m, 1, 3);
        c.dilation[i] = point || plain || c.auto_pad ? 1 : draw(m, 1, 2);
        c.before[i] = c.auto_pad ? 0 : plain ? 1 : draw(m, 0, 2);
        c.after[i] = c.auto_pad ? 0 : plain ? 1 : draw(m, 0, 2);
        int64_t extent = c.dilation[i] * (c.kernel[i] - 1) + 1;
        c.in[i] = extent - c.before[i] - c.after[i];
        c.in[i] = draw(m, c.in[i] > 1 ? c.in[i] : 1, (c.in[i] > 1 ? c.in[i] : 1) + 8);
        c.out[i] = (c.in[i] + c.before[i] + c.after[i] - extent) / c.stride[i] + 1;
    }
    return c;
}

static void put_list(struct maker *m, const char *name, const int64_t *v, int64_t n,
                     const int64_t *more) {
    fzi_text_add(m->out, " %s=[", name);
    for (int64_t i = 0; i < n; i++) fzi_text_add(m->out, "%s%lld", i ? "," : "", (long long)v[i]);
    for (int64_t i = 0; more && i < n; i++) fzi_text_add(m->out, ",%lld", (long long)more[i]);
    fzi_text_add(m->out, "]");
}

static void put_conv_attrs(struct maker *m, const struct conv *c) {
    put_list(m, "kernel_shape", c->kernel, c->spatial, NULL);
    put_list(m, "strides", c->stride, c->spatial, NULL);
    put_list(m, "dilations", c->dilation, c->spatial, NULL);
    if (c->more[0] + c->more[1] > 0) put_list(m, "output_padding", c->more, c->spatial, NULL);
    if (c->auto_pad) fzi_text_add(m->out, " auto_pad=\"%s\"", c->auto_pad);
    else put_list(m, "pads", c->before, c->spatial, c->after);
    fzi_text_add(m->out, " group=%lld\n", (long long)c->group);
}

/* "N,C,H,W" */
static void image(char *to, size_t size, int64_t n, int64_t c, const int64_t *dims,
                  int64_t spatial) {
    struct fz_text text = {0};
    fzi_text_add(&text, "%lld,%lld", (long long)n, (long long)c);
    for (int64_t i = 0; i < spatial; i++) fzi_text_add(&text, ",%lld", (long long)dims[i]);
    memset(to, 0, size);
    memcpy(to, text.data, text.size < size ? text.size : size - 1);
    fzi_text_free(&text);
}

/* The product that a graph is about. */
struct subject_of {
    bool is_conv, trans;
    struct conv c;
    int64_t n, k;                /* columns or channels; length of a sum */
    char x[96], w[96], y[96];    /* dims; y: "" if not known here */
    char bias[32];               /* dims of a bias behind the product */
};

static void draw_product(struct maker *m, struct subject_of *s, int64_t max_spatial) {
    *s = (struct subject_of){.is_conv = chance(m, 60)};
    if (s->is_conv) {
        s->c = draw_conv(m, max_spatial);
        s->n = s->c.cout;
        s->k = s->c.cin / s->c.group;
        for (int64_t i = 0; i < s->c.spatial; i++) s->k *= s->c.kernel[i];
        image(s->x, sizeof s->x, s->c.n, s->c.cin, s->c.in, s->c.spatial);
        image(s->w, sizeof s->w, s->c.cout, s->c.cin / s->c.group, s->c.kernel, s->c.spatial);
        if (!s->c.auto_pad) image(s->y, sizeof s->y, s->c.n, s->c.cout, s->c.out, s->c.spatial);
        image(s->bias, sizeof s->bias, 1, s->n, (int64_t[]){1, 1, 1}, s->c.spatial);
        return;
    }
    int64_t rows = draw(m, 1, 20);
    s->k = draw(m, 1, chance(m, 20) ? 700 : 70);
    s->n = draw(m, 1, 70);
    bool batch = chance(m, 30);
    image(s->x, sizeof s->x, batch ? 2 : rows, batch ? rows : s->k, &s->k, batch);
    image(s->y, sizeof s->y, batch ? 2 : rows, batch ? rows : s->n, &s->n, batch);
    image(s->w, sizeof s->w, s->k, s->n, NULL, 0);
    image(s->bias, sizeof s->bias, 1, s->n, NULL, 0);
}

/* ---- floats */

static void put_tail(struct maker *m, const struct subject_of *s, const char *from) {
    static const char *const plain[] = {"Relu", "Sigmoid", "HardSwish", "Tanh", "LeakyRelu"};
    char last[16];
    memset(last, 0, sizeof last);
    memcpy(last, from, strlen(from));
    for (int64_t n = draw(m, 0, 3); n > 0; n--) {
        char next[16] = {'t', (char)('a' + m->names++), 0};
        int64_t way = draw(m, 0, 3);
        if (way == 0) fzi_text_add(m->out, "  %s = Add(%s, r)\n", next, last);
        else if (way == 1) fzi_text_add(m->out, "  %s = Add(b2, %s)\n", next, last);
        else fzi_text_add(m->out, "  %s = %s(%s)\n", next, plain[draw(m, 0, 4)], last);
        memcpy(last, next, sizeof last);
    }
    (void)s;
    fzi_text_add(m->out, "return %s%s\n", last, strcmp(last, from) && chance(m, 10) ? ", c" : "");
}

static void put_float_inputs(struct maker *m, const struct subject_of *s) {
    const char *r = s->y[0] ? s->y : "1";
    fzi_text_add(m->out, "graph(x: float32[%s], r: float32[%s])\n", s->x, r);
    put_random(m, "w", "float32", s->w);
    put_random(m, "b2", "float32", s->bias);
}

/* Pads of a ConvTranspose cut from its output; some of each tap must remain. */
static void draw_transposed(struct maker *m, struct conv *c) {
    for (int64_t i = 0; i < c->spatial; i++) {
        int64_t extent = c->dilation[i] * (c->kernel[i] - 1) + 1;
        int64_t most = c->stride[i] > c->dilation[i] ? c->stride[i] : c->dilation[i];
        c->before[i] = draw(m, 0, (extent - 1) / 2);
        c->after[i] = draw(m, 0, (extent - 1) / 2);
        c->more[i] = chance(m, 30) ? draw(m, 0, most - 1) : 0;
    }
}

static void put_float(struct maker *m) {
    struct subject_of s;
    draw_product(m, &s, 3);
    bool bias = chance(m, 50);
    char n[24];
    image(n, sizeof n, s.n, 0, NULL, 0);
    *strchr(n, ',') = 0;
    bool transposed = s.is_conv && s.c.spatial < 3 && !s.c.auto_pad && chance(m, 25);
    if (transposed) {
        image(s.w, sizeof s.w, s.c.cin, s.c.cout / s.c.group, s.c.kernel, s.c.spatial);
        s.y[0] = 0;
        draw_transposed(m, &s.c);
    }
    put_float_inputs(m, &s);
    if (bias) put_random(m, "b", "float32", n);
    if (s.is_conv) {
        fzi_text_add(m->out, "  c = %s(x, w%s)", transposed ? "ConvTranspose" : "Conv",
                     bias ? ", b" : "");
        put_conv_attrs(m, &s.c);
    } else if (bias && !strchr(strchr(s.x, ',') + 1, ',')) {
        fzi_text_add(m->out, "  c = Gemm(x, w, b)\n");
    } else {
        fzi_text_add(m->out, "  c = MatMul(x, w)\n");
    }
    put_tail(m, &s, "c");
}

/* ---- integers as they are written */

struct types {
    bool x, w, y; /* signed */
};

static const char *name_of(bool is_signed) { return is_signed ? "int8" : "uint8"; }

static void put_weights(struct maker *m, const struct subject_of *s, struct types t, bool rows) {
    put_random(m, "w", name_of(t.w), s->w);
    put_zeros(m, "wz", t.w, rows && chance(m, 50) ? s->n : 0);
}

/* A scale that brings sums into the output's range, mostly. */
static void put_out_scale(struct maker *m, const struct subject_of *s) {
    double size = 1;
    while (size * size < (double)s->k) size += 1;
    fzi_text_add(m->out, "  ys = float32[] %.9g\n",
                 (double)draw(m, 1, 40) * 0.1 * 0.05 * 0.05 * 60 * size);
}

static void put_qlinear(struct maker *m, const struct subject_of *s, struct types t) {
    bool bias = s->is_conv && chance(m, 50);
    char n[24];
    image(n, sizeof n, s->n, 0, NULL, 0);
    *strchr(n, ',') = 0;
    fzi_text_add(m->out, "graph(x: %s[%s])\n", name_of(t.x), s->x);
    put_weights(m, s, t, true);
    put_scales(m, "xs", 0);
    put_zeros(m, "xz", t.x, 0);
    put_scales(m, "ws", chance(m, 50) ? s->n : 0);
    put_out_scale(m, s);
    put_zeros(m, "yz", t.y, 0);
    if (bias) put_random(m, "b", "int32", n);
    fzi_text_add(m->out, "  y = %s(x, xs, xz, w, ws, wz, ys, yz%s)",
                 s->is_conv ? "QLinearConv" : "QLinearMatMul", bias ? ", b" : "");
    if (s->is_conv) put_conv_attrs(m, &s->c);
    fzi_text_add(m->out, "\nreturn y\n");
}

static void put_plain(struct maker *m, const struct subject_of *s, struct types t) {
    bool zero = chance(m, 70);
    fzi_text_add(m->out, "graph(x: %s[%s]%s%s%s)\n", name_of(t.x), s->x,
                 zero ? ", xz: " : "", zero ? name_of(t.x) : "", zero ? "[]" : "");
    put_weights(m, s, t, true);
    fzi_text_add(m->out, "  y = %s(x, w, %s, wz)", s->is_conv ? "ConvInteger" : "MatMulInteger",
                 zero ? "xz" : "-");
    if (s->is_conv) put_conv_attrs(m, &s->c);
    fzi_text_add(m->out, "\nreturn y\n");
}

/* DynamicQuantizeLinear, the sums, their scales, a bias, Relu and a sum. */
static void put_dynamic(struct maker *m, const struct subject_of *s, struct types t) {
    bool bias = chance(m, 60), relu = chance(m, 40), sum = s->y[0] && chance(m, 40);
    fzi_text_add(m->out, "graph(x: float32[%s], r: float32[%s])\n", s->x, s->y[0] ? s->y : "1");
    put_weights(m, s, t, true);
    put_scales(m, "ws", s->is_conv || chance(m, 50) ? 0 : s->n);
    if (bias) put_random(m, "b", "float32", s->bias);
    fzi_text_add(m->out, "  q, s, z = DynamicQuantizeLinear(x)\n  m = %s(q, w, z, wz)",
                 s->is_conv ? "ConvInteger" : "MatMulInteger");
    if (s->is_conv) put_conv_attrs(m, &s->c);
    fzi_text_add(m->out, "\n  f = Cast(m) to=1\n  k = Mul(s, ws)\n  y0 = Mul(f, k)\n");
    fzi_text_add(m->out, bias ? "  y1 = Add(y0, b)\n" : "  y1 = Identity(y0)\n");
    fzi_text_add(m->out, sum ? "  y2 = Add(y1, r)\n" : "  y2 = Identity(y1)\n");
    fzi_text_add(m->out, relu ? "  y = Relu(y2)\nreturn y\n" : "  y = Neg(y2)\nreturn y\n");
}

static void put_integer(struct maker *m) {
    struct subject_of s;
    struct types t = {chance(m, 40), chance(m, 60), chance(m, 40)};
    draw_product(m, &s, 2);
    int64_t way = draw(m, 0, 3);
    if (way <= 1) put_qlinear(m, &s, t);
    else if (way == 2) put_plain(m, &s, t);
    else put_dynamic(m, &s, t);
}

/* ---- quantised form */

static void put_bias(struct maker *m, const struct subject_of *s, int64_t rows) {
    char n[24];
    image(n, sizeof n, s->n, 0, NULL, 0);
    *strchr(n, ',') = 0;
    put_random(m, "b", "int32", n);
    /* Powers of two: the product of the scales is exact. */
    if (!rows) n[0] = 0;
    fzi_text_add(m->out, "  ws = float32[%s] fill 0.0078125\n", n);
    fzi_text_add(m->out, "  bs = float32[%s] fill 0.000244140625\n", n);
    fzi_text_add(m->out, "  db = DequantizeLinear(b, bs) axis=0\n");
}

static void put_qdq(struct maker *m) {
    struct subject_of s;
    struct types t = {chance(m, 40), chance(m, 60), chance(m, 40)};
    draw_product(m, &s, 2);
    bool gemm = !s.is_conv && !strchr(strchr(s.x, ',') + 1, ',');
    bool bias = (s.is_conv || gemm) && chance(m, 60), rows = chance(m, 50);
    int64_t act = draw(m, 0, 2);
    fzi_text_add(m->out, "graph(x: %s[%s])\n  xs = float32[] 0.03125\n", name_of(t.x), s.x);
    put_zeros(m, "xz", t.x, 0);
    put_random(m, "w", name_of(t.w), s.w);
    put_zeros(m, "wz", t.w, rows ? s.n : 0);
    if (bias) put_bias(m, &s, rows);
    else put_scales(m, "ws", rows ? s.n : 0);
    put_out_scale(m, &s);
    put_zeros(m, "yz", t.y, 0);
    fzi_text_add(m->out, "  low = float32[] -1.5\n  high = float32[] 2.25\n"
                         "  dx = DequantizeLinear(x, xs, xz)\n"
                         "  dw = DequantizeLinear(w, ws, wz) axis=%d\n", s.is_conv ? 0 : 1);
    fzi_text_add(m->out, "  c = %s(dx, dw%s)", s.is_conv ? "Conv" : gemm ? "Gemm" : "MatMul",
                 bias ? ", db" : "");
    if (s.is_conv) put_conv_attrs(m, &s.c);
    fzi_text_add(m->out, act == 0   ? "\n  a = Relu(c)\n"
                         : act == 1 ? "\n  a = Clip(c, low, high)\n"
                                    : "\n  a = Identity(c)\n");
    fzi_text_add(m->out, "  y = QuantizeLinear(a, ys, yz)\nreturn y\n");
}

void random_graph(enum random_kind kind, uint64_t seed, struct fz_text *out) {
    struct maker m = {.out = out, .seed = seed * 3 + kind};
    if (kind >= RANDOM_NET) random_net(kind == RANDOM_BYTES, seed, out);
    else if (kind == RANDOM_FLOAT) put_float(&m);
    else if (kind == RANDOM_INTEGER) put_integer(&m);
    else put_qdq(&m);
}
