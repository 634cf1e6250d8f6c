"""What must hold on any machine, however slow: counts, never times."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import plot
import pytest
from clients import WORKERS
from job import CLIENTS, QUICK
from server import DIALECTS


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any], Path]:
    """The table, the figures and the picture of one quick run, as a user has them."""
    folder = tmp_path_factory.mktemp("job")
    script = str(Path(__file__).with_name("job.py"))
    figures, picture = folder / "job.json", folder / "job.svg"
    command = [sys.executable, script, "--quick", "--json", str(figures), "--plot", str(picture)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(figures.read_text()), picture


def test_every_client_does_each_item_once(ran: tuple[str, dict[str, Any], Path]) -> None:
    figures = ran[1]
    assert [it["client"] for it in figures["bucket"]] == [name for name, _ in CLIENTS]
    assert [it["client"] for it in figures["windows"]] == list(DIALECTS)
    for it in figures["bucket"] + figures["windows"]:
        assert it["done_once"], it["client"]


def test_with_the_limit_known_nothing_is_wasted(ran: tuple[str, dict[str, Any], Path]) -> None:
    known = [it for it in ran[1]["bucket"] if it["client"].startswith("Pacer, known")]
    known += [it for it in ran[1]["bucket"] if it["client"] == "Pacer, limit known"]
    assert len(known) == 2
    for it in known:
        assert (it["wasted"], it["pauses"], it["requests"]) == (0, 0, QUICK.items), it["client"]
        assert it["seconds"] >= it["at_best"], "the server let more through than its limit"


def test_learned_there_is_one_pause_a_reset(ran: tuple[str, dict[str, Any], Path]) -> None:
    for it in ran[1]["windows"]:
        assert it["resets"] >= math.ceil(QUICK.window_items / QUICK.window_quota) - 1, it["client"]
        assert it["pauses"] <= it["resets"], it["client"]
        # A refusal stops everybody: only those already under way with it are refused, too. (Answers
        # that overtake each other make a quota of 40 look larger than it is to 20 workers.)
        assert it["wasted"] <= WORKERS * it["resets"], it["client"]


def test_the_table_says_what_was_counted(ran: tuple[str, dict[str, Any], Path]) -> None:
    printed, figures, _ = ran
    for it in figures["bucket"] + figures["windows"]:
        row = re.search(rf"^{re.escape(it['client'])}  .*$", printed, re.MULTILINE)
        assert row is not None, it["client"]
        assert f"{it['seconds']:.2f} s" in row[0]
        assert f"{it['requests']:,}" in row[0].split()


def test_the_picture_shows_every_client(ran: tuple[str, dict[str, Any], Path]) -> None:
    svg = ElementTree.parse(ran[2]).getroot()
    words = [node.text for node in svg.iter("{http://www.w3.org/2000/svg}text")]
    for name, _ in CLIENTS:
        assert name in words
    curves = list(svg.iter("{http://www.w3.org/2000/svg}polyline"))
    assert len(curves) == 2 * len(CLIENTS)


def test_a_curve_counts_everything() -> None:
    times = [0.0, 0.01, 0.02, 0.3, 0.31, 2.0]
    points = plot.counted(times)
    assert points[-1] == (2.0, 6)
    assert [at for at, _ in points] == sorted(at for at, _ in points)
    # Nothing is done between 0.31 and 2.
    assert (2.0 - plot.STEP, 5) in points
    assert plot.counted([]) == [(0.0, 0)]
