/* Runs the operator cases of tests/ops: each one through lower, infer and run, on the best kernels,
 * on the baseline's and by several tasks, and compares bits. README.md says what is checked.
 *
 *   ops_test [--hostile | --types] [--mask N] [--digest] [FILE.txt | FOLDER]...
 *
 * --mask leaves only these of the CPU's features. --digest prints the SHA-256 of all outputs, which is
 * the same on every CPU and for every compiler. --types prints what types each operator accepts. */
#include "base/sha256.h"
#include "case.h"
#include "subject.h"

#include <dirent.h>
#include <stdlib.h>

static struct {
    int passed, failed;
    bool hostile; /* instead of checking results */
    bool types;   /* prints them, too */
    bool digest;
    struct fz_sha256 hash;
    const char *path;
    const struct op_case *c;
    struct fzk_table best, baseline;
} test;

/* Says what is wrong with the case at hand; the value is that of a failed check. */
static bool fail(const char *format, ...) FZ_PRINTF(1, 2);
static bool fail(const char *format, ...) {
    va_list args;
    fprintf(stderr, "%s:%d: %s: ", test.path, test.c->line, test.c->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n");
    return false;
}

static bool knows_attr(const struct fz_op *op, const char *name) {
    size_t size = strlen(name);
    for (const char *p = op->attrs; p && *p;) {
        size_t n = strcspn(p, " ");
        if (n == size && strncmp(p, name, n) == 0) return true;
        p += n + (p[n] == ' ');
    }
    return false;
}

static fz_status_t check_signature(const struct fz_op *op, const struct op_case *c) {
    for (uint32_t i = 0; i < c->n_attrs; i++)
        if (!knows_attr(op, c->attrs[i].name))
            return fzi_error(FZ_E_UNSUPPORTED, "unknown attribute '%s'", c->attrs[i].name);
    if (c->n_in < op->min_in || (op->max_in != 255 && c->n_in > op->max_in))
        return fzi_error(FZ_E_FORMAT, "%u inputs", c->n_in);
    if (c->n_out > op->max_out && op->max_out != 255)
        return fzi_error(FZ_E_FORMAT, "%u outputs", c->n_out);
    for (uint32_t i = 0; i < op->min_in; i++)
        if (c->in[i].absent && op->max_in != 255)
            return fzi_error(FZ_E_FORMAT, "input %u is absent", i);
    return FZ_OK;
}

/* The tensor with its bytes in a block of exactly its size. */
static const fz_tensor_t *exact_copy(struct fz_arena *arena, const fz_tensor_t *t) {
    fz_tensor_t *copy = fzi_arena_copy(arena, t, sizeof *t);
    copy->data = malloc(t->size);
    if (t->size) memcpy(copy->data, t->data, t->size);
    return copy;
}

/* ---- operators that are composed of others */

static bool is_composed(const struct fz_op *op) { return !op->run && op->compose; }

/* Lowers what the node has become, step by step, for what is known of a result may decide how its
 * readers are composed; results are computed on the best kernels. */
static fz_status_t compose_and_run(const struct op_case *c, struct fz_lower *lower,
                                   struct fz_node *node, const struct fzk_table *k) {
    const fz_tensor_t *in[CASE_MAX_IN];
    fz_tensor_t out[CASE_MAX_OUT];
    if (node->n_in > CASE_MAX_IN) return fzi_error(FZ_E_LIMIT, "too many inputs");
    node->params = fzi_arena_alloc(c->arena, node->op->params_size);
    if (node->op->lower) FZ_TRY(node->op->lower(lower, node, node->params));
    for (uint32_t i = 0; i < node->n_in; i++) in[i] = node->in[i] ? &node->in[i]->t : NULL;
    memset(out, 0, sizeof out);
    for (uint32_t i = 0; i < node->n_out; i++) out[i].rank = FZ_RANK_UNKNOWN;
    FZ_TRY(fzi_op_evaluate(node->op, node->params, in, node->n_in, out, node->n_out, c->arena, k));
    for (uint32_t i = 0; i < node->n_out; i++) node->out[i]->t = out[i];
    return FZ_OK;
}

/* Composes the node of S, whose outputs a reader keeps hold of, and runs what it has become. */
static fz_status_t composed(const struct op_case *c, struct subject *s, struct fz_lower *lower) {
    struct fz_graph *graph = lower->graph;
    graph->outputs = fzi_arena_array(c->arena, s->n_out, sizeof *graph->outputs);
    graph->n_outputs = s->n_out;
    for (uint32_t i = 0; i < s->n_out; i++) graph->outputs[i] = s->node->out[i];
    for (struct fz_node *node = graph->first, *next; node; node = next) {
        struct fz_node *before = node->prev;
        if (node->op->compose) FZ_TRY(node->op->compose(lower, node));
        if (!node->op) {
            next = before ? before->next : graph->first;
            continue;
        }
        FZ_TRY(compose_and_run(c, lower, node, s->k));
        next = node->next;
    }
    s->results = graph->outputs;
    return FZ_OK;
}

static fz_status_t make_subject_on(const struct op_case *c, struct subject *s,
                                   const struct fzk_table *k);

static bool compare(const fz_tensor_t *want, const fz_tensor_t *got, double tolerance, uint32_t n,
                    const char *what);
static bool compare_all(const struct op_case *c, const fz_tensor_t *want, const fz_tensor_t *got,
                        const char *what);
static void hash_output(const fz_tensor_t *t);

/* A composed operator: the nodes' own tests say what else these owe. */
static bool check_composed(const struct op_case *c, const struct subject *s) {
    fz_tensor_t got[CASE_MAX_OUT], other[CASE_MAX_OUT];
    struct subject again;
    for (uint32_t i = 0; i < c->n_out; i++) {
        if (c->out[i].absent) continue;
        got[i] = s->results[i]->t;
        if (test.digest) hash_output(&got[i]);
        if (!compare(&c->out[i].t, &got[i], c->out[i].tolerance, i, "best kernels")) return false;
    }
    if (make_subject_on(c, &again, &test.baseline) != FZ_OK) return fail("%s", fzi_error_text());
    for (uint32_t i = 0; i < c->n_out; i++)
        if (!c->out[i].absent) other[i] = again.results[i]->t;
    return compare_all(c, got, other, "baseline");
}

static fz_status_t make_subject_on(const struct op_case *c, struct subject *s,
                                   const struct fzk_table *k) {
    memset(s, 0, sizeof *s);
    s->k = k;
    s->op = fzi_op_find(c->domain, c->name, c->opset);
    if (!s->op) return fzi_error(FZ_E_UNSUPPORTED, "no such operator in opset %d", c->opset);
    FZ_TRY(check_signature(s->op, c));
    struct fz_graph *graph = fzi_graph_new(c->arena, NULL, "test");
    /* A case of refusal may leave its outputs out. */
    s->n_out = c->n_out > s->op->min_out ? c->n_out : s->op->min_out;
    s->node = fzi_graph_node(graph, NULL, s->op, "node", c->n_in, s->n_out);
    s->node->type = c->name;
    s->node->domain = c->domain;
    s->node->opset = c->opset;
    s->node->attrs = (struct fz_attr *)c->attrs;
    s->node->n_attrs = c->n_attrs;
    for (uint32_t i = 0; i < c->n_in; i++)
        if (!c->in[i].absent) s->node->in[i] = fzi_graph_constant(graph, "in", &c->in[i].t);
    for (uint32_t i = 0; i < s->n_out; i++)
        if (!c->out[i].absent) fzi_node_output(graph, s->node, i, "out");
    s->node->params = fzi_arena_alloc(c->arena, s->op->params_size);
    struct fz_lower lower = {.graph = graph, .numerics = "portable"};
    if (is_composed(s->op)) return composed(c, s, &lower);
    if (s->op->lower) FZ_TRY(s->op->lower(&lower, s->node, s->node->params));
    s->n_in = s->node->n_in;
    s->in = fzi_arena_array(c->arena, s->n_in, sizeof *s->in);
    for (uint32_t i = 0; i < s->n_in; i++)
        if (s->node->in[i]) s->in[i] = exact_copy(c->arena, &s->node->in[i]->t);
    return FZ_OK;
}

static fz_status_t make_subject(const struct op_case *c, struct subject *s) {
    return make_subject_on(c, s, &test.best);
}

static void free_subject(struct subject *s) {
    for (uint32_t i = 0; i < s->n_in && s->in; i++)
        if (s->in[i]) free(s->in[i]->data);
}

/* ---- runs */

static fz_status_t evaluate(const struct op_case *c, const struct subject *s,
                            const struct fzk_table *k, fz_tensor_t *out) {
    memset(out, 0, CASE_MAX_OUT * sizeof *out);
    for (uint32_t i = 0; i < s->n_out; i++) out[i].rank = FZ_RANK_UNKNOWN;
    return fzi_op_evaluate(s->op, s->node->params, s->in, s->n_in, out, s->n_out, c->arena, k);
}

/* Tasks in reverse order: bits must not depend on who computes what when. */
static void backwards(const struct fz_env *env, size_t count, fz_task_fn task, void *arg) {
    (void)env;
    while (count--) task(arg, count);
}

/* Stands for fzi_run_range, whose grain would leave the small ranges of tests in one piece: cuts
 * wherever it can when there is more than one thread. */
void __wrap_fzi_run_range(const struct fz_env *env, int64_t n, int64_t grain, fz_range_fn range,
                          void *arg);
void __wrap_fzi_run_range(const struct fz_env *env, int64_t n, int64_t grain, fz_range_fn range,
                          void *arg) {
    int64_t chunk = env->threads > 1 ? n / 64 + 1 : n;
    (void)grain;
    for (int64_t last = n; last > 0; last -= chunk)
        range(arg, last > chunk ? last - chunk : 0, last);
}

static fz_status_t poll(const struct fz_env *env) {
    (void)env;
    return FZ_OK;
}

/* Fresh memory of exactly the size of T, full of rubbish. */
static fz_status_t exact_alloc(fz_tensor_t *t) {
    FZ_TRY(fzi_tensor_measure(t));
    free(t->data);
    t->data = malloc(t->size);
    if (t->size) memset(t->data, 0xA5, t->size);
    return FZ_OK;
}

static fz_status_t resize(const struct fz_call *call, uint32_t i, int32_t rank,
                          const int64_t *dims) {
    if (i >= call->n_out || !call->out[i]) return FZ_OK;
    fzi_shape_set(call->out[i], rank, dims);
    return exact_alloc(call->out[i]);
}

/* Infers and runs by THREADS tasks at a time, with memory of the exact sizes; absent outputs are
 * NULL; output 0 lies on input ALIAS unless that is negative. The caller frees OUT. */
static fz_status_t run_exact(const struct op_case *c, const struct subject *s, uint32_t threads,
                             int alias, fz_tensor_t *out) {
    struct fz_env env = {.k = &test.best, .threads = threads, .parallel = backwards,
                         .resize = resize, .poll = poll, .heap = c->arena};
    fz_tensor_t *outs[CASE_MAX_OUT];
    const fz_tensor_t *in[256];
    fz_tensor_t aliased;
    memset(out, 0, CASE_MAX_OUT * sizeof *out);
    for (uint32_t i = 0; i < s->n_out; i++) {
        outs[i] = c->out[i].absent ? NULL : &out[i];
        out[i].rank = FZ_RANK_UNKNOWN;
    }
    for (uint32_t i = 0; i < s->n_in; i++) in[i] = s->in[i];
    struct fz_call call = {.params = s->node->params, .n_in = s->n_in, .n_out = s->n_out,
                           .in = in, .out = outs, .env = &env};
    FZ_TRY(fzi_op_infer(s->op, &call));
    for (uint32_t i = 0; i < s->n_out; i++)
        if (outs[i] && fzi_shape_known(outs[i])) FZ_TRY(exact_alloc(outs[i]));
    if (alias >= 0) {
        aliased = *in[alias];
        aliased.data = out[0].data;
        if (aliased.size) memcpy(out[0].data, in[alias]->data, aliased.size);
        in[alias] = &aliased;
    }
    if (s->op->scratch) {
        size_t size = s->op->scratch(s->op, &call);
        call.scratch = aligned_alloc(64, size + (64 - size % 64));
        memset(call.scratch, 0xA5, size);
    }
    fz_status_t status = s->op->run(s->op, &call);
    free(call.scratch);
    return status;
}

static void free_outputs(fz_tensor_t *out) {
    for (int i = 0; i < CASE_MAX_OUT; i++) free(out[i].data);
}

/* ---- comparing */

static bool is_nan(const fz_tensor_t *t, int64_t i) {
    if (fzi_type_has_pointers(t->dtype)) return false;
    if (!(FZ_T_FLOAT >> t->dtype & 1)) return false;
    double x = fzi_tensor_float(t, i);
    return x != x;
}

static bool same_string(const fz_tensor_t *a, const fz_tensor_t *b, int64_t i) {
    const struct fz_string *x = a->data, *y = b->data;
    if (x[i].size != y[i].size) return false;
    return !x[i].size || memcmp(x[i].text, y[i].text, x[i].size) == 0;
}

static bool same_bits(const fz_tensor_t *a, const fz_tensor_t *b, int64_t i);

/* Value I of two sequences, optionals or maps. */
static bool same_value(const fz_tensor_t *a, const fz_tensor_t *b, int64_t i) {
    const fz_tensor_t *x = (const fz_tensor_t *)a->data + i, *y = (const fz_tensor_t *)b->data + i;
    if (x->dtype != y->dtype || !fzi_shape_equal(x, y)) return false;
    for (int64_t j = 0; j < fzi_tensor_count(x); j++)
        if (!same_bits(x, y, j)) return false;
    return true;
}

/* Element I bit for bit; a NaN equals every NaN, for outputs are made canonical later. */
static bool same_bits(const fz_tensor_t *a, const fz_tensor_t *b, int64_t i) {
    if (a->dtype == FZ_TYPE_STRING) return same_string(a, b, i);
    if (fzi_type_is_nested(a->dtype)) return same_value(a, b, i);
    int32_t bits = fz_type_bits(a->dtype);
    if (bits < 8) return fzi_tensor_int(a, i) == fzi_tensor_int(b, i);
    size_t width = (size_t)bits / 8;
    const char *x = a->data, *y = b->data;
    return memcmp(x + (size_t)i * width, y + (size_t)i * width, width) == 0 ||
           (is_nan(a, i) && is_nan(b, i));
}

static bool is_close(const fz_tensor_t *a, const fz_tensor_t *b, int64_t i, double limit) {
    double x = fzi_tensor_float(a, i), y = fzi_tensor_float(b, i);
    return x == y || (x != x && y != y) || (x - y <= limit && y - x <= limit);
}

static double largest(const fz_tensor_t *t) {
    double max = 0;
    for (int64_t i = 0; i < fzi_tensor_count(t); i++) {
        double x = fzi_tensor_float(t, i);
        if (x < 0) x = -x;
        if (x > max && x < 1e300) max = x;
    }
    return max;
}

static void print_element(const fz_tensor_t *t, int64_t i) {
    const struct fz_string *s = t->data;
    char text[160];
    if (t->dtype == FZ_TYPE_STRING) fprintf(stderr, "\"%.*s\"", (int)s[i].size, s[i].text);
    else if (fzi_type_is_nested(t->dtype))
        fprintf(stderr, "%s", fzi_shape_text((const fz_tensor_t *)t->data + i, text, 160));
    else if (FZ_T_FLOAT >> t->dtype & 1) fprintf(stderr, "%.9g", fzi_tensor_float(t, i));
    else fprintf(stderr, "%lld", (long long)fzi_tensor_int(t, i));
}

/* WANT against GOT; WHAT names the run. */
static bool compare(const fz_tensor_t *want, const fz_tensor_t *got, double tolerance, uint32_t n,
                    const char *what) {
    char text[2][160];
    if (want->dtype != got->dtype || !fzi_shape_equal(want, got))
        return fail("output %u (%s) is %s instead of %s", n, what,
                    fzi_shape_text(got, text[0], 160), fzi_shape_text(want, text[1], 160));
    double limit = tolerance > 0 ? tolerance * largest(want) : 0;
    for (int64_t i = 0; i < fzi_tensor_count(want); i++) {
        if (tolerance > 0 ? is_close(want, got, i, limit) : same_bits(want, got, i)) continue;
        fprintf(stderr, "  element %lld: ", (long long)i);
        print_element(got, i);
        fprintf(stderr, " instead of ");
        print_element(want, i);
        fprintf(stderr, "\n");
        return fail("output %u (%s) differs", n, what);
    }
    return true;
}

static bool compare_all(const struct op_case *c, const fz_tensor_t *want, const fz_tensor_t *got,
                        const char *what) {
    for (uint32_t i = 0; i < c->n_out; i++)
        if (!c->out[i].absent && !compare(&want[i], &got[i], 0, i, what)) return false;
    return true;
}

/* ---- the digest: elements with their least byte first, every NaN as the canonical one */

static void hash_number(const fz_tensor_t *t, int64_t i, size_t width) {
    uint8_t bytes[8];
    memcpy(bytes, (const char *)t->data + (size_t)i * width, width);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (size_t j = 0; j < width; j++)
        bytes[j] = ((const uint8_t *)t->data)[(size_t)i * width + width - 1 - j];
#endif
    if (is_nan(t, i)) fzi_sha256_update(&test.hash, "NaN", 3);
    else fzi_sha256_update(&test.hash, bytes, width);
}

static void hash_output(const fz_tensor_t *t) {
    size_t parts = t->dtype == FZ_TYPE_C64 || t->dtype == FZ_TYPE_C128 ? 2 : 1;
    int32_t bits = fz_type_bits(t->dtype);
    int64_t n = fzi_tensor_count(t) * (int64_t)parts;
    char text[160];
    fzi_shape_text(t, text, sizeof text);
    fzi_sha256_update(&test.hash, text, strlen(text));
    for (int64_t i = 0; i < n; i++) {
        const struct fz_string *s = t->data;
        if (t->dtype == FZ_TYPE_STRING) fzi_sha256_update(&test.hash, s[i].text, s[i].size);
        else if (fzi_type_is_nested(t->dtype)) hash_output((const fz_tensor_t *)t->data + i);
        else if (bits >= 8) hash_number(t, i, (size_t)bits / 8 / parts);
        else fzi_sha256_update(&test.hash, &(uint8_t){(uint8_t)fzi_tensor_int(t, i)}, 1);
    }
}

static void print_digest(void) {
    uint8_t digest[32];
    char hex[65];
    fzi_sha256_final(&test.hash, digest);
    fzi_sha256_hex(digest, hex);
    printf("digest %s\n", hex);
}

/* ---- infer with less knowledge */

/* What inputs may lack. */
enum lack { LACK_DATA, LACK_DIMS, LACK_RANK, LACKS };

static void forget(fz_tensor_t *t, enum lack lack) {
    t->data = NULL;
    if (lack == LACK_RANK) t->rank = FZ_RANK_UNKNOWN;
    for (int32_t d = 0; lack == LACK_DIMS && d < t->rank; d++) t->dims[d] = FZ_DIM_UNKNOWN;
}

static bool contradicts(const fz_tensor_t *guess, const fz_tensor_t *truth) {
    if (guess->dtype != truth->dtype) return true;
    if (guess->rank < 0) return false;
    if (guess->rank != truth->rank) return true;
    for (int32_t d = 0; d < guess->rank; d++)
        if (guess->dims[d] >= 0 && guess->dims[d] != truth->dims[d]) return true;
    return false;
}

/* Infers with the inputs in the set WHICH lacking something. */
static bool infer_lacking(const struct op_case *c, const struct subject *s, uint64_t which,
                          enum lack lack, const fz_tensor_t *truth) {
    static const char *const names[] = {"values", "dims", "ranks"};
    fz_tensor_t in[CASE_MAX_IN], out[CASE_MAX_OUT];
    const fz_tensor_t *ins[CASE_MAX_IN];
    fz_tensor_t *outs[CASE_MAX_OUT];
    for (uint32_t i = 0; i < s->n_in; i++) {
        ins[i] = s->in[i] ? &in[i] : NULL;
        if (!s->in[i]) continue;
        in[i] = *s->in[i];
        if (which >> i & 1) forget(&in[i], lack);
    }
    for (uint32_t i = 0; i < s->n_out; i++) {
        outs[i] = c->out[i].absent ? NULL : &out[i];
        out[i] = (fz_tensor_t){.rank = FZ_RANK_UNKNOWN};
    }
    struct fz_env env = {.k = &test.best, .threads = 1, .parallel = backwards, .poll = poll,
                         .heap = c->arena};
    struct fz_call call = {.params = s->node->params, .n_in = s->n_in, .n_out = s->n_out,
                           .in = ins, .out = outs, .env = &env};
    if (fzi_op_infer(s->op, &call) != FZ_OK)
        return fail("infer without %s of inputs %#llx: %s", names[lack],
                    (unsigned long long)which, fzi_error_text());
    for (uint32_t i = 0; i < s->n_out; i++) {
        char text[2][160];
        if (outs[i] && contradicts(&out[i], &truth[i]))
            return fail("infer without %s of inputs %#llx says %s of output %u, which is %s",
                        names[lack], (unsigned long long)which,
                        fzi_shape_text(&out[i], text[0], 160), i,
                        fzi_shape_text(&truth[i], text[1], 160));
    }
    return true;
}

/* All inputs lacking, then each alone. Constants made by lower never lack anything. */
static bool check_inference(const struct op_case *c, const struct subject *s,
                            const fz_tensor_t *truth) {
    for (enum lack lack = 0; lack < LACKS; lack++) {
        if (!infer_lacking(c, s, (1ull << c->n_in) - 1, lack, truth)) return false;
        for (uint32_t i = 0; i < c->n_in; i++)
            if (!infer_lacking(c, s, 1ull << i, lack, truth)) return false;
    }
    return true;
}

/* ---- the flags' promises */

static bool check_view(const struct op_case *c, const struct subject *s, const fz_tensor_t *out) {
    if (!(s->op->flags & FZ_OP_VIEW) || c->out[0].absent) return true;
    if (out[0].size == s->in[0]->size &&
        (!out[0].size || memcmp(out[0].data, s->in[0]->data, out[0].size) == 0))
        return true;
    return fail("is flagged a view, but the bytes differ");
}

static bool check_in_place(const struct op_case *c, const struct subject *s,
                           const fz_tensor_t *out) {
    if (!(s->op->flags & FZ_OP_IN_PLACE) || c->out[0].absent) return true;
    for (uint32_t i = 0; i < c->n_in; i++) {
        fz_tensor_t again[CASE_MAX_OUT];
        if (!s->in[i] || fzi_tensor_count(s->in[i]) != fzi_tensor_count(&out[0]) ||
            fz_type_bits(s->in[i]->dtype) != fz_type_bits(out[0].dtype))
            continue;
        bool good = run_exact(c, s, 3, (int)i, again) == FZ_OK &&
                    compare_all(c, out, again, "in place");
        free_outputs(again);
        if (!good) return false;
    }
    return true;
}

/* ---- cases */

static bool check_refused(const struct op_case *c, struct subject *s, fz_status_t status) {
    fz_tensor_t out[CASE_MAX_OUT];
    if (status == FZ_OK && is_composed(s->op)) return fail("is not refused");
    if (status == FZ_OK) {
        status = run_exact(c, s, 1, -1, out);
        free_outputs(out);
    }
    if (status == FZ_OK) status = evaluate(c, s, &test.best, out);
    if (status == c->refuse) return true;
    return fail("gives %s (%s) instead of %s", case_status_name(status),
                status ? fzi_error_text() : "", case_status_name(c->refuse));
}

static bool check_accepted(const struct op_case *c, const struct subject *s) {
    fz_tensor_t best[CASE_MAX_OUT], other[CASE_MAX_OUT], exact[CASE_MAX_OUT];
    if (is_composed(s->op)) return check_composed(c, s);
    if (evaluate(c, s, &test.best, best) != FZ_OK) return fail("%s", fzi_error_text());
    for (uint32_t i = 0; i < c->n_out; i++)
        if (!c->out[i].absent &&
            !compare(&c->out[i].t, &best[i], c->out[i].tolerance, i, "best kernels"))
            return false;
    for (uint32_t i = 0; i < c->n_out; i++)
        if (test.digest && !c->out[i].absent) hash_output(&best[i]);
    if (evaluate(c, s, &test.baseline, other) != FZ_OK) return fail("%s", fzi_error_text());
    if (!compare_all(c, best, other, "baseline")) return false;
    for (uint32_t threads = 1; threads <= 3; threads += 2) {
        bool good = run_exact(c, s, threads, -1, exact) == FZ_OK || fail("%s", fzi_error_text());
        good = good && compare_all(c, best, exact, threads > 1 ? "3 threads" : "exact memory");
        free_outputs(exact);
        if (!good) return false;
    }
    return check_view(c, s, best) && check_in_place(c, s, best) && check_inference(c, s, best);
}

/* ---- other types */

/* The case at hand, with inputs of other types: bits must be the same wherever they are made. */
static enum outcome check_types(const struct subject *s, bool close) {
    const struct op_case *c = test.c;
    fz_tensor_t best[CASE_MAX_OUT], other[CASE_MAX_OUT], exact[CASE_MAX_OUT] = {{0}};
    fz_tensor_t outs[CASE_MAX_OUT] = {{0}};
    fz_tensor_t *out[CASE_MAX_OUT];
    struct fz_env env = {.k = &test.best, .threads = 1, .parallel = backwards, .poll = poll,
                         .heap = c->arena};
    for (uint32_t i = 0; i < s->n_out; i++) {
        outs[i].rank = FZ_RANK_UNKNOWN;
        out[i] = c->out[i].absent ? NULL : &outs[i];
    }
    struct fz_call call = {.params = s->node->params, .n_in = s->n_in, .n_out = s->n_out,
                           .in = s->in, .out = out, .env = &env};
    if (fzi_op_infer(s->op, &call) != FZ_OK) return REFUSED;
    if (evaluate(c, s, &test.best, best) != FZ_OK) return FAILED;
    for (uint32_t i = 0; close && i < c->n_out; i++) {
        const fz_tensor_t *want = &c->out[i].t;
        double limit = c->out[i].absent ? 0 : 1e-4 * largest(want);
        if (c->out[i].absent) continue;
        if (!fzi_shape_equal(want, &best[i])) return DIFFERS;
        for (int64_t j = 0; fzi_type_is_float(want->dtype) && j < fzi_tensor_count(want); j++)
            if (!is_close(want, &best[i], j, limit)) return DIFFERS;
    }
    for (uint32_t i = 0; test.digest && i < c->n_out; i++)
        if (!c->out[i].absent) hash_output(&best[i]);
    bool good = evaluate(c, s, &test.baseline, other) == FZ_OK &&
                compare_all(c, best, other, "baseline");
    good = good && run_exact(c, s, 3, -1, exact) == FZ_OK &&
           compare_all(c, best, exact, "3 threads");
    free_outputs(exact);
    return good ? RAN : BROKEN;
}

static bool check_hostile(const struct subject *s) {
    char what[256];
    return hostile_case(s, what, sizeof what) || fail("dies of %s", what);
}

static bool run_case(const struct op_case *c) {
    struct subject s;
    fz_status_t status = make_subject(c, &s);
    bool good;
    if (test.hostile) good = status != FZ_OK || is_composed(s.op) || check_hostile(&s);
    else if (c->refuse) good = check_refused(c, &s, status);
    else if (status != FZ_OK) good = fail("%s", fzi_error_text());
    else good = c->n_out ? check_accepted(c, &s) : fail("the case expects nothing");
    if (good && !test.hostile && !c->refuse && !is_composed(s.op))
        good = types_case(&s, check_types);
    free_subject(&s);
    return good;
}

static void run_file(const char *path) {
    struct case_reader reader = {.file = fopen(path, "r"), .path = path};
    test.path = path;
    if (!reader.file) {
        fprintf(stderr, "%s: cannot be opened\n", path);
        test.failed++;
        return;
    }
    for (;;) {
        struct fz_arena arena = {0};
        static struct op_case c;
        int got = case_read(&reader, &arena, &c);
        test.c = &c;
        if (got > 0 && run_case(&c)) test.passed++;
        else if (got != 0) test.failed++;
        fzi_arena_free(&arena);
        if (got <= 0) break;
    }
    fclose(reader.file);
    free(reader.text);
    free(reader.ahead);
}

static int is_case_file(const struct dirent *entry) {
    const char *dot = strrchr(entry->d_name, '.');
    return dot && strcmp(dot, ".txt") == 0;
}

static void run_folder(const char *folder) {
    struct dirent **list;
    int n = scandir(folder, &list, is_case_file, alphasort);
    for (int i = 0; i < n; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, list[i]->d_name);
        run_file(path);
        free(list[i]);
    }
    if (n >= 0) free(list);
    else test.failed++;
}

int main(int argc, char **argv) {
    uint32_t mask = fzk_cpu_mask();
    bool named = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--hostile") == 0) test.hostile = true;
        else if (strcmp(argv[i], "--digest") == 0) test.digest = true;
        else if (strcmp(argv[i], "--types") == 0) test.types = true;
        else if (strcmp(argv[i], "--mask") == 0 && i + 1 < argc)
            mask &= (uint32_t)strtoul(argv[++i], NULL, 0);
        else named = true;
    }
    fzk_table_fill(&test.best, mask);
    fzk_table_fill(&test.baseline, 0);
    fzi_sha256_init(&test.hash);
    for (int i = 1; i < argc; i++) {
        size_t size = strlen(argv[i]);
        if (strcmp(argv[i], "--mask") == 0) i++;
        else if (strncmp(argv[i], "--", 2) == 0) continue;
        else if (size > 4 && strcmp(argv[i] + size - 4, ".txt") == 0) run_file(argv[i]);
        else run_folder(argv[i]);
    }
    if (!named) run_folder(OPS_TEST_FOLDER);
    if (!named && !test.hostile && !types_agree()) test.failed++;
    if (test.digest) print_digest();
    if (test.types) {
        types_print();
        return 0;
    }
    printf("%d passed, %d failed\n", test.passed, test.failed);
    return test.failed || !test.passed;
}
