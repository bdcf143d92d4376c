/* The depthwise float convolution for AVX2 and FMA: 8 channels, tiles of 2 x 4 outputs. */
#include <immintrin.h>

#include "x86.h"

FZK_INLINE __m256i first(int64_t n) {
    const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), index);
}

#define VEC __m256
#define MASK __m256i
#define LOAD(p, mask) _mm256_maskload_ps(p, mask)
#define LOAD_WHOLE(p) _mm256_loadu_ps(p)
#define STORE(p, mask, v) _mm256_maskstore_ps(p, mask, v)
/* Masked stores are slow on some CPUs, and masked loads take an instruction of their own. */
#define TILE_LOAD(p, mask) _mm256_loadu_ps(p)
#define TILE_STORE(p, mask, v) _mm256_storeu_ps(p, v)
#define TILE_MASKED 0
#define FIRST(n) first(n)
#define SPLAT(x) _mm256_set1_ps(x)
#define ZERO() _mm256_setzero_ps()
#define ADD(a, b) _mm256_add_ps(a, b)
#define FMADD(a, b, c) _mm256_fmadd_ps(a, b, c)
#define MIN(a, b) _mm256_min_ps(a, b)
#define MAX(a, b) _mm256_max_ps(a, b)
#define MEMORY_OPERANDS 1
enum { LANES = 8, PIXELS = 4 };

#define FINISH fzk_finish_f32_v3

#include "tiles/dwconv_f32_tile.h"

void fzk_dwconv_f32_avx2(const struct fzk_dwconv_f32 *d) { dwconv(d); }
