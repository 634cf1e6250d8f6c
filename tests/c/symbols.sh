#!/bin/sh
# Are the library's exported symbols the header's, both ways?  usage: symbols.sh HEADER LIBRARY
set -eu
header=$1
library=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Declarations start a line; comments and prototypes inside comments do not.
grep -E '^[a-z].*\btidegate_[a-z_]+\(' "$header" | grep -v '^typedef' \
    | grep -oE 'tidegate_[a-z_]+\(' | tr -d '(' | sort -u > "$work/declared"
nm -D --defined-only "$library" | awk '{ print $3 }' | sed 's/@.*//' | sort -u > "$work/exported"

test "$(wc -l < "$work/declared")" -gt 40 || { echo "symbols: too few in $header" >&2; exit 1; }
diff -u --label "declared by tidegate.h" --label "exported by libtidegate" \
    "$work/declared" "$work/exported"
echo "symbols: $(wc -l < "$work/exported"), the same in the header and the library"
