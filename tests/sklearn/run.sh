#!/bin/sh
# Models of scikit-learn, LightGBM and XGBoost, as their converters write them, against the libraries
# themselves and ONNX Runtime. What is not installed is skipped.
#
# usage: run.sh BUILD_DIR
set -u
here=$(cd "$(dirname "$0")" && pwd)
python=${FZ_TEST_BUILD:-/nowhere}/venv/bin/python
[ -x "$python" ] || python=python3
"$python" -c 'import onnx, onnxruntime, pytest, skl2onnx, sklearn' 2>/dev/null || {
    echo "skipped: sklearn needs the Python packages onnx, onnxruntime, pytest, scikit-learn and skl2onnx"
    exit 0
}
"$python" -m pytest -q -p no:cacheprovider "$here" --library "$1/lib"
