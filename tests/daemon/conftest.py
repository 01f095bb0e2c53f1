"""The fixtures of tests that drive a whole daemon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mill import Mill


@pytest.fixture
def mill(tmp_path: Path) -> Iterator[Mill]:
    """A mill that stands still; `start()` sets it going."""
    with Mill(tmp_path) as made:
        yield made


@pytest.fixture
def turning(mill: Mill) -> Mill:
    """A mill with its daemon running on two workers."""
    mill.start("--limit", "2")
    return mill
