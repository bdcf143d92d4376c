#!/bin/sh
# ONNX's own operator tests, as Debian's libonnx-testdata has them: those of onnx_pass.txt must pass,
# none may give a wrong answer. Prints how many pass, are refused (by reason), and fail.
#
# usage: onnx.sh BUILD_DIR [--write]     --write: makes onnx_pass.txt of what passes now
set -u
b=$1 here=$(cd "$(dirname "$0")" && pwd)
node=$(dpkg -L libonnx-testdata 2>/dev/null | grep -m 1 '/data/node$')
[ -n "$node" ] || { echo "FAIL libonnx-testdata is not installed"; echo "0 passed, 1 failed"; exit 1; }
out=$(mktemp -d); trap 'rm -rf "$out"' EXIT
data=$(dirname "$node")
"$b/lib/cli/fz" test "$node" "$data/simple" "$data/pytorch-operator" "$data/pytorch-converted" \
    >"$out/log" 2>"$out/errors"
code=$?
[ $code -le 1 ] || { cat "$out/errors"; echo "FAIL fz test ended with status $code"; }
sed -n "s,^pass $data/,,p" "$out/log" | sort >"$out/pass"
sed -n "s,^FAIL $data/,,p" "$out/log" | sort >"$out/fail"
[ "${2:-}" = --write ] && cp "$out/pass" "$here/onnx_pass.txt"
# Refused before anything ran, by name of what is missing; onnx_flawed.txt lists folders whose data
# do not fit their model.
grep -E ': (.*: )?(not supported[:,] |.* is not supported$|.*training mode|.*has no seed)' \
    "$out/fail" >"$out/refused"
sed -n 's/^\([^#: ]*\):.*/\1: /p' "$here/onnx_flawed.txt" >"$out/flawed_names"
grep -F -f "$out/flawed_names" "$out/fail" >"$out/flawed"
cat "$out/refused" "$out/flawed" | grep -v -x -F -f - "$out/fail" >"$out/wrong"
sort "$here/onnx_pass.txt" | comm -23 - "$out/pass" >"$out/lost"
echo "refused, by reason:"
sed "s/^[^:]*: //; s/^.*'[^']*' is \(a\|an\) /a value is a /; s/ of opset [0-9]*//g; s/node '[^']*' //" \
    "$out/refused" | sort | uniq -c | sort -rn
sed 's/^/flawed: /' "$out/flawed"
sed 's/^/FAIL no longer passes: /' "$out/lost"
sed 's/^/FAIL wrong answer: /' "$out/wrong"
n() { wc -l <"$1"; }
bad=$(($(n "$out/lost") + $(n "$out/wrong") + (code > 1)))
echo "node tests: $(n "$out/pass") of $(cat "$out/pass" "$out/fail" | wc -l) folders pass," \
    "$(n "$out/refused") refused, $(n "$out/flawed") flawed, $(n "$out/wrong") wrong"
echo "$(n "$out/pass") passed, $bad failed"
[ $bad = 0 ]
