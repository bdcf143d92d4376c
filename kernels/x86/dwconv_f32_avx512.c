/* The depthwise float convolution for AVX-512: 16 channels, tiles of 2 x 7 outputs. */
#include <immintrin.h>

#include "x86.h"

#define VEC __m512
#define MASK __mmask16
#define LOAD(p, mask) _mm512_maskz_loadu_ps(mask, p)
#define LOAD_WHOLE(p) _mm512_loadu_ps(p)
#define STORE(p, mask, v) _mm512_mask_storeu_ps(p, mask, v)
#define TILE_LOAD LOAD
#define TILE_STORE STORE
#define TILE_MASKED 1
#define FIRST(n) ((MASK)((1u << (n)) - 1))
#define SPLAT(x) _mm512_set1_ps(x)
#define ZERO() _mm512_setzero_ps()
#define ADD(a, b) _mm512_add_ps(a, b)
#define FMADD(a, b, c) _mm512_fmadd_ps(a, b, c)
#define MIN(a, b) _mm512_min_ps(a, b)
#define MAX(a, b) _mm512_max_ps(a, b)
#define MEMORY_OPERANDS 1
enum { LANES = 16, PIXELS = 7 };

#define FINISH fzk_finish_f32_v4

#include "tiles/dwconv_f32_tile.h"

void fzk_dwconv_f32_avx512(const struct fzk_dwconv_f32 *d) { dwconv(d); }
