#!/bin/sh
# Trained models: outputs against stored reference outputs, right answers, text that is read.
#
# usage: run.sh BUILD_DIR [digits]     digits: only the models that lie in tests/data. The others are
# fetched (fetch.sh) into $FZ_TEST_BUILD/models or BUILD_DIR/models. FZ_UNDER is put before fz.
set -u
b=$(cd "$1" && pwd) only=${2:-} here=$(cd "$(dirname "$0")" && pwd) data=$(cd "$(dirname "$0")/../data" && pwd)
fz="${FZ_UNDER:-} $b/lib/cli/fz"; fz=${fz# }
models=${FZ_TEST_BUILD:-$b}/models
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
passed=0 failed=0

# The command's lines, its last one's numbers added to the sum.
add() {
    "$@" >"$work/log" 2>&1
    code=$?
    sed '$d' "$work/log"
    p=$(sed -n '$s/^\([0-9]*\) passed.*/\1/p' "$work/log") f=$(sed -n '$s/.* \([0-9]*\) failed$/\1/p' "$work/log")
    [ -n "$f" ] || { tail -n 1 "$work/log"; echo "FAIL $* ended with status $code"; p=${p:-0} f=1; }
    passed=$((passed + p)) failed=$((failed + f))
}

# golden NAME MODEL RANGE: the reference outputs of NAME, errors as a share of the output's range.
golden() {
    mkdir -p "$work/$1"
    cp -r "$data/golden/$1/." "$work/$1"
    ln -s "$2" "$work/$1/model.onnx"
    # shellcheck disable=SC2086
    add $fz test "$work/$1" --range "$3"
}

for m in cnn mlp lstm vit; do golden digits_$m "$data/digits/digits_$m.onnx" 1e-5; done
# 497 images are too many for a program that runs under another.
[ -n "${FZ_UNDER:-}" ] || add /usr/bin/python3 "$here/digits.py" "$fz" "$data/digits"
# Pruning looks at 512 images several times.
[ -n "${FZ_UNDER:-}$only" ] || add sh "$here/prune.sh" "$b"
if [ "$only" != digits ]; then
    if bash "$here/fetch.sh" "$models"; then
        for set in "$data"/golden/*/; do
            name=$(basename "$set")
            case $name in
                digits_*) continue ;;
                ch_PP-OCRv4_*|silero_*) golden "$name" "$models/$name.onnx" 1e-4 ;;
                *) golden "$name" "$models/$name.onnx" 1e-5 ;;
            esac
        done
        add /usr/bin/python3 "$here/ocr.py" "$fz" "$models"
    else echo "FAIL the real models could not be fetched"; failed=$((failed + 1)); fi
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
