#!/usr/bin/env python3
"""Makes nets of known architectures with fixed random weights, for tests of bits: MobileNetV2 in int8
(QDQ, per channel), MiniLM with 6 layers and dynamically quantised products, and a small net of wide
3 x 3 convolutions (Winograd) in float32 and float16.

usage: make_nets.py DIR     What is there is not made again. The weights come from integers alone, so
they are the same on every machine.
"""
import os
import sys

import numpy as np
from onnx import TensorProto as T, helper, numpy_helper, save


class Net:
    def __init__(self, seed):
        self.nodes, self.weights, self.seed = [], [], np.random.RandomState(seed)
        self.scales = {}  # of quantised values

    def op(self, kind, inputs, n_out=1, **attributes):
        outs = ['%s_%d_%d' % (kind, len(self.nodes), i) for i in range(n_out)]
        self.nodes.append(helper.make_node(kind, inputs, outs, **attributes))
        return outs[0] if n_out == 1 else outs

    def const(self, array):
        name = 'w%d' % len(self.weights)
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def floats(self, shape, largest):
        """Multiples of LARGEST / 127."""
        step = np.float32(largest) / np.float32(127)
        return self.seed.randint(-127, 128, shape).astype(np.float32) * step

    def save(self, path, inputs, outputs):
        value = helper.make_tensor_value_info
        graph = helper.make_graph(self.nodes, 'net', [value(*i) for i in inputs],
                                  [value(*o) for o in outputs], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])
        model.ir_version = 8
        save(model, path)


# ---- MobileNetV2, int8

def quantised(net, x, scale, zero):
    """Through uint8 and back."""
    s, z = net.const(np.float32(scale)), net.const(np.uint8(zero))
    y = net.op('DequantizeLinear', [net.op('QuantizeLinear', [x, s, z]), s, z])
    net.scales[y] = np.float32(scale)
    return y


def qconv(net, x, c_in, c_out, k=1, stride=1, group=1, relu6=True):
    shape = (c_out, c_in // group, k, k)
    fan_in = c_in // group * k * k
    scale = (net.seed.randint(64, 128, c_out).astype(np.float32) / np.float32(127 * 64)
             / np.float32(np.sqrt(np.float32(fan_in))))
    w = net.op('DequantizeLinear', [net.const(net.seed.randint(-127, 128, shape).astype(np.int8)),
                                    net.const(scale), net.const(np.zeros(c_out, np.int8))], axis=0)
    bias = net.op('DequantizeLinear', [net.const(net.seed.randint(-2000, 2001, c_out).astype(np.int32)),
                                       net.const(net.scales[x] * scale),
                                       net.const(np.zeros(c_out, np.int32))], axis=0)
    y = net.op('Conv', [x, w, bias], kernel_shape=[k, k], strides=[stride] * 2, pads=[k // 2] * 4,
               group=group)
    if not relu6:
        return quantised(net, y, 4 / 127, 128)
    y = net.op('Clip', [y, net.const(np.float32(0)), net.const(np.float32(6))])
    return quantised(net, y, 6 / 255, 0)


def mobilenetv2(path, size=64):
    net = Net(1)
    x, c = qconv(net, quantised(net, 'input', 1 / 127, 128), 3, 32, 3, 2), 32
    for t, c_out, repeats, stride in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
                                      (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
        for i in range(repeats):
            s, y = stride if i == 0 else 1, x
            if t != 1:
                y = qconv(net, y, c, c * t)
            y = qconv(net, y, c * t, c * t, 3, s, c * t)
            y = qconv(net, y, c * t, c_out, relu6=False)
            x = quantised(net, net.op('Add', [x, y]), 4 / 127, 128) if s == 1 and c == c_out else y
            c = c_out
    x = net.op('Flatten', [net.op('GlobalAveragePool', [qconv(net, x, c, 1280)])])
    w = net.op('DequantizeLinear', [net.const(net.seed.randint(-127, 128, (1000, 1280)).astype(np.int8)),
                                    net.const(np.float32(0.05 / 127)), net.const(np.int8(0))])
    y = net.op('Gemm', [quantised(net, x, 6 / 255, 0), w, net.const(net.floats(1000, 1))], transB=1)
    y = quantised(net, y, 8 / 127, 128)
    net.save(path, [('input', T.FLOAT, [1, 3, size, size])], [(y, T.FLOAT, [1, 1000])])


# ---- MiniLM, 6 layers, dynamic int8

HIDDEN, HEADS, WORDS, LONGEST = 384, 12, 1000, 128


def linear(net, x, n_in, n_out):
    xq, scale, zero = net.op('DynamicQuantizeLinear', [x], 3)
    w = net.const(net.seed.randint(-127, 128, (n_in, n_out)).astype(np.int8))
    y = net.op('MatMulInteger', [xq, w, zero, net.const(np.int8(0))])
    step = net.const(np.float32(1.7 / 127) / np.float32(np.sqrt(np.float32(n_in))))
    y = net.op('Mul', [net.op('Cast', [y], to=T.FLOAT), net.op('Mul', [scale, step])])
    return net.op('Add', [y, net.const(net.floats(n_out, 0.1))])


def norm(net, x):
    gain, bias = net.const(1 + net.floats(HIDDEN, 0.2)), net.const(net.floats(HIDDEN, 0.2))
    return net.op('LayerNormalization', [x, gain, bias], axis=-1, epsilon=1e-12)


def split_heads(net, x, perm):
    shape = net.const(np.array([0, 0, HEADS, HIDDEN // HEADS], np.int64))
    return net.op('Transpose', [net.op('Reshape', [x, shape])], perm=perm)


def layer(net, x, mask):
    q = split_heads(net, linear(net, x, HIDDEN, HIDDEN), [0, 2, 1, 3])
    k = split_heads(net, linear(net, x, HIDDEN, HIDDEN), [0, 2, 3, 1])
    v = split_heads(net, linear(net, x, HIDDEN, HIDDEN), [0, 2, 1, 3])
    root = net.const(np.float32(np.sqrt(np.float32(HIDDEN // HEADS))))
    scores = net.op('Add', [net.op('Div', [net.op('MatMul', [q, k]), root]), mask])
    y = net.op('Transpose', [net.op('MatMul', [net.op('Softmax', [scores], axis=-1), v])],
               perm=[0, 2, 1, 3])
    y = net.op('Reshape', [y, net.const(np.array([0, 0, HIDDEN], np.int64))])
    x = norm(net, net.op('Add', [linear(net, y, HIDDEN, HIDDEN), x]))
    y = linear(net, x, HIDDEN, 4 * HIDDEN)
    erf = net.op('Erf', [net.op('Div', [y, net.const(np.float32(np.sqrt(np.float32(2))))])])
    y = net.op('Mul', [y, net.op('Add', [erf, net.const(np.float32(1))])])
    y = net.op('Mul', [y, net.const(np.float32(0.5))])
    return norm(net, net.op('Add', [linear(net, y, 4 * HIDDEN, HIDDEN), x]))


def minilm(path):
    net = Net(2)
    mask = net.op('Cast', [net.op('Unsqueeze', ['attention_mask', net.const(np.array([1, 2]))])],
                  to=T.FLOAT)
    mask = net.op('Mul', [net.op('Sub', [net.const(np.float32(1)), mask]),
                          net.const(np.float32(-10000))])
    words = net.op('Gather', [net.const(net.floats((WORDS, HIDDEN), 0.1)), 'input_ids'])
    length = net.op('Slice', [net.op('Shape', ['input_ids']), net.const(np.array([1])),
                              net.const(np.array([2]))])
    places = net.op('Slice', [net.const(net.floats((LONGEST, HIDDEN), 0.1)),
                              net.const(np.array([0])), length])
    x = norm(net, net.op('Add', [words, places]))
    for _ in range(6):
        x = layer(net, x, mask)
    ids = [(name, T.INT64, ['batch', 'words']) for name in ('input_ids', 'attention_mask')]
    net.save(path, ids, [(x, T.FLOAT, ['batch', 'words', HIDDEN])])


# ---- 3 x 3 convolutions

def wide(path, dtype=T.FLOAT):
    net = Net(3)
    number = np.float16 if dtype == T.FLOAT16 else np.float32
    x, c = 'input', 3
    for c_out, stride in [(32, 2), (64, 1), (64, 1), (96, 2), (96, 1)]:
        w = net.floats((c_out, c, 3, 3), 1.7 / np.sqrt(np.float32(9 * c)))
        x = net.op('Conv', [x, net.const(w.astype(number)),
                            net.const(net.floats(c_out, 0.1).astype(number))],
                   pads=[1] * 4, strides=[stride] * 2)
        x, c = net.op('Relu', [x]), c_out
    w = net.const(net.floats((c, 10), 0.3).astype(number))
    y = net.op('MatMul', [net.op('Flatten', [net.op('GlobalAveragePool', [x])]), w])
    net.save(path, [('input', dtype, [1, 3, 32, 32])], [(y, dtype, [1, 10])])


if __name__ == '__main__':
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for name, make in [('mobilenetv2.qdq', mobilenetv2), ('minilm_l6.dyn', minilm),
                       ('wide3x3', wide), ('wide3x3.fp16', lambda p: wide(p, T.FLOAT16))]:
        if not os.path.exists('%s/%s.onnx' % (folder, name)):
            make('%s/%s.onnx' % (folder, name))
