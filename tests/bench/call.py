#!/usr/bin/env python3
"""What a run costs that is called from Python: frozen.Model and frozen.InferenceSession against the
same run by `fz bench`, and against ONNX Runtime where this Python has it.

usage: call.py BUILD_DIR MODEL.onnx... [--rows N]
Models have one input of numbers. Median of 7 rounds of each, interleaved, in microseconds; the last
column is what Python adds to the run."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'python'))
import frozen  # noqa: E402

SECONDS, ROUNDS = 0.15, 7


def one_round(call):
    """Microseconds of one call, over some 0.15 s."""
    n, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < SECONDS:
        for _ in range(50):
            call()
        n += 50
    return (time.perf_counter() - begin) / n * 1e6


def feed_of(model, rows):
    rng = numpy.random.default_rng(1)
    value = model.inputs[0]
    shape = [d if isinstance(d, int) else rows for d in value.shape]
    return {value.name: rng.uniform(-1, 1, shape).astype(value.dtype)}


def in_c(build, model, feed):
    """The median run of `fz bench` with one thread."""
    with tempfile.TemporaryDirectory() as folder:
        frozen_file, given = os.path.join(folder, 'm.fz'), os.path.join(folder, 'x.npy')
        name, array = next(iter(feed.items()))
        numpy.save(given, array)
        fz = os.path.join(build, 'lib', 'cli', 'fz')
        subprocess.run([fz, 'freeze', model, '-o', frozen_file], check=True, capture_output=True)
        text = subprocess.run([fz, 'bench', frozen_file, '--json', '--seconds', '0.3', '--threads',
                               '1', '--input', name + '=' + given], check=True, capture_output=True)
    return json.loads(text.stdout)['p50_ms'] * 1e3


def calls_of(path, rows):
    model, session = frozen.Model(path), frozen.InferenceSession(path)
    feed = feed_of(model, rows)
    calls = {'Model': lambda: model.run(feed), 'Session': lambda: session.run(None, feed)}
    try:
        import onnxruntime
    except ImportError:
        return feed, calls
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    theirs = onnxruntime.InferenceSession(path, options, ['CPUExecutionProvider'])
    calls['ONNX Runtime'] = lambda: theirs.run(None, feed)
    return feed, calls


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('build')
    parser.add_argument('models', nargs='+')
    parser.add_argument('--rows', type=int, default=1)
    args = parser.parse_args()
    frozen.load(os.path.join(args.build, 'lib'))
    for path in args.models:
        feed, calls = calls_of(path, args.rows)
        alone = in_c(args.build, path, feed)
        times = {name: [] for name in calls}
        for _ in range(ROUNDS):
            for name, call in calls.items():
                times[name].append(one_round(call))
        times = {name: statistics.median(values) for name, values in times.items()}
        print('%-24s fz %7.2f  ' % (os.path.basename(path)[:-5], alone)
              + '  '.join('%s %7.2f' % row for row in times.items())
              + '  added %.2f' % (times['Model'] - alone), flush=True)


if __name__ == '__main__':
    main()
