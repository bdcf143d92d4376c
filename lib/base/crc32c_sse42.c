/* CRC-32C by the crc32 instruction of x86. It has a latency of three cycles and starts one every
 * cycle, so three parts of the data are summed side by side and then joined. */
#include "base/crc32c.h"

#include <immintrin.h>

/* Bytes: three parts fit 64 KiB blocks 17 times with 256 bytes left. AHEAD: new weights come from
 * memory, which the CPU's own fetching does not keep up with: three parts of a page at a time are
 * not the one stream that it looks for. Asked for that early, they come 2.2 times as fast. */
enum { PART = 1280, LINE = 64, AHEAD = 8192 };

/* x^(8 n - 33) modulo the polynomial, bit-reversed, for n = PART and n = 2 PART. */
static const uint32_t shift_one = 0xdd66cbbb, shift_two = 0x22c3799f;

static inline uint64_t load(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}

/* Moves remainder CRC over n zero bytes: the carry-less product with x^(8 n - 33) is one bit short
 * of a shift by 8 n - 32, and the instruction itself shifts its 64 bits by the other 32. */
static inline uint32_t shift(uint64_t crc, uint32_t factor) {
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)crc),
                                           _mm_cvtsi32_si128((int)factor), 0);
    return (uint32_t)_mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

/* An address, which may lie behind the data: fetching ahead never faults. */
static inline void fetch(const uint8_t *p) {
    _mm_prefetch((const void *)((uintptr_t)p + AHEAD), _MM_HINT_T1);
}

/* Adds the line at P of each of three parts to their remainders. */
static inline void add_lines(const uint8_t *p, uint64_t crc[3]) {
    for (int part = 0; part < 3; part++) fetch(p + part * PART);
    for (size_t i = 0; i < LINE; i += 8) {
        crc[0] = _mm_crc32_u64(crc[0], load(p + i));
        crc[1] = _mm_crc32_u64(crc[1], load(p + i + PART));
        crc[2] = _mm_crc32_u64(crc[2], load(p + i + 2 * PART));
    }
}

uint32_t fzi_crc32c_sse42(uint32_t crc, const void *data, size_t size) {
    const uint8_t *p = data;
    uint64_t a = ~crc;
    for (; size >= 3 * PART; p += 3 * PART, size -= 3 * PART) {
        uint64_t parts[3] = {a, 0, 0};
        for (size_t i = 0; i < PART; i += LINE) add_lines(p + i, parts);
        a = shift(parts[0], shift_two) ^ shift(parts[1], shift_one) ^ (uint32_t)parts[2];
    }
    for (; size >= 8; p += 8, size -= 8) a = _mm_crc32_u64(a, load(p));
    for (; size > 0; p++, size--) a = _mm_crc32_u8((uint32_t)a, *p);
    return ~(uint32_t)a;
}
