"""Writes a net whose channels reach from 1 to some 200, and samples that are mostly paper.

usage: uneven.py FOLDER     FOLDER/uneven.onnx, FOLDER/uneven/x.npy

What one channel is scaled up by, the weights behind it are scaled down by, so the net is an ordinary
one in real numbers; to one scale for all channels it is a hard one. The first division goes into
constants, the second into filters, the third needs a node of its own: a value that others read too.
"""
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

rng, folder, C = np.random.default_rng(1), sys.argv[1], 16
nodes, constants = [], []


def constant(name, value):
    constants.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
    return name


def add(op, inputs, out, **attrs):
    nodes.append(helper.make_node(op, inputs, [out], name=out, **attrs))
    return out


def conv(x, name, w, **attrs):
    b = constant(name + '.b', rng.normal(0, 0.1, len(w)))
    return add('Conv', [x, constant(name + '.w', w), b], name, **attrs)


def spread():
    return np.exp(rng.uniform(0, 5.3, C)).reshape(C, 1, 1)


def pointwise(before, after):
    """Weights that undo the factors BEFORE and apply the factors AFTER."""
    return (rng.normal(0, 0.35, (C, C, 1, 1)) * np.reshape(after, (C, 1, 1, 1)) / np.reshape(before, (1, C, 1, 1)))


one, a, b, c = np.ones((C, 1, 1)), spread(), spread(), spread()
x = conv('x', 'stem', rng.normal(0, 0.3, (C, 3, 3, 3)), pads=[1, 1, 1, 1])
x = add('Relu', [x], 'relu')
x = add('Mul', [x, constant('gain', a)], 'gained')
x = add('Add', [x, constant('offset', 0.1 * a)], 'moved')
x = conv(x, 'depthwise', rng.normal(0, 0.3, (C, 1, 3, 3)) / a.reshape(C, 1, 1, 1), group=C, pads=[1, 1, 1, 1])
x = add('Relu', [x], 'relu1')
x = conv(x, 'point', pointwise(one, b))
x = add('Relu', [x], 'relu2')
x = conv(x, 'point2', pointwise(b, c))
x = y = add('Sigmoid', [add('Div', [x, constant('calm', c)], 'calmed')], 'sigmoid')
x = add('Mul', [x, constant('wild', c)], 'wilder')
x, y = conv(x, 'point3', pointwise(c, one)), add('GlobalAveragePool', [x], 'pool')
add('Add', [x, add('Div', [y, constant('calm2', c)], 'calmed2')], 'y')
image = [1, 3, 32, 32]
graph = helper.make_graph(nodes, 'uneven', [helper.make_tensor_value_info('x', TensorProto.FLOAT, image)],
                          [helper.make_tensor_value_info('y', TensorProto.FLOAT, [1, C, 32, 32])], constants)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=7),
          os.path.join(folder, 'uneven.onnx'))
pages = np.repeat(rng.uniform(1, 1.5, (16, 3, 1)), 32 * 32, 2).reshape(16, *image[1:])
pages[:, :, 10:16, 8:24] -= rng.uniform(0.5, 1.5, (16, 3, 6, 16))
os.makedirs(os.path.join(folder, 'uneven'), exist_ok=True)
np.save(os.path.join(folder, 'uneven', 'x.npy'), pages.astype(np.float32))
