#!/bin/sh
# The list of operators says what the sources say; operators take what ONNX's schemas say, but for
# exceptions.txt; what carries tensors carries those of every type.
#
# usage: run.sh BUILD_DIR [--write]     --write: makes the list
set -u
here=$(cd "$(dirname "$0")" && pwd)
[ "${2:-}" != --write ] || exec /usr/bin/python3 "$here/operators.py" "$@"
log=$(mktemp); trap 'rm -f "$log"' EXIT
/usr/bin/python3 "$here/operators.py" "$1" >"$log"
python=${FZ_TEST_BUILD:-/nowhere}/venv/bin/python
[ -x "$python" ] || python=python3
if "$python" -c 'import onnx, ml_dtypes
assert tuple(map(int, onnx.__version__.split(".")[:2])) >= (1, 22)' 2>/dev/null; then
    "$python" "$here/standard.py" "$1" >>"$log"
    "$python" "$here/carried.py" "$1/lib" >>"$log" 2>&1
else echo "skipped: ONNX's schemas, which need the Python package onnx (1.22 or newer) and ml_dtypes" >>"$log"; fi
grep -v ' passed, ' "$log"
awk '/^[0-9]+ passed, / { p += $1; f += $3; n++ } /^skipped/ { n += 2 }
     END { f += n < 3; print p " passed, " f + 0 " failed"; exit f > 0 }' "$log"
