#!/usr/bin/python3
"""Prunes the digits models and counts what that cost: right answers on 497 images that no step has
seen, multiply-accumulates, bytes, and with --speed the time of a run.

usage: prune.py FZ DIGITS_DIR [--speed]     FZ may be several words; ends in 'N passed, N failed'

A row passes if it lost at most a point of accuracy (4 images) and has the share of the work that was
asked for, or of the weights. The speeds are those of the fastest runs, both models in turn; a
structured row must be 1.6 times as fast in a batch of 64.
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

ROWS = [('cnn', ['--structured', '0.5']), ('vit', ['--structured', '0.5', '--time', '0.5']),
        ('vit', ['--sparse', '2:4']), ('vit', ['--sparse', 'block:0.5'])]
MOST_LOST, FASTER, BATCHES, ROUNDS = 4, 1.6, (1, 8, 64), 3
fz, folder, speed = sys.argv[1].split(), sys.argv[2], '--speed' in sys.argv
images, labels = os.path.join(folder, 'test_x.npy'), np.load(os.path.join(folder, 'test_y.npy'))
passed = failed = 0


def run(*arguments):
    return subprocess.run(fz + list(arguments), capture_output=True, text=True, check=True).stdout


def right_answers(model, work):
    run('run', model, '--input', 'input=' + images, '--output-dir', work)
    scores = np.load(os.path.join(work, 'output_0.npy'))
    return int((scores.argmax(axis=1) == labels).sum())


def fastest(model):
    return json.loads(run('bench', model, '--seconds', '0.25', '--json'))['min_ms']


def ratio(before, after, sparse, batch, work):
    """How many times as fast AFTER runs as BEFORE, both frozen for BATCH images."""
    paths = [os.path.join(work, name) for name in ('before.fz', 'after.fz')]
    for model, path in zip((before, after), paths):
        run('freeze', model, '-o', path, '--dim', 'n=%d' % batch, *(['--sparse'] if sparse else []))
    times = [[fastest(path) for path in paths] for _ in range(ROUNDS)]
    return min(t[0] for t in times) / min(t[1] for t in times)


def row(name, options, calib, work):
    """The line of a row, and whether it passes."""
    model = os.path.join(folder, 'digits_%s.onnx' % name)
    small = os.path.join(work, 'small.onnx')
    words = run('prune', model, '-o', small, '--calib', calib, *options)
    numbers = {line.split()[0]: line for line in words.splitlines()}
    before, after = right_answers(model, work), right_answers(small, work)
    good = after >= before - MOST_LOST
    text = '%s %s: %d of %d right, before %d' % (name, ' '.join(options), after, len(labels), before)
    if options[0] == '--structured':
        macs = [int(n) for n in numbers['macs'].split() if n.isdigit()]
        text += '; macs %d -> %d' % tuple(macs)
        good = good and macs[1] <= (1 - float(options[1])) * macs[0]
    else:
        zeros = float(numbers['weights'].split(', ')[1].split()[0])
        text += '; %.1f %% zeros' % zeros
        good = good and zeros > 40
    text += '; ' + ' '.join(numbers['weights'].split()[1:5]).rstrip(',')
    if speed:
        faster = [ratio(model, small, 'sparse' in options[0], n, work) for n in BATCHES]
        text += '; faster in batches of 1, 8, 64: ' + ', '.join('%.2f' % f for f in faster)
        if options[0] == '--structured':
            good = good and faster[-1] >= FASTER
    return text, good


with tempfile.TemporaryDirectory() as work:
    calib = os.path.join(work, 'calib')
    os.mkdir(calib)
    os.symlink(os.path.abspath(os.path.join(folder, 'calib_x.npy')),
               os.path.join(calib, 'input.npy'))
    for name, options in ROWS:
        try:
            text, good = row(name, options, calib, work)
        except subprocess.CalledProcessError as error:
            text, good = '%s %s: %s' % (name, ' '.join(options), error.stderr.strip()), False
        passed, failed = passed + good, failed + (not good)
        print('%s %s' % ('pass' if good else 'FAIL', text), flush=True)
print('%d passed, %d failed' % (passed, failed))
sys.exit(failed > 0)
