/* 8- and 4-bit floats: codes to values and back. */
#include "ops/small.h"

#include "tensor/tensor.h"

/* A sign, EXPONENT bits, MANTISSA bits. The least normal number is 2^E_MIN. */
struct form {
    int mantissa, e_min;
    uint8_t sign; /* the sign bit */
    uint8_t most; /* the code of the largest finite number */
    uint8_t inf;  /* 0: there is none */
    uint8_t nan;  /* 0: there is none */
    bool zero;    /* no -0 */
};

static const struct form *form_of(int32_t dtype) {
    static const struct form e4m3fn = {3, -6, 0x80, 0x7E, 0, 0x7F, false};
    static const struct form e4m3fnuz = {3, -7, 0x80, 0x7F, 0, 0x80, true};
    static const struct form e5m2 = {2, -14, 0x80, 0x7B, 0x7C, 0x7E, false};
    static const struct form e5m2fnuz = {2, -15, 0x80, 0x7F, 0, 0x80, true};
    static const struct form e2m1 = {1, 0, 0x08, 0x07, 0, 0, false};
    switch (dtype) {
    case FZ_TYPE_F8E4M3FN: return &e4m3fn;
    case FZ_TYPE_F8E4M3FNUZ: return &e4m3fnuz;
    case FZ_TYPE_F8E5M2: return &e5m2;
    case FZ_TYPE_F8E5M2FNUZ: return &e5m2fnuz;
    case FZ_TYPE_F4E2M1: return &e2m1;
    default: return NULL;
    }
}

bool fzi_small_is_float(int32_t dtype) { return form_of(dtype) || dtype == FZ_TYPE_F8E8M0; }

bool fzi_small_is_int(int32_t dtype) {
    return dtype == FZ_TYPE_I4 || dtype == FZ_TYPE_U4 || dtype == FZ_TYPE_I2 ||
           dtype == FZ_TYPE_U2;
}

/* 2^e for normal e. */
static double power_of_two(int e) {
    uint64_t bits = (uint64_t)(e + 1023) << 52;
    double x;
    memcpy(&x, &bits, 8);
    return x;
}

/* floor(log2(x)) of a float that is finite and not 0: as a double it is normal. */
static int exponent_of(float x) {
    double wide = (double)x;
    uint64_t bits;
    memcpy(&bits, &wide, 8);
    return (int)(bits >> 52 & 0x7FF) - 1023;
}

float fzi_small_decode(int32_t dtype, uint8_t code) {
    if (dtype == FZ_TYPE_F8E8M0)
        return code == 0xFF ? __builtin_nanf("") : (float)power_of_two(code - 127);
    const struct form *f = form_of(dtype);
    uint8_t size = code & (uint8_t)(f->sign - 1);
    float sign = code & f->sign ? -1.0f : 1.0f;
    if (f->inf && size == f->inf) return sign * __builtin_inff();
    if (size > f->most || (f->zero && code == f->nan)) return __builtin_nanf("");
    int e = size >> f->mantissa, m = size & ((1 << f->mantissa) - 1);
    if (e) m += 1 << f->mantissa, e--;
    return sign * (float)((double)m * power_of_two(e + f->e_min - f->mantissa));
}

/* Powers of two only: negative numbers and NaN have no code but 255. */
static uint8_t encode_e8m0(float x, bool saturate, int64_t round_mode) {
    if (!(x >= 0)) return 0xFF;
    if (x == 0) return saturate ? 0 : 0xFF;
    if (x == __builtin_inff()) return saturate ? 254 : 0xFF;
    int e = exponent_of(x);
    double fraction = (double)x / power_of_two(e);
    double least = round_mode == FZ_SMALL_UP ? 0x1.0000000000001p0 : 1.5;
    if (round_mode != FZ_SMALL_DOWN && fraction >= least) e++;
    if (e > 127) return saturate ? 254 : 0xFF;
    if (e < -127) return saturate ? 0 : 0xFF;
    return (uint8_t)(e + 127);
}

/* Round half to even of a small number that is not negative. */
static int round_even(double x) {
    int n = (int)x;
    double rest = x - n;
    return n + (rest > 0.5 || (rest == 0.5 && (n & 1)));
}

/* The code of a finite size; above FORM's most if it is too large. */
static int encode_size(const struct form *f, float size) {
    if (size == 0) return 0;
    int e = exponent_of(size);
    if (e < f->e_min) e = f->e_min;
    if (e > 64) return 0x1000;
    /* A mantissa that rounds up to the next power carries into the exponent by itself. */
    int q = round_even((double)size * power_of_two(f->mantissa - e));
    return ((e - f->e_min) << f->mantissa) + q;
}

uint8_t fzi_small_encode(int32_t dtype, float x, bool saturate, int64_t round_mode) {
    if (dtype == FZ_TYPE_F8E8M0) return encode_e8m0(x, saturate, round_mode);
    const struct form *f = form_of(dtype);
    if (x != x) return f->nan;
    uint8_t sign = __builtin_signbit(x) ? f->sign : 0;
    float size = __builtin_fabsf(x);
    int code = size == __builtin_inff() ? 0x1000 : encode_size(f, size);
    if (code <= f->most) return (uint8_t)(f->zero && code == 0 ? 0 : sign | code);
    if (saturate || (!f->inf && !f->nan)) return sign | f->most;
    return f->inf ? sign | f->inf : f->nan;
}
