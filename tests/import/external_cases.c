/* Models in files: weights in place, external data and the ways out of its folder. */
#include "import_test.h"
#include "onnx_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* The test runs inside of a fresh folder: "m.onnx" is the model, the rest are side files. */
static char folder[64];
enum { N_BIG = 100000 };

/* The kernel's openat2(), or none: the linker sends calls of syscall() here (--wrap). */
static bool no_openat2;
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

long __wrap_syscall(long number, ...) {
    long a[6];
    va_list args;
    if (no_openat2) {
        errno = ENOSYS;
        return -1;
    }
    va_start(args, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(args, long);
    va_end(args);
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void write_file(const char *name, const void *data, size_t size) {
    FILE *f = fopen(name, "wb");
    assert_non_null(f);
    if (size) assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

/* Imports MODEL, which is released, from the file PATH. */
static fz_status_t import_path(const char *path, struct pb model,
                               const fz_freeze_options_t *options, struct imported *im) {
    *im = (struct imported){0};
    write_file(path, model.data, model.size);
    pb_free(&model);
    return fzi_import_file(path, options, &im->arena, &im->source, &im->graph);
}

static fz_status_t import_model(struct pb model, struct imported *im) {
    return import_path("m.onnx", model, NULL, im);
}

static void refuse_file(struct pb model, fz_status_t status, const char *words) {
    struct imported im;
    fz_status_t got = import_model(model, &im);
    if (got != status || !strstr(fzi_error_text(), words))
        fail_msg("want %d with '%s', got %d: %s", (int)status, words, (int)got, fzi_error_text());
    assert_null(im.source.files);
    close_import(&im);
}

static void entry(struct pb *tensor, const char *key, const char *value) {
    struct pb m = {0};
    if (!value) return;
    pb_text(&m, 1, key);
    pb_text(&m, 2, value);
    pb_msg(tensor, TENSOR_EXTERNAL, m);
}

/* A byte tensor of DIMS whose data lie in LOCATION; NULL leaves an entry out. */
static struct pb external(const char *name, const char *dims, const char *location,
                          const char *offset, const char *length) {
    struct pb m = pb_tensor(name, FZ_TYPE_U8, dims);
    entry(&m, "location", location);
    entry(&m, "offset", offset);
    entry(&m, "length", length);
    pb_int(&m, TENSOR_LOCATION, 1);
    return m;
}

/* A model whose outputs are the tensors A and, if it has bytes, B. */
static struct pb outputs(struct pb a, struct pb b) {
    struct pb g = {0};
    pb_msg(&g, GRAPH_INIT, a);
    pb_msg(&g, GRAPH_OUTPUT, pb_value("a", FZ_TYPE_U8, NULL));
    if (b.size) {
        pb_msg(&g, GRAPH_INIT, b);
        pb_msg(&g, GRAPH_OUTPUT, pb_value("b", FZ_TYPE_U8, NULL));
    }
    return pb_model(g);
}

static struct pb one(const char *location, const char *offset, const char *length) {
    return outputs(external("a", "4", location, offset, length), (struct pb){0});
}

static void good_external(void **state) {
    struct imported im;
    write_file("side", "0123456789", 10);
    assert_int_equal(import_model(outputs(external("a", "4", "side", "3", "4"),
                                          external("b", "3", "./side", NULL, NULL)), &im), FZ_OK);
    assert_memory_equal(im.graph->outputs[0]->t.data, "3456", 4);
    assert_memory_equal(im.graph->outputs[1]->t.data, "012", 3);
    close_import(&im);
    assert_int_equal(mkdir("sub", 0700), 0);
    write_file("sub/side", "abcd", 4);
    assert_int_equal(import_model(one("sub//side", NULL, "4"), &im), FZ_OK);
    assert_memory_equal(im.graph->outputs[0]->t.data, "abcd", 4);
    close_import(&im);
    /* Tied weights name the same range. */
    assert_int_equal(import_model(outputs(external("a", "4", "sub/side", "0", "4"),
                                          external("b", "4", "sub/side", "0", "4")), &im), FZ_OK);
    close_import(&im);
}

/* The model finds its side files beside itself, not where the process is. */
static void other_folder(void **state) {
    struct imported im;
    char path[96];
    write_file("sub/only", "wxyz", 4);
    assert_int_equal(import_path("sub/m.onnx", one("only", NULL, NULL), NULL, &im), FZ_OK);
    assert_memory_equal(im.graph->outputs[0]->t.data, "wxyz", 4);
    close_import(&im);
    snprintf(path, sizeof path, "%s/sub/m.onnx", folder);
    assert_int_equal(import_path(path, one("only", NULL, NULL), NULL, &im), FZ_OK);
    close_import(&im);
    refuse_file(one("only", NULL, NULL), FZ_E_IO, "only");
}

static void bad_paths(void **state) {
    write_file("side", "0123456789", 10);
    refuse_file(one("../side", NULL, NULL), FZ_E_FORMAT, "outside");
    refuse_file(one("sub/../side", NULL, NULL), FZ_E_FORMAT, "outside");
    refuse_file(one("..", NULL, NULL), FZ_E_FORMAT, "outside");
    refuse_file(one("/etc/passwd", NULL, NULL), FZ_E_FORMAT, "outside");
    refuse_file(one("", NULL, NULL), FZ_E_FORMAT, "location");
    refuse_file(one(".", NULL, NULL), FZ_E_FORMAT, "outside");
    refuse_file(one(NULL, NULL, NULL), FZ_E_FORMAT, "location");
    refuse_file(one("missing", NULL, NULL), FZ_E_IO, "missing");
    refuse_file(one("sub", NULL, NULL), FZ_E_FORMAT, "no regular file");
    assert_int_equal(symlink("side", "link"), 0);
    refuse_file(one("link", NULL, NULL), FZ_E_FORMAT, "symbolic link");
    assert_int_equal(symlink("sub", "linked"), 0);
    refuse_file(one("linked/side", NULL, NULL), FZ_E_FORMAT, "symbolic link");
    assert_int_equal(mkfifo("fifo", 0600), 0);
    refuse_file(one("fifo", NULL, NULL), FZ_E_FORMAT, "no regular file");
    assert_int_equal(link("side", "hard"), 0);
    refuse_file(one("hard", NULL, NULL), FZ_E_FORMAT, "hard link");
    refuse_file(one("side", NULL, NULL), FZ_E_FORMAT, "hard link");
    assert_int_equal(unlink("hard"), 0);
    /* In memory there is no folder. */
    refuse(one("side", NULL, NULL), FZ_E_UNSUPPORTED, "external data");
}

static void bad_ranges(void **state) {
    write_file("side", "0123456789", 10);
    refuse_file(one("side", "7", NULL), FZ_E_FORMAT, "outside of external");
    refuse_file(one("side", "11", NULL), FZ_E_FORMAT, "outside of external");
    refuse_file(one("side", "18446744073709551615", NULL), FZ_E_FORMAT, "outside of external");
    refuse_file(one("side", "18446744073709551616", NULL), FZ_E_FORMAT, "no number");
    refuse_file(one("side", "-1", NULL), FZ_E_FORMAT, "no number");
    refuse_file(one("side", "", NULL), FZ_E_FORMAT, "no number");
    refuse_file(one("side", "0", "5"), FZ_E_FORMAT, "needs 4 bytes");
    refuse_file(one("side", "0", "x"), FZ_E_FORMAT, "no number");
    refuse_file(outputs(external("a", "6", "side", "0", "6"),
                        external("b", "6", "side", "1", "6")), FZ_E_LIMIT, "overlap");
    struct pb both = external("a", "4", "side", "0", "4");
    pb_bytes(&both, TENSOR_RAW, "abcd", 4);
    refuse_file(outputs(both, (struct pb){0}), FZ_E_FORMAT, "both kinds");
    struct pb text = pb_tensor("a", FZ_TYPE_STRING, "1");
    entry(&text, "location", "side");
    pb_int(&text, TENSOR_LOCATION, 1);
    refuse_file(outputs(text, (struct pb){0}), FZ_E_FORMAT, "strings");
}

static void checksums(void **state) {
    struct imported im;
    /* SHA-1 of "0123456789" */
    static const char good[] = "87acec17cd9dcd20a716cc2cf67417b71c8a7016";
    write_file("side", "0123456789", 10);
    struct pb a = external("a", "4", "side", "3", "4"), b = external("b", "3", "side", "0", "3");
    entry(&b, "checksum", good);
    assert_int_equal(import_model(outputs(a, b), &im), FZ_OK);
    assert_memory_equal(im.graph->outputs[0]->t.data, "3456", 4);
    assert_memory_equal(im.graph->outputs[1]->t.data, "012", 3);
    close_import(&im);
    a = external("a", "4", "side", "3", "4");
    entry(&a, "checksum", "87ACEC17CD9DCD20A716CC2CF67417B71C8A7017");
    refuse_file(outputs(a, (struct pb){0}), FZ_E_FORMAT, good);
    a = external("a", "4", "side", "3", "4");
    entry(&a, "checksum", "87ac");
    refuse_file(outputs(a, (struct pb){0}), FZ_E_FORMAT, "SHA-1");
}

/* A model of one double tensor of N_BIG elements, PAD bytes further into the file. */
static struct pb big_model(int pad, const double *data) {
    static const char text[] = "12345678";
    struct pb g = {0};
    pb_bytes(&g, GRAPH_NAME, text, (size_t)pad);
    char dims[16];
    snprintf(dims, sizeof dims, "%d", N_BIG);
    pb_msg(&g, GRAPH_INIT, pb_raw_tensor("a", FZ_TYPE_F64, dims, data, N_BIG * 8));
    pb_msg(&g, GRAPH_INIT, pb_raw_tensor("b", FZ_TYPE_F64, dims, data, N_BIG * 8));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("a", FZ_TYPE_F64, NULL));
    pb_msg(&g, GRAPH_OUTPUT, pb_value("b", FZ_TYPE_F64, NULL));
    return pb_model(g);
}

static bool inside(const struct imported *im, const void *p) {
    uintptr_t at = (uintptr_t)p, start = (uintptr_t)im->source.onnx;
    return at >= start && at < start + im->source.onnx_size;
}

/* Wherever the weights lie in the file: aligned, right, and not copied where their bytes have the
 * host's order. */
static void weights_in_place(void **state) {
    const bool in_place = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
    double *data = malloc(N_BIG * 8);
    assert_non_null(data);
    for (int i = 0; i < N_BIG; i++) data[i] = i;
    for (int pad = 0; pad < 8; pad++) {
        struct imported im;
        assert_int_equal(import_model(big_model(pad, data), &im), FZ_OK);
        for (int k = 0; k < 2; k++) {
            const fz_tensor_t *t = &im.graph->outputs[k]->t;
            assert_int_equal((uintptr_t)t->data % 8, 0);
            assert_memory_equal(t->data, data, N_BIG * 8);
            assert_true(inside(&im, t->data) == in_place);
        }
        assert_true(!in_place || im.arena.used < N_BIG);
        close_import(&im);
        /* If the file's bytes are to be kept they are left alone. */
        fz_freeze_options_t options = {.size = sizeof options, .flags = FZ_FREEZE_KEEP_ONNX};
        struct pb m = big_model(pad, data), copy = {0};
        pb_append(&copy, m.data, m.size);
        assert_int_equal(import_path("m.onnx", m, &options, &im), FZ_OK);
        assert_int_equal(im.source.onnx_size, copy.size);
        assert_memory_equal(im.source.onnx, copy.data, copy.size);
        assert_memory_equal(im.graph->outputs[1]->t.data, data, N_BIG * 8);
        close_import(&im);
        pb_free(&copy);
    }
    free(data);
}

static void bad_files(void **state) {
    struct imported im = {0};
    assert_int_equal(fzi_import_file("none.onnx", NULL, &im.arena, &im.source, &im.graph), FZ_E_IO);
    assert_int_equal(fzi_import_file("sub", NULL, &im.arena, &im.source, &im.graph), FZ_E_IO);
    assert_int_equal(fzi_import_file("fifo", NULL, &im.arena, &im.source, &im.graph), FZ_E_IO);
    refuse_file((struct pb){0}, FZ_E_FORMAT, "empty");
    fz_freeze_options_t options = {.size = sizeof options, .max_file_size = 5};
    assert_int_equal(import_path("m.onnx", one("side", NULL, NULL), &options, &im), FZ_E_LIMIT);
    close_import(&im);
}

static int enter_folder(void **state) {
    snprintf(folder, sizeof folder, "/tmp/fz-import-XXXXXX");
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state) {
    static const char *const names[] = {"m.onnx", "side", "link", "linked", "fifo", "sub/side",
                                        "sub/only", "sub/m.onnx"};
    for (size_t i = 0; i < FZ_COUNT(names); i++) unlink(names[i]);
    return rmdir("sub") == 0 && chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

int run_external_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_external), cmocka_unit_test(other_folder),
        cmocka_unit_test(bad_paths),     cmocka_unit_test(bad_ranges),
        cmocka_unit_test(checksums),     cmocka_unit_test(weights_in_place),
        cmocka_unit_test(bad_files),
    };
    int failed = cmocka_run_group_tests_name("external", tests, enter_folder, leave_folder);
    no_openat2 = true;
    failed += cmocka_run_group_tests_name("external without openat2", tests, enter_folder,
                                          leave_folder);
    no_openat2 = false;
    return failed;
}
