#!/usr/bin/env bash
# Instructions per call of the hot paths, counted by callgrind, beside those of instructions.json (±5 %).
#
#   benches/callgrind.sh PROGRAM            compares; fails when a path has become dearer
#   benches/callgrind.sh PROGRAM --update   writes instructions.json anew
#
# PROGRAM is the crate's `call`, built for release. What a call costs is the difference between many calls and
# few: what the program does besides drops out. Counts are of the engine and of all it calls, the reading of the
# clock included as far as it is outside the kernel. They differ between compilers and processors' instruction
# sets, not between quiet and busy machines.
set -euo pipefail

calls=(acquire try_acquire denial six_acquire record_latency)
few=5000
many=25000

command -v valgrind > /dev/null || {
  echo 'callgrind.sh needs valgrind (Debian: apt-get install valgrind)' >&2
  exit 1
}
[ $# -ge 1 ] && [ -x "$1" ] || {
  echo 'usage: benches/callgrind.sh target/release/call [--update]' >&2
  exit 2
}
program=$1
expected=$(dirname "$0")/instructions.json

# Instructions of a whole run of the program.
count() {
  local log
  log=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" 2>&1 > /dev/null)
  sed -n 's/.*Collected : \([0-9]*\).*/\1/p' <<< "$log" | grep . || { echo "$log" >&2; return 1; }
}

measured='{'
for call in "${calls[@]}"; do
  before=$(count "$call" "$few")
  after=$(count "$call" "$many")
  measured+=" \"$call\": $(((after - before + (many - few) / 2) / (many - few))),"
done
measured="${measured%,} }"

python3 - "$expected" "$measured" "${2:-}" << 'EOF'
import json
import sys

path, measured, update = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3] == "--update"
if update:
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(measured, indent=2) + "\n")
with open(path, encoding="utf-8") as file:
    expected = json.load(file)
worse = False
print(f"| {'instructions a call':<20} | {'now':>6} | {'before':>6} | {'change':>8} |")
print(f"| {'-' * 20} | {'-' * 6} | {'-' * 6} | {'-' * 8} |")
for call, now in measured.items():
    before = expected[call]
    change = 100 * (now - before) / before
    worse |= change > 5
    note = " dearer" if change > 5 else " cheaper: --update" if change < -5 else ""
    print(f"| {call:<20} | {now:>6} | {before:>6} | {change:>+7.1f}% |{note}")
sys.exit(worse)
EOF
