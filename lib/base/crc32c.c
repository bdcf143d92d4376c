/* CRC-32C by eight tables, and the choice between them and the CPU's instruction. */
#include "base/crc32c.h"

#if defined(__x86_64__) && __has_include(<sys/platform/x86.h>)
#include <cpuid.h>
#include <sys/platform/x86.h>
#endif

/* A table entry is linear in its index: E adds up the entries of the index's single bits, 1, 2, 4
 * ... 128. Those of table k are x^(8k+39) down to x^(8k+32) modulo the polynomial, bit-reversed. */
#define E(i, a, b, c, d, e, f, g, h)                                                               \
    (((i) & 1 ? a : 0) ^ ((i) & 2 ? b : 0) ^ ((i) & 4 ? c : 0) ^ ((i) & 8 ? d : 0) ^               \
     ((i) & 16 ? e : 0) ^ ((i) & 32 ? f : 0) ^ ((i) & 64 ? g : 0) ^ ((i) & 128 ? h : 0))
#define E4(i, ...)                                                                                 \
    E(i, __VA_ARGS__), E(i + 1, __VA_ARGS__), E(i + 2, __VA_ARGS__), E(i + 3, __VA_ARGS__)
#define E16(i, ...)                                                                                \
    E4(i, __VA_ARGS__), E4(i + 4, __VA_ARGS__), E4(i + 8, __VA_ARGS__), E4(i + 12, __VA_ARGS__)
#define E64(i, ...)                                                                                \
    E16(i, __VA_ARGS__), E16(i + 16, __VA_ARGS__), E16(i + 32, __VA_ARGS__),                       \
        E16(i + 48, __VA_ARGS__)
#define TABLE(...)                                                                                 \
    {E64(0, __VA_ARGS__), E64(64, __VA_ARGS__), E64(128, __VA_ARGS__), E64(192, __VA_ARGS__)}

/* tables[k][b]: what byte b does to the remainder when k more bytes follow it. */
static const uint32_t tables[8][256] = {
    TABLE(0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf,
          0x105ec76f, 0x20bd8ede, 0x417b1dbc, 0x82f63b78),
    TABLE(0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8,
          0x3fc5f181, 0x7f8be302, 0xff17c604, 0xfbc3faf9),
    TABLE(0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5,
          0x70a27d8a, 0xe144fb14, 0xc76580d9, 0x8b277743),
    TABLE(0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6,
          0xe964b13d, 0xd725148b, 0xaba65fe7, 0x52a0c93f),
    TABLE(0x38116fac, 0x7022df58, 0xe045beb0, 0xc5670b91,
          0x8f2261d3, 0x1ba8b557, 0x37516aae, 0x6ea2d55c),
    TABLE(0xef306b19, 0xdb8ca0c3, 0xb2f53777, 0x6006181f,
          0xc00c303e, 0x85f4168d, 0x0e045beb, 0x1c08b7d6),
    TABLE(0x68032cc8, 0xd0065990, 0xa5e0c5d1, 0x4e2dfd53,
          0x9c5bfaa6, 0x3d5b83bd, 0x7ab7077a, 0xf56e0ef4),
    TABLE(0x493c7d27, 0x9278fa4e, 0x211d826d, 0x423b04da,
          0x847609b4, 0x0d006599, 0x1a00cb32, 0x34019664),
};

static uint32_t load(const uint8_t *p) {
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Eight bytes a step: each byte's share is looked up by how many follow it. */
uint32_t fzi_crc32c_portable(uint32_t crc, const void *data, size_t size) {
    const uint8_t *p = data;
    crc = ~crc;
    for (; size >= 8; p += 8, size -= 8) {
        uint32_t low = crc ^ load(p), high = load(p + 4);
        crc = tables[7][low & 255] ^ tables[6][low >> 8 & 255] ^ tables[5][low >> 16 & 255] ^
              tables[4][low >> 24] ^ tables[3][high & 255] ^ tables[2][high >> 8 & 255] ^
              tables[1][high >> 16 & 255] ^ tables[0][high >> 24];
    }
    for (; size > 0; p++, size--) crc = crc >> 8 ^ tables[0][(crc ^ *p) & 255];
    return ~crc;
}

#if defined(__x86_64__)
/* glibc has asked the CPU when the process started. What the compiler's own test links in asks once
 * more before main, ten times, and a virtual machine traps each. */
static bool has_instructions(void) {
#if __has_include(<sys/platform/x86.h>)
    const uint32_t need = bit_SSE4_2 | bit_PCLMUL;
    return (__x86_get_cpuid_feature_leaf(CPUID_INDEX_1)->cpuid_array[2] & need) == need;
#else
    __builtin_cpu_init();
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
#endif
}
#endif

uint32_t fzi_crc32c(uint32_t crc, const void *data, size_t size) {
#if defined(__x86_64__)
    if (has_instructions()) return fzi_crc32c_sse42(crc, data, size);
#endif
    return fzi_crc32c_portable(crc, data, size);
}
