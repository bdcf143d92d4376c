/* Random graphs of many nodes: values with several readers, some of them outputs or read inside of
 * branches, so that passes meet each other's results. */
#include "random_net.h"

#include "base/philox.h"

enum { MAX_VALUES = 64, N_LAYERS = 14 };

struct value {
    int64_t dims[4];
    int rank;
};

struct net {
    struct fz_text *out;
    uint64_t seed, counter;
    struct value values[MAX_VALUES]; /* "v0", "v1" ... */
    int n, n_constants;
    bool bytes;                      /* uint8 at the scales s and zero points z, else float32 */
};

static int64_t draw(struct net *net, int64_t low, int64_t high) {
    uint32_t x[4];
    fzi_philox(net->seed, 815, net->counter++, x);
    return low + (int64_t)(x[0] % (uint64_t)(high - low + 1));
}

static int64_t count(const struct value *v) {
    int64_t n = 1;
    for (int d = 0; d < v->rank; d++) n *= v->dims[d];
    return n;
}

static bool same_shape(const struct value *a, const struct value *b) {
    bool same = a->rank == b->rank;
    for (int d = 0; same && d < a->rank; d++) same = a->dims[d] == b->dims[d];
    return same;
}

/* Some value of RANK (0: any), more often a late one; -1 if none is found. */
static int pick(struct net *net, int rank) {
    for (int i = 0; i < 20; i++) {
        int64_t first = draw(net, 0, 2) ? net->n - 4 : 0;
        int v = (int)draw(net, first > 0 ? first : 0, net->n - 1);
        if (!rank || net->values[v].rank == rank) return v;
    }
    return -1;
}

/* The dims of the inputs; those of the bits in OPEN are open. */
static void put_input(struct net *net, const char *name, const char *type, const struct value *v,
                      int64_t open) {
    static const char *const names[] = {"N", "?", "H", "W"};
    fzi_text_add(net->out, "%s: %s[", name, type);
    for (int d = 0; d < v->rank; d++)
        if (open >> d & 1) fzi_text_add(net->out, "%s%s", d ? "," : "", names[d]);
        else fzi_text_add(net->out, "%s%lld", d ? "," : "", (long long)v->dims[d]);
    fzi_text_add(net->out, "]");
}

static int add(struct net *net, struct value v) {
    net->values[net->n] = v;
    return net->n++;
}

/* A fresh constant "cN" of float32[DIMS] before the node that comes. */
static int constant(struct net *net, const char *type, const char *dims) {
    fzi_text_add(net->out, "  c%d = %s[%s] rand %lld\n", net->n_constants, type, dims,
                 (long long)draw(net, 1, 100000));
    return net->n_constants++;
}

static int channel_constant(struct net *net, const struct value *v) {
    fzi_text_add(net->out, "  c%d = float32[%lld,1,1] rand %lld\n", net->n_constants,
                 (long long)v->dims[1], (long long)draw(net, 1, 100000));
    return net->n_constants++;
}

/* ---- layers of floats */

static void put_conv(struct net *net, int x) {
    struct value v = net->values[x];
    int64_t cout = draw(net, 1, 9), k = draw(net, 0, 1) ? 3 : 1;
    char dims[64] = {0};
    struct fz_text text = {0};
    fzi_text_add(&text, "%lld,%lld,%lld,%lld", (long long)cout, (long long)v.dims[1],
                 (long long)k, (long long)k);
    memcpy(dims, text.data, text.size < 63 ? text.size : 63);
    fzi_text_free(&text);
    int w = constant(net, "float32", dims);
    fzi_text_add(net->out, "  v%d = Conv(v%d, c%d) pads=[%d,%d,%d,%d]\n", net->n, x, w, k == 3,
                 k == 3, k == 3, k == 3);
    v.dims[1] = cout;
    add(net, v);
}

static void put_norm(struct net *net, int x) {
    struct value v = net->values[x];
    static const char *const names[] = {"g", "b", "m"};
    int first = net->n_constants;
    for (int i = 0; i < 3; i++, net->n_constants++)
        fzi_text_add(net->out, "  c%d = float32[%lld] rand %lld # %s\n", net->n_constants,
                     (long long)v.dims[1], (long long)draw(net, 1, 100000), names[i]);
    fzi_text_add(net->out, "  c%d = float32[%lld] fill 1.5\n", net->n_constants++,
                 (long long)v.dims[1]);
    fzi_text_add(net->out, "  v%d = BatchNormalization(v%d, c%d, c%d, c%d, c%d)\n", net->n, x,
                 first, first + 1, first + 2, first + 3);
    add(net, v);
}

static void put_unary(struct net *net, int x) {
    static const char *const names[] = {"Relu", "Sigmoid", "HardSwish", "Tanh", "Neg", "Identity",
                                        "LeakyRelu", "Softmax"};
    fzi_text_add(net->out, "  v%d = %s(v%d)\n", net->n, names[draw(net, 0, 7)], x);
    add(net, net->values[x]);
}

/* x * sigmoid(x), whose sigmoid others may read */
static void put_swish(struct net *net, int x) {
    fzi_text_add(net->out, "  v%d = Sigmoid(v%d)\n", net->n, x);
    int s = add(net, net->values[x]);
    fzi_text_add(net->out, "  v%d = Mul(v%d, v%d)\n", net->n, x, s);
    add(net, net->values[x]);
}

static void put_binary(struct net *net, int x) {
    static const char *const names[] = {"Add", "Mul", "Sub", "Max"};
    const char *name = names[draw(net, 0, 3)];
    for (int i = 0; i < 20; i++) {
        int y = (int)draw(net, 0, net->n - 1);
        if (!same_shape(&net->values[x], &net->values[y])) continue;
        fzi_text_add(net->out, "  v%d = %s(v%d, v%d)\n", net->n, name, x, y);
        add(net, net->values[x]);
        return;
    }
    if (net->values[x].rank != 4) return;
    int c = channel_constant(net, &net->values[x]);
    fzi_text_add(net->out, "  v%d = %s(v%d, c%d)\n", net->n, name, x, c);
    add(net, net->values[x]);
}

static void put_pool(struct net *net, int x) {
    struct value v = net->values[x];
    int64_t way = draw(net, 0, 2);
    if (way == 0) {
        fzi_text_add(net->out, "  v%d = GlobalAveragePool(v%d)\n", net->n, x);
        v.dims[2] = v.dims[3] = 1;
    } else if (v.dims[2] >= 2 && v.dims[3] >= 2) {
        fzi_text_add(net->out, "  v%d = %s(v%d) kernel_shape=[2,2]\n", net->n,
                     way == 1 ? "MaxPool" : "AveragePool", x);
        v.dims[2]--, v.dims[3]--;
    } else {
        return;
    }
    add(net, v);
}

static void put_concat(struct net *net, int x) {
    struct value v = net->values[x];
    int64_t axis = draw(net, 1, v.rank - 1);
    for (int i = 0; i < 20; i++) {
        int y = (int)draw(net, 0, net->n - 1);
        struct value w = net->values[y];
        int64_t more = w.rank == v.rank ? w.dims[axis] : 0;
        if (w.rank != v.rank || v.dims[axis] + more > 40) continue;
        w.dims[axis] = v.dims[axis];
        if (!same_shape(&v, &w)) continue;
        fzi_text_add(net->out, "  v%d = Concat(v%d, v%d) axis=%lld\n", net->n, x, y,
                     (long long)(draw(net, 0, 1) ? axis : axis - v.rank));
        v.dims[axis] += more;
        add(net, v);
        return;
    }
}

static void put_split(struct net *net, int x) {
    struct value v = net->values[x];
    if (v.dims[1] % 2) return;
    fzi_text_add(net->out, "  v%d, v%d = Split(v%d) axis=1\n", net->n, net->n + 1, x);
    v.dims[1] /= 2;
    add(net, v);
    add(net, v);
}

static void put_transpose(struct net *net, int x) {
    static const int perms[][4] = {{0, 2, 3, 1}, {0, 3, 1, 2}, {0, 1, 3, 2}, {0, 2, 1, 3}};
    const int *perm = perms[draw(net, 0, 3)];
    struct value v = net->values[x];
    for (int d = 0; d < 4; d++) v.dims[d] = net->values[x].dims[perm[d]];
    fzi_text_add(net->out, "  v%d = Transpose(v%d) perm=[%d,%d,%d,%d]\n", net->n, x, perm[0],
                 perm[1], perm[2], perm[3]);
    add(net, v);
}

static void put_flat(struct net *net, int x) {
    struct value v = net->values[x];
    if (v.rank == 2) return;
    fzi_text_add(net->out, "  v%d = Flatten(v%d)\n", net->n, x);
    v.dims[1] = count(&v) / v.dims[0];
    v.rank = 2;
    int flat = add(net, v);
    if (net->bytes || v.dims[1] > 200) return;
    fzi_text_add(net->out, "  c%d = float32[%lld,7] rand 3\n", net->n_constants,
                 (long long)v.dims[1]);
    fzi_text_add(net->out, "  v%d = MatMul(v%d, c%d)\n", net->n, flat, net->n_constants++);
    v.dims[1] = 7;
    add(net, v);
}

static void put_reduce(struct net *net, int x) {
    struct value v = net->values[x];
    int64_t way = draw(net, 0, 2);
    fzi_text_add(net->out, "  v%d = ReduceMean(v%d) axes=%s\n", net->n, x,
                 way == 0 ? "[2,3]" : way == 1 ? "[1]" : "[-1]");
    if (way == 0) v.dims[2] = 1;
    if (way == 1) v.dims[1] = 1;
    else v.dims[3] = 1;
    add(net, v);
}

/* An If whose branches read outer values; both give X's shape. */
static void put_plain_branch(struct net *net, int x) {
    int n = net->n;
    fzi_text_add(net->out,
                 "  v%d = If(k)\n    then_branch: graph()\n      p%d = Sigmoid(v%d)\n"
                 "      q%d = Mul(v%d, p%d)\n    return q%d\n    else_branch: graph()\n"
                 "      o%d = Identity(v%d)\n    return o%d\n",
                 n, n, x, n, x, n, n, n, x, n);
    add(net, net->values[x]);
}

/* One branch convolves and adds what the graph outside knows; the other one branches again. */
static void put_deep_branch(struct net *net, int x) {
    int64_t c = net->values[x].dims[1];
    int n = net->n, w = net->n_constants++;
    fzi_text_add(net->out, "  c%d = float32[%lld,%lld,1,1] rand 5\n", w, (long long)c,
                 (long long)c);
    fzi_text_add(net->out,
                 "  v%d = If(k)\n    then_branch: graph()\n      p%d = Conv(v%d, c%d)\n"
                 "      q%d = Add(p%d, v%d)\n      r%d = Relu(q%d)\n    return r%d\n",
                 n, n, x, w, n, n, x, n, n, n);
    fzi_text_add(net->out,
                 "    else_branch: graph()\n      i%d = Conv(v%d, c%d)\n      j%d = If(k)\n"
                 "        then_branch: graph()\n          l%d = Neg(i%d)\n        return l%d\n"
                 "        else_branch: graph()\n          m%d = Conv(i%d, c%d)\n"
                 "          o%d = Tanh(m%d)\n        return o%d\n    return j%d\n", n, x, w, n,
                 n, n, n, n, n, w, n, n, n, n);
    add(net, net->values[x]);
}

/* A loop whose body convolves what it carries and adds an outer value. */
static void put_loop(struct net *net, int x) {
    int64_t c = net->values[x].dims[1];
    int n = net->n, w = net->n_constants++;
    fzi_text_add(net->out, "  c%d = float32[%lld,%lld,1,1] rand 6\n", w, (long long)c,
                 (long long)c);
    fzi_text_add(net->out, "  v%d = Loop(two, go, v%d)\n    body: graph(e%d: int64[], f%d: bool[], "
                           "g%d: float32[", n, x, n, n, n);
    for (int d = 0; d < 4; d++)
        fzi_text_add(net->out, "%s%lld", d ? "," : "", (long long)net->values[x].dims[d]);
    fzi_text_add(net->out, "])\n      h%d = Identity(f%d)\n      p%d = Conv(g%d, c%d)\n"
                           "      q%d = Add(v%d, p%d)\n      r%d = Relu(q%d)\n"
                           "    return h%d, r%d\n",
                 n, n, n, n, w, n, x, n, n, n, n, n);
    add(net, net->values[x]);
}

static void put_branch(struct net *net, int x) {
    int64_t way = net->values[x].rank == 4 ? draw(net, 0, 2) : 0;
    if (way == 0) put_plain_branch(net, x);
    else if (way == 1) put_deep_branch(net, x);
    else put_loop(net, x);
}

static void put_float_layer(struct net *net) {
    static void (*const images[])(struct net *, int) = {
        put_conv, put_conv, put_conv, put_norm, put_unary, put_unary, put_swish, put_binary,
        put_binary, put_pool, put_concat, put_split, put_transpose, put_flat, put_reduce,
        put_branch};
    static void (*const others[])(struct net *, int) = {put_unary, put_swish, put_binary,
                                                        put_concat, put_branch};
    int x = pick(net, 0);
    if (net->values[x].rank == 4) images[draw(net, 0, FZ_COUNT(images) - 1)](net, x);
    else others[draw(net, 0, FZ_COUNT(others) - 1)](net, x);
}

/* ---- layers of bytes, each between DequantizeLinear and QuantizeLinear, or QLinearConv */

static void put_qconv(struct net *net, int x) {
    struct value v = net->values[x];
    int64_t cout = draw(net, 1, 9);
    int w = net->n_constants++;
    fzi_text_add(net->out, "  c%d = int8[%lld,%lld,1,1] rand %lld\n", w, (long long)cout,
                 (long long)v.dims[1], (long long)draw(net, 1, 100000));
    fzi_text_add(net->out, "  v%d = QLinearConv(v%d, s, z, c%d, s, zw, sy, z)\n", net->n, x, w);
    v.dims[1] = cout;
    add(net, v);
}

/* "d = DequantizeLinear" of value X, under the name "dN_X". */
static void dequantise(struct net *net, int x) {
    fzi_text_add(net->out, "  d%d_%d = DequantizeLinear(v%d, s, z)\n", net->n, x, x);
}

static void put_q(struct net *net, struct value v, bool other_scale) {
    fzi_text_add(net->out, "  v%d = QuantizeLinear(f%d, %s, z)\n", net->n, net->n,
                 other_scale ? "sy" : "s");
    add(net, v);
}

static void put_byte_unary(struct net *net, int x) {
    static const char *const names[] = {"Relu", "Sigmoid", "HardSwish", "Tanh", "Neg", "Exp"};
    dequantise(net, x);
    fzi_text_add(net->out, "  f%d = %s(d%d_%d)\n", net->n, names[draw(net, 0, 5)], net->n, x);
    put_q(net, net->values[x], draw(net, 0, 1));
}

static void put_byte_binary(struct net *net, int x) {
    for (int i = 0; i < 20; i++) {
        int y = (int)draw(net, 0, net->n - 1);
        if (y == x || !same_shape(&net->values[x], &net->values[y])) continue;
        dequantise(net, x);
        dequantise(net, y);
        fzi_text_add(net->out, "  g%d = %s(d%d_%d, d%d_%d)\n  f%d = %s(g%d)\n", net->n,
                     draw(net, 0, 1) ? "Add" : "Mul", net->n, x, net->n, y, net->n,
                     draw(net, 0, 1) ? "Relu" : "Identity", net->n);
        put_q(net, net->values[x], draw(net, 0, 1));
        return;
    }
}

static void put_byte_selection(struct net *net, int x) {
    struct value v = net->values[x];
    int64_t way = draw(net, 0, 2);
    if (v.dims[1] > 40) return;
    dequantise(net, x);
    if (way == 0 && v.rank == 4 && v.dims[2] > 1 && v.dims[3] > 1) {
        fzi_text_add(net->out, "  f%d = MaxPool(d%d_%d) kernel_shape=[2,2]\n", net->n, net->n, x);
        v.dims[2]--, v.dims[3]--;
    } else if (way == 1 && v.rank == 4) {
        fzi_text_add(net->out, "  f%d = Transpose(d%d_%d) perm=[0,2,3,1]\n", net->n, net->n, x);
        v = (struct value){{v.dims[0], v.dims[2], v.dims[3], v.dims[1]}, 4};
    } else {
        fzi_text_add(net->out, "  f%d = Concat(d%d_%d, d%d_%d) axis=1\n", net->n, net->n, x,
                     net->n, x);
        v.dims[1] *= 2;
    }
    put_q(net, v, draw(net, 0, 3) == 0);
}

static void put_byte_layer(struct net *net) {
    static void (*const layers[])(struct net *, int) = {put_byte_unary, put_byte_binary,
                                                        put_byte_binary, put_byte_selection,
                                                        put_qconv, put_flat};
    int x = pick(net, 0), n = net->values[x].rank == 4 ? 5 : 3;
    layers[draw(net, 0, n)](net, x);
}

/* ---- the graph */

/* One to three outputs, the last value among them. */
static void put_outputs(struct net *net) {
    fzi_text_add(net->out, "return v%d", net->n - 1);
    int a = (int)draw(net, 0, net->n - 1), b = (int)draw(net, 0, net->n - 1);
    if (a != net->n - 1 && a > 1) fzi_text_add(net->out, ", v%d", a);
    if (b != net->n - 1 && b != a && b > 1) fzi_text_add(net->out, ", v%d", b);
    fzi_text_add(net->out, "\n");
}

void random_net(bool bytes, uint64_t seed, struct fz_text *out) {
    struct net net = {.out = out, .seed = seed * 2 + bytes, .bytes = bytes};
    const char *type = bytes ? "uint8" : "float32";
    struct value x = {{draw(&net, 1, 2), draw(&net, 1, 6), draw(&net, 1, 6), draw(&net, 1, 6)}, 4};
    /* Open dimensions are 2 when the graph runs; channels stay closed. */
    int64_t open = draw(&net, 0, 1) ? draw(&net, 0, 15) & 13 : 0;
    for (int d = 0; d < 4; d++)
        if (open >> d & 1) x.dims[d] = 2;
    fzi_text_add(out, "graph(k: bool[], ");
    put_input(&net, "v0", type, &x, open);
    fzi_text_add(out, ", ");
    put_input(&net, "v1", type, &x, open);
    fzi_text_add(out, ")\n  s = float32[] 0.03\n  sy = float32[] 0.05\n  z = uint8[] 100\n"
                      "  zw = int8[] 3\n  two = int64[] 2\n  go = bool[] 1\n");
    add(&net, x);
    add(&net, x);
    for (int i = 0; (i < N_LAYERS || net.n < 3) && net.n < MAX_VALUES - 4; i++) {
        if (bytes) put_byte_layer(&net);
        else put_float_layer(&net);
    }
    put_outputs(&net);
}
