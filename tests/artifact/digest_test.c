/* SHA-256, CRC-32C and Philox against published answers, and their versions against each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "base/philox.h"
#include "base/sha256.h"

/* NIST's examples for FIPS 180-4 and its long message. */
static const struct {
    const char *text, *hex;
} vectors[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
     "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
     "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"}};
static const char million[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

static void check(const uint8_t digest[32], const char *hex) {
    char text[65];
    fzi_sha256_hex(digest, text);
    assert_string_equal(text, hex);
}

static void test_sha256(void **state) {
    (void)state;
    struct fz_sha256 hash;
    uint8_t digest[32];
    for (size_t i = 0; i < FZ_COUNT(vectors); i++) {
        size_t size = strlen(vectors[i].text);
        fzi_sha256(vectors[i].text, size, digest);
        check(digest, vectors[i].hex);
        fzi_sha256_portable_init(&hash);
        fzi_sha256_portable_update(&hash, vectors[i].text, size);
        fzi_sha256_portable_final(&hash, digest);
        check(digest, vectors[i].hex);
    }
    char a[1000];
    memset(a, 'a', sizeof a);
    struct fz_sha256 other;
    fzi_sha256_init(&hash);
    fzi_sha256_portable_init(&other);
    for (int i = 0; i < 1000; i++) {
        fzi_sha256_update(&hash, a, sizeof a);
        fzi_sha256_portable_update(&other, a, sizeof a);
    }
    fzi_sha256_final(&hash, digest);
    check(digest, million);
    fzi_sha256_portable_final(&other, digest);
    check(digest, million);
}

/* Every length around the block size, in two pieces cut anywhere. */
static void test_sha256_pieces(void **state) {
    (void)state;
    uint8_t data[200], a[32], b[32];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 7 + 3);
    for (size_t n = 0; n <= sizeof data; n++) {
        fzi_sha256(data, n, a);
        for (size_t cut = 0; cut <= n; cut += 1 + n / 13) {
            struct fz_sha256 hash;
            fzi_sha256_portable_init(&hash);
            fzi_sha256_portable_update(&hash, data, cut);
            fzi_sha256_portable_update(&hash, data + cut, n - cut);
            fzi_sha256_portable_final(&hash, b);
            assert_memory_equal(a, b, 32);
        }
    }
}

static uint32_t bitwise(uint32_t crc, const uint8_t *data, size_t size) {
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int b = 0; b < 8; b++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

static void test_crc32c(void **state) {
    (void)state;
    static uint8_t data[70000];
    /* RFC 3720, B.4. */
    assert_int_equal(fzi_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(fzi_crc32c(0, data, 32), 0x8a9136aa);
    memset(data, 255, 32);
    assert_int_equal(fzi_crc32c(0, data, 32), 0x62a8ab43);
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * i >> 5 ^ i);
    for (size_t n = 0; n < sizeof data - 8; n += n < 300 ? 1 : 1361) {
        uint32_t start = (uint32_t)n * 2654435761u;
        uint32_t expected = bitwise(start, data + n % 8, n);
        assert_int_equal(fzi_crc32c_portable(start, data + n % 8, n), expected);
        assert_int_equal(fzi_crc32c(start, data + n % 8, n), expected);
        uint32_t first = fzi_crc32c(start, data + n % 8, n / 3);
        assert_int_equal(fzi_crc32c(first, data + n % 8 + n / 3, n - n / 3), expected);
    }
}

/* The known answers that the authors' Random123 library is tested with. */
static void test_philox(void **state) {
    (void)state;
    static const struct {
        uint64_t seed, stream, counter;
        uint32_t out[4];
    } known[] = {
        {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88,
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
    for (size_t i = 0; i < FZ_COUNT(known); i++) {
        uint32_t out[4];
        fzi_philox(known[i].seed, known[i].stream, known[i].counter, out);
        assert_memory_equal(out, known[i].out, sizeof out);
    }
    assert_true(fzi_philox_unit(0) == -1.0f);
    assert_true(fzi_philox_unit(UINT32_MAX) == 1.0f - 0x1p-23f);
    assert_true(fzi_philox_unit(0x80000000) == 0.0f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256), cmocka_unit_test(test_sha256_pieces),
        cmocka_unit_test(test_crc32c), cmocka_unit_test(test_philox)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
