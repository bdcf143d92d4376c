/* Judges the functions against MPFR: which are correctly rounded, and how far the others are off.
 *
 * usage: judge [--slice | --full] [--expect FILE | --write FILE] [FUNCTION]...
 *   --slice  2^24 arguments of each binary32 function, one of every 256 bit patterns and all around
 *            the places where functions change; the default
 *   --full   all 2^32 as well: minutes a function
 *   --expect fails where FILE's digests, or what it says of errors, do not hold
 *   --write  puts what is found into FILE's lines
 * Functions on binary64 and of two arguments are judged on samples.
 *
 * The judge is binary64 libm wherever its value, give or take its error bound, rounds to one number
 * only; MPFR elsewhere. Each line has: type, function, 'correct' or 'bound', the number of results
 * that are not correctly rounded, the largest error in ulp, the digest of the slice's results, the
 * digest of all results. The error of composites is counted in ulp at max(1, |x|). */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "judge.h"

/* ---- findings */

void found_bad(struct found *f, uint32_t input, double x, double error) {
    f->misrounded++;
    if (f->n_listed < MAX_LISTED) f->listed[f->n_listed++] = input;
    if (error > f->error) f->error = error, f->x = x;
}

void found_add(struct found *total, const struct found *part) {
    total->digest = digest_word(total->digest, part->digest);
    total->misrounded += part->misrounded;
    for (uint32_t i = 0; i < part->n_listed && total->n_listed < MAX_LISTED; i++)
        total->listed[total->n_listed++] = part->listed[i];
    if (part->error > total->error) total->error = part->error, total->x = part->x;
}

/* ---- threads: each takes the next piece until none is left */

struct work {
    void (*piece)(void *arg, uint32_t i, struct found *out);
    void *arg;
    struct found *found;
    uint32_t n;
    atomic_uint next;
};

static void *work_on(void *arg) {
    struct work *w = arg;
    for (uint32_t i; (i = atomic_fetch_add(&w->next, 1)) < w->n;) {
        w->found[i] = (struct found){.digest = DIGEST_START};
        w->piece(w->arg, i, &w->found[i]);
    }
    mpfr_free_cache();
    return NULL;
}

void in_pieces(uint32_t n, void (*piece)(void *arg, uint32_t i, struct found *out), void *arg,
               struct found *total) {
    struct work w = {.piece = piece, .arg = arg, .n = n, .found = calloc(n, sizeof *w.found)};
    pthread_t threads[16];
    long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
    int n_threads = n_cpus < 1 ? 1 : n_cpus > 16 ? 16 : (int)n_cpus;
    if (!w.found) exit(2);
    for (int i = 0; i < n_threads; i++)
        if (pthread_create(&threads[i], NULL, work_on, &w)) exit(2);
    for (int i = 0; i < n_threads; i++) pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < n; i++) found_add(total, &w.found[i]);
    free(w.found);
}

/* ---- walks over binary32 */

enum { BLOCK = 4096, PIECE = 1 << 20 };
struct walk {
    const struct judged *f;
    const struct fzk_table *k, *baseline; /* BASELINE: not NULL if it must give the same bits */
    void (*input)(uint64_t i, float *x);
};

/* Every bit pattern in order: first those without sign. */
static void every_input(uint64_t i, float *x) {
    for (uint32_t j = 0; j < BLOCK; j++) x[j] = float_of((uint32_t)i + j);
}

/* Number I of the slice's regular part: one pattern of each 256, scattered. */
static void scattered_input(uint64_t i, float *x) {
    for (uint32_t j = 0; j < BLOCK; j++) {
        uint32_t n = (uint32_t)i + j;
        x[j] = float_of(n << 8 | n * 2654435761u >> 24);
    }
}

/* Places where functions, or the expressions that compute them, change. */
static const float places[] = {
    0x1p20f, 0x1p28f, 0x1p22f, 0x1p23f, 0x1p24f, 0.5625f, 0x1.6a09e6p-1f, 0x1.6a09e6p0f,
    0x1.a827ap-2f, 0x1.3504f4p1f, 0x1.921fb6p0f, 0x1.921fb6p-1f, 0x1.921fb6p1f, 0x1.921fb6p2f,
    0x1.62e43p-2f, 0x1.62e43p-1f, 0x1.0a2b24p0f, 88.72284f, 88.73f, 89, 89.41599f, 90, 103.27893f,
    103.97208f, 104, 126, 127, 128, 149, 150, 151, 9.010913f, 10, 16.63553f, 17.32868f, 20,
    3.919206f, 3.93f, 8.664339f, 6.5f, 13.2f, 14, 0.99999994f, 3.4028235e38f};
enum { AROUND = 64, N_PLACES = sizeof places / sizeof places[0],
       N_SPECIAL = (512 + 2 * N_PLACES) * AROUND };

/* Number I of the slice's other part: AROUND patterns around every power of two and place, both
 * signs. */
static void special_input(uint64_t i, float *x) {
    for (uint32_t j = 0; j < BLOCK; j++) {
        uint32_t n = ((uint32_t)i + j) % N_SPECIAL, p = n / AROUND, d = n % AROUND - AROUND / 2;
        uint32_t q = p - 512, place = q < 2 * N_PLACES ? bits_of(places[q / 2]) | q << 31 : 0;
        x[j] = float_of((p < 512 ? p << 23 : place) + d);
    }
}

static void judge_one(const struct judged *f, float x, float y, double r, struct found *out) {
    double t = ldexp(1, -f->trust);
    float lo = (float)(r * (1 - t)), hi = (float)(r * (1 + t));
    if (bits_of(lo) != bits_of(hi)) lo = correct_f32(f, x);
    if (bits_of(y) != bits_of(lo))
        found_bad(out, bits_of(x), (double)x,
                  error_f32((double)y, r, (double)x, f->absolute));
}

/* Y is R rounded, and R is not near the middle of two numbers. */
static inline bool plainly_right(float y, double r, double t) {
    uint32_t lo = bits_of((float)(r * (1 - t))), hi = bits_of((float)(r * (1 + t)));
    return ((bits_of(y) ^ lo) | (bits_of(y) ^ hi)) == 0;
}

static void judge_block(const struct judged *f, const float *x, const float *y,
                        struct found *out) {
    double r[BLOCK], t = ldexp(1, -f->trust);
    int right = 0;
    for (int i = 0; i < BLOCK; i++) r[i] = f->ref((double)x[i]);
    for (int i = 0; i < BLOCK; i++) right += plainly_right(y[i], r[i], t);
    for (int i = 0; i < BLOCK; i++) out->digest = digest_word(out->digest, bits_of(y[i]));
    for (int i = 0; i < BLOCK && right < BLOCK; i++)
        if (!plainly_right(y[i], r[i], t)) judge_one(f, x[i], y[i], r[i], out);
}

static void call(const struct fzk_table *k, const struct judged *f, float *y, const float *x) {
    if (f->fn < 0) k->binary_f32(FZK_BINARY_POW, y, x, &f->exponent, BLOCK, 1, 0);
    else k->unary_f32(f->fn, y, x, BLOCK, 0, 0);
}

static void walk_piece(void *arg, uint32_t i, struct found *out) {
    const struct walk *w = arg;
    float x[BLOCK], y[BLOCK], z[BLOCK];
    for (uint64_t at = (uint64_t)i * PIECE; at < (uint64_t)(i + 1) * PIECE; at += BLOCK) {
        w->input(at, x);
        call(w->k, w->f, y, x);
        judge_block(w->f, x, y, out);
        if (!w->baseline) continue;
        call(w->baseline, w->f, z, x);
        for (int j = 0; j < BLOCK; j++)
            if (bits_of(y[j]) != bits_of(z[j]))
                found_bad(out, bits_of(x[j]), (double)x[j], INFINITY);
    }
}

/* All inputs with sign, of a function with parity: F(-X) against F(X), which has been judged. */
static void mirror_piece(void *arg, uint32_t i, struct found *out) {
    const struct walk *w = arg;
    float x[BLOCK], a[BLOCK], y[BLOCK], z[BLOCK];
    for (uint64_t at = (uint64_t)i * PIECE; at < (uint64_t)(i + 1) * PIECE; at += BLOCK) {
        every_input(at, a);
        every_input(at + 0x80000000, x);
        call(w->k, w->f, y, x);
        call(w->k, w->f, z, a);
        for (int j = 0; j < BLOCK; j++) {
            uint32_t want = bits_of(w->f->parity < 0 ? -z[j] : z[j]);
            out->digest = digest_word(out->digest, bits_of(y[j]));
            if (bits_of(y[j]) != want) found_bad(out, bits_of(x[j]), (double)x[j], INFINITY);
        }
    }
}

/* All 2^32 inputs. What is found of X holds for -X if there is parity. */
static void walk_all(const struct fzk_table *k, const struct judged *f, struct found *all) {
    struct walk w = {f, k, NULL, every_input};
    struct found half = {.digest = DIGEST_START};
    if (!f->parity) {
        in_pieces(4096, walk_piece, &w, all);
        return;
    }
    in_pieces(2048, walk_piece, &w, &half);
    *all = half;
    in_pieces(2048, mirror_piece, &w, all);
    all->misrounded += half.misrounded;
    for (uint32_t i = 0; i < half.n_listed && all->n_listed < MAX_LISTED; i++)
        all->listed[all->n_listed++] = half.listed[i] | 1u << 31;
}

/* ---- one function's line */

struct line {
    char type[8], name[24], verdict[12];
    unsigned long long misrounded;
    double error, x; /* the error at X, which is not written */
    char slice[20], full[20];
};
static bool line_read(const char *text, struct line *l) {
    return sscanf(text, "%7s %23s %11s %llu %lf %19s %19s", l->type, l->name, l->verdict,
                  &l->misrounded, &l->error, l->slice, l->full) == 7 && l->type[0] == 'f';
}
static void line_print(FILE *to, const struct line *l) {
    fprintf(to, "%-3s %-11s %-8s %10llu %6.3f %-16s %-16s\n", l->type, l->name, l->verdict,
            l->misrounded, l->error, l->slice, l->full);
}

/* The error is rounded up, so that what is found again is not above it. */
static void line_set(struct line *l, const char *type, const char *name, const struct found *f) {
    double error = f->misrounded ? ceil(f->error * 1000) / 1000 : 0.5;
    *l = (struct line){.misrounded = f->misrounded, .error = error, .x = f->x, .full = "-"};
    snprintf(l->type, sizeof l->type, "%s", type);
    snprintf(l->name, sizeof l->name, "%s", name);
    snprintf(l->verdict, sizeof l->verdict, f->misrounded ? "bound" : "correct");
    snprintf(l->slice, sizeof l->slice, "%016llx", (unsigned long long)f->digest);
}

static void list(const struct judged *f, const struct found *found) {
    for (uint32_t i = 0; i < found->n_listed && found->misrounded <= MAX_LISTED; i++) {
        float x = float_of(found->listed[i]);
        printf("# %s of %a (%08x) is %a\n", f->name, (double)x, found->listed[i],
               (double)correct_f32(f, x));
    }
}

static void judge_f32(const struct fzk_table *k, const struct fzk_table *baseline,
                      const struct judged *f, bool full, struct line *l) {
    struct found slice = {.digest = DIGEST_START}, all = slice;
    struct walk w = {f, k, baseline, scattered_input};
    in_pieces(16, walk_piece, &w, &slice);
    w.input = special_input;
    in_pieces(1, walk_piece, &w, &slice);
    line_set(l, "f32", f->name, &slice);
    if (!full) {
        list(f, &slice);
        return;
    }
    walk_all(k, f, &all);
    list(f, &all);
    struct line whole;
    line_set(&whole, "f32", f->name, &all);
    memcpy(whole.full, whole.slice, sizeof whole.full);
    memcpy(whole.slice, l->slice, sizeof l->slice);
    *l = whole;
}

/* ---- what FILE says */

static int passed, failed;
static void fail(const struct line *l, const char *what) {
    printf("FAIL %s %s: %s\n", l->type, l->name, what);
    failed++;
}

static void expect(const char *path, const struct line *l) {
    FILE *file = path ? fopen(path, "r") : NULL;
    char text[256];
    struct line e = {.type = ""};
    bool known = false;
    while (file && !known && fgets(text, sizeof text, file))
        known = line_read(text, &e) && strcmp(e.type, l->type) == 0 && strcmp(e.name, l->name) == 0;
    if (file) fclose(file);
    if (!known) fail(l, "no such line");
    else if (strcmp(e.slice, l->slice) != 0) fail(l, "another digest of the slice");
    else if (l->full[0] != '-' && strcmp(e.full, l->full) != 0) fail(l, "another digest of all");
    else if (strcmp(e.verdict, "correct") == 0 && l->misrounded) fail(l, "not correctly rounded");
    else if (l->error > e.error) fail(l, "a larger error");
    else passed++;
}

/* Puts L into the line of its function, or behind the last. */
static void write_line(const char *path, const struct line *l) {
    char text[256], other[1024];
    snprintf(other, sizeof other, "%s.new", path);
    FILE *from = fopen(path, "r"), *to = fopen(other, "w");
    bool there = false;
    if (!to) exit(2);
    while (from && fgets(text, sizeof text, from)) {
        struct line old;
        bool mine = line_read(text, &old) && strcmp(old.type, l->type) == 0 &&
                    strcmp(old.name, l->name) == 0;
        if (!mine) fputs(text, to);
        else if (!there) {
            struct line now = *l;
            /* A slice says nothing of the rest, if its own results are the same. */
            if (now.full[0] == '-' && strcmp(now.slice, old.slice) == 0) now = old;
            line_print(to, &now);
        }
        there |= mine;
    }
    if (!there) line_print(to, l);
    if (from) fclose(from);
    if (fclose(to) || rename(other, path)) exit(2);
    passed++;
}

/* ---- all of it */

struct options {
    bool full;
    const char *expect, *write;
    char **names;
    int n_names;
};
static bool wanted(const struct options *o, const char *name) {
    for (int i = 0; i < o->n_names; i++)
        if (strcmp(o->names[i], name) == 0) return true;
    return o->n_names == 0;
}

static void report(const struct options *o, const struct line *l, double bound) {
    line_print(stdout, l);
    if (l->error > 0.5) printf("# %s errs most at %a\n", l->name, l->x);
    if (bound && l->error > bound) fail(l, "above its bound");
    else if (o->expect) expect(o->expect, l);
    else if (o->write) write_line(o->write, l);
    else passed++;
    fflush(stdout);
}

static const struct {
    const char *type, *name;
    void (*sample)(const struct fzk_table *k, uint64_t n, struct found *out);
    uint64_t n, n_full;
    double bound;
} samples[] = {
    {"f32", "pow", sample_pow, 1 << 22, 1 << 28, 0.501},
    {"f32", "pow,exact", sample_pow_exact, 0, 0, 0.5},
    {"f32", "fmod", sample_fmod, 1 << 18, 1 << 24, 0.5},
    {"f64", "pow", sample_pow_f64, 1 << 15, 0, 1.5},
};

static void judge_sample(const struct options *o, const struct fzk_table *k, size_t i) {
    struct found few = {.digest = DIGEST_START}, many = few;
    struct line l, large;
    samples[i].sample(k, samples[i].n, &few);
    line_set(&l, samples[i].type, samples[i].name, &few);
    if (o->full && samples[i].n_full) {
        samples[i].sample(k, samples[i].n_full, &many);
        line_set(&large, samples[i].type, samples[i].name, &many);
        memcpy(large.full, large.slice, sizeof large.full);
        memcpy(large.slice, l.slice, sizeof l.slice);
        l = large;
    }
    report(o, &l, samples[i].bound);
}

static void judge_all(const struct options *o) {
    struct fzk_table best, baseline;
    struct line l;
    fzk_table_fill(&best, fzk_cpu_mask());
    fzk_table_fill(&baseline, 0);
    for (const struct judged *f = judged; f < judged + n_judged; f++)
        if (wanted(o, f->name)) {
            judge_f32(&best, &baseline, f, o->full, &l);
            report(o, &l, 0);
        }
    for (const struct judged *f = judged; f < judged + n_judged; f++) {
        struct found found = {.digest = DIGEST_START};
        if (!f->bound || !wanted(o, f->name)) continue;
        sample_f64(&best, f, 1 << 16, &found);
        line_set(&l, "f64", f->name, &found);
        report(o, &l, f->bound);
    }
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++)
        if (wanted(o, samples[i].name)) judge_sample(o, &best, i);
}

int main(int argc, char **argv) {
    struct options o = {.names = argv + 1};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--full") == 0) o.full = true;
        else if (strcmp(argv[i], "--expect") == 0 && i + 1 < argc) o.expect = argv[++i];
        else if (strcmp(argv[i], "--write") == 0 && i + 1 < argc) o.write = argv[++i];
        else if (argv[i][0] != '-') o.names[o.n_names++] = argv[i];
        else if (strcmp(argv[i], "--slice") != 0) {
            fprintf(stderr, "usage: judge [--slice | --full] [--expect FILE | --write FILE] "
                            "[FUNCTION]...\n");
            return 2;
        }
    }
    judge_all(&o);
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}
