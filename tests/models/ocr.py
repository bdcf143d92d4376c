#!/usr/bin/python3
"""Renders lines of text and reads them with PP-OCRv4's recogniser: every character must come back.

usage: ocr.py FZ MODELS_DIR     ends in 'N passed, N failed'
"""
import os
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image, ImageDraw, ImageFont

LINES = ['The quick brown fox', 'Frozen models 2026', 'same input, same bits', 'GEMM 14x32 = 448']
FONT = '/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf'
HEIGHT = 48
fz, folder = sys.argv[1].split(), sys.argv[2]
model = os.path.join(folder, 'ch_PP-OCRv4_rec_infer.onnx')


def render(text):
    """One line in black on white, as the model takes it: 1 x 3 x 48 x W in [-1, 1]."""
    font = ImageFont.truetype(FONT, 32)
    _, _, width, _ = font.getbbox(text)
    image = Image.new('RGB', (width + 8, HEIGHT), 'white')
    ImageDraw.Draw(image).text((4, 4), text, font=font, fill='black')
    return ((np.asarray(image, np.float32) / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None]


def alphabet():
    """Class 0 is the blank, the last one the space."""
    with open(os.path.join(folder, 'ppocr_keys_v1.txt'), encoding='utf-8') as file:
        return [''] + file.read().split('\n') + [' ']


def recognise(x, letters):
    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(work, 'x.npy')
        np.save(path, np.ascontiguousarray(x))
        subprocess.run(fz + ['run', model, '--input', 'x=' + path, '--output-dir', work],
                       stdout=subprocess.DEVNULL, check=True)
        best = np.load(os.path.join(work, 'output_0.npy'))[0].argmax(axis=1)
    # Greedy CTC: repetitions count once, blanks not at all.
    return ''.join(letters[k] for i, k in enumerate(best) if i == 0 or k != best[i - 1])


letters = alphabet()
assert len(letters) == 6625, len(letters)
passed = failed = 0
for line in LINES:
    got = recognise(render(line), letters)
    good = got == line
    passed, failed = passed + good, failed + (not good)
    print('%s read %r, written was %r' % ('pass' if good else 'FAIL', got, line))
print('%d passed, %d failed' % (passed, failed))
sys.exit(failed > 0)
