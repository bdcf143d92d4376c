#!/usr/bin/env python3
"""Times `fz bench` against ONNX Runtime on the same models and inputs, interleaved, and prints ratios.

usage: race.py --fz FZ [--threads 1,2] [--rounds 3] [--seconds 1] MODEL.onnx...
Needs numpy and onnxruntime (PyPI). Each engine runs in a process of its own, in turn; medians are kept.
Open dimensions are 1; floats are uniform in [-1, 1), integers 0. A ratio above 1: libfrozen is faster.
diff: the largest difference of a float output as a share of that output's range.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

import numpy as np

ORT = r'''
import statistics, sys, json, time, numpy as np, onnxruntime as ort
model, threads, seconds, feeds, out = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), json.loads(sys.argv[4]), sys.argv[5]
x = {k: np.load(v) for k, v in feeds.items()}
o = ort.SessionOptions(); o.intra_op_num_threads = threads; o.inter_op_num_threads = 1; o.log_severity_level = 3
t = time.perf_counter(); s = ort.InferenceSession(model, o, providers=['CPUExecutionProvider']); load = time.perf_counter() - t
for i, a in enumerate(s.run(None, x)): np.save('%s/output_%d.npy' % (out, i), a)
ts, end = [], time.perf_counter() + seconds
while time.perf_counter() < end or len(ts) < 5:
    t = time.perf_counter(); s.run(None, x); ts.append(time.perf_counter() - t)
print(json.dumps(dict(load_ms=load * 1e3, p50_ms=statistics.median(ts) * 1e3)))
'''


def run(cmd):
    r = subprocess.run(cmd, capture_output=True, text=True)
    if r.returncode:
        raise RuntimeError((r.stderr.strip().splitlines() or ['no message'])[-1])
    return json.loads(r.stdout.strip().splitlines()[-1])


def make_inputs(fz, model, folder):
    """One .npy file per input of MODEL, by name."""
    rng, feeds = np.random.default_rng(7), {}
    for i, io in enumerate(run([fz, 'info', model, '--json'])['inputs']):
        dims = [d if isinstance(d, int) else 1 for d in io['shape'] or []]
        real = io['dtype'].startswith('float')
        a = rng.uniform(-1, 1, dims).astype(io['dtype']) if real else np.zeros(dims, io['dtype'])
        feeds[io['name']] = os.path.join(folder, 'input_%d.npy' % i)
        np.save(feeds[io['name']], a)
    return feeds


def difference(theirs, ours):
    worst = 0.0
    for name in os.listdir(theirs):
        x, y = np.load(os.path.join(theirs, name)), np.load(os.path.join(ours, name))
        if x.shape != y.shape:
            return float('inf')
        if x.dtype.kind == 'f' and x.size:
            x, y = x.astype('f8'), y.astype('f8')
            worst = max(worst, float(np.abs(x - y).max() / max(np.abs(x).max(), x.max() - x.min(), 1e-30)))
    return worst


def race(fz, model, threads, rounds, seconds):
    with tempfile.TemporaryDirectory() as tmp:
        theirs, ours, frozen = (os.path.join(tmp, n) for n in ('ort', 'fz', 'model.fz'))
        os.mkdir(theirs)
        feeds = make_inputs(fz, model, tmp)
        inputs = [x for k, v in feeds.items() for x in ('--input', k + '=' + v)]
        subprocess.run([fz, 'freeze', model, '-o', frozen], check=True, capture_output=True)
        subprocess.run([fz, 'run', frozen, *inputs, '--output-dir', ours], check=True, capture_output=True)
        for t in threads:
            a, b = [], []
            for _ in range(rounds):
                a.append(run([sys.executable, '-c', ORT, model, str(t), str(seconds), json.dumps(feeds), theirs]))
                b.append(run([fz, 'bench', frozen, '--json', '--threads', str(t), '--seconds', str(seconds), *inputs]))
            speed = statistics.median(x['p50_ms'] / y['p50_ms'] for x, y in zip(a, b))
            load = statistics.median(x['load_ms'] / y['load_ms'] for x, y in zip(a, b))
            med = lambda rows: statistics.median(r['p50_ms'] for r in rows)
            print('%-36s %d %9.3f %9.3f %7.2fx %7.1fx %9.1e' % (os.path.basename(model)[:-5], t, med(a), med(b), speed, load, difference(theirs, ours)), flush=True)
            yield speed


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--fz', required=True)
    p.add_argument('--threads', default='1,2')
    p.add_argument('--rounds', type=int, default=3)
    p.add_argument('--seconds', type=float, default=1.0)
    p.add_argument('models', nargs='+')
    a = p.parse_args()
    print('%-36s T %9s %9s %8s %8s %9s' % ('model', 'ort ms', 'fz ms', 'speed', 'load', 'diff'))
    speeds = [s for m in a.models for s in race(a.fz, m, [int(t) for t in a.threads.split(',')], a.rounds, a.seconds)]
    print('geometric mean of speed over %d rows: %.2fx' % (len(speeds), float(np.exp(np.mean(np.log(speeds))))))


if __name__ == '__main__':
    main()
