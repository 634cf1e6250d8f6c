#!/bin/bash
# Builds and runs the C tests against an installed tree.
# usage: run.sh BUILD STAGE PREFIX     (installed with DESTDIR=STAGE PREFIX=PREFIX; `make test-c`)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$1
stage=$2
prefix=$3
lib=$stage$prefix/lib
include=$stage$prefix/include
CC=${CC:-cc}
CXX=${CXX:-c++}
strict=(-Wall -Wextra -Wpedantic -Werror -D_POSIX_C_SOURCE=200809L -g -O1
    "-DEXAMPLES=\"$root/examples/policies/\"")
programs="$build/programs"
rm -rf "$programs"
mkdir -p "$programs"

skip() { echo "SKIPPED: $*" >&2; }

under_valgrind=()
if command -v valgrind > /dev/null; then
    # Names of limits live as long as the process, in hash tables whose pointers point into their
    # memory: "possibly lost" to valgrind, and no leak.
    # It runs one thread at a time: fairly, or one that waits for another may keep that from running.
    under_valgrind=(valgrind --quiet --fair-sched=try --error-exitcode=99 --leak-check=full
        --show-leak-kinds=definite --errors-for-leak-kinds=definite)
else
    skip "valgrind is not installed (Debian: apt-get install valgrind): memory is not checked"
fi

compile() { # compile STANDARD SOURCE PROGRAM
    case $1 in
        c++*) "$CXX" -x c++ -std="$1" "${strict[@]}" -I "$include" "$2" -x none -o "$3" \
            -L "$lib" -Wl,-rpath,"$lib" -ltidegate -lpthread ;;
        *) "$CC" -std="$1" "${strict[@]}" -I "$include" "$2" -o "$3" \
            -L "$lib" -Wl,-rpath,"$lib" -ltidegate -lpthread ;;
    esac
}

lines() { python3 "$here/to_lines.py" "$@"; }
lines bad "$root/tests/policies/bad.json" > "$programs/policies.lines"
lines good "$root/tests/policies/good.json" >> "$programs/policies.lines"
lines vectors "$root"/tests/vectors/*.json > "$programs/vectors.lines"
lines headers "$root/tests/client/headers.json" > "$programs/client.lines"
lines scripts "$root/tests/client/scripts.json" > "$programs/scripts.lines"

run() { # run PROGRAM, by its name
    case $(basename "$1") in
        vectors-*) "${@:2}" "$1" < "$programs/vectors.lines" ;;
        client-*) "${@:2}" "$1" < "$programs/client.lines" ;;
        scripts-*) "${@:2}" "$1" < "$programs/scripts.lines" ;;
        policies-*) "${@:2}" "$1" < "$programs/policies.lines" ;;
        *) "${@:2}" "$1" "$programs" ;;
    esac
}

for standard in c99 c11 c++17; do
    for source in calls requests arguments policies vectors threads client scripts told; do
        compile "$standard" "$here/$source.c" "$programs/$source-$standard"
        run "$programs/$source-$standard"
    done
    # A key is a request that has nothing else.
    "$programs/vectors-$standard" keys-as-requests < "$programs/vectors.lines"
    compile "$standard" "$root/examples/c/hello.c" "$programs/hello-$standard"
    "$programs/hello-$standard" > "$programs/hello.out"
    diff "$root/examples/c/hello.out" "$programs/hello.out"
    echo "$standard: passed"
done
if [ ${#under_valgrind[@]} -gt 0 ]; then
    for source in calls requests arguments policies vectors threads client scripts told; do
        run "$programs/$source-c99" "${under_valgrind[@]}"
    done
    echo "valgrind: no errors, no leaks"
fi

"$here/symbols.sh" "$include/tidegate.h" "$lib/libtidegate.so"
"$here/consumers.sh" "$programs/consumers" "$stage" "$prefix"
