/* CRC-32C by the crc32 instruction of x86. It has a latency of three cycles and starts one every
 * cycle, so three parts of the data are summed side by side and then joined. */
#include "base/crc32c.h"

#include <immintrin.h>

enum { PART = 1360 }; /* bytes; three parts fit 64 KiB blocks 16 times with 256 bytes left */

/* x^(8 n - 33) modulo the polynomial, bit-reversed, for n = PART and n = 2 PART. */
static const uint32_t shift_one = 0x3f70cc6f, shift_two = 0x5aa1f3cf;

static uint64_t load(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}

/* Moves remainder CRC over n zero bytes: the carry-less product with x^(8 n - 33) is one bit short
 * of a shift by 8 n - 32, and the instruction itself shifts its 64 bits by the other 32. */
static uint32_t shift(uint64_t crc, uint32_t factor) {
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)crc),
                                           _mm_cvtsi32_si128((int)factor), 0);
    return (uint32_t)_mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

uint32_t fzi_crc32c_sse42(uint32_t crc, const void *data, size_t size) {
    const uint8_t *p = data;
    uint64_t a = ~crc;
    for (; size >= 3 * PART; p += 3 * PART, size -= 3 * PART) {
        uint64_t b = 0, c = 0;
        for (size_t i = 0; i < PART; i += 8) {
            a = _mm_crc32_u64(a, load(p + i));
            b = _mm_crc32_u64(b, load(p + i + PART));
            c = _mm_crc32_u64(c, load(p + i + 2 * PART));
        }
        a = shift(a, shift_two) ^ shift(b, shift_one) ^ (uint32_t)c;
    }
    for (; size >= 8; p += 8, size -= 8) a = _mm_crc32_u64(a, load(p));
    for (; size > 0; p++, size--) a = _mm_crc32_u8((uint32_t)a, *p);
    return ~(uint32_t)a;
}
