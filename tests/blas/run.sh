#!/bin/sh
# The numerics profile "blas" with each OpenBLAS that the system has: freezes, replays the known answer,
# gives the same bits for 1, 2 and 3 threads, stays close to "portable", and refuses another core's file.
# usage: run.sh FZ MODEL_DIR      MODEL_DIR holds digits_*.onnx. Ends in 'N passed, N failed'.
set -u
fz=$1 models=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

check() { # NAME COMMAND...
    what=$1; shift
    if "$@" > "$work/log" 2>&1; then passed=$((passed + 1)); echo "pass $what"
    else failed=$((failed + 1)); echo "FAIL $what"; sed 's/^/    /' "$work/log"; fi
}

threads_agree() { # FILE.fz
    for t in 1 2 3; do
        "$fz" run "$1" --threads $t --input "input=$models/test_x.npy" --output-dir "$work/t$t" || return 1
        cmp "$work/t1/output_0.npy" "$work/t$t/output_0.npy" || return 1
    done
}

close_to_portable() { # BLAS.fz MODEL.onnx
    "$fz" freeze "$2" -o "$work/portable.fz" && "$fz" compare "$1" "$work/portable.fz" > "$work/table"
    # Another order of sums: equal, or at least 90 dB of signal to difference.
    awk '/equal bits/ { ok = 1 } NF == 4 && $4 + 0 >= 90 { ok = 1 } END { exit !ok }' "$work/table"
}

tested=0
for dir in /usr/lib/*/openblas-serial /usr/lib/*/openblas-pthread /usr/lib/*/openblas-openmp; do
    [ -e "$dir/libopenblas.so.0" ] || { echo "skipped: $dir is not installed"; continue; }
    build=$(basename "$dir")
    LD_LIBRARY_PATH=$dir; export LD_LIBRARY_PATH
    tested=$((tested + 1))
    for name in cnn mlp lstm vit; do
        model=$models/digits_$name.onnx file=$work/$name.fz
        check "$build $name freezes" "$fz" freeze "$model" --numerics blas -o "$file"
        check "$build $name known answer" "$fz" verify "$file" --kat
        check "$build $name 1, 2, 3 threads" threads_agree "$file"
        check "$build $name close to portable" close_to_portable "$file" "$model"
    done
    unset LD_LIBRARY_PATH
done
[ $tested -gt 0 ] || { echo "FAIL no OpenBLAS is installed"; failed=1; }
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
