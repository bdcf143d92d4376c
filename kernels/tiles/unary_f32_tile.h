/* unary_f32 of the functions of functions_tile.h; the others are those of c/. The including file
 * defines NAME, this kernel, and REST, the one compiled from c/. */
#include "functions_tile.h"
#include "kernels.h"

/* One loop per function; EXPRESSION of x, a, b. */
#define LOOP(name, expression)                                                                     \
    static void loop_##name(float *out, const float *in, int64_t n, float a, float b) {            \
        (void)a, (void)b;                                                                          \
        FZK_NO_UNROLL                                                                              \
        for (; n >= WIDE_LANES; n -= WIDE_LANES, in += WIDE_LANES, out += WIDE_LANES) {            \
            wide x = w_load(in, WIDE_LANES);                                                       \
            w_store(out, expression, WIDE_LANES);                                                  \
        }                                                                                          \
        if (n > 0) {                                                                               \
            wide x = w_load(in, n);                                                                \
            w_store(out, expression, n);                                                           \
        }                                                                                          \
    }
LOOP(exp, w_exp(x))
LOOP(tanh, w_tanh(x))
LOOP(erf, w_erf(x))
LOOP(sigmoid, w_sigmoid(x))
LOOP(gelu, w_gelu(x))
LOOP(gelu_tanh, w_gelu_tanh(x))
LOOP(silu, w_silu(x))
LOOP(mish, w_mish(x))
LOOP(swish, w_mul(x, w_sigmoid(w_mul(w_set(a), x))))
LOOP(scaled_tanh, w_mul(w_set(a), w_tanh(w_mul(w_set(b), x))))

void NAME(int32_t fn, float *y, const float *x, int64_t n, float a, float b) {
    switch (fn) {
    case FZK_FN_EXP: loop_exp(y, x, n, a, b); return;
    case FZK_FN_TANH: loop_tanh(y, x, n, a, b); return;
    case FZK_FN_ERF: loop_erf(y, x, n, a, b); return;
    case FZK_FN_SIGMOID: loop_sigmoid(y, x, n, a, b); return;
    case FZK_FN_GELU: loop_gelu(y, x, n, a, b); return;
    case FZK_FN_GELU_TANH: loop_gelu_tanh(y, x, n, a, b); return;
    case FZK_FN_SILU: loop_silu(y, x, n, a, b); return;
    case FZK_FN_MISH: loop_mish(y, x, n, a, b); return;
    case FZK_FN_SWISH: loop_swish(y, x, n, a, b); return;
    case FZK_FN_SCALED_TANH: loop_scaled_tanh(y, x, n, a, b); return;
    default: REST(fn, y, x, n, a, b);
    }
}
