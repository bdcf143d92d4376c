"""If, Loop, Scan, sequences and optionals carry tensors of every type as they are.

usage: carried.py LIBRARY_DIR

One model for each type and form; what goes in must come out, bit for bit. Rows of elements below 8
bits do not begin at a byte: a Scan of them, or a Loop that stacks them, must be refused.
"""

import os
import sys

import numpy
import onnx
from onnx import TensorProto, helper

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
try:
    import frozen
except ImportError:
    sys.path.insert(0, os.path.join(ROOT, 'python'))
    import frozen

TYPES = ['FLOAT', 'DOUBLE', 'FLOAT16', 'BFLOAT16', 'INT8', 'INT16', 'INT32', 'INT64', 'UINT8',
         'UINT16', 'UINT32', 'UINT64', 'BOOL', 'STRING', 'COMPLEX64', 'COMPLEX128', 'FLOAT8E4M3FN',
         'FLOAT8E4M3FNUZ', 'FLOAT8E5M2', 'FLOAT8E5M2FNUZ', 'FLOAT8E8M0', 'FLOAT4E2M1', 'INT4',
         'UINT4', 'INT2', 'UINT2']
SHAPE = [3, 5]  # five elements of 2 or 4 bits end inside of a byte


def tensor(name, dtype, shape=SHAPE):
    return helper.make_tensor_value_info(name, dtype, shape)


def graph(nodes, name, inputs, outputs, initializers=()):
    return helper.make_graph(nodes, name, inputs, outputs, list(initializers))


def integer(name, value):
    return helper.make_tensor(name, TensorProto.INT64, [], [value])


def yes(name):
    return helper.make_tensor(name, TensorProto.BOOL, [], [True])


def stacked_by_loop(dtype):
    """The state goes round three times and is stacked each time."""
    body = graph([helper.make_node('Identity', ['go'], ['on']),
                  helper.make_node('Identity', ['v'], ['w']),
                  helper.make_node('Identity', ['v'], ['s'])], 'body',
                 [tensor('i', TensorProto.INT64, []), tensor('go', TensorProto.BOOL, []),
                  tensor('v', dtype)],
                 [tensor('on', TensorProto.BOOL, []), tensor('w', dtype), tensor('s', dtype)])
    nodes = [helper.make_node('Loop', ['n', 't', 'x'], ['y', 'stack'], body=body)]
    return nodes, [integer('n', 3), yes('t')], [('y', SHAPE), ('stack', [3] + SHAPE)]


def scanned(dtype):
    """Rows go in and out, one by one; the state is the last one."""
    body = graph([helper.make_node('Identity', ['r'], ['s']),
                  helper.make_node('Identity', ['r'], ['o'])], 'body',
                 [tensor('h', dtype, SHAPE[1:]), tensor('r', dtype, SHAPE[1:])],
                 [tensor('s', dtype, SHAPE[1:]), tensor('o', dtype, SHAPE[1:])])
    nodes = [helper.make_node('Gather', ['x', 'zero'], ['first'], axis=0),
             helper.make_node('Scan', ['first', 'x'], ['last', 'y'], body=body, num_scan_inputs=1)]
    return nodes, [integer('zero', 0)], [('y', SHAPE)]


def chosen(dtype):
    branch = graph([helper.make_node('Identity', ['x'], ['b'])], 'then', [], [tensor('b', dtype)])
    other = graph([helper.make_node('Identity', ['x'], ['c'])], 'else', [], [tensor('c', dtype)])
    nodes = [helper.make_node('Size', ['x'], ['n']), helper.make_node('Less', ['n', 'zero'], ['l']),
             helper.make_node('If', ['l'], ['y'], then_branch=branch, else_branch=other)]
    return nodes, [integer('zero', 0)], [('y', SHAPE)]


def in_a_sequence(dtype):
    nodes = [helper.make_node('SequenceConstruct', ['x'], ['q']),
             helper.make_node('SequenceInsert', ['q', 'x', 'zero'], ['r']),
             helper.make_node('Optional', ['r'], ['o']),
             helper.make_node('OptionalGetElement', ['o'], ['p']),
             helper.make_node('SequenceAt', ['p', 'zero'], ['y'])]
    return nodes, [integer('zero', 0)], [('y', SHAPE)]


FORMS = [stacked_by_loop, scanned, chosen, in_a_sequence]
PACKED = {TensorProto.FLOAT4E2M1: 4, TensorProto.INT4: 4, TensorProto.UINT4: 4,
          TensorProto.INT2: 2, TensorProto.UINT2: 2}


def constant(dtype):
    """A constant of some bits of the type."""
    if dtype == TensorProto.STRING:
        return helper.make_tensor('c', dtype, SHAPE, [b'%d' % i for i in range(15)])
    bits = PACKED.get(dtype)
    size = (15 * bits + 7) // 8 if bits else 15 * helper.tensor_dtype_to_np_dtype(dtype).itemsize
    raw = numpy.random.default_rng(1).integers(0, 2 if dtype == TensorProto.BOOL else 60, size,
                                               numpy.uint8).tobytes()
    if bits:
        raw = raw[:-1] + bytes([raw[-1] & ((1 << (15 * bits % 8 or 8)) - 1)])
    return helper.make_tensor('c', dtype, SHAPE, raw, raw=True)


def model(form, dtype):
    """FORM of x, which a Loop over what the caller gives makes of a constant: nothing is folded."""
    nodes, initializers, outputs = form(dtype)
    first = helper.make_node('Loop', ['one', 'true', 'c'], ['x'], body=graph(
        [helper.make_node('Identity', ['k'], ['m']), helper.make_node('Identity', ['a'], ['b'])],
        'once', [tensor('j', TensorProto.INT64, []), tensor('k', TensorProto.BOOL, []),
                 tensor('a', dtype)], [tensor('m', TensorProto.BOOL, []), tensor('b', dtype)]))
    made = graph([first] + nodes, 'carried', [tensor('true', TensorProto.BOOL, [])],
                 [tensor(name, dtype, shape) for name, shape in outputs],
                 initializers + [integer('one', 1), constant(dtype)])
    return helper.make_model(made, opset_imports=[helper.make_opsetid('', 26)], ir_version=13)


def check(form, name):
    dtype = getattr(TensorProto, name)
    with frozen.Model(model(form, dtype).SerializeToString()) as m:
        got = list(m.run({'true': numpy.array(True)}).values())
    plain = str if dtype == TensorProto.STRING else numpy.float32 if dtype in PACKED else None
    want = onnx.numpy_helper.to_array(constant(dtype))
    want = want.astype(plain or want.dtype)
    for value in got:
        for part in numpy.asarray(value).reshape(-1, *SHAPE):
            if part.astype(want.dtype).tobytes() != want.tobytes():
                return 'other elements'
    return None


def outcome(form, name):
    """None if all is as it must be, else what is wrong."""
    rows = getattr(TensorProto, name) in PACKED and form in (stacked_by_loop, scanned)
    try:
        what = check(form, name)
    except frozen.UnsupportedError as error:
        return None if rows else str(error)
    except frozen.Error as error:
        return str(error)
    return 'is not refused' if rows else what


def main():
    frozen.load(sys.argv[1])
    bad = 0
    for form in FORMS:
        for name in TYPES:
            what = outcome(form, name)
            if what:
                print('FAIL %s %s: %s' % (form.__name__, name, what))
                bad += 1
    print('%d passed, %d failed' % (len(FORMS) * len(TYPES) - bad, bad))
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
