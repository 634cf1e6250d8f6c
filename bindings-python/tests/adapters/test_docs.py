"""The programs of docs/python.md print what stands below them."""

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "readme"))

from run_readme import blocks, programs  # noqa: E402

PAGE = ROOT / "docs" / "python.md"
PROGRAMS = programs(blocks(PAGE.read_text(encoding="utf-8")))


def printed(program):
    if "django" in program:  # its settings hold for a whole process
        command = [sys.executable, "-c", program]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(program, PAGE.name, "exec"), {"__name__": "__main__"})
    return out.getvalue()


@pytest.mark.parametrize(("block", "expected"), PROGRAMS, ids=lambda value: str(getattr(value, "line", "")))
def test_programs_print_what_the_page_says(block, expected):
    assert printed(block.text) == expected


def test_there_are_programs():
    assert len(PROGRAMS) >= 9


def test_the_bench_runs():
    bench = ROOT / "benches" / "python" / "adapters.py"
    command = [sys.executable, str(bench), "--quick", "--rounds", "1"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert len(shown.splitlines()) == 9 and "Flask-Limiter" in shown
