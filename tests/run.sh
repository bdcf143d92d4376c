#!/bin/sh
# The tests of libfrozen: installs what is missing, builds, runs every suite, adds up.
#
# usage: sh tests/run.sh [--full] [--no-install] [--build DIR] [PART]...
#   PARTs: gcc clang address thread valgrind fuzz cross. Default: gcc; with --full: all of them.
#   DIR (default: build-tests beside this checkout's meson.build) gets one build folder a part, a
#   Python environment, and log/SUITE.txt.
# The last line is 'N passed, N failed'; the exit status is 0 if none failed. Suites that cannot run
# here are listed by name as skipped.
set -u
LC_ALL=C.UTF-8; export LC_ALL
src=$(cd "$(dirname "$0")/.." && pwd)
build=$src/build-tests full=no install=yes parts=
while [ $# -gt 0 ]; do
    case $1 in
        --full) full=yes ;;
        --no-install) install=no ;;
        --build) build=$2; shift ;;
        -*) sed -n '2,10p' "$0"; exit 2 ;;
        *) parts="$parts $1" ;;
    esac
    shift
done
[ -n "$parts" ] || { [ $full = yes ] && parts="gcc clang address thread valgrind fuzz cross" || parts=gcc; }
mkdir -p "$build/log"; build=$(cd "$build" && pwd)
export FZ_TEST_BUILD="$build"
passed=0 failed=0
: >"$build/log/skipped"
started=$(date +%s)

# ---- what the tests need

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

# One package a line with the command or file that tells that it is there.
needs() {
    cat <<'LIST'
gcc gcc
g++ g++
meson meson
ninja-build ninja
pkg-config pkg-config
protobuf-c-compiler protoc-c
libprotobuf-c-dev /usr/include/protobuf-c/protobuf-c.h
libcmocka-dev /usr/include/cmocka.h
libssl-dev /usr/include/openssl/sha.h
libjansson-dev /usr/include/jansson.h
libmpfr-dev /usr/include/mpfr.h
libjpeg-dev /usr/include/jpeglib.h
libpng-dev /usr/include/png.h
libopenjp2-7-dev /usr/share/doc/libopenjp2-7-dev
libwebp-dev /usr/include/webp/decode.h
libtiff-dev /usr/share/doc/libtiff-dev
libonnx-testdata /usr/share/libonnx-testdata/data/node
libopenblas0 /usr/share/doc/libopenblas0
python3 python3
python3-venv /usr/share/doc/python3-venv
python3-numpy /usr/lib/python3/dist-packages/numpy
python3-onnx /usr/lib/python3/dist-packages/onnx/__init__.py
python3-pil /usr/lib/python3/dist-packages/PIL
fonts-dejavu-core /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf
npm npm
skopeo skopeo
abigail-tools abidiff
binutils objdump
clang clang
libclang-rt-14-dev /usr/share/doc/libclang-rt-14-dev
valgrind valgrind
libc6-dbg /usr/share/doc/libc6-dbg
ca-certificates /etc/ssl/certs/ca-certificates.crt
LIST
    case " $parts " in *' cross '*) needs_cross ;; esac
}

needs_cross() {
    cat <<'LIST'
gcc-aarch64-linux-gnu aarch64-linux-gnu-gcc
gcc-riscv64-linux-gnu riscv64-linux-gnu-gcc
gcc-s390x-linux-gnu s390x-linux-gnu-gcc
libc6-dev-arm64-cross /usr/aarch64-linux-gnu/include/stdio.h
libc6-dev-riscv64-cross /usr/riscv64-linux-gnu/include/stdio.h
libc6-dev-s390x-cross /usr/s390x-linux-gnu/include/stdio.h
qemu-user qemu-s390x
xz-utils xz
LIST
}

missing() {
    needs | while read -r package proof; do
        case $proof in
            /*) [ -e "$proof" ] || echo "$package" ;;
            *) command -v "$proof" >/dev/null 2>&1 || echo "$package" ;;
        esac
    done
}

install_missing() {
    list=$(missing | tr '\n' ' ')
    [ -n "$list" ] || return 0
    [ $install = yes ] && command -v apt-get >/dev/null 2>&1 || {
        echo "not installed: $list"; return 0; }
    echo "installing: $list"
    as_root apt-get -q update >"$build/log/install.txt" 2>&1
    # One by one if all at once does not work: a missing tool costs one suite, not all.
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends $list \
        >>"$build/log/install.txt" 2>&1 ||
        for p in $list; do
            as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y install \
                --no-install-recommends "$p" >>"$build/log/install.txt" 2>&1 ||
                echo "could not install $p"
        done
}

# pytest and numpy for the Python package, from the system where they are there; the newest onnx for
# its cases.
python_environment() {
    [ -x "$build/venv/bin/python" ] && return 0
    /usr/bin/python3 -m venv --system-site-packages "$build/venv" >"$build/log/venv.txt" 2>&1 &&
        "$build/venv/bin/pip" install -q pytest setuptools wheel >>"$build/log/venv.txt" 2>&1 &&
        "$build/venv/bin/pip" install -q -U onnx onnxruntime ml_dtypes >>"$build/log/venv.txt" 2>&1 ||
        echo "an incomplete Python environment: see $build/log/venv.txt"
    # For tools of ONNX Runtime, which tests/contrib asks for.
    "$build/venv/bin/pip" install -q onnx_ir sympy >>"$build/log/venv.txt" 2>&1 ||
        echo "no onnx_ir and sympy: see $build/log/venv.txt"
    # For tests/sklearn alone, which says what it lacks.
    "$build/venv/bin/pip" install -q scikit-learn skl2onnx onnxmltools lightgbm xgboost-cpu \
        >>"$build/log/venv.txt" 2>&1 || echo "no scikit-learn: see $build/log/venv.txt"
}

# ---- running suites

# The sum of what a suite's log says: 'N passed, N failed' (pytest: 'N failed, N passed'), or
# cmocka's lists.
count() {
    awk '
        /[0-9]+ (passed|failed)/ && !/^\[/ {
            p = f = 0
            for (i = 2; i <= NF; i++) {
                if ($i ~ /^passed/) p = $(i - 1)
                if ($i ~ /^failed/) f = $(i - 1)
            }
            last = 1
        }
        /^\[  PASSED  \] [0-9]+ test/ { cp += $4; c = 1 }
        /^\[  FAILED  \] [0-9]+ test/ { cf += $4; c = 1 }
        END { if (last) print p + 0, f + 0; else if (c) print cp + 0, cf + 0; else print "0 0" }
    ' "$1"
}

# suite NAME COMMAND...: runs it and adds its numbers; a bad exit status is at least one failure.
suite() {
    label=$1; shift
    log=$build/log/$(echo "$label" | tr ' /' '__').txt
    t=$(date +%s)
    "$@" >"$log" 2>&1 </dev/null
    code=$?
    # shellcheck disable=SC2046
    set -- $(count "$log")
    p=$1 f=$2
    [ "$p" = 0 ] && [ "$f" = 0 ] && [ $code = 0 ] && p=1
    [ $code != 0 ] && [ "$f" = 0 ] && f=1
    passed=$((passed + p)); failed=$((failed + f))
    printf '%-28s %6d passed %4d failed %5d s\n' "$label" "$p" "$f" $(($(date +%s) - t))
    if [ "$f" != 0 ]; then
        grep -E -a '^(FAIL|fail|not ok)|^\[  (FAILED|ERROR) *\]|^\[   LINE|^FAILED |ERROR:|error:|WARNING: ThreadSanitizer' "$log" | head -n 30 | sed 's/^/    /'
        tail -n 3 "$log" | sed 's/^/    | /'
        echo "    (status $code; all of it: $log)"
    fi
    # What a suite could not run is named.
    grep -a '^skipped' "$log" | sed "s/^skipped:* */skipped in $label: /" >>"$build/log/skipped"
    return $f
}

skip() { echo "$1: skipped, $2" | tee -a "$build/log/skipped"; }

# build_in DIR CC OPTIONS... : configures and builds DIR, or only the targets in $targets; false and
# one failure if that fails.
build_in() {
    dir=$1 cc=$2; shift 2
    what=$(basename "$dir")
    [ -f "$dir/build.ninja" ] ||
        suite "configure $what" env CC="$cc" meson setup "$dir" "$src" "$@" || return 1
    # shellcheck disable=SC2086
    suite "build $what" ninja -C "$dir" $targets || return 1
}

# ---- parts

part_gcc() {
    b=$build/gcc
    suite style /usr/bin/python3 "$src/tests/style/check.py" "$src"
    build_in "$b" gcc -Dbuildtype=release -Dwerror=true || return
    suite 'style of the libraries' /usr/bin/python3 "$src/tests/style/check.py" "$src" "$b"
    digests=$src/tests/kernels/digests.txt
    suite kernels "$b/tests/kernels/kernels_test" --quick --expect "$digests"
    [ $full = yes ] && suite 'kernels, all cases' "$b/tests/kernels/kernels_test"
    if [ -x "$b/tests/kernels/judge" ]; then
        suite functions "$b/tests/kernels/judge" --slice --expect "$src/tests/kernels/functions.txt"
    else skip functions 'libmpfr is not installed'; fi
    suite 'kernel spills' meson test -C "$b" --no-rebuild 'kernel spills'
    suite ops "$b/tests/ops/ops_test"
    suite 'ops hostile' "$b/tests/ops/ops_test" --hostile
    suite blas "$b/tests/ops/blas_test" libopenblas.so.0
    suite import "$b/tests/import/import_test"
    suite 'import allocations' "$b/tests/import/import_alloc_test"
    suite artifact "$b/tests/artifact/artifact_test"
    suite 'artifact mutants' sh "$src/tests/artifact/run.sh" "$b"
    suite digest "$b/tests/artifact/digest_test"
    suite seal "$b/tests/seal/seal_test"
    suite 'seal attacks' sh "$src/tests/seal/run.sh" "$b"
    grep -a -E '^[0-9]+ attacks' "$build/log/seal_attacks.txt" | sed 's/^/    /'
    suite passes "$b/tests/passes/passes_test"
    suite export "$b/tests/export/export_test"
    suite 'quantise, in parts' "$b/tests/quantize/quantize_test"
    suite exec "$b/tests/exec/exec_test"
    suite fault "$b/tests/fault/fault_test"
    suite custom "$b/tests/custom/custom_test"
    suite faults "$b/tests/faults/faults_test"
    suite abi sh "$src/tests/abi/run.sh" "$b"
    suite cli sh "$src/tests/cli/run.sh" "$b"
    suite models sh "$src/tests/models/run.sh" "$b"
    suite bits sh "$src/tests/bits/run.sh" "$b"
    suite 'negative controls' sh "$src/tests/controls/run.sh" "$b"
    suite 'ONNX node tests' sh "$src/tests/models/onnx.sh" "$b"
    grep -a -E '^(node tests|refused)' "$build/log/ONNX_node_tests.txt" | sed 's/^/    /'
    suite 'profile blas' sh "$src/tests/blas/run.sh" "$b/lib/cli/fz" "$src/tests/data/digits"
    python_environment
    suite python "$build/venv/bin/python" -m pytest -q -p no:cacheprovider "$src/python/tests" \
        --library "$b/lib"
    suite examples sh "$src/tests/examples/run.sh" "$b"
    for dir in "$src"/tests/*/; do
        case $(basename "$dir") in
            abi|artifact|bench|bits|blas|cli|controls|cross|custom|data|faults|examples|exec|export|fault|fuzz|import|kernels|models|ops|passes|seal|style) ;;
            invariance) suite invariance sh "$dir/run.sh" "$b"
                [ $full = yes ] && suite 'invariance, all models' sh "$dir/run.sh" "$b" --full ;;
            *) if [ -f "$dir/run.sh" ]; then suite "$(basename "$dir")" sh "$dir/run.sh" "$b"
               else skip "$(basename "$dir")" 'it has no run.sh'; fi ;;
        esac
    done
}

part_clang() {
    b=$build/clang
    build_in "$b" clang -Dbuildtype=release -Dwerror=true || return
    suite 'clang kernels' "$b/tests/kernels/kernels_test" --quick \
        --expect "$src/tests/kernels/digests.txt"
    suite 'clang ops' "$b/tests/ops/ops_test"
    suite 'clang exec' "$b/tests/exec/exec_test"
    # Another state of the sources has other ids.
    if [ -d "$build/gcc" ] && ninja -C "$build/gcc" tests/bits/bits >"$build/log/again.txt" 2>&1; then
        suite 'bits of gcc and clang' sh "$src/tests/bits/run.sh" "$build/gcc" "$b"
    else skip 'bits of gcc and clang' 'part gcc has not been built'; fi
}

# Sanitizers and fuzzing look at the reference kernels: the wide ones are equal to them by memcmp,
# and take a compiler with a sanitizer many minutes.
part_address() {
    b=$build/address targets='lib/cli/fz tests/ops/ops_test tests/import/import_test
        tests/artifact/artifact_test tests/seal/seal_test tests/passes/passes_test
        tests/exec/exec_test tests/custom/custom_test tests/faults/faults_test'
    build_in "$b" clang -Dbuildtype=debugoptimized -Dsimd=false -Db_lundef=false \
        -Db_sanitize=address,undefined || return
    export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    export ASAN_OPTIONS=detect_stack_use_after_return=1
    suite 'address ops' "$b/tests/ops/ops_test"
    [ $full = yes ] && suite 'address ops hostile' "$b/tests/ops/ops_test" --hostile
    suite 'address import' "$b/tests/import/import_test"
    suite 'address artifact' "$b/tests/artifact/artifact_test"
    suite 'address seal' "$b/tests/seal/seal_test"
    suite 'address passes' "$b/tests/passes/passes_test"
    suite 'address custom' "$b/tests/custom/custom_test"
    suite 'address faults' "$b/tests/faults/faults_test"
    suite 'address exec' "$b/tests/exec/exec_test" arguments outputs models threads
    # A program that ends with a usage error leaves its memory to the system.
    suite 'address cli' env ASAN_OPTIONS=detect_leaks=0 sh "$src/tests/cli/run.sh" "$b"
    suite 'address models' sh "$src/tests/models/run.sh" "$b" digits
    unset UBSAN_OPTIONS ASAN_OPTIONS
}

part_thread() {
    b=$build/thread targets=tests/exec/exec_test
    build_in "$b" clang -Dbuildtype=debugoptimized -Dsimd=false -Db_lundef=false \
        -Db_sanitize=thread || return
    suite 'thread exec' env TSAN_OPTIONS=halt_on_error=1 "$b/tests/exec/exec_test" threads
}

part_valgrind() {
    b=$build/plain targets='tests/exec/exec_test tests/bits/bits tests/passes/passes_test
        tests/ops/ops_test lib/cli/fz'
    build_in "$b" gcc -Dbuildtype=debugoptimized -Dsimd=false -Dcrypto=disabled || return
    if [ -d "$build/gcc" ] && ninja -C "$build/gcc" tests/bits/bits >"$build/log/again.txt" 2>&1; then
        suite 'bits of another build' env FZ_TEST_BUILD= sh "$src/tests/bits/run.sh" "$build/gcc" "$b"
    fi
    v="valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite"
    # shellcheck disable=SC2086
    suite 'valgrind exec' $v "$b/tests/exec/exec_test" arguments models
    for m in cnn mlp lstm vit cnn.qdq vit.dyn; do
        # shellcheck disable=SC2086
        suite "valgrind digits_$m" $v "$b/lib/cli/fz" info "$src/tests/data/digits/digits_$m.onnx"
    done
    # shellcheck disable=SC2086
    suite 'valgrind models' env FZ_UNDER="$v" sh "$src/tests/models/run.sh" "$b" digits
}

part_fuzz() {
    b=$build/fuzz targets='tests/fuzz/seeds tests/fuzz/artifact_seeds tests/fuzz/fuzz_import
        tests/fuzz/fuzz_artifact tests/fuzz/fuzz_run'
    build_in "$b" clang -Dbuildtype=debugoptimized -Dsimd=false -Dfuzz=true -Db_lundef=false \
        -Db_sanitize=address,undefined -Dc_args=-fsanitize=fuzzer-no-link || return
    rm -rf "$b/corpus" "$b/files"; mkdir -p "$b/corpus" "$b/files"
    for m in cnn mlp.qdq; do
        [ -x "$build/gcc/lib/cli/fz" ] && "$build/gcc/lib/cli/fz" freeze "$src/tests/data/digits/digits_$m.onnx" -o "$b/$m.fz" >/dev/null 2>&1
    done
    "$b/tests/fuzz/seeds" "$b/corpus" >/dev/null 2>&1
    "$b/tests/fuzz/artifact_seeds" "$b/files" "$b"/*.fz >/dev/null 2>&1
    seconds=30
    suite 'fuzz import' "$b/tests/fuzz/fuzz_import" -max_len=65536 -max_total_time=$seconds "$b/corpus"
    suite 'fuzz artifact' "$b/tests/fuzz/fuzz_artifact" -max_len=262144 -max_total_time=$seconds "$b/files"
    suite 'fuzz run' "$b/tests/fuzz/fuzz_run" -max_len=262144 -max_total_time=$seconds "$b/files"
}

# cross NAME OPTION...: builds NAME, which starts with the architecture's name.
cross() {
    name=$1 arch=${1%%-*}; shift
    build_in "$build/$name" gcc --cross-file "$src/tests/cross/$arch.ini" \
        --cross-file "$build/sysroots/$arch/meson.ini" -Dcrypto=disabled "$@" || return 1
    folders="$folders $build/$name"
}

# under ARCH FOLDER [ARGUMENT]...: a suite that looks beside the bits.
under() {
    on=$1 folder=$2; shift 2
    suite "$folder on $on" "qemu-$on" -L "/usr/$on-linux-gnu" \
        "$build/$on/tests/$folder/${folder}_test" "$@"
}

# What reads and writes files, where the byte order is another one; one suite elsewhere.
foreign() {
    under "$1" exec outputs models
    [ "$1" = s390x ] || return 0
    under s390x import
    under s390x artifact
    under s390x seal
    skip 'exec_test arguments host threads, fault_test, passes_test on other architectures' \
        'qemu-user has no strict seccomp, no fork of threads, and too little speed'
}

# Other architectures, CPUs without AVX and builds that are not optimised, by qemu-user: the bits, and
# what depends on the byte order.
part_cross() {
    bits='tests/bits/bits tests/ops/ops_test tests/passes/passes_test tests/kernels/kernels_test' folders=
    unoptimised='-Dbuildtype=plain -Doptimization=0'
    targets=$bits
    for c in gcc clang; do
        build_in "$build/$c" $c -Dbuildtype=release -Dwerror=true && folders="$folders $build/$c"
        # shellcheck disable=SC2086
        build_in "$build/$c-O0" $c $unoptimised && folders="$folders $build/$c-O0"
    done
    for arch in aarch64 riscv64 s390x; do
        suite "sysroot $arch" sh "$src/tests/cross/sysroot.sh" $arch "$build/sysroots/$arch" || continue
        targets="$bits tests/import/import_test tests/artifact/artifact_test tests/seal/seal_test
            tests/exec/exec_test"
        cross $arch -Dbuildtype=release && foreign $arch
        targets=$bits
        # shellcheck disable=SC2086
        cross $arch-O0 $unoptimised
    done
    cross s390x-z14 -Dbuildtype=release -Dc_args=-march=z14
    suite 'fetched models' bash "$src/tests/models/fetch.sh" "$build/models"
    suite 'made nets' /usr/bin/python3 "$src/tests/models/make_nets.py" "$build/nets"
    option=; [ $full = no ] || option=--full
    # shellcheck disable=SC2086
    suite 'bits everywhere' sh "$src/tests/bits/run.sh" --emulate $option $folders
    cat "$build/log/bits_everywhere.txt"
}

install_missing
for part in $parts; do
    case $part in
        gcc|clang|address|thread|valgrind|fuzz|cross) echo "== $part"; targets=; "part_$part" ;;
        *) echo "there is no part $part" >&2; exit 2 ;;
    esac
done
cat "$build/log/skipped"
echo "$(($(date +%s) - started)) s"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
