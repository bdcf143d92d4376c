/* The elementwise functions that look into tables, for AVX2. */
#include "functions_avx2.h"

#define NAME fzk_unary_f32_avx2
#define REST fzk_unary_f32_v3
#include "tiles/unary_f32_tile.h"
