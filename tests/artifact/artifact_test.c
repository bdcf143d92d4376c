/* The frozen file: what is written is read back, and nothing else is accepted. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sha256.h"
#include "mutations.h"
#include "sample.h"

struct image {
    struct fz_plan plan;
    struct fz_artifact_info info;
};

/* Reads the file at DATA, which has the host's byte order afterwards. */
static fz_status_t open_file(void *data, size_t size, struct image *image) {
    *image = (struct image){0};
    FZ_TRY(fzi_artifact_swap(data, size));
    return fzi_artifact_read(data, size, NULL, NULL, &image->plan, &image->info);
}

/* The same from a copy, where the order must be turned: the caller goes on to change the file. */
static fz_status_t read_file(void *data, size_t size) {
    struct image image;
    if (!FZ_BIG_ENDIAN) return open_file(data, size, &image);
    uint8_t *copy = fzi_alloc_aligned(size + 1);
    assert_non_null(copy);
    memcpy(copy, data, size);
    fz_status_t status = open_file(copy, size, &image);
    fzi_free(copy);
    return status;
}

static uint8_t *must_file(unsigned flags, size_t *size) {
    uint8_t *data = sample_file(flags, size);
    assert_non_null(data);
    return data;
}

/* ---- round trip */

#define SAME(member, count)                                                                        \
    do {                                                                                           \
        assert_int_equal(image.plan.count, source.plan.count);                                     \
        assert_memory_equal(image.plan.member, source.plan.member,                                 \
                            source.plan.count * sizeof *source.plan.member);                       \
    } while (0)

static void round_trip(unsigned flags) {
    size_t size;
    struct image image;
    struct fz_plan_source source = sample_source(flags);
    uint8_t *data = must_file(flags, &size);
    fz_status_t status = open_file(data, size, &image);
    if (status != FZ_OK) fail_msg("%s", fzi_error_text());
    SAME(strings, strings_size);
    SAME(ops, n_ops);
    SAME(values, n_values);
    SAME(dims, n_dims);
    SAME(steps, n_steps);
    SAME(args, n_args);
    SAME(blocks, n_blocks);
    SAME(params, n_params);
    SAME(consts, n_consts);
    SAME(io, n_io);
    SAME(symbols, n_symbols);
    assert_int_equal(image.plan.n_texts, 1);
    assert_memory_equal(image.plan.texts, source.plan.texts, 8);
    SAME(kat, n_kat);
    assert_int_equal(image.plan.n_inputs, 2);
    assert_int_equal(image.plan.n_outputs, 2);
    uint64_t total = 0;
    for (size_t i = 0; i < source.plan.n_consts; i++) {
        const struct fz_plan_const *c = &source.plan.consts[i];
        const uint8_t *at =
            c->section == FZ_SECTION_TABLES ? image.plan.tables : image.plan.weights;
        assert_memory_equal(at + c->off, source.const_data[i], c->size);
        assert_int_equal((uintptr_t)(at + c->off) % 64, 0);
        total += c->size;
    }
    assert_string_equal(image.info.profile, "portable/1");
    assert_int_equal(image.info.weight_size, total);
    assert_int_equal(image.info.arena_size, 4096);
    assert_int_equal(image.info.macs, 12);
    assert_int_equal(image.info.file_size, size);
    const void *onnx;
    uint64_t onnx_size;
    bool kept = fzi_artifact_section(&image.info, FZ_SECTION_ONNX, &onnx, &onnx_size, NULL);
    assert_int_equal(kept, (flags & SAMPLE_ONNX) != 0);
    if (kept) assert_string_equal(onnx, "the original file");
    assert_int_equal(fzi_artifact_verify(&image.info, NULL, NULL), FZ_OK);
    fzi_free(data);
}

static void test_round_trip(void **state) {
    (void)state;
    for (unsigned flags = 0; flags < 4; flags++) round_trip(flags);
}

/* The same bytes each time, into a memfd and into a file; the digest is that of the bytes. */
static void test_deterministic(void **state) {
    (void)state;
    size_t size, again;
    uint8_t digest[32], expected[32];
    struct fz_plan_source source = sample_source(SAMPLE_BIG | SAMPLE_ONNX);
    uint8_t *data = must_file(SAMPLE_BIG | SAMPLE_ONNX, &size);
    char path[] = "/tmp/artifact-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(fzi_artifact_write(&source, fd, digest, NULL, NULL), FZ_OK);
    uint8_t *other = sample_read(fd, &again);
    assert_int_equal(size, again);
    assert_memory_equal(data, other, size);
    fzi_sha256(data, size, expected);
    assert_memory_equal(digest, expected, 32);
    /* A file that is not empty is not written over. */
    assert_int_equal(fzi_artifact_write(&source, fd, digest, NULL, NULL), FZ_E_IO);
    close(fd);
    fzi_free(data);
    fzi_free(other);
}

/* ---- damage */

static void test_every_bit(void **state) {
    (void)state;
    size_t size;
    uint8_t *data = must_file(SAMPLE_ONNX, &size);
    for (size_t i = 0; i < size * 8; i++) {
        data[i / 8] ^= (uint8_t)(1 << i % 8);
        if (read_file(data, size) == FZ_OK) fail_msg("bit %zu may be flipped", i);
        data[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    assert_int_equal(read_file(data, size), FZ_OK);
    fzi_free(data);
}

/* Some bits of each 509 bytes of a file with several blocks. */
static void test_bits_of_weights(void **state) {
    (void)state;
    size_t size;
    uint8_t *data = must_file(SAMPLE_BIG, &size);
    for (size_t i = 3; i < size; i += 509) {
        data[i] ^= (uint8_t)(1 << i % 8);
        if (read_file(data, size) != FZ_E_FORMAT) fail_msg("byte %zu may be changed", i);
        data[i] ^= (uint8_t)(1 << i % 8);
    }
    fzi_free(data);
}

static void test_every_length(void **state) {
    (void)state;
    size_t size;
    uint8_t *data = must_file(0, &size);
    for (size_t n = 0; n < size; n++)
        if (read_file(data, n) != FZ_E_FORMAT) fail_msg("%zu of %zu bytes are enough", n, size);
    data = fzi_realloc(data, size + FZ_PAGE);
    assert_non_null(data);
    memset(data + size, 0, FZ_PAGE);
    assert_int_equal(read_file(data, size + 1), FZ_E_FORMAT);
    assert_int_equal(read_file(data, size + FZ_PAGE), FZ_E_FORMAT);
    fzi_free(data);
}

/* ---- every rule of the verifier */

static void test_mutations(void **state) {
    (void)state;
    size_t size;
    for (size_t i = 0; i < n_mutations; i++) {
        const struct mutation *m = &mutations[i];
        uint8_t *data = must_file(m->flags, &size);
        uint8_t *at = m->kind ? sample_section(data, m->kind) + m->off : data + m->off;
        assert_true(at + m->size <= data + size);
        uint64_t value = fzi_le64(m->value);
        memcpy(at, &value, m->size);
        sample_repair(data, size);
        fz_status_t status = read_file(data, size);
        if (status != m->status || !strstr(fzi_error_text(), m->message))
            fail_msg("mutation %zu (%s): status %d, %s", i, m->message, status,
                     fzi_error_text());
        fzi_free(data);
    }
}

/* The mutations fail for their own reason, not because repairing is not enough. */
static void test_repair(void **state) {
    (void)state;
    size_t size;
    uint8_t *data = must_file(SAMPLE_BIG | SAMPLE_ONNX, &size), *copy = fzi_alloc_aligned(size);
    assert_non_null(copy);
    memcpy(copy, data, size);
    sample_repair(data, size);
    assert_memory_equal(data, copy, size);
    sample_section(data, FZ_SECTION_WEIGHTS)[100] ^= 1;
    assert_int_equal(read_file(data, size), FZ_E_FORMAT);
    sample_repair(data, size);
    assert_int_equal(read_file(data, size), FZ_OK);
    fzi_free(data);
    fzi_free(copy);
}

/* Sources that the reader would refuse are refused by it: the writer copies what it is given. */
static void test_nesting(void **state) {
    (void)state;
    enum { N = 70 };
    struct fz_plan_source source = sample_source(0);
    static struct fz_plan_block blocks[N];
    blocks[0] = source.plan.blocks[0];
    for (uint32_t b = 1; b < N; b++) blocks[b] = (struct fz_plan_block){b - 1, 0, 0, 0, 0, 0, 0};
    source.plan.blocks = blocks;
    source.plan.n_blocks = N;
    size_t size;
    int fd = memfd_create("deep", 0);
    assert_int_equal(fzi_artifact_write(&source, fd, NULL, NULL, NULL), FZ_OK);
    uint8_t *data = sample_read(fd, &size);
    assert_int_equal(read_file(data, size), FZ_E_FORMAT);
    assert_non_null(strstr(fzi_error_text(), "nested more than"));
    fzi_free(data);
    close(fd);
}

/* ---- the parts of a file */

static void test_front_and_back(void **state) {
    (void)state;
    size_t size;
    struct image image = {0};
    uint8_t *data = must_file(SAMPLE_BIG | SAMPLE_ONNX, &size);
    assert_int_equal(fzi_artifact_head(data, size, &image.info), FZ_OK);
    assert_int_equal(fzi_artifact_head(data, size + 1, &image.info), FZ_E_FORMAT);
    size_t front = image.info.front_size;
    uint8_t *a = fzi_alloc_aligned(front), *b = fzi_alloc_aligned(size - front);
    assert_true(a && b && front < size);
    memcpy(a, data, front);
    memcpy(b, data + front, size - front);
    if (FZ_BIG_ENDIAN) {
        assert_int_equal(fzi_artifact_read(a, front, b, NULL, &image.plan, &image.info),
                         FZ_E_UNSUPPORTED);
        fzi_free(a), fzi_free(b), fzi_free(data);
        return;
    }
    b[100] ^= 4; /* is not looked at yet */
    assert_int_equal(fzi_artifact_read(a, front, b, NULL, &image.plan, &image.info), FZ_OK);
    assert_ptr_equal(image.plan.weights, b);
    uint64_t first, count, last = image.info.n_blocks - 1;
    fzi_artifact_weight_blocks(&image.info, 64, 120000, &first, &count);
    assert_int_equal(first, image.info.n_front_blocks);
    assert_int_equal(count, 2);
    assert_int_equal(fzi_artifact_check_block(&image.info, first), FZ_E_CORRUPT);
    assert_int_equal(fzi_artifact_check_block(&image.info, last), FZ_OK);
    assert_int_equal(fzi_artifact_verify(&image.info, NULL, NULL), FZ_E_CORRUPT);
    b[100] ^= 4;
    uint8_t digest[32], expected[32];
    assert_int_equal(fzi_artifact_verify(&image.info, NULL, digest), FZ_OK);
    fzi_sha256(data, size, expected);
    assert_memory_equal(digest, expected, 32);
    expected[31] ^= 1;
    assert_int_equal(fzi_artifact_verify(&image.info, expected, NULL), FZ_E_CORRUPT);
    fzi_artifact_weight_blocks(&image.info, 65535, 2, &first, &count);
    assert_int_equal(count, 2);
    fzi_artifact_weight_blocks(&image.info, 65536, 65536, &first, &count);
    assert_int_equal(first, image.info.n_front_blocks + 1);
    assert_int_equal(count, 1);
    fzi_free(a), fzi_free(b), fzi_free(data);
}

/* Section digests are not compared at open, but by verify. */
static void test_section_digest(void **state) {
    (void)state;
    size_t size;
    struct image image;
    for (uint32_t k = 0; k < FZ_SECTIONS_MIN; k++) {
        uint8_t *data = must_file(SAMPLE_BIG, &size);
        ((struct fz_file_header *)data)->sections[k].sha256[k] ^= 1;
        sample_repair_checksums(data, size);
        assert_int_equal(open_file(data, size, &image), FZ_OK);
        assert_int_equal(fzi_artifact_verify(&image.info, NULL, NULL), FZ_E_CORRUPT);
        assert_non_null(strstr(fzi_error_text(), fzi_format_name(k + 1)));
        fzi_free(data);
    }
}

/* ---- byte order */

/* Swapping every section turns the plan's numbers round, in any cuts, and twice gives the file. */
static void test_swap(void **state) {
    (void)state;
    size_t size;
    struct fz_layout layout;
    struct fz_plan_source source = sample_source(SAMPLE_BIG | SAMPLE_ONNX);
    uint8_t *data = must_file(SAMPLE_BIG | SAMPLE_ONNX, &size), *copy = fzi_alloc_aligned(size);
    assert_non_null(copy);
    memcpy(copy, data, size);
    assert_int_equal(fzi_format_header(data, &layout, NULL), FZ_OK);
    fzi_format_swap_range(&layout, source.plan.consts, source.plan.n_consts, data, 0, size);
    uint32_t args[2];
    int64_t dim;
    float weight;
    memcpy(args, sample_section(data, FZ_SECTION_ARGS) + 4, 8);
    memcpy(&dim, sample_section(data, FZ_SECTION_DIMS) + 16, 8);
    memcpy(&weight, sample_section(data, FZ_SECTION_WEIGHTS) + 40, 4);
    /* Read as the file has it, a number is turned round by the swap. */
    assert_int_equal(fzi_le32(args[0]), __builtin_bswap32(source.plan.args[1]));
    assert_int_equal(fzi_le64((uint64_t)dim), __builtin_bswap64(4));
    uint32_t bits = 0, expected = 0x40200000; /* 10 * 0.25f */
    memcpy(&bits, &weight, 4);
    assert_int_equal(fzi_le32(bits), __builtin_bswap32(expected));
    assert_memory_equal(sample_section(data, FZ_SECTION_STRINGS), source.plan.strings, 10);
    assert_memory_equal(sample_section(data, FZ_SECTION_TABLES) + 64, source.const_data[1], 5);
    for (size_t off = 0; off < size; off += FZ_PAGE)
        fzi_format_swap_range(&layout, source.plan.consts, source.plan.n_consts, data + off, off,
                              FZ_PAGE);
    assert_memory_equal(data, copy, size);
    fzi_free(data);
    fzi_free(copy);
}

/* ---- writing fails */

static int cancel_at_half(void *context, double done) {
    double *last = context;
    assert_true(done >= *last && done <= 1);
    *last = done;
    return done > 0.5;
}

static void test_cancel(void **state) {
    (void)state;
    struct fz_plan_source source = sample_source(SAMPLE_BIG);
    double last = 0;
    uint8_t digest[32];
    int fd = memfd_create("cancel", 0);
    assert_int_equal(fzi_artifact_write(&source, fd, digest, cancel_at_half, &last),
                     FZ_E_CANCELLED);
    close(fd);
}

static void test_full_disk(void **state) {
    (void)state;
    struct fz_plan_source source = sample_source(SAMPLE_BIG);
    struct rlimit old, limit;
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    signal(SIGXFSZ, SIG_IGN);
    int fd = memfd_create("full", 0), bad = open("/dev/null", O_WRONLY);
    size_t size;
    fzi_free(must_file(SAMPLE_BIG, &size));
    for (rlim_t n = 0; n < size + 20000; n += 10007) {
        assert_int_equal(ftruncate(fd, 0), 0);
        limit.rlim_cur = n;
        setrlimit(RLIMIT_FSIZE, &limit);
        fz_status_t status = fzi_artifact_write(&source, fd, NULL, NULL, NULL);
        setrlimit(RLIMIT_FSIZE, &old);
        assert_int_equal(status, n < size ? FZ_E_IO : FZ_OK);
    }
    assert_int_equal(fzi_artifact_write(&source, bad, NULL, NULL, NULL), FZ_E_IO);
    assert_int_equal(fzi_artifact_write(&source, -1, NULL, NULL, NULL), FZ_E_IO);
    close(fd);
    close(bad);
}

/* The linker sends the library's calls here (-Wl,--wrap), under the name that the C library's
 * headers give them. */
static unsigned disturb, n_disturbed; /* disturb 0: not at all */

static bool interrupted(size_t *size) {
    if (disturb == 0) return false;
    n_disturbed++;
    disturb = disturb * 1103515245u + 12345u;
    errno = EINTR;
    if (disturb >> 16 & 1) return true;
    if (*size > 1) *size = 1 + (disturb >> 17) % *size;
    return false;
}

#define WRAP(name, number, data_type)                                                              \
    ssize_t __wrap_##name(int fd, data_type *data, size_t size, off_t off);                        \
    ssize_t __wrap_##name(int fd, data_type *data, size_t size, off_t off) {                       \
        return interrupted(&size) ? -1 : syscall(number, fd, data, size, off);                     \
    }
WRAP(pread, SYS_pread64, void)
WRAP(pread64, SYS_pread64, void)
WRAP(pwrite, SYS_pwrite64, const void)
WRAP(pwrite64, SYS_pwrite64, const void)

static void test_short_writes(void **state) {
    (void)state;
    struct fz_plan_source source = sample_source(SAMPLE_BIG | SAMPLE_ONNX);
    size_t size, again;
    uint8_t digest[32], expected[32];
    uint8_t *data = must_file(SAMPLE_BIG | SAMPLE_ONNX, &size);
    int fd = memfd_create("short", 0);
    disturb = 1;
    assert_int_equal(fzi_artifact_write(&source, fd, digest, NULL, NULL), FZ_OK);
    disturb = 0;
    assert_true(n_disturbed > 50);
    uint8_t *other = sample_read(fd, &again);
    assert_int_equal(size, again);
    assert_memory_equal(data, other, size);
    fzi_sha256(data, size, expected);
    assert_memory_equal(digest, expected, 32);
    close(fd);
    fzi_free(data);
    fzi_free(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_deterministic),
        cmocka_unit_test(test_every_bit),      cmocka_unit_test(test_bits_of_weights),
        cmocka_unit_test(test_every_length),   cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_repair),         cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_front_and_back), cmocka_unit_test(test_section_digest),
        cmocka_unit_test(test_swap),           cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_full_disk),      cmocka_unit_test(test_short_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
