#!/usr/bin/python3
"""Counts right answers of the digits models on the 497 images of their test set, in one batch.

usage: digits.py FZ DIGITS_DIR     FZ may be several words (a wrapper before it); ends in 'N passed, N failed'
"""
import os
import subprocess
import sys
import tempfile

import numpy as np

# Right answers that the float models must give; the int8 forms may miss SLACK more.
RIGHT = {'cnn': 496, 'mlp': 486, 'lstm': 485, 'vit': 481}
SLACK = 2
fz, folder = sys.argv[1].split(), sys.argv[2]
images, labels = os.path.join(folder, 'test_x.npy'), np.load(os.path.join(folder, 'test_y.npy'))
passed = failed = 0


def right_answers(path):
    info = subprocess.run(fz + ['info', path], capture_output=True, text=True, check=True).stdout
    name = next(line.split()[1] for line in info.splitlines() if line.startswith('input'))
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(fz + ['run', path, '--input', '%s=%s' % (name, images), '--output-dir', out],
                       stdout=subprocess.DEVNULL, check=True)
        scores = np.load(os.path.join(out, 'output_0.npy'))
    assert scores.shape == (len(labels), 10), scores.shape
    return int((scores.argmax(axis=1) == labels).sum())


for file in sorted(os.listdir(folder)):
    if not file.endswith('.onnx'):
        continue
    model = file[len('digits_'):-len('.onnx')]
    least = RIGHT[model.split('.')[0]] - (SLACK if '.' in model else 0)
    try:
        got = right_answers(os.path.join(folder, file))
    except subprocess.CalledProcessError as error:
        got = 0
        print(error.stderr or error)
    good = got >= least
    passed, failed = passed + good, failed + (not good)
    print('%s %-28s %d of %d right (%.2f %%), at least %d' %
          ('pass' if good else 'FAIL', file, got, len(labels), 100 * got / len(labels), least))
print('%d passed, %d failed' % (passed, failed))
sys.exit(failed > 0)
