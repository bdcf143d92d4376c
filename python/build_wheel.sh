#!/bin/sh
# Builds the C libraries and a wheel that carries them: build_wheel.sh [FOLDER], by default
# python/dist. The wheel needs nothing of the system but libc: protobuf-c is linked in where its
# static library is installed. libcrypto and jansson, which libfrozen-store needs, lie beside the
# libraries in one copy for all, with their licences; without them there is no libfrozen-store and
# SHA-256 is the built-in one. PYTHON names the interpreter.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/dist}
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# shared MODULE: lets pkg-config name the shared library of MODULE by its file, for prefer_static
# would take the static one; prints the file's path. Fails where MODULE is not installed.
shared() {
  folder=$(pkg-config --variable=libdir "$1") && file=$(objdump -p "$folder/$2" |
    awk '$1 == "SONAME" { print $2 }') && [ -f "$folder/$file" ] || return 1
  printf 'Name: %s\nDescription: shared\nVersion: %s\nLibs: -L%s -l:%s\nCflags: %s\n' "$1" \
    "$(pkg-config --modversion "$1")" "$folder" "$file" "$(pkg-config --cflags "$1")" \
    >"$work/pc/$1.pc"
  echo "$folder/$file"
}

mkdir "$work/pc"
features="-Dcrypto=disabled -Dstore=disabled" libraries="libfrozen.so.0 libfrozen-freeze.so.0"
if crypto=$(shared libcrypto libcrypto.so) && jansson=$(shared jansson libjansson.so); then
  features="-Dcrypto=enabled -Dstore=enabled" libraries="$libraries libfrozen-store.so.0"
else
  rm -f "$work"/pc/*; crypto='' jansson=''
fi 2>"$work/log"

# shellcheck disable=SC2086,SC2016
PKG_CONFIG_PATH=$work/pc meson setup "$work/build" "$here/.." --buildtype=release \
  --prefix="$work/root" --libdir=lib -Dprefer_static=true -Dtests=false -Dcli=disabled -Dimages=disabled $features \
  -Dc_link_args='-Wl,-rpath,$ORIGIN' -Dstrip=true >"$work/log" ||
  { cat "$work/log" >&2; exit 1; }
meson install -C "$work/build" >"$work/log" || { tail -n 40 "$work/log" >&2; exit 1; }

# The wheel is built from a copy, for setuptools leaves files behind.
mkdir "$work/python"
cp -r "$here/frozen" "$here/pyproject.toml" "$here/README.md" "$here/setup.py" "$work/python/"
for name in $libraries; do cp -L "$work/root/lib/$name" "$work/python/frozen/$name"; done
for file in $crypto $jansson; do
  cp -L "$file" "$work/python/frozen/"
  package=$(dpkg -S "$(readlink -f "$file")" 2>/dev/null | sed 's/:.*//')
  licence=/usr/share/doc/$package/copyright
  [ ! -f "$licence" ] || cp "$licence" "$work/python/frozen/$(basename "$file").licence"
done
mkdir -p "$out"
"$python" -m pip wheel --quiet --no-deps --wheel-dir "$out" "$work/python"
ls "$out"/frozen-*.whl
