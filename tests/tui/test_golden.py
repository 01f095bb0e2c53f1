"""What every screen looks like at three sizes, as plain text in `golden/`.

`GRIST_GOLDEN=write pytest tests/tui/test_golden.py` writes them anew; look at each before it is committed.
"""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .scene import fill_beyond
from .walk import STEPS, settled, walk, walking

GOLDEN = Path(__file__).parent / "golden"
SIZES = ((60, 20), (80, 24), (160, 45))


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("width", "height"), SIZES, ids=[f"{width}x{height}" for width, height in SIZES])
async def test_every_screen_looks_as_it_did(tmp_path: Path, width: int, height: int) -> None:
    seen: dict[str, str] = {}
    async with walking(tmp_path, width, height) as (eye, daemon):
        await walk(eye, daemon, lambda name: seen.update({name: eye.text + "\n"}))
    assert list(seen) == [name for name, *_ in STEPS]
    _compare(seen, width, height)


@pytest.mark.parametrize(("width", "height"), SIZES, ids=[f"{width}x{height}" for width, height in SIZES])
async def test_tasks_elsewhere_are_shown_with_host_and_number(tmp_path: Path, width: int, height: int) -> None:
    seen: dict[str, str] = {}
    async with walking(tmp_path, width, height, wrong=False, scene=fill_beyond) as (eye, daemon):
        for name, keys, shown in (
            ("beyond-job", ("n", "enter", *"jjjjj"), "5 ●RUN"), ("beyond-task", ("tab",), "n2 4711_5"),
            ("", ("escape", "3"), "Pressure"), ("beyond-machine", ("end",), "Beyond"),
        ):  # fmt: skip
            await eye.press(*keys)
            await settled(eye, daemon, shown)
            if name:
                seen[name] = eye.text + "\n"
    _compare(seen, width, height)


def _compare(seen: dict[str, str], width: int, height: int) -> None:
    wrong: list[str] = []
    for name, text in seen.items():
        path = GOLDEN / f"{name}-{width}x{height}.txt"
        if os.environ.get("GRIST_GOLDEN") == "write":
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        told = path.read_text() if path.exists() else ""
        wrong += difflib.unified_diff(told.splitlines(), text.splitlines(), path.name, "now", lineterm="", n=1)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("width", "height"), SIZES, ids=[f"{width}x{height}" for width, height in SIZES])
async def test_in_ascii_nothing_else_is_drawn(tmp_path: Path, width: int, height: int) -> None:
    async with walking(tmp_path, width, height, use_ascii=True) as (eye, daemon):
        strange: dict[str, set[str]] = {}
        await walk(eye, daemon, lambda name: strange.update({name: {char for char in eye.text if ord(char) > 126}}))
    assert {name: chars for name, chars in strange.items() if chars} == {}
