/* Quantisation: histograms do not depend on the order of what they see, ranges hold what they must,
 * error feedback beats rounding, models keep their answers, bad input is refused and leaves nothing
 * behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/philox.h"
#include "quantize/quantizer.h"

enum { N = 4096 };

static void numbers(float *out, size_t n, uint64_t seed, float factor) {
    for (size_t i = 0; i < n; i++) {
        uint32_t r[4];
        fzi_philox(seed, 0, i, r);
        out[i] = factor * fzi_philox_unit(r[0]) * fzi_philox_unit(r[1]) * fzi_philox_unit(r[2]);
    }
}

static fz_tensor_t vector(float *data, int64_t n) {
    return (fz_tensor_t){.dtype = FZ_TYPE_F32, .rank = 2, .dims = {n / 16, 16}, .data = data,
                         .size = (size_t)n * 4};
}

/* ---- statistics */

static void order_of_values(void **state) {
    (void)state;
    static float a[N], b[N];
    static struct fz_stat forth, back;
    struct fz_arena arena = {0};
    numbers(a, N, 1, 0.001F);
    numbers(b, N, 2, 300);
    fz_tensor_t small = vector(a, N), large = vector(b, N);
    fzi_stat_init(&forth, "x", -1);
    fzi_stat_init(&back, "x", -1);
    assert_int_equal(fzi_stat_add(&forth, &arena, &small), FZ_OK);
    assert_int_equal(fzi_stat_add(&forth, &arena, &large), FZ_OK);
    assert_int_equal(fzi_stat_add(&back, &arena, &large), FZ_OK);
    assert_int_equal(fzi_stat_add(&back, &arena, &small), FZ_OK);
    assert_int_equal(forth.exponent, back.exponent);
    assert_memory_equal(forth.bins, back.bins, sizeof forth.bins);
    uint64_t n = 0;
    for (int i = 0; i < 2 * FZ_STAT_HALF; i++) n += forth.bins[i];
    assert_int_equal(n, 2 * N);
    assert_int_equal(forth.per_channel, 2 * N / 16);
    fzi_arena_free(&arena);
}

static void not_finite(void **state) {
    (void)state;
    static struct fz_stat stat;
    struct fz_arena arena = {0};
    float bad[16] = {1, NAN}, worse[16] = {1, -INFINITY};
    fz_tensor_t t = vector(bad, 16), u = vector(worse, 16);
    fzi_stat_init(&stat, "x", -1);
    assert_int_equal(fzi_stat_add(&stat, &arena, &t), FZ_E_VALUE);
    assert_int_equal(fzi_stat_add(&stat, &arena, &u), FZ_E_VALUE);
    fzi_arena_free(&arena);
}

/* ---- ranges */

static double error_of(const float *x, size_t n, const struct fz_scale *s) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double y = nearbyint((double)x[i] / (double)s->scale) * (double)s->scale;
        y = y < s->low ? s->low : y > s->high ? s->high : y;
        sum += ((double)x[i] - y) * ((double)x[i] - y);
    }
    return sum;
}

static void ranges(void **state) {
    (void)state;
    static float x[N];
    static struct fz_stat stat;
    struct fz_arena arena = {0};
    struct fz_scale s[5];
    numbers(x, N, 3, 2);
    x[7] = 60;
    fz_tensor_t t = vector(x, N);
    fzi_stat_init(&stat, "x", -1);
    assert_int_equal(fzi_stat_add(&stat, &arena, &t), FZ_OK);
    for (int32_t method = FZ_CALIBRATE_MINMAX; method <= FZ_CALIBRATE_MSE; method++) {
        fz_quantize_options_t o = {.calibration = method, .percentile = 99.9};
        fzi_range_choose(&o, &stat, &s[method]);
        assert_true(s[method].scale > 0);
        assert_true(s[method].low <= 0 && s[method].high >= 0);
        o.flags = FZ_QUANTIZE_SYMMETRIC;
        struct fz_scale even;
        fzi_range_choose(&o, &stat, &even);
        assert_int_equal(even.zero, 0);
    }
    assert_true(s[FZ_CALIBRATE_MINMAX].high >= 59.9);
    assert_true(s[FZ_CALIBRATE_PERCENTILE].high < 10);
    assert_true(s[FZ_CALIBRATE_ENTROPY].high < 60);
    /* No other method has a smaller squared error than the one that looks for the smallest. */
    for (int method = FZ_CALIBRATE_MINMAX; method < FZ_CALIBRATE_MSE; method++)
        assert_true(error_of(x, N, &s[FZ_CALIBRATE_MSE]) <= 1.02 * error_of(x, N, &s[method]));
    fzi_arena_free(&arena);
}

static void constant_ranges(void **state) {
    (void)state;
    static const float values[] = {0, 5, -3, 1e-42F, 3e38F};
    static struct fz_stat stat;
    struct fz_arena arena = {0};
    for (size_t i = 0; i < FZ_COUNT(values); i++) {
        float x[16];
        for (int k = 0; k < 16; k++) x[k] = values[i];
        fz_tensor_t t = vector(x, 16);
        fzi_stat_init(&stat, "x", -1);
        assert_int_equal(fzi_stat_add(&stat, &arena, &t), FZ_OK);
        for (int32_t method = FZ_CALIBRATE_MINMAX; method <= FZ_CALIBRATE_MSE; method++) {
            fz_quantize_options_t o = {.calibration = method, .percentile = 99.9};
            struct fz_scale s;
            fzi_range_choose(&o, &stat, &s);
            double y = nearbyint((double)x[0] / (double)s.scale) * (double)s.scale;
            assert_true(s.scale > 0 && isfinite((double)s.scale));
            assert_true(fabs(y - (double)x[0]) <= fabs((double)x[0]) / 100 + 1e-38);
        }
    }
    fzi_arena_free(&arena);
}

/* ---- blocks */

/* The squared error of what the layer computes, by the second moments of its inputs. */
static double output_error(const double *w, const struct fz_blocks *b, const double *h) {
    double sum = 0;
    double *d = calloc((size_t)b->k, sizeof *d);
    for (int64_t c = 0; c < b->n; c++) {
        for (int64_t i = 0; i < b->k; i++) {
            int64_t at = i / b->block * b->n + c;
            d[i] = (b->numbers[i * b->n + c] - b->zeros[at]) * (double)b->scales[at] -
                   w[i * b->n + c];
        }
        for (int64_t i = 0; i < b->k; i++)
            for (int64_t j = 0; j < b->k; j++) sum += d[i] * h[i < j ? i * b->k + j : j * b->k + i] * d[j];
    }
    free(d);
    return sum;
}

static void error_feedback(void **state) {
    (void)state;
    enum { K = 64, COLUMNS = 8, ROWS = 256 };
    static float x[ROWS * K], w[K * COLUMNS];
    static double h[K * K], used[K * K], wide[K * COLUMNS], error[2];
    static uint8_t q[K * COLUMNS], zeros[2 * COLUMNS];
    static float scales[2 * COLUMNS];
    numbers(x, FZ_COUNT(x), 4, 1);
    numbers(w, FZ_COUNT(w), 5, 1);
    /* Inputs that go together: the sum of all before. */
    for (int r = 0; r < ROWS; r++)
        for (int i = 1; i < K; i++) x[r * K + i] += 0.8F * x[r * K + i - 1];
    for (int r = 0; r < ROWS; r++)
        for (int i = 0; i < K; i++)
            for (int j = i; j < K; j++) h[i * K + j] += (double)x[r * K + i] * (double)x[r * K + j];
    for (int pass = 0; pass < 2; pass++) {
        double work[K * COLUMNS];
        for (int i = 0; i < K * COLUMNS; i++) work[i] = wide[i] = (double)w[i];
        struct fz_blocks b = {K, COLUMNS, 32, work, q, scales, zeros};
        memcpy(used, h, sizeof h);
        if (pass) assert_int_equal(fzi_blocks_feedback(&b, used), FZ_OK);
        else fzi_blocks_nearest(&b);
        error[pass] = output_error(wide, &b, h);
    }
    assert_true(error[1] < 0.7 * error[0]);
}

/* ---- models */

struct folder {
    char path[64], out[128], data[128];
};

static void enter(struct folder *f) {
    strcpy(f->path, "/tmp/quantize-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    snprintf(f->out, sizeof f->out, "%s/out.onnx", f->path);
    snprintf(f->data, sizeof f->data, "%s/input.npy", f->path);
}

/* How many files the folder holds; removes them. */
static int leave(struct folder *f) {
    int n = 0;
    DIR *dir = opendir(f->path);
    for (struct dirent *e; (e = readdir(dir));) {
        char path[512];
        if (e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", f->path, e->d_name);
        unlink(path);
        n++;
    }
    closedir(dir);
    rmdir(f->path);
    return n;
}

static void write_samples(const struct folder *f, const char *shape, const float *x, size_t n) {
    char head[128];
    int at = snprintf(head + 10, sizeof head - 10,
                      "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }", shape);
    memcpy(head, "\x93NUMPY\1\0", 8);
    while ((at + 11) % 64) head[10 + at++] = ' ';
    head[10 + at++] = '\n';
    head[8] = (char)at;
    head[9] = 0;
    FILE *file = fopen(f->data, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(head, 1, (size_t)at + 10, file), at + 10);
    assert_int_equal(fwrite(x, 4, n, file), n);
    assert_int_equal(fclose(file), 0);
}

static fz_status_t quantise(const struct folder *f, const char *model, int32_t kind,
                            const char *samples) {
    char path[512];
    fz_quantize_options_t o = {.size = sizeof o, .kind = kind, .samples = samples, .threads = 1};
    snprintf(path, sizeof path, "%s/%s", DIGITS_FOLDER, model);
    return fz_quantize_file(path, f->out, &o, NULL);
}

/* Odd samples make models that freeze, or are refused; never half a file. */
static void odd_samples(void **state) {
    (void)state;
    static float zeros[128], ones[128], huge[128], nan[128];
    for (int i = 0; i < 128; i++) {
        ones[i] = 1;
        huge[i] = 1e30F;
        nan[i] = NAN;
    }
    static const struct {
        const float *x;
        fz_status_t status;
    } cases[] = {{zeros, FZ_OK}, {ones, FZ_OK}, {huge, FZ_OK}, {nan, FZ_E_VALUE}};
    for (size_t i = 0; i < FZ_COUNT(cases); i++) {
        struct folder f;
        fz_model_t *model = NULL;
        enter(&f);
        write_samples(&f, "2, 1, 8, 8", cases[i].x, 128);
        fz_status_t status = quantise(&f, "digits_cnn.onnx", FZ_QUANTIZE_STATIC, f.path);
        if (status != cases[i].status) fail_msg("%zu: %s", i, fz_last_error());
        if (status == FZ_OK) {
            assert_int_equal(fz_freeze_open(f.out, NULL, NULL, &model), FZ_OK);
            fz_model_close(model);
        }
        assert_int_equal(leave(&f), status == FZ_OK ? 2 : 1);
    }
}

static void wrong_samples(void **state) {
    (void)state;
    static float x[256];
    static const struct {
        const char *shape;
        size_t n;
        fz_status_t status;
        const char *words;
    } cases[] = {{"2, 1, 8, 9", 144, FZ_E_SHAPE, "[2,1,8,9]"},
                 {"0, 1, 8, 8", 0, FZ_E_VALUE, "no samples"},
                 {"4, 1, 8, 8", 100, FZ_E_FORMAT, "shorter than its header"}};
    for (size_t i = 0; i < FZ_COUNT(cases); i++) {
        struct folder f;
        enter(&f);
        write_samples(&f, cases[i].shape, x, cases[i].n);
        assert_int_equal(quantise(&f, "digits_cnn.onnx", FZ_QUANTIZE_STATIC, f.path),
                         cases[i].status);
        if (!strstr(fz_last_error(), cases[i].words)) fail_msg("%s", fz_last_error());
        assert_int_equal(leave(&f), 1);
    }
}

static void refusals(void **state) {
    (void)state;
    struct folder f;
    enter(&f);
    assert_int_equal(quantise(&f, "digits_cnn.onnx", FZ_QUANTIZE_STATIC, NULL), FZ_E_USAGE);
    assert_int_equal(quantise(&f, "digits_cnn.onnx", FZ_QUANTIZE_STATIC, "/nowhere"), FZ_E_IO);
    assert_int_equal(quantise(&f, "digits_cnn.onnx", 9, NULL), FZ_E_USAGE);
    assert_int_equal(quantise(&f, "digits_cnn.qdq.onnx", FZ_QUANTIZE_DYNAMIC, NULL),
                     FZ_E_UNSUPPORTED);
    assert_int_equal(quantise(&f, "test_x.npy", FZ_QUANTIZE_DYNAMIC, NULL), FZ_E_FORMAT);
    assert_int_equal(leave(&f), 0);
}

/* ---- samples from the caller */

struct caller {
    float x[64];
    size_t asked, give_up;
};

static int sample(void *context, size_t index, fz_tensor_t *inputs, size_t n) {
    struct caller *c = context;
    if (c->asked++ == c->give_up) return -1;
    if (index == 8 || n != 1) return 0;
    numbers(c->x, 64, index, 1);
    inputs[0] = (fz_tensor_t){.dtype = FZ_TYPE_F32, .rank = 4, .dims = {1, 1, 8, 8}, .data = c->x,
                              .size = sizeof c->x};
    return 1;
}

static fz_status_t from_caller(const struct folder *f, struct caller *c, int32_t kind) {
    char path[512];
    fz_quantize_options_t o = {.size = sizeof o, .kind = kind, .sample = sample,
                               .sample_context = c};
    snprintf(path, sizeof path, "%s/digits_vit.onnx", DIGITS_FOLDER);
    return fz_quantize_file(path, f->out, &o, NULL);
}

static void callers_samples(void **state) {
    (void)state;
    uint8_t *data[2];
    size_t size[2];
    for (int i = 0; i < 2; i++) {
        struct folder f;
        struct caller c = {.give_up = SIZE_MAX};
        enter(&f);
        if (from_caller(&f, &c, FZ_QUANTIZE_STATIC) != FZ_OK) fail_msg("%s", fz_last_error());
        assert_int_equal(fzi_file_read(f.out, SIZE_MAX / 2, &data[i], &size[i]), FZ_OK);
        leave(&f);
    }
    assert_int_equal(size[0], size[1]);
    assert_memory_equal(data[0], data[1], size[0]);
    fzi_free(data[0]);
    fzi_free(data[1]);
    struct folder f;
    struct caller c = {.give_up = 3};
    enter(&f);
    assert_int_equal(from_caller(&f, &c, FZ_QUANTIZE_WEIGHTS_INT4), FZ_E_CANCELLED);
    assert_int_equal(leave(&f), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_of_values), cmocka_unit_test(not_finite),
        cmocka_unit_test(ranges),          cmocka_unit_test(constant_ranges),
        cmocka_unit_test(error_feedback),  cmocka_unit_test(odd_samples),
        cmocka_unit_test(wrong_samples),   cmocka_unit_test(refusals),
        cmocka_unit_test(callers_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
