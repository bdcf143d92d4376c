#!/bin/sh
# The examples against an installed library: builds each one with what its users have (pkg-config,
# CMake), runs all on the same model and images, and compares what they print with run.c's lines.
#
# usage: sh tests/examples/run.sh [BUILD_DIR | PREFIX]
# BUILD_DIR is a finished build of this tree, PREFIX where it has been installed; without either a
# fresh build is made. The last line is 'N passed, N failed, N skipped'. An example whose language
# is not installed is skipped by name.
set -u
LC_ALL=C.UTF-8; export LC_ALL
src=$(cd "$(dirname "$0")/../.." && pwd)
examples=$src/examples
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
PATH=$PATH:/usr/local/go/bin:$HOME/.cargo/bin
CC=${CC:-cc} CXX=${CXX:-c++}
passed=0 failed=0 skipped=0
built= # the build folder, if there is one
more= # arguments of an example behind the usual two

# ---- reports

pass() { passed=$((passed + 1)); echo "pass $1"; }
skip() { skipped=$((skipped + 1)); echo "skipped: $1"; }
fail() {
    failed=$((failed + 1)); echo "FAIL $1"
    tail -n 20 "$work/log" | sed 's/^/    /'
}

# there TOOL NAME: whether TOOL is on the path; if not, NAME's example is skipped.
there() { command -v "$1" >/dev/null 2>&1 || { skip "$2 is not installed"; return 1; }; }

# step COMMAND...: runs it; its messages go to the log of the example.
step() { echo "+ $*" >>"$work/log"; "$@" >>"$work/log" 2>&1; }

begin() { : >"$work/log"; mkdir -p "$work/$1"; cd "$work/$1" || exit 2; }

# same NAME COMMAND...: runs an example on the model and the images, compares its two lines with
# run.c's, and lets it refuse a file that is no model.
same() {
    name=$1; shift
    echo "+ $*" >>"$work/log"
    if ! "$@" "$model" "$images" $more >"$work/lines" 2>>"$work/log" ||
        ! cmp -s "$work/lines" "$work/expected"; then
        echo "it printed:" >>"$work/log"; cat "$work/lines" >>"$work/log"
        fail "$name"
    elif "$@" "$src/README.md" "$images" $more >"$work/said" 2>&1 ||
        ! grep -Eq 'not a frozen file|is damaged' "$work/said"; then
        echo "of a file that is no model it said:" >>"$work/log"; cat "$work/said" >>"$work/log"
        fail "$name"
    else pass "$name"
    fi
}

# ---- the library as its users find it

# Installs a build into the folder root, which then stands for the root of a file system: the files
# are used as they are installed.
install_build() {
    root=$work/root
    if step env DESTDIR="$root" meson install -C "$1" --no-rebuild; then pass install
    else fail install; return 1; fi
    export PKG_CONFIG_SYSROOT_DIR="$root"
}

find_library() {
    begin library
    if [ -z "$1" ]; then
        step meson setup "$work/build" "$src" -Dbuildtype=release -Dtests=false &&
            step ninja -C "$work/build" && install_build "$work/build" || { fail build; return 1; }
        built=$work/build
    elif [ -f "$1/build.ninja" ]; then built=$1; install_build "$1" || return 1
    else root=$1
    fi
    pc=$(find "$root" -name libfrozen.pc)
    [ -n "$pc" ] || { echo "no libfrozen.pc in $root" >>"$work/log"; fail pkg-config; return 1; }
    libdir=$(dirname "$(dirname "$pc")")
    export PKG_CONFIG_PATH="$libdir/pkgconfig" LD_LIBRARY_PATH="$libdir"
    cflags=$(pkg-config --cflags libfrozen) libs=$(pkg-config --libs libfrozen)
    header=$(find "$root" -name frozen.h)
    fz=$(find "$root" -name fz -type f)
}

freeze() {
    begin model
    model=$work/model/digits.fz
    images=$src/tests/data/digits/test_x.npy
    if step "$fz" freeze "$src/tests/data/digits/digits_cnn.onnx" -o "$model"; then pass freeze
    else fail freeze; return 1; fi
}

# ---- the examples

# run.c is what the others are compared with; its digits are compared with the true ones.
example_c() {
    begin c
    # shellcheck disable=SC2086
    step "$CC" -std=c99 -Wall -Wextra -Wpedantic -Werror $cflags "$examples/run.c" -o run $libs &&
        ./run "$model" "$images" >"$work/expected" 2>>"$work/log" ||
        { fail run.c; return 1; }
    right=$(tail -c 497 "$src/tests/data/digits/test_y.npy" | od -An -v -tu1 -w1 |
        awk -v read="$(sed -n 's/^digits //p' "$work/expected")" \
            'BEGIN { split(read, r, " ") }
            NR <= 16 && r[NR] != "" && r[NR] == $1 { n++ }
            END { print n + 0 }')
    echo "$right of 16 digits are right" >>"$work/log"
    if [ "$right" -ge 15 ] && grep -Eq '^output [0-9a-f]{64}$' "$work/expected" &&
        [ "$(wc -l <"$work/expected")" = 2 ]; then pass 'run.c'
    else fail run.c; return 1; fi
}

example_threads() {
    begin threads
    # shellcheck disable=SC2086
    step "$CC" -std=gnu17 -Wall -Wextra -Werror -pthread $cflags "$examples/threads.c" \
        -o threads $libs
    same threads.c ./threads
}

# A model that ends in a custom operator prints run.c's digits; as a shared object the operator serves
# fz, and nothing opens the frozen file without it.
example_custom() {
    begin custom
    best=$src/tests/data/custom/digits_best.onnx
    there pkg-config 'custom/custom.c: pkg-config' || return
    # shellcheck disable=SC2046,SC2086
    if step "$CC" -std=c99 -Wall -Wextra -Wpedantic -Werror $cflags "$examples/custom/custom.c" \
        "$examples/custom/best.c" -o custom $(pkg-config --libs libfrozen-freeze) $libs &&
        step "$CC" -std=c99 -Wall -Wextra -Wpedantic -Werror -shared -fPIC $cflags \
            "$examples/custom/best.c" -o best.so &&
        ./custom "$best" "$images" >lines 2>>"$work/log" &&
        [ "$(cat lines)" = "$(head -n 1 "$work/expected")" ] &&
        step "$fz" freeze "$best" -o best.fz --custom ./best.so &&
        step "$fz" run best.fz --input input="$images" --custom ./best.so &&
        ! step "$fz" run best.fz --input input="$images"; then pass 'custom/custom.c'
    else fail 'custom/custom.c'; fi
}

# Four processes, on the digits and on a model whose weights are most of the memory: 5 processes
# hold them once if the sum of their shares (Pss) is not much more than one copy.
example_serve() {
    begin serve
    # shellcheck disable=SC2086
    step "$CC" -std=gnu17 -Wall -Wextra -Wpedantic -Werror $cflags "$examples/serve/serve.c" \
        -o serve $libs
    same serve/serve.c ./serve
    there python3 'serve.c with 65 MB: Python' || return
    if step python3 "$src/tests/examples/big_model.py" big.onnx &&
        step "$fz" freeze big.onnx -o big.fz && step ./serve big.fz "$images" &&
        awk '/^sum of Pss \/ weights/ { sum = $NF } END { exit !(sum > 0.9 && sum < 1.6) }' \
            "$work/log"; then
        pass "serve/serve.c, 65 MB: $(sed -n 's/^sum of Pss \/ weights: //p' "$work/log" |
            tail -n 1) times the weights in 5 processes"
    else fail 'serve/serve.c with 65 MB of weights'; fi
}

example_cmake() {
    there cmake CMake || return
    begin cmake
    cp "$src/tests/examples/CMakeLists.txt" .
    step cmake -S . -B out -DSOURCE="$examples/run.c" -Dfrozen_DIR="$libdir/cmake/frozen" &&
        step cmake --build out
    same 'CMake find_package(frozen)' out/run
    # A version that is not there yet is refused.
    sed -i 's/frozen 0.1/frozen 99/' CMakeLists.txt
    if step cmake -S . -B newer -DSOURCE="$examples/run.c" -Dfrozen_DIR="$libdir/cmake/frozen"
    then fail 'CMake refuses a newer version'; else pass 'CMake refuses a newer version'; fi
}

example_cxx() {
    there "$CXX" C++ || return
    begin cxx
    # shellcheck disable=SC2086
    step "$CXX" -std=c++11 -Wall -Wextra -Wpedantic -Werror $cflags \
        "$examples/cxx/run.cpp" -o run $libs
    same cxx/run.cpp ./run
}

example_python() {
    begin python
    python=
    for p in "${FZ_TEST_BUILD:-}/venv/bin/python" python3 /usr/bin/python3; do
        [ -n "$python" ] || ! "$p" -c 'import numpy' 2>/dev/null || python=$p
    done
    [ -n "$python" ] || { skip 'Python with numpy is not installed'; return; }
    export PYTHONPATH="$src/python" PYTHONDONTWRITEBYTECODE=1
    same python/run.py "$python" "$examples/python/run.py"
    frozen=$model model=$src/tests/data/digits/digits_cnn.onnx
    same 'python/run.py, ONNX' "$python" "$examples/python/run.py"
    model=$frozen
    unset PYTHONPATH
}

example_go() {
    there go go || return
    begin go
    cp "$examples"/go/* .
    step env CGO_ENABLED=1 GOTOOLCHAIN=local GOFLAGS=-mod=mod GOCACHE="${GOCACHE:-$work/go/cache}" \
        go build -o run .
    same go/run.go ./run
    chmod -R u+w "$work/go"
}

example_rust() {
    there rustc rust || return
    begin rust
    # shellcheck disable=SC2046
    step rustc -O -D warnings $(pkg-config --libs-only-L libfrozen) "$examples/rust/run.rs" -o run
    same rust/run.rs ./run
}

example_java() {
    there javac Java || return
    begin java
    home=$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")
    [ -f "$home/include/jni.h" ] || { skip 'jni.h of Java is not installed'; return; }
    # shellcheck disable=SC2086
    step "$CC" -shared -fPIC -O2 -Wall -Wextra -Werror -I"$home/include" -I"$home/include/linux" \
        $cflags "$examples/java/run_jni.c" -o librun_jni.so $libs &&
        step javac -Xlint:all -Werror -d . "$examples/java/Run.java"
    same java/Run.java "$home/bin/java" -Djava.library.path=. -cp . Run
}

# The folder of node_api.h: beside node, or from the package node-api-headers.
node_headers() {
    bin=$(dirname "$(readlink -f "$(command -v node)")")
    for dir in "$bin/../include/node" /usr/include/node /usr/include/nodejs/src; do
        [ -f "$dir/node_api.h" ] && { echo "$dir"; return; }
    done
    command -v npm >/dev/null 2>&1 &&
        step npm install --silent --no-audit --no-fund --prefix . node-api-headers &&
        echo "$PWD/node_modules/node-api-headers/include"
}

example_node() {
    there node node || return
    begin node
    headers=$(node_headers)
    [ -f "$headers/node_api.h" ] || { skip 'node_api.h of node is not installed'; return; }
    # shellcheck disable=SC2086
    step "$CC" -shared -fPIC -O2 -Wall -Wextra -Werror -I"$headers" $cflags \
        "$examples/node/frozen.c" -o frozen.node $libs
    cp "$examples/node/run.js" .
    same node/run.js node run.js
}

example_luajit() {
    there luajit luajit || return
    begin luajit
    more=$header
    same luajit/run.lua luajit "$examples/luajit/run.lua"
    more=
}

# Whether same-bits.sh finds one output of libfrozen under each of the CPUs that take no cross build,
# and what ONNX Runtime has to set against it. It is skipped where its package can't be had.
example_same_bits() {
    { there qemu-x86_64 qemu-user && there npm npm; } || return
    begin same-bits
    if step sh "$examples/same-bits.sh" --build "$built" --images 4 --without-arm \
        --work "${FZ_TEST_BUILD:-$work}/same-bits" &&
        grep -Eq '^different outputs +1 +[0-9]+ +1 +[0-9]+$' "$work/log"; then pass same-bits.sh
    elif grep -q '^failed: npm' "$work/log"; then skip 'the package of ONNX Runtime is not to be had'
    else fail same-bits.sh; fi
}

# libfrozen-store as its users find it: by pkg-config and by CMake.
example_store() {
    [ -f "$libdir/libfrozen-store.so" ] || { skip 'libfrozen-store is not built'; return; }
    begin store
    cp "$src/tests/examples/store.c" "$src/tests/examples/CMakeLists.txt" .
    # shellcheck disable=SC2046
    if step "$CC" -std=c99 -Wall -Wextra -Wpedantic -Werror store.c -o use_store \
        $(pkg-config --cflags --libs libfrozen-store) && step ./use_store "$model" &&
        step cmp "$model" copy.fz && grep -q "$(sha256sum <"$model" | cut -c 1-64)" "$work/log"
    then pass 'libfrozen-store, pkg-config'; else fail 'libfrozen-store, pkg-config'; fi
    there cmake 'CMake for libfrozen-store' || return
    rm -rf models copy.fz private.pem public.pem "$model.sig"
    if step cmake -S . -B out -DSOURCE=store.c -DUSES=frozen::store \
        -Dfrozen_DIR="$libdir/cmake/frozen" && step cmake --build out &&
        step out/run "$model" && step cmp "$model" copy.fz
    then pass 'libfrozen-store, CMake'; else fail 'libfrozen-store, CMake'; fi
    rm -f "$model.sig"
}

# ---- the README's C: compiled as it is written there, and run beside a digits.fz

readme() {
    begin readme
    # Where libfrozen-store is missing, the first block only, which does without it.
    blocks=9; [ -f "$libdir/libfrozen-store.so" ] || blocks=1
    awk -v blocks=$blocks '/^```c$/ { inside = n++ < blocks; next } /^```/ { inside = 0 } inside' \
        "$src/README.md" >snippet
    [ -s snippet ] || echo 'README.md has no block of C' >>"$work/log"
    { echo '#include <stdio.h>'; grep '^#include' snippet; echo 'int main(void) {'
      grep -v '^#include' snippet; echo 'return 0; }'; } >readme.c
    cp "$model" digits.fz
    [ $blocks = 1 ] || libs="$libs $(pkg-config --libs libfrozen-store)"
    # shellcheck disable=SC2086
    if [ -s snippet ] &&
        step "$CC" -Wall -Wextra -Werror $cflags readme.c -o readme $libs &&
        ./readme >said 2>&1 && [ ! -s said ] &&
        { [ $blocks = 1 ] || { [ -s runs.log ] && [ -s models/index.json ]; }; }; then pass "README's C"
    else cat said >>"$work/log" 2>/dev/null; fail "README's C"; fi
}

main() {
    argument=${1:+$(cd "$1" && pwd)} || exit 2
    find_library "$argument" && freeze && example_c && {
        for e in threads custom serve cmake cxx python go rust java node luajit; do "example_$e"; done
        [ -z "$built" ] || example_same_bits
        example_store
        readme
        sed 's/^/    /' "$work/expected"
    }
    cd "$src" || exit 2
    echo "$passed passed, $failed failed, $skipped skipped"
    [ $failed = 0 ]
}

main "$@"; exit
