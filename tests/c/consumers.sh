#!/bin/bash
# Can a program of another project find and link the installed library?
# usage: consumers.sh WORK STAGE PREFIX
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$1
stage=$2
prefix=$3
lib=$stage$prefix/lib
CC=${CC:-cc}
rm -rf "$work"
mkdir -p "$work"

skip() { echo "SKIPPED: $*" >&2; }
hello() { "$@" | diff "$root/examples/c/hello.out" -; }

# The file names and the SONAME that programs are linked with.
version=$(sed -n 's/^Version: //p' "$lib/pkgconfig/tidegate.pc")
test -f "$lib/libtidegate.so.$version"
test "$(readlink "$lib/libtidegate.so.${version%%.*}")" = "libtidegate.so.$version"
if grep -rn '@[A-Z_]*@' "$lib/pkgconfig" "$lib/cmake" "$stage$prefix/include"; then
    echo "consumers: something was not filled in" >&2
    exit 1
fi

if command -v pkg-config > /dev/null; then
    export PKG_CONFIG_PATH=$lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$stage
    test "$(pkg-config --modversion tidegate)" = "$version"
    # shellcheck disable=SC2046 # several words are what pkg-config gives
    "$CC" "$root/examples/c/hello.c" -o "$work/shared" $(pkg-config --cflags --libs tidegate)
    LD_LIBRARY_PATH=$lib hello "$work/shared"
    readelf -d "$work/shared" | grep -q "libtidegate.so.${version%%.*}]"
    # shellcheck disable=SC2046
    "$CC" "$root/examples/c/hello.c" -o "$work/static" $(pkg-config --cflags tidegate) \
        "$lib/libtidegate.a" $(pkg-config --static --libs-only-l tidegate | sed 's/-ltidegate//')
    hello "$work/static"
    if readelf -d "$work/static" | grep -q libtidegate; then
        echo "consumers: the static program needs the shared library" >&2
        exit 1
    fi
    echo "pkg-config: shared and static"
else
    skip "pkg-config is not installed (Debian: apt-get install pkg-config): not tested"
fi

if command -v cmake > /dev/null; then
    mkdir "$work/cmake"
    cat > "$work/cmake/CMakeLists.txt" <<EOF
cmake_minimum_required(VERSION 3.10)
project(hello C)
find_package(tidegate $version REQUIRED)
add_executable(shared "$root/examples/c/hello.c")
target_link_libraries(shared tidegate::tidegate)
add_executable(static "$root/examples/c/hello.c")
target_link_libraries(static tidegate::static)
EOF
    cmake -S "$work/cmake" -B "$work/cmake/build" -DCMAKE_PREFIX_PATH="$stage$prefix" > /dev/null
    cmake --build "$work/cmake/build" > /dev/null
    hello "$work/cmake/build/shared"
    hello "$work/cmake/build/static"
    echo "CMake: shared and static"
else
    skip "cmake is not installed (Debian: apt-get install cmake): find_package is not tested"
fi
