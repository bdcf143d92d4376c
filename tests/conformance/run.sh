#!/bin/sh
# Every case of the newest onnx package; those of missing.txt need not pass yet, all others must.
#
# usage: run.sh BUILD_DIR [--write]     --write: makes missing.txt of what does not pass now
set -u
here=$(cd "$(dirname "$0")" && pwd)
python=${FZ_TEST_BUILD:-/nowhere}/venv/bin/python
[ -x "$python" ] || python=python3
"$python" -c 'import onnx, pytest, ml_dtypes
assert tuple(map(int, onnx.__version__.split(".")[:2])) >= (1, 20)' 2>/dev/null || {
    echo "skipped: conformance needs the Python packages onnx (1.20 or newer), ml_dtypes and pytest"
    exit 0
}
log=$(mktemp); trap 'rm -f "$log"' EXIT
pytest() { "$python" -m pytest -q -p no:cacheprovider --tb=no -r N "$here" --library "$@"; }
if [ "${2:-}" = --write ]; then
    pytest "$1/lib" >"$log"
    { echo '# Cases that do not pass yet, made by run.sh --write.'
      sed -n 's/^FAIL \([^:]*\):.*/\1/p' "$log"; } >"$here/missing.txt"
    tail -n 1 "$log"; exit 0
fi
pytest "$1/lib" --known missing.txt
