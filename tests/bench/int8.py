#!/usr/bin/env python3
"""How much faster 8-bit models are than the same models in binary32, both by libfrozen, in one run.

usage: int8.py --fz FZ [--threads 1,2] [--rounds 5] [--seconds 0.5] FLOAT.onnx,INT8.onnx...
The two take turns, each in a process of its own; of each the fastest run of all rounds counts, and beside it the median
of the rounds' medians.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile


def run(cmd):
    r = subprocess.run(cmd, capture_output=True, text=True)
    if r.returncode:
        sys.exit('%s: %s' % (cmd[0], (r.stderr.strip().splitlines() or ['no message'])[-1]))
    return r.stdout


def bench(fz, model, threads, seconds):
    out = run([fz, 'bench', model, '--threads', str(threads), '--seconds', str(seconds), '--json'])
    return json.loads(out.strip().splitlines()[-1])


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--fz', required=True)
    ap.add_argument('--threads', default='1,2')
    ap.add_argument('--rounds', type=int, default=5)
    ap.add_argument('--seconds', type=float, default=0.5)
    ap.add_argument('pairs', nargs='+')
    a = ap.parse_args()
    print('%-32s T  float ms   int8 ms   ratio  (of medians)' % 'model')
    with tempfile.TemporaryDirectory() as tmp:
        for pair in a.pairs:
            files = []
            for i, path in enumerate(pair.split(',')):
                files.append(os.path.join(tmp, '%d.fz' % i))
                run([a.fz, 'freeze', path, '-o', files[-1]])
            if len(files) != 2:
                sys.exit('int8.py: give FLOAT.onnx,INT8.onnx')
            name = os.path.basename(pair.split(',')[1]).removesuffix('.onnx')
            for threads in map(int, a.threads.split(',')):
                rounds = [[bench(a.fz, f, threads, a.seconds) for f in files] for _ in range(a.rounds)]
                least = [min(r[i]['min_ms'] for r in rounds) for i in (0, 1)]
                median = [statistics.median(r[i]['p50_ms'] for r in rounds) for i in (0, 1)]
                print('%-32s %d %9.3f %9.3f  %5.2fx  (%.2fx)' % (name, threads, *least, least[0] / least[1],
                                                                 median[0] / median[1]), flush=True)


if __name__ == '__main__':
    main()
