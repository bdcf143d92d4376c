/* SHA-1 as FIPS 180-4 defines it. It guards against accidents, not against attackers. */
#include "import/sha1.h"

static uint32_t rotate(uint32_t x, int n) { return x << n | x >> (32 - n); }

static uint32_t big_endian(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The function and the constant of round T. */
static uint32_t mix(int t, uint32_t b, uint32_t c, uint32_t d) {
    if (t < 20) return ((b & c) | (~b & d)) + 0x5A827999;
    if (t < 40) return (b ^ c ^ d) + 0x6ED9EBA1;
    if (t < 60) return ((b & c) | (b & d) | (c & d)) + 0x8F1BBCDC;
    return (b ^ c ^ d) + 0xCA62C1D6;
}

/* One round over 64 bytes. */
static void block(uint32_t state[5], const uint8_t *data) {
    uint32_t w[80];
    for (int t = 0; t < 16; t++) w[t] = big_endian(data + 4 * t);
    for (int t = 16; t < 80; t++) w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int t = 0; t < 80; t++) {
        uint32_t next = rotate(a, 5) + mix(t, b, c, d) + e + w[t];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

void fzi_sha1(const void *data, size_t size, uint8_t out[20]) {
    uint32_t state[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    const uint8_t *p = data;
    size_t rest = size;
    for (; rest >= 64; rest -= 64, p += 64) block(state, p);
    /* The end: a one bit, zeros, and the length in bits as 64-bit big-endian number. */
    uint8_t tail[128] = {0};
    size_t tail_size = rest < 56 ? 64 : 128;
    if (rest) memcpy(tail, p, rest);
    tail[rest] = 0x80;
    for (int i = 0; i < 8; i++) tail[tail_size - 1 - i] = (uint8_t)((uint64_t)size * 8 >> (8 * i));
    for (size_t i = 0; i < tail_size; i += 64) block(state, tail + i);
    for (int i = 0; i < 20; i++) out[i] = (uint8_t)(state[i / 4] >> (24 - i % 4 * 8));
}
