#!/bin/sh
# Builds every example against an installed libfrozen and runs it: run.sh [PREFIX]. Without PREFIX
# the library is built and installed to a temporary folder first. All examples must print the same
# digest of the same output bits. A language whose tools are missing is skipped by name.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
examples=$root/examples
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0 first=

# Expected: the label of each of the first 16 images. The file of labels has a header of 128 bytes.
images=$root/tests/data/digits/test_x.npy
labels=$(od -An -v -tu1 -j128 -N16 -w16 "$root/tests/data/digits/test_y.npy" | xargs)

say() { # NAME VERDICT [WHY]
  case $2 in
    ok) passed=$((passed + 1)) ;;
    FAILED) failed=$((failed + 1)); tail -n 15 "$work/log" ;;
    skipped) skipped=$((skipped + 1)) ;;
  esac
  echo "$2 $1${3:+: $3}"
}

finish() {
  echo "$skipped skipped"
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
  exit
}

# Succeeds if all of the tools TOOL... are there, else skips NAME.
have() { # NAME TOOL...
  name=$1
  shift
  for tool; do
    command -v "$tool" >/dev/null 2>&1 || { say "$name" skipped "no $tool"; return 1; }
  done
}

# Runs a build in a shell; its failure is that of the example.
build() { # NAME COMMAND...
  name=$1
  shift
  "$@" >"$work/log" 2>&1 || { say "$name" FAILED "it can't be built"; return 1; }
}

# Runs a program and compares its digits with the labels, its digest with that of the others.
same() { # NAME COMMAND...
  name=$1
  shift
  "$@" >"$work/out" 2>"$work/log" || { cat "$work/out" >>"$work/log"; say "$name" FAILED; return; }
  digits=$(sed -n 1p "$work/out" | xargs)
  digest=$(sed -n 2p "$work/out")
  [ -n "$first" ] || first=$digest
  printf 'digits %s, labels %s\ndigest %s, the first was %s\n' \
    "$digits" "$labels" "$digest" "$first" >>"$work/log"
  if [ "$digits" = "$labels" ] && [ "$digest" = "$first" ] && [ ${#digest} = 64 ]; then
    say "$name" ok
  else
    say "$name" FAILED
  fi
}

install_library() {
  prefix=$work/prefix
  meson setup "$work/build" "$root" --buildtype=release -Dtests=false --prefix="$prefix" &&
    meson install -C "$work/build"
}

prefix=${1:-}
if [ -z "$prefix" ]; then
  install_library >"$work/log" 2>&1 || { say install FAILED; finish; }
fi
pc=$(find "$prefix" -name libfrozen.pc | head -n 1)
lib=$(dirname "$(dirname "$pc")")
[ -n "$pc" ] || { echo "no libfrozen.pc under $prefix" >"$work/log"; say install FAILED; finish; }
export PKG_CONFIG_PATH="${pc%/*}" LD_LIBRARY_PATH="$lib"
flags=$(pkg-config --cflags --libs libfrozen)
model=$work/digits_cnn.fz
"$prefix/bin/fz" freeze "$root/tests/data/digits/digits_cnn.onnx" -o "$model" >"$work/log" 2>&1 ||
  { say freeze FAILED; finish; }
say freeze ok

warn='-Wall -Wextra -Wpedantic -Werror -O2'
# shellcheck disable=SC2086
{
  have c cc && build c cc -std=c99 $warn "$examples/run.c" $flags -o "$work/run" &&
    same c "$work/run" "$model" "$images"
  have threads cc &&
    build threads cc -std=c99 $warn -pthread "$examples/threads.c" $flags -o "$work/threads" &&
    build threads "$work/threads" "$model" && say threads ok
  have c++ c++ &&
    build c++ c++ -std=c++17 $warn "$examples/classes.cpp" $flags -o "$work/classes" &&
    same c++ "$work/classes" "$model" "$images"
}

cmake_build() {
  mkdir "$work/cmake" && cp "$examples/run.c" "$work/cmake" &&
    cp "$root/tests/examples/CMakeLists.txt" "$work/cmake" &&
    cmake -S "$work/cmake" -B "$work/cmake/b" -DCMAKE_PREFIX_PATH="$prefix" &&
    cmake --build "$work/cmake/b"
}
have cmake cmake && build cmake cmake_build && same cmake "$work/cmake/b/run" "$model" "$images"

# The first interpreter that has NumPy.
python=
for candidate in ${PYTHON:-} python3 /usr/bin/python3; do
  [ -n "$python" ] || ! "$candidate" -c 'import numpy' 2>/dev/null || python=$candidate
done
if have python python3; then
  if [ -n "$python" ]; then
    same python env PYTHONPATH="$root/python" "$python" "$examples/digits.py" "$model" "$images"
    same python-onnx env PYTHONPATH="$root/python" "$python" "$examples/digits.py" \
      "$root/tests/data/digits/digits_cnn.onnx" "$images"
  else
    say python skipped "no numpy"
  fi
fi

go_build() { (cd "$examples/go" && go build -o "$work/go-digits" .); }
have go go && build go go_build && same go "$work/go-digits" "$model" "$images"

have rust rustc &&
  build rust rustc --edition 2021 -O -L "$lib" -o "$work/rust-digits" "$examples/rust/main.rs" &&
  same rust "$work/rust-digits" "$model" "$images"

java_build() {
  home=$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")
  # shellcheck disable=SC2086
  javac -d "$work/java" "$examples/java/Digits.java" &&
    cc $warn -shared -fPIC -I"$home/include" -I"$home/include/linux" \
      "$examples/java/frozen_jni.c" $flags -o "$work/java/libfrozen_jni.so"
}
have java javac java && build java java_build &&
  same java java -Djava.library.path="$work/java" -cp "$work/java" Digits "$model" "$images"

# The headers lie beside the program: ../include/node.
node_build() {
  # shellcheck disable=SC2086
  cc $warn -shared -fPIC -I"$node_headers" "$examples/node/addon.c" $flags -o "$work/frozen.node"
}
if have node node; then
  node_headers=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")/include/node
  if [ -f "$node_headers/node_api.h" ]; then
    build node node_build &&
      same node node "$examples/node/digits.js" "$work/frozen.node" "$model" "$images"
  else
    say node skipped "no node_api.h"
  fi
fi

have luajit luajit cpp && same luajit luajit "$examples/luajit/digits.lua" "$prefix/include" \
  "$lib/libfrozen.so" "$model" "$images"
finish
