#!/bin/sh
# Holds the promise of the bits: every kernel, every operator (of every type that it takes, and what
# has subgraphs or is made by passes as the graphs of tests/passes) and every model gives one answer,
# and every model has one id, whatever the CPU, its features, the number of threads and the compiler.
# Prints a table of what it compared; table.py says how to read it.
#
# usage: run.sh [--emulate [--full]] BUILD_DIR... [NAME=MODEL.onnx[=INPUTS]...]
#
# Takes the digits models, the models that tests/models/run.sh has fetched, and those named. Build
# folders of this machine run on the CPU with all of its features and with fewer, by 1, 2, 3 and 8
# threads. Those named aarch64*, riscv64* or s390x* run under qemu-user. --emulate: the first build
# folder also runs on emulated CPUs without AVX-512, and without AVX; fewer models and fewer features for
# the other folders, or with --full all.
set -u
tests=$(cd "$(dirname "$0")/.." && pwd)
data=$tests/data real=${FZ_TEST_BUILD:-/nonexistent}/models nets=${FZ_TEST_BUILD:-/nonexistent}/nets
none=0x80000000 # a feature that no CPU has

kernels() {
    # shellcheck disable=SC2086
    $1 "$2/tests/kernels/kernels_test" --brief --digest --mask "$3" >"$4" 2>&1 &&
        echo "kernels out $(grep '^digest' "$4" | sha256sum | cut -d' ' -f1)" || grep FAIL "$4"
}

# one WORK 'NUMBER LABEL|MASK|THREADS|BUILD|EMULATOR': the lines of one configuration.
one() {
    work=$1
    IFS='|' read -r label mask threads b emulator <<LINE
$2
LINE
    seconds=$(date +%s)
    # shellcheck disable=SC2086
    {
        set -f
        [ ! -e "$work/kernels" ] || kernels "$emulator" "$b" "$mask" "$work/log/$label"
        $emulator "$b/tests/ops/ops_test" --digest --mask "$mask" >"$work/log/$label" 2>&1 &&
            sed -n 's/^digest/operators out/p' "$work/log/$label" || echo "FAIL operators on $label"
        # Graphs of quantised models are among the models; one of qdq.txt does not run by itself.
        set +f
        $emulator "$b/tests/passes/passes_test" --digest --mask "$mask" "$tests"/passes/[!q]*.txt \
            >"$work/log/$label" 2>&1 &&
            sed -n 's/^digest/graphs out/p' "$work/log/$label" || echo "FAIL graphs on $label"
        $emulator "$b/tests/bits/bits" --mask "$mask" --threads "$threads" --files "$work/files" \
            $(cat "$work/models") 2>&1 | grep -v '^qemu.*: warning: '
    } >"$work/out/$label"
    echo "$label: $(($(date +%s) - seconds)) s"
}
if [ "${1:-}" = --one ]; then one "$2" "$3"; exit; fi

emulate=no full=no builds= models=
for a; do
    case $a in
        --emulate) emulate=yes ;;
        --full) full=yes ;;
        *=*) models="$models $a" ;;
        *.onnx) models="$models $(basename "$a" .onnx)=$a" ;;
        *) builds="$builds $a" ;;
    esac
done
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
mkdir "$work/out" "$work/log" "$work/files"
# Without emulation kernels_test itself has compared all that there is.
[ $emulate = no ] || touch "$work/kernels"

golden() { [ ! -f "$1" ] || models="$models $2=$1=$data/golden/${3:-$2}/test_data_set_0"; }
for f in "$data"/digits/*.onnx; do
    name=$(basename "$f" .onnx)
    golden "$f" "$name" "${name%%.*}"
done
if [ $emulate = yes ] && [ $full = no ]; then
    golden "$real/silero_vad_v5.onnx" silero_vad_v5
    [ -f "$real/ch_PP-OCRv4_rec_infer.onnx" ] &&
        models="$models PP-OCRv4_rec=$real/ch_PP-OCRv4_rec_infer.onnx=@1,32"
else
    for f in "$real"/*.onnx; do
        name=$(basename "$f" .onnx)
        [ -d "$data/golden/$name" ] && golden "$f" "$name"
    done
fi
for f in "$nets"/*.onnx; do
    [ -f "$f" ] && models="$models $(basename "$f" .onnx)=$f=@1,8"
done
echo "$models" >"$work/models"

n=10
config() { n=$((n + 1)); echo "$n $1|$2|$3|$4|${5:-}" >>"$work/$6"; }
first=yes
for b in $builds; do
    name=$(basename "$b") arch=${name%%-*}
    qemu="qemu-$arch -L /usr/$arch-linux-gnu"
    case $name in
        aarch64-O0) config "$name" -1 2 "$b" "$qemu -cpu max" slow ;;
        aarch64*)
            config "$name" -1 2 "$b" "$qemu -cpu max" slow
            config "$name:no dotprod" -1 2 "$b" "$qemu -cpu cortex-a53" slow
            config "$name:C only" $none 2 "$b" "$qemu -cpu max" slow ;;
        riscv64*|s390x*) config "$name" -1 2 "$b" "$qemu" slow ;;
        *)
            config "$name" -1 1,2,3,8 "$b" '' fast
            config "$name:no AVX" $none 1,2,3,8 "$b" '' fast
            if [ $first = yes ] || [ $emulate = no ] || [ $full = yes ]; then
                config "$name:AVX-512" 3 1,2,3,8 "$b" '' fast
                config "$name:AVX2" 1 1,2,3,8 "$b" '' fast
            fi
            [ $first$emulate = yesyes ] && for cpu in Haswell Nehalem; do
                config "qemu:$cpu" -1 2 "$b" "qemu-x86_64 -cpu $cpu" slow
            done ;;
    esac
    first=no
done
[ -n "$builds" ] || { echo "FAIL no build folder was given"; exit 1; }
# The first configuration writes the frozen files that the others open, too. An emulated CPU runs one
# configuration at a time, two at once.
touch "$work/fast" "$work/slow"
head -n 1 "$work/fast" "$work/slow" -q | head -n 1 >"$work/first"
cat "$work/fast" "$work/slow" | tail -n +2 >"$work/rest"
for list in first rest; do
    xargs -r -d '\n' -n 1 -P 2 sh "$0" --one "$work" <"$work/$list"
done
/usr/bin/python3 "$tests/bits/table.py" "$work/out"
