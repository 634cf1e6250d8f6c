"""The programs of docs/client-python.md print what stands below them; examples of docstrings."""

from __future__ import annotations

import doctest
import importlib
import re

import pytest
import tidegate
from conftest import ROOT

PAGE = (ROOT / "docs" / "client-python.md").read_text("utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", PAGE, re.DOTALL)


@pytest.mark.parametrize(("program", "output"), PROGRAMS)
def test_programs(program, output, capsys):
    if "import aiohttp" in program:
        for client in ("aiohttp", "httpx", "requests"):
            pytest.importorskip(client)
    exec(compile(program, "docs/client-python.md", "exec"), {"__name__": "program"})
    assert capsys.readouterr().out == output


def test_there_are_programs():
    assert len(PROGRAMS) == 6 and sum(bool(output) for _, output in PROGRAMS) == 5


@pytest.mark.parametrize(
    ("documented", "name"),
    [
        (tidegate.Pacer, "Pacer"),
        (tidegate._native.Pacer, "Pacer"),
        (tidegate.read_headers, "read_headers"),
    ],
)
def test_examples(documented, name):
    run_examples(documented, name)


@pytest.mark.parametrize("client", ["httpx", "requests", "aiohttp"])
def test_examples_of_adapters(client):
    pytest.importorskip(client)
    run_examples(importlib.import_module(f"tidegate.{client}"), client)


def run_examples(documented, name):
    run = 0
    finder = doctest.DocTestFinder()
    for example in finder.find(documented, name, globs={"tidegate": tidegate}):
        outcome = doctest.DocTestRunner().run(example)
        assert outcome.failed == 0, example.name
        run += outcome.attempted
    assert run > 0
