"""Writes an ONNX model with 65 MB of weights, which takes the digits' images: big_model.py FILE

It is written field by field, so that it needs no package: three matrix products with ReLU between.
"""

import array
import random
import sys


def field(number, value):
    """One field of a protobuf message: an int, a text or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(n):
    n &= (1 << 64) - 1
    more = b""
    while n > 127:
        more += bytes([n & 127 | 128])
        n >>= 7
    return more + bytes([n])


def tensor(name, dtype, dims, data):
    sizes = b"".join(field(1, d) for d in dims)
    return field(5, sizes + field(2, dtype) + field(8, name) + field(9, data))


def value(number, name, dims):
    sizes = b"".join(field(1, field(2, d) if isinstance(d, str) else field(1, d)) for d in dims)
    return field(number, field(1, name) + field(2, field(1, field(1, 1) + field(2, sizes))))


def node(op, inputs, output):
    return field(1, b"".join(field(1, x) for x in inputs) + field(2, output) + field(4, op))


def matrix(name, rows, columns, rng):
    """Weights in +-1/sqrt(ROWS): rotations of one random row, which is enough to differ."""
    bound = rows ** -0.5
    row = array.array("f", [rng.uniform(-bound, bound) for _ in range(columns)])
    if sys.byteorder == "big":
        row.byteswap()
    data = row.tobytes()
    shifts = (4 * (rng.randrange(columns)) for _ in range(rows))
    return tensor(name, 1, (rows, columns), b"".join(data[s:] + data[:s] for s in shifts))


def main():
    rng = random.Random(1)
    sizes = (64, 3968, 4000, 10)
    graph = node("Reshape", ["x", "flat"], "h0")
    graph += tensor("flat", 7, (2,), b"\xff" * 8 + b"\x40" + bytes(7))
    for i in range(3):
        graph += matrix(f"w{i}", sizes[i], sizes[i + 1], rng)
        graph += node("MatMul", [f"h{i}", f"w{i}"], f"m{i}")
        graph += node("Relu", [f"m{i}"], f"h{i + 1}") if i < 2 else b""
    graph += field(2, "big") + value(11, "x", ("n", 1, 8, 8)) + value(12, "m2", ("n", 10))
    opset = field(1, "") + field(2, 13)
    with open(sys.argv[1], "wb") as file:
        file.write(field(1, 8) + field(7, graph) + field(8, opset))


main()
