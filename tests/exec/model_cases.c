/* Models: identity, verification, mapped files, descriptions, and that freezing repeats. */
#include "support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exec/model.h"

enum { BIG_ENDIAN_HOST = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ };

static void hex_of(const void *data, size_t size, char hex[65]) {
    uint8_t digest[32];
    assert_ok(fz_sha256(data, size, digest));
    for (int i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

/* "The same ONNX file with the same options ... gives the same bytes", by every way in. */
static void freezing_repeats(void **state) {
    const char *onnx = data_path("digits/digits_cnn.qdq.onnx");
    char hex[6][65];
    size_t size[2], onnx_size;
    fz_model_t *model;
    assert_ok(fz_freeze_file(onnx, temporary("a.fz"), NULL, hex[0]));
    assert_ok(fz_freeze_file(onnx, temporary("b.fz"), NULL, hex[1]));
    char *a = read_whole(temporary("a.fz"), &size[0]), *b = read_whole(temporary("b.fz"), &size[1]);
    assert_int_equal(size[0], size[1]);
    assert_memory_equal(a, b, size[0]);
    hex_of(a, size[0], hex[2]);
    assert_ok(fz_freeze_open(onnx, NULL, NULL, &model));
    assert_ok(fz_model_id(model, hex[3]));
    fz_model_close(model);
    char *bytes = read_whole(onnx, &onnx_size);
    assert_ok(fz_freeze_open_memory(bytes, onnx_size, NULL, NULL, &model));
    assert_ok(fz_model_id(model, hex[4]));
    fz_model_close(model);
    assert_ok(fz_model_open_memory(a, size[0], NULL, &model));
    free(a), free(b), free(bytes);
    assert_ok(fz_model_id(model, hex[5]));
    assert_ok(fz_model_verify(model));
    for (int i = 1; i < 6; i++) assert_string_equal(hex[0], hex[i]);
    fz_model_close(model);
}

static void expected_digest(void **state) {
    char hex[65], *path = strdup(temporary("e.fz"));
    fz_model_t *model;
    assert_ok(fz_freeze_file(data_path("digits/digits_mlp.onnx"), path, NULL, hex));
    char last = hex[63], other = last == '0' ? '1' : '0';
    fz_open_options_t o = {.size = sizeof o, .expect = hex};
    for (int map = 0; map < (BIG_ENDIAN_HOST ? 1 : 2); map++) {
        o.flags = map ? FZ_OPEN_MAP : 0;
        assert_ok(fz_model_open(path, &o, &model));
        fz_model_close(model);
        hex[63] = other;
        assert_fails(FZ_E_DIGEST, fz_model_open(path, &o, &model));
        assert_null(model);
        hex[63] = last;
    }
    o.max_file_size = 100;
    assert_fails(FZ_E_LIMIT, fz_model_open(path, &o, &model));
    free(path);
}

/* "FD stays the caller's and its file offset is left alone"; "later changes to the file have no
 * effect on the model" */
static void open_by_descriptor(void **state) {
    char hex[65], id[65], *path = strdup(temporary("d.fz"));
    fz_model_t *model;
    assert_ok(fz_freeze_file(data_path("digits/digits_mlp.onnx"), path, NULL, hex));
    int fd = open(path, O_RDWR);
    assert_int_equal(lseek(fd, 17, SEEK_SET), 17);
    assert_ok(fz_model_open_fd(fd, NULL, &model));
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 17);
    assert_int_equal(ftruncate(fd, 0), 0);
    close(fd);
    unlink(path);
    assert_ok(fz_model_id(model, id));
    assert_string_equal(id, hex);
    assert_ok(fz_model_verify(model));
    assert_ok(fz_model_known_answer(model));
    assert_true(fz_model_protection(model) >= FZ_PROTECT_PAGES);
    assert_string_equal(fz_model_profile(model), "portable/1");
    fz_model_close(model);
    free(path);
}

static void protection_levels(void **state) {
    char *path = strdup(temporary("p.fz"));
    assert_ok(fz_freeze_file(data_path("digits/digits_mlp.onnx"), path, NULL, NULL));
    for (int level = FZ_PROTECT_PAGES; level <= FZ_PROTECT_SEALED; level++) {
        fz_open_options_t o = {.size = sizeof o, .protection = level};
        fz_model_t *model;
        assert_ok(fz_model_open(path, &o, &model));
        assert_true(fz_model_protection(model) <= level);
        assert_true(fz_model_protection(model) >= FZ_PROTECT_PAGES);
        assert_ok(fz_model_known_answer(model));
        fz_model_close(model);
    }
    free(path);
}

/* A level that can be undone, undone: verify and scrub find the one flipped bit, and so do runs
 * from then on. */
static void found_corrupt(void **state) {
    char *path = strdup(temporary("c.fz"));
    fz_open_options_t o = {.size = sizeof o, .protection = FZ_PROTECT_PAGES};
    assert_ok(fz_freeze_file(data_path("digits/digits_mlp.onnx"), path, NULL, NULL));
    for (int by_scrub = 0; by_scrub < 2; by_scrub++) {
        fz_model_t *model;
        assert_ok(fz_model_open(path, &o, &model));
        fz_session_t *session = open_session(model, 1);
        fz_tensor_t x = digits(0, 1), y = {0};
        assert_ok(fz_session_run(session, &x, 1, &y, 1));
        assert_ok(fz_model_verify(model));
        for (int i = 0; i < 9; i++) assert_ok(fz_model_scrub(model, 65536));
        assert_ok(fz_model_scrub(model, SIZE_MAX)); /* once round */
        size_t size = (model->seal.size + 4095) & ~(size_t)4095;
        void *data = (void *)(uintptr_t)model->seal.data;
        assert_int_equal(mprotect(data, size, PROT_READ | PROT_WRITE), 0);
        ((uint8_t *)data)[model->seal.size - 4097] ^= 4;
        if (by_scrub) assert_fails(FZ_E_CORRUPT, fz_model_scrub(model, SIZE_MAX));
        else assert_fails(FZ_E_CORRUPT, fz_model_verify(model));
        assert_fails(FZ_E_CORRUPT, fz_model_scrub(model, 0));
        y.data = NULL;
        assert_fails(FZ_E_CORRUPT, fz_session_run(session, &x, 1, &y, 1));
        fz_session_close(session);
        fz_model_close(model);
    }
    free(path);
}

/* One bit of each byte of the memory in turn, header, checksums and padding included: scrubbing
 * finds all of them. */
static void every_flip_found(void **state) {
    fz_open_options_t o = {.size = sizeof o, .protection = FZ_PROTECT_PAGES};
    char *path = strdup(temporary("c.fz"));
    fz_model_t *model;
    assert_ok(fz_freeze_file(data_path("digits/digits_mlp.onnx"), path, NULL, NULL));
    assert_ok(fz_model_open(path, &o, &model));
    fz_session_t *session = open_session(model, 1);
    fz_tensor_t x = digits(0, 1), y = {0};
    size_t size = (model->seal.size + 4095) & ~(size_t)4095;
    uint8_t *data = (uint8_t *)(uintptr_t)model->seal.data;
    assert_int_equal(mprotect(data, size, PROT_READ | PROT_WRITE), 0);
    for (size_t i = 0; i < model->seal.size; i += SLOW ? 101 : 1) {
        uint8_t bit = (uint8_t)(1 << (i * 5 + i / 8) % 8);
        data[i] ^= bit;
        if (fz_model_scrub(model, SIZE_MAX) != FZ_E_CORRUPT) fail_msg("byte %zu", i);
        if (i % 64 == 0) assert_fails(FZ_E_CORRUPT, fz_session_run(session, &x, 1, &y, 1));
        data[i] ^= bit;
        atomic_store(&model->corrupt, false);
    }
    assert_ok(fz_model_scrub(model, SIZE_MAX));
    assert_ok(fz_session_run(session, &x, 1, &y, 1));
    fz_session_close(session);
    fz_model_close(model);
    free(path);
}

static void write_products(const char *path, char hex[65]) {
    struct pb built = products(3, 512);
    write_whole(temporary("m.onnx"), built.data, built.size);
    pb_free(&built);
    assert_ok(fz_freeze_file(temporary("m.onnx"), path, NULL, hex));
}

/* Gather of two rows from a table of ROWS, whose first row is all 1, the next 2, and so on. */
static void write_table(const char *path, int rows, int width) {
    struct pb g = {0};
    char dims[64];
    size_t n = (size_t)rows * (size_t)width;
    float *w = malloc(n * sizeof *w);
    assert_non_null(w);
    for (size_t i = 0; i < n; i++) w[i] = (float)(i / (size_t)width + 1);
    snprintf(dims, sizeof dims, "%d,%d", rows, width);
    pb_msg(&g, GRAPH_INIT, pb_raw_tensor("w", FZ_TYPE_F32, dims, w, n * sizeof *w));
    free(w);
    pb_msg(&g, GRAPH_NODE, pb_node("Gather", "w,i", "y"));
    pb_msg(&g, GRAPH_INPUT, pb_value("i", FZ_TYPE_I64, "2"));
    snprintf(dims, sizeof dims, "2,%d", width);
    pb_msg(&g, GRAPH_OUTPUT, pb_value("y", FZ_TYPE_F32, dims));
    struct pb built = pb_model(g);
    write_whole(temporary("m.onnx"), built.data, built.size);
    pb_free(&built);
    assert_ok(fz_freeze_file(temporary("m.onnx"), path, NULL, NULL));
}

static float small[64 * 512];

/* "fz_model_id() answers FZ_E_UNVERIFIED until fz_model_verify() has passed" */
static void mapped(void **state) {
    char hex[65], id[65], *path = strdup(temporary("m.fz"));
    fz_open_options_t o = {.size = sizeof o, .flags = FZ_OPEN_MAP};
    fz_model_t *model, *none;
    write_products(path, hex);
    if (BIG_ENDIAN_HOST) { /* whose weights would have to be turned round */
        assert_fails(FZ_E_UNSUPPORTED, fz_model_open(path, &o, &model));
        assert_null(model);
        free(path);
        return;
    }
    assert_ok(fz_model_open(path, &o, &model));
    fz_session_t *session = open_session(model, 2);
    fz_tensor_t x = floats(small, 2, (int64_t[]){64, 512}), y = {0};
    assert_fails(FZ_E_UNVERIFIED, fz_model_id(model, id));
    assert_string_equal(id, "");
    assert_ok(fz_session_run(session, &x, 1, &y, 1));
    assert_ok(fz_model_known_answer(model));
    assert_ok(fz_model_verify(model));
    assert_ok(fz_model_id(model, id));
    assert_string_equal(id, hex);
    assert_fails(FZ_E_USAGE,
                 fz_freeze_open(data_path("digits/digits_vit.onnx"), NULL, &o, &none));
    assert_null(none);
    fz_session_close(session);
    fz_model_close(model);
    free(path);
}

/* "each weight page is verified before a run first uses it" */
static void mapped_and_damaged(void **state) {
    if (BIG_ENDIAN_HOST) skip();
    char *path = strdup(temporary("m.fz")), id[65];
    fz_open_options_t o = {.size = sizeof o, .flags = FZ_OPEN_MAP};
    fz_model_t *model;
    size_t size;
    write_products(path, NULL);
    char *bytes = read_whole(path, &size);
    assert_fails(FZ_E_USAGE, fz_model_open_memory(bytes, size, &o, &model));
    bytes[size - 4096] ^= 1;
    write_whole(path, bytes, size);
    free(bytes);
    assert_fails(FZ_E_FORMAT, fz_model_open(path, NULL, &model));
    assert_ok(fz_model_open(path, &o, &model));
    fz_session_t *session = open_session(model, 1);
    fz_tensor_t x = floats(small, 2, (int64_t[]){64, 512}), y = {0};
    assert_fails(FZ_E_CORRUPT, fz_session_run(session, &x, 1, &y, 1));
    assert_fails(FZ_E_CORRUPT, fz_session_run(session, &x, 1, &y, 1));
    assert_fails(FZ_E_CORRUPT, fz_model_scrub(model, 1));
    assert_fails(FZ_E_CORRUPT, fz_model_verify(model));
    assert_fails(FZ_E_UNVERIFIED, fz_model_id(model, id));
    fz_session_close(session);
    fz_model_close(model);
    free(path);
}

/* The same of a table of which a run reads two rows: the blocks of those alone are looked at. */
static void mapped_table(void **state) {
    if (BIG_ENDIAN_HOST) skip();
    enum { ROWS = 256, WIDTH = 4096, DAMAGED = 100 };
    char *path = strdup(temporary("m.fz"));
    fz_open_options_t o = {.size = sizeof o, .flags = FZ_OPEN_MAP};
    fz_model_t *model;
    size_t size;
    write_table(path, ROWS, WIDTH);
    char *bytes = read_whole(path, &size);
    bytes[size - (ROWS - DAMAGED) * sizeof(float[WIDTH])] ^= 1;
    write_whole(path, bytes, size);
    free(bytes);
    assert_ok(fz_model_open(path, &o, &model));
    fz_session_t *session = open_session(model, 2);
    int64_t rows[2] = {0, -1};
    fz_tensor_t i = {.dtype = FZ_TYPE_I64, .rank = 1, .dims = {2}, .data = rows,
                     .size = sizeof rows};
    fz_tensor_t y = {0};
    assert_ok(fz_session_run(session, &i, 1, &y, 1));
    assert_true(((float *)y.data)[0] == 1.0f);
    assert_true(((float *)y.data)[WIDTH] == (float)ROWS);
    rows[1] = DAMAGED;
    y = (fz_tensor_t){0};
    assert_fails(FZ_E_CORRUPT, fz_session_run(session, &i, 1, &y, 1));
    rows[1] = 1;
    assert_fails(FZ_E_CORRUPT, fz_session_run(session, &i, 1, &y, 1));
    fz_session_close(session);
    fz_model_close(model);
    free(path);
}

/* "opens the same model without a copy"; "Nobody can write through it." */
static void shared(void **state) {
    fz_open_options_t o = {.size = sizeof o, .flags = FZ_OPEN_SHARE};
    char hex[65], id[65], *path = strdup(temporary("m.fz"));
    fz_model_t *model, *plain, *second;
    fz_constant_t mine, theirs;
    struct stat a, b;
    int fd;
    write_products(path, hex);
    assert_ok(fz_model_open(path, NULL, &plain));
    assert_fails(FZ_E_UNSUPPORTED, fz_model_export_fd(plain, &fd));
    assert_int_equal(fd, -1);
    assert_ok(fz_model_open(path, &o, &model));
    if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) {
        assert_fails(FZ_E_UNSUPPORTED, fz_model_export_fd(model, &fd));
        fz_model_close(model);
        fz_model_close(plain);
        free(path);
        return;
    }
    assert_ok(fz_model_export_fd(model, &fd));
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_ok(fz_model_open_fd(fd, &o, &second));
    assert_ok(fz_model_id(second, id));
    assert_string_equal(id, hex);
    assert_int_equal(fz_model_protection(second), FZ_PROTECT_SEALED);
    assert_int_equal(fstat(fd, &a), 0);
    close(fd);
    assert_ok(fz_model_export_fd(second, &fd));
    assert_int_equal(fstat(fd, &b), 0);
    assert_true(a.st_ino == b.st_ino);
    close(fd);
    assert_ok(fz_model_constant(model, 0, &mine));
    assert_ok(fz_model_constant(second, 0, &theirs));
    assert_memory_equal(mine.tensor.data, theirs.tensor.data, mine.tensor.size);
    fz_model_close(model);
    fz_session_t *session = open_session(second, 1);
    fz_tensor_t x = floats(small, 2, (int64_t[]){64, 512}), y = {0};
    assert_ok(fz_session_run(session, &x, 1, &y, 1));
    fz_session_close(session);
    fz_model_close(second);
    fz_model_close(plain);
    free(path);
}

static void known_answers(void **state) {
    fz_model_t *model = open_digits("cnn.dyn");
    assert_ok(fz_model_known_answer(model));
    fz_model_close(model);
    fz_freeze_options_t o = {.size = sizeof o, .flags = FZ_FREEZE_NO_KAT};
    assert_ok(fz_freeze_open(data_path("digits/digits_mlp.onnx"), &o, NULL, &model));
    assert_fails(FZ_E_UNSUPPORTED, fz_model_known_answer(model));
    fz_model_close(model);
}

static void descriptions(void **state) {
    fz_model_t *model = open_digits("cnn");
    fz_io_t io;
    fz_model_stats_t stats;
    assert_int_equal(fz_model_input_count(model), 1);
    assert_int_equal(fz_model_output_count(model), 1);
    assert_ok(fz_model_input(model, 0, &io));
    assert_int_equal(io.dtype, FZ_TYPE_F32);
    assert_int_equal(io.rank, 4);
    assert_int_equal(io.dims[0], -1);
    assert_true(io.dim_names[0][0] != 0);
    assert_int_equal(io.dims[2], 8);
    assert_ok(fz_model_output(model, 0, &io));
    assert_int_equal(io.rank, 2);
    assert_int_equal(io.dims[1], 10);
    assert_ok(fz_model_stats(model, &stats));
    assert_true(stats.weight_size > 0 && stats.weight_size < stats.file_size);
    assert_int_equal(stats.arena_size, 0); /* "0 if shapes are open" */
    assert_true(stats.n_steps > 0 && stats.n_constants > 0);
    const char *const keys[] = {"provenance", "passes", "metadata", "operators"};
    for (int i = 0; i < 4; i++) assert_non_null(fz_model_text(model, keys[i]));
    assert_ok(fz_model_input(model, 0, &io));
    char *name = strdup(io.dim_names[0]);
    fz_model_close(model);
    /* A bound dimension is no longer open. */
    fz_dim_binding_t dim = {.name = name, .value = 2};
    fz_freeze_options_t o = {.size = sizeof o, .dims = &dim, .n_dims = 1};
    assert_ok(fz_freeze_open(data_path("digits/digits_cnn.onnx"), &o, NULL, &model));
    assert_ok(fz_model_input(model, 0, &io));
    assert_int_equal(io.dims[0], 2);
    assert_ok(fz_model_stats(model, &stats));
    assert_true(stats.arena_size > 0 && stats.macs > 0);
    fz_model_close(model);
    free(name);
}

static int give_up(void *context, double done, const char *phase) {
    int *left = context;
    return !(done >= 0 && done <= 1 && phase && phase[0]) || (*left)-- == 0;
}

/* "Return 0 to go on, anything else to give up (FZ_E_CANCELLED)"; the file never appears in part */
static void progress(void **state) {
    fz_freeze_options_t o = {.size = sizeof o, .progress = give_up};
    const char *onnx = data_path("digits/digits_mlp.onnx");
    int left = 1 << 30;
    o.progress_context = &left;
    assert_ok(fz_freeze_file(onnx, temporary("g.fz"), &o, NULL));
    unlink(temporary("g.fz"));
    int calls = (1 << 30) - left;
    assert_true(calls >= 3);
    for (int i = 0; i < calls; i++) {
        left = i;
        assert_fails(FZ_E_CANCELLED, fz_freeze_file(onnx, temporary("g.fz"), &o, NULL));
        assert_false(file_exists(temporary("g.fz")));
    }
}

const struct CMUnitTest model_cases[] = {
    cmocka_unit_test(freezing_repeats),  cmocka_unit_test(expected_digest),
    cmocka_unit_test(open_by_descriptor), cmocka_unit_test(protection_levels),
    cmocka_unit_test(found_corrupt),     cmocka_unit_test(mapped),
    cmocka_unit_test(mapped_and_damaged), cmocka_unit_test(mapped_table),
    cmocka_unit_test(shared),            cmocka_unit_test(every_flip_found),
    cmocka_unit_test(known_answers),     cmocka_unit_test(descriptions),
    cmocka_unit_test(progress),
};
const size_t n_model_cases = sizeof model_cases / sizeof *model_cases;
