#!/usr/bin/env python3
"""Tables of float matrix products and convolutions: libfrozen, ONNX Runtime and OpenBLAS in turn, in GFLOP/s, and
libfrozen's share of the peak that is measured in the same run.

usage: products.py BUILD [--rounds 3] [--seconds 0.15] [--threads 1] [--only gemm,gemv,conv] [--cores Haswell,SkylakeX]
BUILD: a finished build. Needs numpy, onnx and onnxruntime (PyPI) for this python, and libopenblas.so.0.
Each engine runs in a process of its own; the fastest run counts. "step": the convolution itself, as it runs inside of
a net, without the transposes between ONNX's layout and the plan's that a model of one convolution begins and ends with. Weights are constants, as in a model, so that all
engines may lay them out beforehand, but OpenBLAS, whose interface has no such step. --cores: OPENBLAS_CORETYPE values to try.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

GEMM = [(128, 128, 128), (256, 256, 256), (512, 512, 512), (128, 768, 768), (128, 3072, 768), (128, 768, 3072),
        (196, 256, 1024), (3136, 64, 256), (32, 384, 384), (8, 64, 64), (64, 64, 64)]
GEMV = [(1, 1000, 2048), (1, 4096, 4096), (1, 768, 768), (2, 3072, 768), (4, 1024, 1024)]
# height = width, channels in, channels out, kernel, stride, groups
CONV = [(56, 64, 64, 3, 1, 1), (28, 128, 128, 3, 1, 1), (14, 256, 256, 3, 1, 1), (7, 512, 512, 3, 1, 1),
        (224, 3, 64, 7, 2, 1), (224, 3, 32, 3, 2, 1), (56, 64, 256, 1, 1, 1), (14, 1024, 256, 1, 1, 1),
        (56, 128, 128, 3, 2, 1), (112, 96, 96, 3, 2, 96), (56, 144, 144, 3, 1, 144), (14, 576, 576, 5, 1, 576)]

ORT = r'''
import sys, json, time, numpy as np, onnxruntime as ort
o = ort.SessionOptions(); o.intra_op_num_threads = int(sys.argv[3]); o.inter_op_num_threads = 1
s = ort.InferenceSession(sys.argv[1], o, providers=['CPUExecutionProvider'])
b = s.io_binding(); b.bind_cpu_input('x', np.load(sys.argv[2])); b.bind_output('y')
best, end = 1e9, time.perf_counter() + float(sys.argv[4])
while time.perf_counter() < end:
    t = time.perf_counter(); s.run_with_iobinding(b); best = min(best, time.perf_counter() - t)
print(json.dumps(best * 1e3))
'''
BLAS = r'''
import sys, json, time, ctypes, numpy as np
lib = ctypes.CDLL('libopenblas.so.0'); m, n, k = map(int, sys.argv[1:4])
lib.openblas_set_num_threads(int(sys.argv[4]))
a, b, c = (np.random.default_rng(1).random(s, dtype='f') for s in ((m, k), (k, n), (m, n)))
p = lambda x: x.ctypes.data_as(ctypes.c_void_p); f = ctypes.c_float
def gemm(): lib.cblas_sgemm(101, 111, 111, m, n, k, f(1), p(a), k, p(b), n, f(0), p(c), n)
def gemv(): lib.cblas_sgemv(101, 112, k, n, f(1), p(b), n, p(a), 1, f(0), p(c), 1)
call = gemv if m == 1 else gemm
best, end = 1e9, time.perf_counter() + float(sys.argv[5])
while time.perf_counter() < end:
    t = time.perf_counter(); call(); best = min(best, time.perf_counter() - t)
print(json.dumps(best * 1e3))
'''


def call(cmd, **env):
    r = subprocess.run(cmd, capture_output=True, text=True, env={**os.environ, **env})
    if r.returncode:
        raise RuntimeError((r.stderr.strip().splitlines() or ['no message'])[-1])
    return json.loads(r.stdout.strip().splitlines()[-1])


def peak(build):
    """GFLOP/s of independent multiply-adds, as the kernels' benchmark measures it."""
    out = subprocess.run([build + '/tests/kernels/kernels_test', '--bench', 'gemm_f32/shapes'], capture_output=True,
                         text=True).stdout
    rows = re.findall(r'([\d.]+) G/s +([\d.]+) % of fma peak', out)
    return max(float(g) / float(p) * 100 for g, p in rows)


def save(path, nodes, x_shape, weights):
    graph = helper.make_graph(nodes, 'g', [helper.make_tensor_value_info('x', TensorProto.FLOAT, x_shape)],
                              [helper.make_tensor_value_info('y', TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(w, k) for k, w in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])
    model.ir_version = 8
    onnx.save(model, path)


def product(path, m, n, k):
    w = np.random.default_rng(2).random((k, n), dtype='f') - 0.5
    save(path, [helper.make_node('MatMul', ['x', 'w'], ['y'])], [m, k], {'w': w})
    return [m, k], 2e-6 * m * n * k, '%d x %d x %d' % (m, n, k)


def convolution(path, side, cin, cout, kernel, stride, group):
    w = np.random.default_rng(2).random((cout, cin // group, kernel, kernel), dtype='f') - 0.5
    pad = kernel // 2
    node = helper.make_node('Conv', ['x', 'w'], ['y'], strides=[stride] * 2, pads=[pad] * 4, group=group)
    save(path, [node], [1, cin, side, side], {'w': w})
    out = (side + 2 * pad - kernel) // stride + 1
    what = '%d->%d %dx%d/%d at %d%s' % (cin, cout, kernel, kernel, stride, side, ' depthwise' if group > 1 else '')
    return [1, cin, side, side], 2e-6 * out * out * cout * (cin // group) * kernel * kernel, what


def measure(a, folder, path, shape, mkn):
    """Fastest milliseconds of each engine, in turn."""
    frozen, x = folder + '/m.fz', folder + '/x.npy'
    np.save(x, np.random.default_rng(3).random(shape, dtype='f') - 0.5)
    fz = a.build + '/lib/cli/fz'
    subprocess.run([fz, 'freeze', path, '-o', frozen], check=True, capture_output=True)
    best = {}

    def note(name, ms):
        best[name] = min(best.get(name, 1e9), ms)
    for _ in range(a.rounds):
        note('fz', call([fz, 'bench', frozen, '--input', 'x=' + x, '--threads', str(a.threads), '--seconds',
                         str(a.seconds), '--json'])['min_ms'])
        steps = subprocess.run([fz, 'bench', frozen, '--input', 'x=' + x, '--steps', '--seconds', '0.01'],
                               capture_output=True, text=True, check=True).stdout
        note('step', sum(float(us) for us, op in re.findall(r'^ *\d+ +([\d.]+) us +(\S+)', steps, re.M)
                         if op in ('Conv', 'MatMul')) * 1e-3)
        note('ort', call([sys.executable, '-c', ORT, path, x, str(a.threads), str(a.seconds)]))
        for core in a.cores.split(',') if mkn else []:
            ms = call([sys.executable, '-c', BLAS, *map(str, mkn), str(a.threads), str(a.seconds)],
                      **({'OPENBLAS_CORETYPE': core} if core != 'default' else {}))
            note(core, ms)
    return best


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('build')
    ap.add_argument('--rounds', type=int, default=3)
    ap.add_argument('--seconds', type=float, default=0.15)
    ap.add_argument('--threads', type=int, default=1)
    ap.add_argument('--only', default='gemm,gemv,conv')
    ap.add_argument('--cores', default='Haswell,SkylakeX')
    a = ap.parse_args()
    top = peak(a.build) * a.threads
    cores = a.cores.split(',')
    print('peak %.0f GFLOP/s, %d thread%s' % (top, a.threads, 's' if a.threads > 1 else ''))
    print('%-32s %9s %9s %7s %9s %s' % ('', 'libfrozen', 'step', 'of peak', 'ORT', ' '.join('%9s' % c for c in cores)))
    with tempfile.TemporaryDirectory() as folder:
        for kind, rows in (('gemm', GEMM), ('gemv', GEMV), ('conv', CONV)):
            for row in rows if kind in a.only.split(',') else []:
                path = folder + '/m.onnx'
                shape, mflop, what = (convolution if kind == 'conv' else product)(path, *row)
                ms = measure(a, folder, path, shape, None if kind == 'conv' else row)
                rate = {k: mflop / v for k, v in ms.items()}
                blas = ' '.join('%9.1f' % rate[c] for c in cores if c in rate)
                print('%-32s %9.1f %9.1f %6.0f%% %9.1f %s' % (what, rate['fz'], rate['step'], 100 * rate['step'] / top,
                                                              rate['ort'], blas), flush=True)


if __name__ == '__main__':
    main()
