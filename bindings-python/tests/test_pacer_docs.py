"""The programs of docs/client-python.md print what stands below them."""

from __future__ import annotations

import re

import pytest
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
