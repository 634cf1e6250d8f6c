"""SAFETY.md names the files that have `unsafe` in them, and no others."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CRATES = ("core", "ffi", "bindings-python", "bindings-node", "examples", "tests", "benches")
SKIPPED = {"node_modules", "target"}
# In code: not in a comment, not in a word such as `AssertUnwindSafe`.
UNSAFE = re.compile(r"^(?!\s*//).*\bunsafe\b", re.MULTILINE)


def files_with_unsafe() -> set[str]:
    sources = (path for crate in CRATES for path in (ROOT / crate).rglob("*.rs"))
    return {
        path.relative_to(ROOT).as_posix()
        for path in sources
        if not SKIPPED.intersection(path.relative_to(ROOT).parts)
        and UNSAFE.search(path.read_text(encoding="utf-8"))
    }


def files_named() -> set[str]:
    text = (ROOT / "SAFETY.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {name for cell in rows for name in re.findall(r"`([^`]+\.rs)`", cell)}


class SafetyTest(unittest.TestCase):
    def test_all_files_are_named(self) -> None:
        self.assertGreater(len(files_with_unsafe()), 10)
        self.assertEqual(files_with_unsafe() - files_named(), set(), "missing in SAFETY.md")

    def test_no_other_files_are_named(self) -> None:
        self.assertEqual(files_named() - files_with_unsafe(), set(), "without `unsafe` by now")


if __name__ == "__main__":
    unittest.main()
