#!/usr/bin/env bash
# Instructions per call of the hot paths, counted by callgrind, beside those of instructions.json (±5 %).
#
#   benches/callgrind.sh --why-not          one line when nothing can be compared here, and why; else nothing
#   benches/callgrind.sh PROGRAM            compares; fails when a path has become dearer
#   benches/callgrind.sh PROGRAM --update   writes instructions.json anew
#   benches/callgrind.sh PROGRAM --secrets  fails unless right and wrong secrets take exactly the same instructions
#
# PROGRAM is the crate's `call`, built for release. What is counted is its function `counted_by_callgrind` with all
# that it calls: not the start of the program, nor the making of limiters and keys. The limiters ask the system's
# clock: the default one goes by the time that passes, and under callgrind that is another time in every run.
# Counts differ between compilers and processors' instruction sets, not between quiet and busy machines.
set -euo pipefail

paths=(
  acquire try_acquire denial try_denial
  six_acquire six_try_acquire six_denial record_latency
  plan_request newcomer flood
  secret_right secret_wrong
)
# The first of the list, the last, one that is wrong at its end, one that is wrong at its beginning.
secrets=(secret_right secret_later secret_wrong secret_first)
calls=20000

export TIDEGATE_BENCH_CLOCK=system
expected=$(dirname "$0")/instructions.json
compiler=$(rustc -V)
target=$(rustc -vV | sed -n 's/^host: //p')

# A figure of instructions.json by name.
recorded() {
  sed -n 's/^ *"'"$1"'": "\(.*\)",\{0,1\}$/\1/p' "$expected"
}

if [ "${1:-}" = --why-not ]; then
  if ! command -v valgrind > /dev/null; then
    echo 'valgrind is not installed (Debian: apt-get install valgrind)'
  elif [ "$(recorded rustc), $(recorded target)" != "$compiler, $target" ]; then
    echo "recorded with $(recorded rustc) for $(recorded target), this is $compiler for $target"
  fi
  exit 0
fi

command -v valgrind > /dev/null || {
  echo 'callgrind.sh needs valgrind (Debian: apt-get install valgrind)' >&2
  exit 1
}
[ $# -ge 1 ] && [ -x "$1" ] || {
  echo 'usage: benches/callgrind.sh --why-not | target/release/call [--update | --secrets]' >&2
  exit 2
}
program=$1

# Instructions of all calls together.
total() {
  local log total
  log=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='*counted_by_callgrind*' \
    "$program" "$1" "$calls" 2>&1 > /dev/null) || { echo "$log" >&2; return 1; }
  total=$(sed -n 's/.*Collected : \([0-9]*\).*/\1/p' <<< "$log")
  [ "${total:-0}" -gt "$calls" ] || {
    echo "$log" >&2
    echo "callgrind.sh: nothing was counted: is $program without symbols?" >&2
    return 1
  }
  echo "$total"
}

# Instructions per call.
count() {
  local all
  all=$(total "$1")
  echo $(((all + calls / 2) / calls))
}

if [ "${2:-}" = --secrets ]; then
  expected_total=$(total "${secrets[0]}")
  for path in "${secrets[@]}"; do
    all=$(total "$path")
    echo "$path: $all instructions for $calls secrets"
    if [ "$all" -ne "$expected_total" ]; then
      echo "${secrets[0]} took $expected_total: the time that a secret takes tells something about it" >&2
      exit 1
    fi
  done
  exit 0
fi

measured='{'
for path in "${paths[@]}"; do
  measured+=" \"$path\": $(count "$path"),"
done
measured="${measured%,} }"

python3 - "$expected" "$measured" "$compiler" "$target" "${2:-}" << 'EOF'
import json
import sys

path, measured, compiler, target = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3], sys.argv[4]
if sys.argv[5] == "--update":
    with open(path, "w", encoding="utf-8") as file:
        document = {"rustc": compiler, "target": target, "instructions": measured}
        file.write(json.dumps(document, indent=2) + "\n")
with open(path, encoding="utf-8") as file:
    expected = json.load(file)["instructions"]
worse = False
print(f"| {'instructions a call':<20} | {'now':>6} | {'before':>6} | {'change':>8} |")
print(f"| {'-' * 20} | {'-' * 6} | {'-' * 6} | {'-' * 8} |")
for call, now in measured.items():
    before = expected.get(call)
    if before is None:
        sys.exit(f"instructions.json does not know {call}: make bench-instructions-update")
    change = 100 * (now - before) / before
    worse |= change > 5
    note = " dearer" if change > 5 else " cheaper: --update" if change < -5 else ""
    print(f"| {call:<20} | {now:>6} | {before:>6} | {change:>+7.1f}% |{note}")
if worse:
    print("a call takes over 5 % more instructions than instructions.json says; if that is meant: make "
          "bench-instructions-update", file=sys.stderr)
sys.exit(worse)
EOF
