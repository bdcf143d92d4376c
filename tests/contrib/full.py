#!/usr/bin/env python3
"""Every recipe of made.py on every model of some folders, against ONNX Runtime.

usage: full.py BUILD_DIR FOLDER... [--only MODEL,...] [--recipes 'NAME|...'] [--save FOLDER]
A FOLDER of float ONNX models; inputs.json in it tells types, sizes and ranges of inputs, else open
dimensions are 1 and numbers -1 to 1. One line each; what ONNX Runtime's tools cannot make, or it
cannot run itself, is named and does not count. SAVE keeps the models that differ. The last line is
'N passed, N failed'."""
import argparse
import json
import os
import pathlib
import sys
import tempfile

import numpy
import onnx

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'python'))
import frozen  # noqa: E402
import made  # noqa: E402

# What the transformer optimiser is told: kind, heads, size of the hidden layer.
TRANSFORMERS = {'digits_vit': ('vit', 4, 64), 'bert_base_128': ('bert', 12, 768),
                'minilm_l6_dyn': ('bert', 12, 384), 'gpt2_small_kv': ('gpt2', 8, 256)}
MADE_ALREADY = '.dyn.', '.qdq.', '.qop.', '.fp16.', '.ext.', 'int4', 'bf16'
SIZES = {'ch_PP-OCRv4_det_infer': {'x': [1, 3, 320, 320]}, 'ch_PP-OCRv4_rec_infer':
         {'x': [1, 3, 48, 160]}, 'ch_ppocr_mobile_v2.0_cls_infer': {'x': [1, 3, 48, 192]},
         'silero_vad_v5': {'input': [1, 512], 'state': [2, 1, 128]}, 'silero_vad_legacy':
         {'input': [1, 1536]}, 'melspectrogram': {'input': [1, 16000]}}
NUMBERS = {'sr': 16000}

# Signed activations without a zero point make 0 * infinity of the lowest float in a mask, which
# ONNX Runtime quantises as the lowest integer and the library, as NaN, to 0.
BROKEN = {(net, name) for net in ('minilm_l6_dyn', 'bert_base_128')
          for name in ('qdq s8 s8 channels', 'qdq s16 s8', 'qdq s16 s16')}


def feed_of(model, name, told, rng):
    """One feed: as TOLD by inputs.json, a list of inputs, or by the model alone."""
    feed = {}
    told = {item['name']: item for item in told or []}
    for value in model.graph.input:
        kind = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        dims = [d.dim_value or 1 for d in value.type.tensor_type.shape.dim]
        item = told.get(value.name, {})
        dims = item.get('dims', SIZES.get(name, {}).get(value.name, dims))
        low = item.get('value', item.get('lo', NUMBERS.get(value.name, -1)))
        high = item.get('value', item.get('hi', NUMBERS.get(value.name, 1)))
        if numpy.dtype(kind).kind == 'f':
            feed[value.name] = rng.uniform(low, high, dims).astype(kind)
        else:
            feed[value.name] = numpy.asarray(rng.integers(low, max(high, low + 1), dims), kind)
    return feed


def source_of(path, folder, told):
    model = onnx.load(path, load_external_data=False)
    inits = {t.name for t in model.graph.initializer}
    kept = [v for v in model.graph.input if v.name not in inits]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    name = os.path.basename(path)[:-len('.onnx')]
    rng = numpy.random.default_rng(7)
    if name.startswith('digits_'):
        images = numpy.load(os.path.join(os.path.dirname(path), 'test_x.npy')).astype('f4')
        feeds = [{'input': images[i:i + 4]} for i in range(0, 36, 4)]
    else:
        feeds = [feed_of(model, name, told, rng) for _ in range(4)]
    return made.Source(path, feeds[:-1], folder, *TRANSFORMERS.get(name, ())), feeds[-1:]


def one(name, source, feeds, save):
    """True if the two agree, False if not, None if there is nothing to compare."""
    label = '%-24s %-30s' % (source.name, name)
    if (source.name, name) in BROKEN:
        print(label, 'not made: the quantised mask holds NaN', flush=True)
        return None
    try:
        apart, limit, loss, kinds = made.compare(name, source, feeds)
    except frozen.Error as error:
        print(label, 'FAILED:', error, flush=True)
        return False
    except Exception as error:  # of ONNX Runtime's tools, of any kind
        print(label, 'not made:', str(error).strip().splitlines()[0][:120], flush=True)
        return None
    good = apart <= limit
    print('%s %s apart %.1e, limit %.1e, loss %.1e %s' % (
        label, 'agree ' if good else 'FAILED', apart, limit, loss, ' '.join(kinds)), flush=True)
    if save and not good:
        onnx.save(made.make(made.ALL[name], source),
                  os.path.join(save, '%s.%s.onnx' % (source.name, name.replace(' ', '_'))))
    return good


def models_of(folders, only):
    for folder in folders:
        place = os.path.join(folder, 'inputs.json')
        told = json.load(open(place)) if os.path.exists(place) else {}
        for file in sorted(os.listdir(folder)):
            name = file[:-len('.onnx')]
            if not file.endswith('.onnx') or any(part in file for part in MADE_ALREADY):
                continue
            if not only or name in only:
                yield os.path.join(folder, file), told.get(name)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('build')
    parser.add_argument('folders', nargs='+')
    parser.add_argument('--only', default='')
    parser.add_argument('--recipes', default='')
    parser.add_argument('--save')
    args = parser.parse_args()
    frozen.load(os.path.join(args.build, 'lib'))
    only = [name for name in args.only.split(',') if name]
    recipes = [name for name in args.recipes.split('|') if name]
    answers = []
    for path, told in models_of(args.folders, only):
        with tempfile.TemporaryDirectory() as folder:
            source, feeds = source_of(path, folder, told)
            for name in made.recipes_for(source):
                if not recipes or name in recipes:
                    answers.append(one(name, source, feeds, args.save))
    print('%d not made' % answers.count(None))
    print('%d passed, %d failed' % (answers.count(True), answers.count(False)))
    return 1 if False in answers else 0


if __name__ == '__main__':
    sys.exit(main())
