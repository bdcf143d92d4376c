#!/bin/sh
# The matrix of attacks on an open model's memory, and the soak.
#
# usage: run.sh BUILD_DIR [--full]     --full: 1,000,000 attacks in the soak instead of 100,000
set -u
build=$(cd "$1" && pwd) n=100000
[ "${2:-}" = --full ] && n=1000000
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
# One product, whose weights are large enough to stay in the file that FZ_OPEN_MAP maps.
/usr/bin/python3 - "$work/product.onnx" <<'EOF' || exit 1
import sys
import numpy as np
import onnx
import onnx.numpy_helper
from onnx import TensorProto, helper
w = np.random.default_rng(1).standard_normal((256, 512)).astype(np.float32)
graph = helper.make_graph(
    [helper.make_node('MatMul', ['x', 'w'], ['y'])], 'product',
    [helper.make_tensor_value_info('x', TensorProto.FLOAT, [1, 256])],
    [helper.make_tensor_value_info('y', TensorProto.FLOAT, [1, 512])],
    [onnx.numpy_helper.from_array(w, 'w')])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)])
model.ir_version = 8
onnx.save(model, sys.argv[1])
EOF
"$build/lib/cli/fz" freeze "$work/product.onnx" -o "$work/product.fz" >/dev/null || exit 1
"$build/tests/seal/attacks" "$work/product.fz" >"$work/matrix"
matrix=$?
"$build/tests/seal/attacks" --soak "$work/product.fz" $n >"$work/soak"
soak=$?
grep -v 'passed' "$work/matrix"; grep -v 'passed' "$work/soak"
cat "$work/matrix" "$work/soak" | awk '/ passed, .* failed$/ { p += $1; f += $3 }
    END { printf "%d passed, %d failed\n", p, f }'
[ $matrix = 0 ] && [ $soak = 0 ]
