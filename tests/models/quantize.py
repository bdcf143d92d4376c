"""Proves fz quantize on trained models, beside ONNX Runtime's own quantiser on the same samples.

usage: quantize.py LIBRARY_FOLDER DIGITS_DIR MODELS_DIR [NAME...]     ends in 'N passed, N failed'
NAME: digits rec det vad depthwise sentence. Needs numpy, onnx, onnxruntime, Pillow.
"""
import json
import logging
import os
import shutil
import sys
import tempfile
import time
import warnings

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType
from onnxruntime.quantization import quantize_dynamic, quantize_static

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../python'))
import frozen  # noqa: E402
import quantize_data as data  # noqa: E402

logging.disable(logging.WARNING)
warnings.filterwarnings('ignore')
library, digits, models = sys.argv[1:4]
wanted = sys.argv[4:] or ['digits', 'rec', 'det', 'vad', 'depthwise', 'sentence']
frozen.load(library)
work = tempfile.TemporaryDirectory()
passed = failed = 0
kept = [0, 0]  # layers of the last model of ours that stay float, and all
ort.set_default_logger_severity(3)


class Reader(CalibrationDataReader):
    def __init__(self, samples):
        self.rest = iter(samples)

    def get_next(self):
        return next(self.rest, None)


class Ours:
    def __init__(self, path):
        self.model = frozen.Model(path, threads=2)

    def __call__(self, feed):
        return list(self.model.run(feed).values())


class Theirs:
    def __init__(self, path):
        self.session = ort.InferenceSession(path, providers=['CPUExecutionProvider'])
        self.names = {i.name for i in self.session.get_inputs()}

    def __call__(self, feed):
        return self.session.run(None, {k: v for k, v in feed.items() if k in self.names})


def ours(model, kind, samples=None, **options):
    path, report = os.path.join(work.name, 'ours.onnx'), os.path.join(work.name, 'ours.json')
    frozen.quantize(model, path, kind, samples, json=report, **options)
    with open(report, encoding='utf-8') as file:
        layers = json.load(file)['layers']
    kept[:] = sum(layer['state'] != 'quantised' for layer in layers), len(layers)
    return Ours(path), os.path.getsize(path)


def theirs(model, kind, samples=None):
    """ONNX Runtime's quantiser; its models need opset 13 for scales by channel. None if it fails."""
    path, source = os.path.join(work.name, 'theirs.onnx'), os.path.join(work.name, 'source.onnx')
    try:
        proto = onnx.load(model)
        opset = max(o.version for o in proto.opset_import if o.domain in ('', 'ai.onnx'))
        onnx.save(onnx.version_converter.convert_version(proto, 13) if opset < 13 else proto, source)
        if kind == 'static':
            quantize_static(source, path, Reader(samples), quant_format=QuantFormat.QDQ, per_channel=True,
                            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
        else:
            quantize_dynamic(source, path, per_channel=True, weight_type=QuantType.QInt8)
        return Theirs(path), os.path.getsize(path)
    except Exception as error:  # whatever it is: the table says so
        print('    (ONNX Runtime: %s)' % str(error).strip().split('\n')[0][:150])
        return None


def row(name, kind, what, ours_, theirs_, bar, good, size, float_size):
    global passed, failed
    passed, failed = passed + good, failed + (not good)
    print('%s %-10s %-8s %-26s ours %-10s ORT %-10s bar %-8s %.2f x smaller, %d of %d float' %
          ('pass' if good else 'FAIL', name, kind, what, ours_, '-' if theirs_ is None else theirs_, bar,
           float_size / size, *kept), flush=True)


def cosine(a, b):
    """The mean over samples of the cosine between all outputs of one and of the other."""
    total = 0
    for x, y in zip(a, b):
        x, y = (np.concatenate([np.ravel(o).astype(np.float64) for o in z]) for z in (x, y))
        total += x @ y / (np.linalg.norm(x) * np.linalg.norm(y) + 1e-30)
    return total / len(a)


# ---- digits

def digits_rows():
    images = np.load(os.path.join(digits, 'test_x.npy'))
    labels = np.load(os.path.join(digits, 'test_y.npy'))
    samples = [{'input': x[None]} for x in np.load(os.path.join(digits, 'calib_x.npy'))]
    for name in ('cnn', 'mlp', 'lstm', 'vit'):
        model = os.path.join(digits, 'digits_%s.onnx' % name)

        def right(run):
            return int((run({'input': images})[0].argmax(axis=1) == labels).sum())
        base, size = right(Ours(model)), os.path.getsize(model)
        for kind, slack in (('static', 1), ('dynamic', 1), ('int8', 0), ('int4', 3)):
            mine, mine_size = ours(model, kind, None if kind == 'dynamic' else samples)
            other = theirs(model, kind, samples) if kind in ('static', 'dynamic') else None
            got, their = right(mine), right(other[0]) if other else None
            good = got >= base - slack and (their is None or got >= their - 1)
            row(name, kind, 'right of %d (float %d)' % (len(labels), base), got, their,
                '>= %d' % (base - slack), good, mine_size, size)


# ---- lines of text

def distance(a, b):
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        now = [i]
        for j, y in enumerate(b, 1):
            now.append(min(last[j] + 1, now[-1] + 1, last[j - 1] + (x != y)))
        last = now
    return last[-1]


def rec_rows(n=500):
    model = os.path.join(models, 'ch_PP-OCRv4_rec_infer.onnx')
    with open(os.path.join(models, 'ppocr_keys_v1.txt'), encoding='utf-8') as file:
        letters = [''] + file.read().split('\n') + [' ']
    rng = np.random.default_rng(1)
    samples = [{'x': data.line_image(rng, data.text_line(rng))} for _ in range(48)]
    rng = np.random.default_rng(2)
    lines = [data.text_line(rng) for _ in range(n)]
    images = [data.line_image(rng, line) for line in lines]

    def accuracy(run):
        wrong = 0
        for line, image in zip(lines, images):
            best = run({'x': image})[0][0].argmax(axis=1)
            text = ''.join(letters[k] for i, k in enumerate(best) if i == 0 or k != best[i - 1])
            wrong += distance(text, line)
        return 100 * (1 - wrong / sum(map(len, lines)))
    base, size = accuracy(Ours(model)), os.path.getsize(model)
    for kind in ('static', 'int8', 'int4'):
        mine, mine_size = ours(model, kind, samples)
        other = theirs(model, kind, samples) if kind == 'static' else None
        got, their = accuracy(mine), accuracy(other[0]) if other else None
        good = got >= base - 0.5 and (their is None or got >= their)
        row('rec', kind, '%% of characters (%.2f)' % base, '%.2f' % got,
            None if their is None else '%.2f' % their, '>= %.2f' % (base - 0.5), good, mine_size, size)


# ---- boxes of text on pages

def boxes(heat):
    """Bounding boxes of the connected parts above 0.3, by their rows' runs."""
    mask, parent = heat > 0.3, {}

    def find(i):
        while parent[i] != i:
            i = parent[i]
        return i
    label, count = np.zeros(mask.shape, np.int32), 0
    for y, x in zip(*np.nonzero(mask)):
        near = [label[y - 1, x]] if y and label[y - 1, x] else []
        near += [label[y, x - 1]] if x and label[y, x - 1] else []
        if near:
            label[y, x] = min(near)
            for i in near:
                parent[max(find(i), find(min(near)))] = min(find(i), find(min(near)))
        else:
            count += 1
            parent[count] = label[y, x] = count
    found = {}
    for y, x in zip(*np.nonzero(mask)):
        box = found.setdefault(find(label[y, x]), [x, y, x, y, 0])
        box[:] = min(box[0], x), min(box[1], y), max(box[2], x), max(box[3], y), box[4] + 1
    return [grown(box[:4]) for box in found.values() if box[4] >= 40]


def grown(box):
    """The detector is trained on shrunken boxes: they grow by 1.5 times their area over their edge."""
    w, h = box[2] - box[0] + 1, box[3] - box[1] + 1
    d = 1.5 * w * h / (2 * (w + h))
    return [box[0] - d, box[1] - d, box[2] + d, box[3] + d]


def overlap(a, b):
    w = min(a[2], b[2]) - max(a[0], b[0]) + 1
    h = min(a[3], b[3]) - max(a[1], b[1]) + 1
    area = sum((c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b))
    return max(w, 0) * max(h, 0) / (area - max(w, 0) * max(h, 0))


def same_boxes(a, b):
    return len(a) == len(b) and all(max((overlap(x, y) for y in b), default=0) >= 0.9 for x in a)


def det_rows(n=50):
    model = os.path.join(models, 'ch_PP-OCRv4_det_infer.onnx')
    rng = np.random.default_rng(3)
    samples = [{'x': data.page_image(rng)} for _ in range(16)]
    pages = [{'x': data.page_image(rng)} for _ in range(n)]
    base = [boxes(run[0][0, 0]) for run in map(Ours(model), pages)]
    for kind, budget in (('static', 25), ('int8', 0)):
        mine, mine_size = ours(model, kind, samples, min_sqnr=budget)
        other = theirs(model, kind, samples) if kind == 'static' else None
        got = sum(same_boxes(a, boxes(mine(p)[0][0, 0])) for a, p in zip(base, pages))
        their = other and sum(same_boxes(a, boxes(other[0](p)[0][0, 0])) for a, p in zip(base, pages))
        row('det', kind, 'pages with the same boxes', got, their, '>= %d' % n,
            got >= n and (their is None or got >= their), mine_size, os.path.getsize(model))


# ---- speech or not

def frames(wave):
    """Chunks of 512 with the 64 numbers before them, as the model takes them."""
    padded = np.concatenate([np.zeros(64, np.float32), wave])
    return [padded[i:i + 576][None] for i in range(0, len(wave) - 511, 512)]


def listen(run, chunks, keep=None):
    state, out, rate = np.zeros((2, 1, 128), np.float32), [], np.array(16000, np.int64)
    for chunk in chunks:
        feed = {'input': chunk, 'state': state, 'sr': rate}
        if keep is not None:
            keep.append(feed)
        speech, state = run(feed)[:2]
        out.append(float(speech.ravel()[0]))
    return np.array(out)


def vad_rows():
    model = os.path.join(models, 'silero_vad_v5.onnx')
    rng, keep = np.random.default_rng(5), []
    if not shutil.which('espeak-ng'):
        print('skipped: vad (espeak-ng is not installed)')
        return
    listen(Ours(model), frames(data.speech(rng, 12)), keep)
    chunks = frames(data.speech(rng, 30))
    base = listen(Ours(model), chunks) > 0.5
    for kind in ('static', 'int8'):
        mine, mine_size = ours(model, kind, keep, fixed={'sr': 16000}, min_sqnr=32)
        got = 100 * ((listen(mine, chunks) > 0.5) == base).mean()
        row('vad', kind, '%% same of %d (speech %d)' % (len(base), base.sum()), '%.2f' % got, None, '>= 99',
            got >= 99 and 0 < base.sum() < len(base), mine_size, os.path.getsize(model))


# ---- depthwise nets and a sentence encoder: cosine to the float model

def cosine_rows(name, model, samples, tests, kinds):
    base = [Ours(model)(t) for t in tests]
    for kind, least, budget in kinds:
        mine, mine_size = ours(model, kind, samples, min_sqnr=budget)
        other = theirs(model, kind, samples) if kind in ('static', 'dynamic') else None
        got = cosine(base, [mine(t) for t in tests])
        their = cosine(base, [other[0](t) for t in tests]) if other else None
        row(name, kind, 'cosine to float', '%.5f' % got, None if their is None else '%.5f' % their,
            '>= %g' % least, got >= least and (their is None or got >= their - 1e-4), mine_size,
            os.path.getsize(model))


# Kind, the least cosine, the budget in dB: without one every layer is quantised.
KINDS = (('static', 0.99, 0), ('int8', 0.999, 0))


def depthwise_rows():
    """MobileNetV3's features before its classes, and a face detector, on pictures of text."""
    rng = np.random.default_rng(6)
    source = os.path.join(models, 'ch_ppocr_mobile_v2.0_cls_infer.onnx')
    features = os.path.join(work.name, 'features.onnx')
    proto = onnx.load(source)
    last = [i for i, n in enumerate(proto.graph.node) if n.op_type in ('MatMul', 'Gemm')][-1]
    wanted_value = onnx.helper.make_tensor_value_info(proto.graph.node[last].input[0], onnx.TensorProto.FLOAT, None)
    proto.graph.output[0].CopyFrom(wanted_value)
    del proto.graph.node[last:]
    onnx.save(proto, features)

    def line():
        x = data.line_image(rng, data.text_line(rng))[:, :, :, :192]
        return np.pad(x, ((0, 0), (0, 0), (0, 0), (0, 192 - x.shape[3])), constant_values=1)
    lines = [{'x': line()} for _ in range(96)]
    cosine_rows('cls', features, lines[:32], lines[32:], KINDS)
    face = os.path.join(models, 'face_detection_front_128x128_barracuda.onnx')
    name = onnx.load(face).graph.input[0].name
    shape = [d.dim_value or 1 for d in onnx.load(face).graph.input[0].type.tensor_type.shape.dim]
    pictures = [data.page_image(rng, 128)[0] for _ in range(96)]
    pictures = [{name: np.ascontiguousarray((p if shape[1] == 3 else p.transpose(1, 2, 0))[None])}
                for p in pictures]
    cosine_rows('face', face, pictures[:32], pictures[32:], KINDS)


def sentence_rows():
    try:
        import sentence_net
        model = sentence_net.build(os.path.join(work.name, 'sentence.onnx'))
    except ImportError as error:
        print('skipped: sentence (%s)' % error)
        return
    rng = np.random.default_rng(7)
    feeds = [sentence_net.tokens(data.text_line(rng) + ' ' + data.text_line(rng)) for _ in range(96)]
    cosine_rows('sentence', model, feeds[:24], feeds[24:],
                (('static', 0.99, 0), ('int8', 0.999, 0), ('dynamic', 0.99, 0), ('int4', 0.99, 0)))


start = time.time()
for part in wanted:
    {'digits': digits_rows, 'rec': rec_rows, 'det': det_rows, 'vad': vad_rows,
     'depthwise': depthwise_rows, 'sentence': sentence_rows}[part]()
print('took %.0f s' % (time.time() - start))
print('%d passed, %d failed' % (passed, failed))
sys.exit(failed > 0)
