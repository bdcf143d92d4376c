#!/bin/sh
# Makes what a cross build needs beside Debian's cross compiler: protobuf-c's runtime and cmocka as
# static libraries for ARCH, their .pc files, and DIR/meson.ini, which tells meson of them.
#
# usage: sysroot.sh ARCH DIR     ARCH: aarch64, riscv64 or s390x. What is there is not made again.
#
# Debian 12 has no packages for riscv64, so all three are built from Debian's source packages, which
# apt fetches into DIR/../sources with a configuration of its own: the host's apt keeps its
# architectures and its sources. There is no libcrypto: cross builds have the built-in SHA-256.
set -eu
arch=$1
src=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$2" "$2/../sources"; dir=$(cd "$2" && pwd) sources=$(cd "$2/../sources" && pwd)
[ -e "$dir/meson.ini" ] && exit 0

# The original sources, checked by apt, from the mirror that the host's apt has.
fetch() {
    cd "$sources"
    [ -d protobuf-c-* ] && [ -d cmocka-* ] && return
    mkdir -p lists/partial cache/archives/partial
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    key=/usr/share/keyrings/debian-archive-keyring.gpg
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' |
        grep " $release main$" | sort -u | sed "s,^,deb-src [signed-by=$key] ," >sources.list
    cat >apt.conf <<CONF
Dir::State::lists "$sources/lists";
Dir::Cache "$sources/cache";
Dir::Etc::sourcelist "$sources/sources.list";
Dir::Etc::sourceparts "-";
APT::Sandbox::User "root";
CONF
    APT_CONFIG=$sources/apt.conf apt-get -q update
    APT_CONFIG=$sources/apt.conf apt-get -q source --download-only protobuf-c cmocka
    for tar in *.orig.tar.?z; do tar -xf "$tar"; done
}

# library NAME C_FILE INCLUDE_DIR OPTION...: lib/libNAME.a and its .pc file.
library() {
    name=$1 file=$2 include=$3; shift 3
    "$arch-linux-gnu-gcc" -O2 -fPIC -w -D_GNU_SOURCE -I"$include" "$@" -c "$file" -o "$dir/$name.o"
    "$arch-linux-gnu-ar" rcs "$dir/lib/lib$name.a" "$dir/$name.o"
    cat >"$dir/lib/pkgconfig/$name.pc" <<PC
Name: $name
Description: $name for $arch
Version: 1
Cflags: -I$include
Libs: -L$dir/lib -l$name
PC
}

fetch
mkdir -p "$dir/lib/pkgconfig"
protobuf=$(echo "$sources"/protobuf-c-*) cmocka=$(echo "$sources"/cmocka-*)
order=; [ "$arch" = s390x ] && order=-DWORDS_BIGENDIAN=1
library protobuf-c "$protobuf/protobuf-c/protobuf-c.c" "$protobuf" -fvisibility=hidden $order
mv "$dir/lib/pkgconfig/protobuf-c.pc" "$dir/lib/pkgconfig/libprotobuf-c.pc"
# The same answers as subprojects/packagefiles/cmocka gives.
# shellcheck disable=SC2046
library cmocka "$cmocka/src/cmocka.c" "$cmocka/include" \
    $(grep -o "'-DHAVE_[A-Z_]*=1'" "$src/subprojects/packagefiles/cmocka/meson.build" | tr -d "'")
printf "[properties]\npkg_config_libdir = '%s'\n" "$dir/lib/pkgconfig" >"$dir/meson.ini"
