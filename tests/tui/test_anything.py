"""Whatever keys come, and whatever the daemon says meanwhile, the screens go on."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.supervisor.core.answers import (
    AxisView,
    CausesView,
    CauseView,
    SweepView,
    ValueView,
)
from gristmill.supervisor.core.protocol import ConditionView, LimitView
from gristmill.supervisor.core.sanitise import safe
from gristmill.tui import study
from gristmill.tui.app import MillApp
from gristmill.tui.columns import cut, width_of
from gristmill.tui.commands import COMMANDS
from gristmill.tui.looks import NAMES
from gristmill.tui.marks import ASCII, UNICODE

from .scene import fill
from .stage import OSC52, Daemon, Eye, job, worker

KEYS = sorted({key for command in COMMANDS for key in command.keys if command.action != "leave"})
SIZES = ((80, 24), (160, 45), (60, 20), (38, 12), (300, 60), (1, 1), (20, 3))


def happen(daemon: Daemon, chance: random.Random) -> None:
    """Something that a daemon may say or do."""
    number = chance.choice(list(daemon.jobs) or [1])
    state = chance.choice(["queued", "running", "held", "done", "failed", "canceled", "unheard-of"])
    match chance.randrange(9):
        case 0:
            name = chance.choice(["sweep", OSC52, "", "名前" * 20])
            daemon.push(job(number, name, state, items=chance.choice([0, 1, 10**9])))
        case 1:
            daemon.push(removed=[number])
        case 2:
            tasks = [chance.choice([None, f"{number}/{place}"]) for place in range(chance.randrange(70))]
            daemon.workers = [worker(place + 1, task, "x") for place, task in enumerate(tasks)]
            daemon.push()
        case 3:
            daemon.push(skip=3)
        case 4:
            daemon.frozen = not daemon.frozen
        case 5:
            daemon.refusals = {} if daemon.refusals else dict.fromkeys(
                chance.sample(["tasks", "log", "why", "sweep", "vitals", "cancel", "life"], 3), OSC52)  # fmt: skip
        case 6:
            daemon.conditions = [ConditionView(kind="disk", reason=OSC52, since=0.0)] * chance.randrange(3)
            daemon.push()
        case 7:
            workers, mode = chance.choice([0, 1, 4096]), chance.random() < 0.5
            daemon.limit = LimitView(workers=workers, busy=0, reason="", mode="fixed" if mode else "auto")
            daemon.push()
        case 8:
            daemon.tasks["4"] = daemon.tasks["4"][: chance.randrange(40)]
            daemon.push()


@pytest.mark.parametrize("seed", range(3))
async def test_any_keys_and_events_leave_no_exception(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    daemon = Daemon(tmp_path / "s")
    fill(daemon, tmp_path)
    await daemon.start()
    said: list[str] = []
    app = MillApp(str(daemon.path), "/home/me/jobs", use_ascii=seed % 2 == 1, theme=list(NAMES)[seed % len(NAMES)])
    async with app.run_test(size=SIZES[0]) as pilot:
        await Eye(app, pilot).sees("live")
        for _ in range(160):
            what = chance.random()
            if what < 0.75:
                key = chance.choice(KEYS)
                said.append(key)
                await pilot.press(key)
            elif what < 0.95:
                happen(daemon, chance)
            else:
                size = chance.choice(SIZES)
                said.append(f"{size}")
                await pilot.resize_terminal(*size)
        await pilot.pause()
        assert app.return_code in (None, 0), said[-20:]
        assert app.is_running, said[-20:]
    await daemon.stop()


WORDS = st.text(st.characters(), max_size=30)


@settings(max_examples=60)
@given(st.lists(st.tuples(WORDS, WORDS, st.integers(0, 10**12)), max_size=5), st.integers(20, 300), st.booleans())
def test_lines_of_any_words_fit_any_width(values: list[tuple[str, str, int]], width: int, plain: bool) -> None:
    marks = ASCII if plain else UNICODE
    told: list[Any] = [ValueView(value=one, done=count, failed=count // 3, wall_s=float(count), result=float(count))
                       for one, _, count in values]  # fmt: skip
    sweep = SweepView(axes=[AxisView(name=name, values=told) for _, name, _ in values], seen=1, of=2, result="x")
    causes = CausesView(causes=[CauseView(state="failed", reason=one, words=other, count=count, numbers=[count])
                                for one, other, count in values], seen=1, of=1)  # fmt: skip
    for line in (*study.sweep(sweep, width, marks), *study.causes(causes, width, marks)):
        shown = cut(line, width, marks.cut)
        assert width_of(shown) == width
        assert all(safe(text) == text for text, _ in shown), "cut made it safe"
