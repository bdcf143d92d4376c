#!/usr/bin/env python3
"""From the start of a process to its first answer: mapped, sealed with one thread and with two.

usage: cold.py BUILD_DIR FILE.fz... [--rounds N]
The process is tests/bench/cold.c, which does nothing else; "start" is the same process without a
model. "opened" is `fz bench`'s time to open and make a session: the difference is the first run, which
touches every weight. Best and median of N (default 9), in ms, interleaved. If this Python has
onnxruntime, and FILE.onnx lies beside FILE.fz, its time is given, too: import, session, first run."""
import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time

ORT = '''
import sys, numpy, onnxruntime as ort
o = ort.SessionOptions(); o.intra_op_num_threads = 1; o.log_severity_level = 3
s = ort.InferenceSession(sys.argv[1], o, providers=['CPUExecutionProvider'])
kinds = {'tensor(float)': 'f4', 'tensor(int64)': 'i8', 'tensor(int32)': 'i4'}
s.run(None, {i.name: numpy.zeros([d if isinstance(d, int) else 1 for d in i.shape], kinds[i.type]) for i in s.get_inputs()})
print('1', end='', flush=True)
'''


def first_byte(command):
    """Milliseconds from before the process is made to the first byte that it writes."""
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        got = process.stdout.read(1)
        ms = (time.perf_counter() - begin) * 1e3
    if got != b'1' or process.returncode:
        sys.exit('cold.py: %s failed' % ' '.join(command[:2]))
    return ms


def opened(fz, path, *options):
    text = subprocess.run([fz, 'bench', path, '--json', '--seconds', '0', *options], check=True,
                          capture_output=True, text=True).stdout
    return json.loads(text)['load_ms']


def rows_of(build, path):
    cold, fz = build + '/tests/bench/cold', build + '/lib/cli/fz'
    rows = {'start': lambda: first_byte([cold, path, 'none']),
            'mapped': lambda: first_byte([cold, path, 'map']),
            'mapped, opened': lambda: opened(fz, path, '--open', 'map'),
            'sealed, 1 thread': lambda: first_byte([cold, path, 'sealed', '1']),
            'sealed, 1 thread, opened': lambda: opened(fz, path),
            'sealed, 2 threads': lambda: first_byte([cold, path, 'sealed', '2'])}
    onnx = os.path.splitext(path)[0] + '.onnx'
    if importlib.util.find_spec('onnxruntime') and os.path.exists(onnx):
        rows['onnxruntime, 1 thread'] = lambda: first_byte([sys.executable, '-c', ORT, onnx])
    return rows


def main():
    p = argparse.ArgumentParser()
    p.add_argument('build')
    p.add_argument('files', nargs='+')
    p.add_argument('--rounds', type=int, default=9)
    a = p.parse_args()
    for path in a.files:
        rows = rows_of(a.build, path)
        times = {name: [] for name in rows}
        for _ in range(a.rounds):
            for name, measure in rows.items():
                times[name].append(measure())
        print('%s: %d bytes' % (os.path.basename(path), os.path.getsize(path)))
        for name, ms in times.items():
            print(f'  {name:26} best {min(ms):9.2f} ms   median {statistics.median(ms):9.2f} ms')


main()
