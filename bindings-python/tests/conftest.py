"""What the tests share: a clock that a test moves, and where the shared files lie."""

from __future__ import annotations

from pathlib import Path

import pytest
import tidegate

ROOT = Path(__file__).resolve().parents[2]
NOON = 1_700_049_600  # 2023-11-15T12:00:00Z


@pytest.fixture
def clock() -> tidegate.ManualClock:
    return tidegate.ManualClock(NOON)
