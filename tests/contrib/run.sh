#!/bin/sh
# The operators of com.microsoft, and the models that ONNX Runtime's own quantiser and optimiser make,
# against ONNX Runtime.
#
# usage: run.sh BUILD_DIR
set -u
here=$(cd "$(dirname "$0")" && pwd)
python=${FZ_TEST_BUILD:-/nowhere}/venv/bin/python
[ -x "$python" ] || python=python3
"$python" -c 'import onnx, onnxruntime, pytest' 2>/dev/null || {
    echo "skipped: contrib needs the Python packages onnx, onnxruntime and pytest"
    exit 0
}
"$python" -m pytest -q -p no:cacheprovider "$here" --library "$1/lib"
