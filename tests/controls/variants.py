"""The negative controls: what each breaks, and which test has to see it.

A row is control(name, ...):
    edits      (file, regular expression, replacement) in a copy of the sources; each must match
    flags      of the compiler, after those of the build
    objects    (file, levels): what is compiled anew; levels of kernels/, or None for all there are
    program    a key of PROGRAMS, run with its arguments and CASES
    caught     a regular expression that a reported failure must match
    refused    instead: what the compiler says when it refuses to build this
    needs      a mask of CPU features (kernels.h) without which there is nothing to break
    libraries  for the linker
"""
import collections
import re

V3, AVX512VNNI = 1, 4
UPPER = 1 << 16  # not of kernels.h: tests can see the state of upper halves

Program = collections.namedtuple('Program', 'target arguments failure judge')
Control = collections.namedtuple('Control', 'name edits flags objects program cases caught refused '
                                            'needs libraries')


def differing(text):
    """Lines of tests/bits/bits whose output differs from that of the model's first run."""
    first = {}
    rows = [line.split() for line in text.split('\n') if ' out ' in line]
    return [' '.join(r) for r in rows if first.setdefault(r[0], r[2]) != r[2]] if rows else ['no runs']


PROGRAMS = {
    'kernels': Program('tests/kernels/kernels_test',
                       ['--quick', '--expect', '{root}/tests/kernels/digests.txt'], r'FAIL ', None),
    'exec': Program('tests/exec/exec_test', [], r'\[  FAILED  \] [a-z_]+$', None),
    'ops': Program('tests/ops/ops_test', [], r'(FAIL|fail)', None),
    'bits': Program('tests/bits/bits', ['--threads', '1,3', 'vit={root}/tests/data/digits/digits_vit.onnx'],
                    '', differing),
}

CONTROLS = []


def control(name, caught='', *, edits=(), flags=(), objects=(), program='kernels', cases=(), refused=None,
            needs=0, libraries=()):
    objects = [(path, tuple(levels.split()) if levels else None) for path, levels in objects]
    CONTROLS.append(Control(name, list(edits), list(flags), objects, program, list(cases), caught, refused,
                            needs, list(libraries)))


def digest_of(case):
    """The case's digest differs from the committed one."""
    return 'FAIL %s: digest ' % re.escape(case)


def element_of(case):
    """A version differs from the baseline, by memcmp."""
    return r'FAIL %s \[.*\].*: element ' % re.escape(case)


def oracle_of(case):
    """The case's own scalar loop, or a known value, contradicts."""
    return r'FAIL %s \[.*\].*instead of' % re.escape(case)


NO_ERROR = ('kernels/kernel.h', r'#error "the bits[^\n]*', '')
NUMERIC = [('kernels/c/reduce_f32.c', None), ('kernels/c/softmax_f32.c', None), ('kernels/c/norm_f32.c', None)]

# ---- flags of the compiler

control('fast_math_refused', flags=['-ffast-math'], objects=[('kernels/c/reduce_f32.c', None)],
        refused='do not survive -ffast-math')
control('fast_math', r'FAIL reduce_f32/shapes ', edits=[NO_ERROR], flags=['-ffast-math'], objects=NUMERIC,
        cases=['reduce_f32/'])
control('fast_math_one_level', element_of('softmax_f32/rows'), edits=[NO_ERROR], flags=['-ffast-math'],
        objects=[('kernels/c/softmax_f32.c', 'v3')], cases=['softmax_f32/'], needs=V3)
control('fast_math_infinities', r'FAIL reduce_f32/known ', edits=[NO_ERROR], flags=['-ffast-math'],
        objects=NUMERIC, cases=['reduce_f32/known'])
control('contraction_binary64', element_of('unary_f64/bits'), flags=['-ffp-contract=fast'],
        objects=[('kernels/c/unary_f64.c', 'v3 v4')], cases=['unary_f64/'], needs=V3)
control('contraction_mul_add', element_of('unary_f32/lengths'), flags=['-ffp-contract=fast'],
        objects=[('kernels/c/unary_f32.c', 'v3')], cases=['unary_f32/'], needs=V3)
control('contraction_norm', element_of('norm_f32/rows'), flags=['-ffp-contract=fast'],
        objects=[('kernels/c/norm_f32.c', 'v3')], cases=['norm_f32/'], needs=V3)
control('contraction_intrinsics', element_of('qgemm_u8s8/small'), flags=['-ffp-contract=fast'],
        objects=[('kernels/x86/qgemm_avx2.c', None)], cases=['qgemm_u8s8/small'], needs=V3)
control('reassociation', oracle_of('reduce_f32/shapes'), objects=[('kernels/c/reduce_f32.c', None)],
        flags=['-fassociative-math', '-fno-signed-zeros', '-fno-trapping-math'], cases=['reduce_f32/'])
control('reciprocal_division', oracle_of('softmax_f32/rows'), objects=[('kernels/c/softmax_f32.c', None)],
        edits=[('kernels/c/softmax_f32.c', r'y\[i\] / s;', 'y[i] * (1 / s);')], cases=['softmax_f32/'])

# ---- the order of additions

control('k_split', oracle_of('gemm_f32/shapes'), objects=[('kernels/c/gemm_f32.c', None)],
        edits=[('kernels/c/gemm_f32.c', r'room = FZK_K_BLOCK;', 'room = g->k > 1 ? (g->k + 1) / 2 : 1;')],
        cases=['gemm_f32/'])
control('one_long_chain', oracle_of('gemm_f32/residual'), objects=[('kernels/c/gemm_f32.c', None)],
        edits=[('kernels/c/gemm_f32.c', r'room = FZK_K_BLOCK;', 'room = g->k;')], cases=['gemm_f32/'])
control('k_split_by_threads', r'vit out ', program='bits', objects=[('lib/ops/conv_body.c', None)],
        edits=[('lib/ops/conv_body.c', r'    job->env->k->gemm_f32\(&g\);\n', '''
    struct fzk_gemm_f32 whole = g;
    struct fzk_segment segment = {0};
    int64_t half = job->env->threads > 1 && v->n_segments == 1 ? geo->k / 2 : 0;
    for (int64_t j = 0; j < whole.n; j += FZK_PANEL)
        for (int part = half ? 0 : 1; part < 2; part++) {
            int64_t from = part ? half : 0;
            segment.off = v->segments[0].off;
            segment.len = part ? geo->k - half : half;
            g = whole;
            g.n = fzi_min_i64(whole.n - j, FZK_PANEL);
            if (half) g.k = segment.len, g.segments = &segment;
            g.a += from;
            g.b += j * geo->k + from * FZK_PANEL;
            g.c += j;
            if (part) g.bias = g.bias ? g.bias + j : NULL;
            else g.bias = NULL, g.clip = 0;
            if (g.residual) g.residual += j;
            if (part && half) g.residual = g.c, g.ldr = g.ldc;
            job->env->k->gemm_f32(&g);
        }
    g = whole;
''')])
control('sum_tree', oracle_of('reduce_f32/shapes'), objects=[('kernels/c/reduce_f32.c', None)],
        edits=[('kernels/c/lanes.h', r's\[l\] \+ s\[l \+ 8\]', 's[l + 8] + s[l + 4]')], cases=['reduce_f32/'])
control('sum_blocks', oracle_of('reduce_f32/shapes'), objects=[('kernels/c/reduce_f32.c', None)],
        edits=[('kernels/c/lanes.h', r'FZK_SUM_BLOCK = 256', 'FZK_SUM_BLOCK = 512')], cases=['reduce_f32/'])

# ---- operations

control('fma_rounds_twice', oracle_of('gemm_f32/shapes'), objects=[('kernels/c/gemm_f32.c', 'c')],
        edits=[('kernels/kernel.h', r'double p = \(double\)a \* \(double\)b', 'double p = (double)(a * b)')],
        cases=['gemm_f32/shapes'])
control('fma_without_odd', oracle_of('gemm_f32/rounding'), objects=[('kernels/c/gemm_f32.c', 'c')],
        edits=[('kernels/kernel.h', r'if \(finite && e != 0\.0[^;]*;', '(void)finite;')], cases=['gemm_f32/'])
control('libm_expf', digest_of('unary_f32/lengths'), objects=[('kernels/c/unary_f32.c', None)],
        edits=[('kernels/c/unary_f32.c', r'(#include "loop.h"\n)', r'\1#define f32_exp(x) __builtin_expf(x)\n')],
        libraries=['-lm'], cases=['unary_f32/lengths'])
control('maximum_drops_nan', oracle_of('maxpool_f32/shapes'), objects=[('kernels/c/pool_f32.c', None)],
        edits=[('kernels/c/extremes.h', r'x != x \? INT32_MAX : fzk_order\(x\)', 'fzk_order(x)')],
        cases=['maxpool_f32/'])
control('relu_drops_nan', oracle_of('unary_f32/known'), objects=[('kernels/c/unary_f32.c', 'c')],
        edits=[('kernels/c/functions.h', r'return 0 > x \? 0 : x;', 'return x > 0 ? x : 0;')],
        cases=['unary_f32/known'])
control('half_away_from_zero', r'FAIL requantize_u8/ties .* became ', objects=[('kernels/c/quantize.c', None)],
        edits=[('kernels/c/quantize.c', r'\(int32_t\)\(fzk_bits\(c \+ 0x1\.8p23f\) - fzk_bits\(0x1\.8p23f\)\)',
                '(int32_t)(c + (c < 0 ? -0.5f : 0.5f))')],
        cases=['requantize_u8/'])

# ---- 8-bit sums that saturate

control('saturating_maddubs', element_of('qgemm_u8s8/extremes'), needs=V3,
        objects=[('kernels/x86/qgemm_avx2.c', None)], cases=['qgemm_u8s8/'],
        edits=[('kernels/x86/qgemm_avx2.c', r'struct qa \{ vi even, odd; \};', 'struct qa { vi even, odd, x; };'),
               ('kernels/x86/qgemm_avx2.c', r'struct qb \{ vi even, odd; \};', 'struct qb { vi even, odd, x; };'),
               ('kernels/x86/qgemm_avx2.c', r'_mm256_srli_epi16\(x, 8\)\}', '_mm256_srli_epi16(x, 8), x}'),
               ('kernels/x86/qgemm_avx2.c', r'_mm256_srai_epi16\(x, 8\)\};', '_mm256_srai_epi16(x, 8), x};'),
               ('kernels/x86/qgemm_avx2.c', r'vi_set\(\(int32_t\)pair\[1\]\)\}',
                'vi_set((int32_t)pair[1]), vi_set((int32_t)(pair[0] | pair[1] << 8))}'),
               ('kernels/x86/qgemm_avx2.c', r'acc = vi_add\(acc, _mm256_madd_epi16\(a\.even, b\.even\)\);\n'
                r'    return vi_add\(acc, _mm256_madd_epi16\(a\.odd, b\.odd\)\);',
                'return vi_add(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(a.x, b.x), '
                '_mm256_set1_epi16(1)));')])
control('saturating_vpdpbusds', element_of('qgemm_u8s8/extremes'), needs=AVX512VNNI,
        objects=[('kernels/x86/qgemm_avx512vnni.c', None)], cases=['qgemm_u8s8/'],
        edits=[('kernels/x86/qgemm_avx512vnni.c', '_mm512_dpbusd_epi32', '_mm512_dpbusds_epi32')])

# ---- memory

control('padding_left', r'FAIL pack_b_f32/shapes .*wrong element', objects=[('kernels/c/pack_b_f32.c', None)],
        edits=[('kernels/c/pack_b_f32.c', r'    if \(width < FZK_PANEL\) memset[^;]*;\n', '')],
        cases=['pack_b_f32/'])
control('reads_past_the_end', r'FAIL gemm_f32/shapes .*signal', objects=[('kernels/c/gemm_f32.c', None)],
        edits=[('kernels/c/vec.h', r'if \(n < FZK_LANES\) return fzk_load_some\(p, n\);',
                'if (n <= 0) return (fzk_vec){0};')], cases=['gemm_f32/shapes'])
control('writes_past_the_end', r'FAIL gemm_f32/shapes ', objects=[('kernels/c/gemm_f32.c', None)],
        edits=[('kernels/c/vec.h', r'if \(n >= FZK_LANES\) memcpy\(p, &v, sizeof v\);',
                'if (n > 0) memcpy(p, &v, sizeof v);')], cases=['gemm_f32/shapes'])

control('aligned_loads', r'FAIL gemm_f32/shapes .*signal', objects=[('kernels/c/gemm_f32.c', 'v3')], needs=V3,
        edits=[('kernels/c/vec.h', r'memcpy\(&v, p, sizeof v\);', 'v = *(const fzk_vec *)p;')],
        cases=['gemm_f32/shapes'])
control('one_kernel_of_one_level', element_of('logsoftmax_f32/values'), needs=V3,
        objects=[('kernels/c/softmax_f32.c', 'v3')], cases=['logsoftmax_f32/'],
        edits=[('kernels/c/softmax_f32.c', r'\(x\[i\] - m\) - s', 'x[i] - (m + s)')])

# ---- the floating-point environment

control('kernel_sets_ftz', r'FAIL gemm_f32/shapes .*control word', needs=V3,
        objects=[('kernels/c/gemm_f32.c', None)], cases=['gemm_f32/shapes'],
        edits=[('kernels/c/gemm_f32.c', r'(\(gemm_f32\)\(const struct fzk_gemm_f32 \*g\) \{\n)',
                r'\1    __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040);\n')])
control('copies_by_arithmetic', r'FAIL pack_b_f32/environments .*environment', needs=V3,
        objects=[('kernels/c/pack_b_f32.c', None), ('kernels/x86/pack_b_f32_avx2.c', None)],
        cases=['pack_b_f32/environments'],
        edits=[('kernels/c/pack_b_f32.c', r'\nstatic void columns', '\nstatic volatile float one = 1;\nstatic void columns'),
               ('kernels/c/pack_b_f32.c', r'(= b\[\(k0 \+ i\) \* row_stride \+ j \* col_stride\]);', r'\1 * one;')])
control('upper_halves_in_use', r'FAIL reduce_f32/shapes .*upper halves', needs=V3 | UPPER,
        objects=[('kernels/c/reduce_f32.c', 'v3')], flags=['-mno-vzeroupper'], cases=['reduce_f32/shapes'])

ENTERS = [('lib/exec/run.c', None), ('lib/exec/pool.c', None), ('lib/exec/session.c', None)]
control('ftz_left_on', r'floating_point_environment', program='exec', cases=['host'], objects=ENTERS, needs=V3,
        edits=[('lib/base/fpenv.h', r'ldmxcsr\(0x1F80\)', 'ldmxcsr(0x1F80 | (old & 0x8040))')])
control('rounding_left', r'floating_point_environment', program='exec', cases=['host'], objects=ENTERS, needs=V3,
        edits=[('lib/base/fpenv.h', r'ldmxcsr\(0x1F80\)', 'ldmxcsr(0x1F80 | (old & 0x6000))')])
control('environment_not_restored', r'floating_point_environment', program='exec', cases=['host'],
        objects=ENTERS, needs=V3,
        edits=[('lib/base/fpenv.h', r'__builtin_ia32_ldmxcsr\(\(uint32_t\)old\)', '(void)old')])
control('callers_threads_keep_theirs', r'environment_of_the_callers_threads', program='exec', cases=['host'],
        objects=[('lib/exec/session.c', None)],
        edits=[('lib/exec/session.c', r'uint64_t old = fzi_fpenv_enter\(\);\n    f->task', 'uint64_t old = 0;\n    f->task'),
               ('lib/exec/session.c', r'f->task\(f->arg, i\);\n    fzi_fpenv_leave\(old\);', 'f->task(f->arg, i);\n    (void)old;')])
control('nan_not_canonical', r'canonical_nan', program='exec', cases=['outputs'],
        objects=[('lib/tensor/value.c', None)],
        edits=[('lib/tensor/value.c', r'        fzi_value_canonicalise\(t\);\n', '')])
