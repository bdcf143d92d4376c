#!/bin/sh
# Builds the C libraries and a wheel that carries them: build_wheel.sh [FOLDER], by default
# python/dist. The wheel needs nothing of the system but libc: SHA-256 is the built-in one, and
# protobuf-c is linked in where its static library is installed. PYTHON names the interpreter.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/dist}
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

meson setup "$work/build" "$here/.." --buildtype=release --prefix="$work/root" --libdir=lib \
  -Dprefer_static=true -Dtests=false -Dcli=disabled -Dcrypto=disabled -Dstrip=true >"$work/log" ||
  { cat "$work/log" >&2; exit 1; }
meson install -C "$work/build" >"$work/log" || { tail -n 40 "$work/log" >&2; exit 1; }

# The wheel is built from a copy, for setuptools leaves files behind.
mkdir "$work/python"
cp -r "$here/frozen" "$here/pyproject.toml" "$here/README.md" "$here/setup.py" "$work/python/"
for name in libfrozen.so.0 libfrozen-freeze.so.0; do
  cp -L "$work/root/lib/$name" "$work/python/frozen/$name"
done
mkdir -p "$out"
"$python" -m pip wheel --quiet --no-deps --wheel-dir "$out" "$work/python"
ls "$out"/frozen-*.whl
