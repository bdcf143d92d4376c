/* SHA-256 as FIPS 180-4 defines it, and the choice between it and libcrypto's. */
#include "base/sha256.h"

struct __attribute__((may_alias)) portable {
    uint32_t state[8];
    uint64_t size;     /* bytes so far */
    uint8_t block[64]; /* the last size % 64 of them */
};
_Static_assert(sizeof(struct portable) <= sizeof(struct fz_sha256), "a digest needs more space");

static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }

/* Four bytes, the first one highest. */
static uint32_t load(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* One block: 64 rounds over the message schedule w. */
static void compress(uint32_t state[8], const uint8_t *block) {
    uint32_t w[64], s[8];
    for (int i = 0; i < 16; i++) w[i] = load(block + 4 * i);
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[i - 7] +
               (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
    }
    memcpy(s, state, sizeof s);
    /* The names a to h move by one place a round; unrolling by 8 turns that into registers. */
    for (int i = 0; i < 64; i += 8) {
        for (int j = 0; j < 8; j++) {
            uint32_t a = s[-j & 7], b = s[(1 - j) & 7], c = s[(2 - j) & 7];
            uint32_t e = s[(4 - j) & 7], f = s[(5 - j) & 7], g = s[(6 - j) & 7];
            uint32_t t = s[(7 - j) & 7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
                         ((e & f) ^ (~e & g)) + constants[i + j] + w[i + j];
            s[(3 - j) & 7] += t;
            s[(7 - j) & 7] =
                t + (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        }
    }
    for (int i = 0; i < 8; i++) state[i] += s[i];
}

void fzi_sha256_portable_init(struct fz_sha256 *hash) {
    struct portable *p = (struct portable *)hash;
    memcpy(p->state, start, sizeof start);
    p->size = 0;
}

/* Whole blocks are taken where they lie, pieces are gathered. */
void fzi_sha256_portable_update(struct fz_sha256 *hash, const void *data, size_t size) {
    struct portable *p = (struct portable *)hash;
    const uint8_t *from = data;
    while (size > 0) {
        size_t used = p->size % 64, n = 64 - used < size ? 64 - used : size;
        if (n == 64) {
            compress(p->state, from);
        } else {
            memcpy(p->block + used, from, n);
            if (used + n == 64) compress(p->state, p->block);
        }
        p->size += n;
        from += n;
        size -= n;
    }
}

void fzi_sha256_portable_final(struct fz_sha256 *hash, uint8_t out[32]) {
    struct portable *p = (struct portable *)hash;
    static const uint8_t padding[64] = {0x80};
    uint8_t bits[8];
    for (int i = 0; i < 8; i++) bits[i] = (uint8_t)(p->size * 8 >> (56 - 8 * i));
    /* The bit count ends a block: pad to 56 bytes modulo 64, at least the one byte 0x80. */
    fzi_sha256_portable_update(hash, padding, 1 + (119 - p->size % 64) % 64);
    fzi_sha256_portable_update(hash, bits, 8);
    for (int i = 0; i < 32; i++) out[i] = (uint8_t)(p->state[i / 4] >> (24 - 8 * (i % 4)));
}

#ifdef FZ_HAVE_CRYPTO
/* The low-level functions, for the EVP ones allocate; they are deprecated only in name. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
_Static_assert(sizeof(SHA256_CTX) <= sizeof(struct fz_sha256), "a digest needs more space");

void fzi_sha256_init(struct fz_sha256 *hash) { SHA256_Init((SHA256_CTX *)hash); }

void fzi_sha256_update(struct fz_sha256 *hash, const void *data, size_t size) {
    if (size > 0) SHA256_Update((SHA256_CTX *)hash, data, size);
}

void fzi_sha256_final(struct fz_sha256 *hash, uint8_t out[32]) {
    SHA256_Final(out, (SHA256_CTX *)hash);
}
#else
void fzi_sha256_init(struct fz_sha256 *hash) { fzi_sha256_portable_init(hash); }

void fzi_sha256_update(struct fz_sha256 *hash, const void *data, size_t size) {
    fzi_sha256_portable_update(hash, data, size);
}

void fzi_sha256_final(struct fz_sha256 *hash, uint8_t out[32]) {
    fzi_sha256_portable_final(hash, out);
}
#endif

void fzi_sha256(const void *data, size_t size, uint8_t out[32]) {
    struct fz_sha256 hash;
    fzi_sha256_init(&hash);
    fzi_sha256_update(&hash, data, size);
    fzi_sha256_final(&hash, out);
}

void fzi_sha256_hex(const uint8_t digest[32], char hex[65]) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 32; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[64] = '\0';
}
