"""The digits from Python: digits.py MODEL IMAGES.npy (the model frozen or ONNX)."""

import hashlib
import sys

import frozen
import numpy

model_path, images_path = sys.argv[1:]
images = numpy.load(images_path)[:16]
with frozen.Model(model_path) as model:
    scores = model.run({model.inputs[0].name: images})[model.outputs[0].name]
    print(f"model {model.id}, {model.profile}, protection {model.protection}", file=sys.stderr)
print(*scores.argmax(axis=1))
print(hashlib.sha256(scores.tobytes()).hexdigest())
