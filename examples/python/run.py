"""Digits from Python: run.py MODEL IMAGES.npy. The model may be a frozen file or an ONNX file."""

import hashlib
import sys

import frozen
import numpy

model_path, images_path = sys.argv[1:]
images = numpy.load(images_path)[:16]
with frozen.Model(model_path) as model:
    scores = model.run({model.inputs[0].name: images})[model.outputs[0].name]
print("digits", *scores.argmax(axis=1))
print("output", hashlib.sha256(scores.tobytes()).hexdigest())
