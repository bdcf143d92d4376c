#!/usr/bin/env python3
"""What a step costs beside its work: models of 100 and of 1,000 steps that each compute one number.

usage: overhead.py FZ [ROUNDS]    Needs the onnx package. Prints the time a step adds to a run, by the
difference of the two models, so that what a run costs once is left out, with 1 and 2 threads. The
number's own arithmetic is in it. Exit status 1 if a step takes more than 50 ns."""
import json
import os
import subprocess
import sys
import tempfile

from onnx import TensorProto, checker, helper, save

LIMIT = 50  # ns


def make(path, n):
    """A chain of N operators that no rewrite joins."""
    kinds = 'Reciprocal', 'Sqrt', 'Softsign', 'Abs'
    nodes = [helper.make_node(kinds[i % 4], ['v%d' % i], ['v%d' % (i + 1)]) for i in range(n)]
    io = [helper.make_tensor_value_info(v, TensorProto.FLOAT, [1]) for v in ('v0', 'v%d' % n)]
    model = helper.make_model(helper.make_graph(nodes, 'steps', io[:1], io[1:]), ir_version=8,
                              opset_imports=[helper.make_opsetid('', 17)])
    checker.check_model(model)
    save(model, path)


def bench(fz, path, threads):
    text = subprocess.run([fz, 'bench', path, '--json', '--seconds', '0.3', '--threads', threads],
                          check=True, capture_output=True, text=True).stdout
    return json.loads(text)['p50_ms'] * 1e6


def steps(fz, path):
    text = subprocess.run([fz, 'info', path, '--json'], check=True, capture_output=True, text=True)
    return json.loads(text.stdout)['steps']


def main():
    fz, rounds, worst = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5, 0.0
    with tempfile.TemporaryDirectory() as folder:
        frozen = []
        for n in (100, 1000):
            onnx, path = (os.path.join(folder, '%d.%s' % (n, e)) for e in ('onnx', 'fz'))
            make(onnx, n)
            subprocess.run([fz, 'freeze', onnx, '-o', path], check=True, capture_output=True)
            frozen.append((path, steps(fz, path)))
        (small, n_small), (large, n_large) = frozen
        for threads in ('1', '2'):
            ns = min((bench(fz, large, threads) - bench(fz, small, threads)) / (n_large - n_small)
                     for _ in range(rounds))
            print(f'{n_small} and {n_large} steps, {threads} thread(s): {ns:.1f} ns a step')
            worst = max(worst, ns)
    sys.exit(worst > LIMIT)


main()
