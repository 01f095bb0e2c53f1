"""When the machine is looked at, on a real daemon."""

from __future__ import annotations

from gristmill.supervisor.core.governor import Reading
from tests.daemon.recorded import steps
from tests.mill import Mill

SOON_S = 0.8
"""An idle daemon looks at the machine every second."""


def test_the_machine_is_looked_at_as_soon_as_there_is_work(mill: Mill) -> None:
    """Not with the next beat: until then the limit is that of an idle machine, and of jobs of a second or two that is
    most of their time."""
    record = mill.base / "record"
    mill.start("--record", str(record))

    def readings() -> list[Reading]:
        return [step.reading for step in steps(record)]

    def soon() -> bool:
        seen = len(readings())
        mill.until(lambda: len(now := readings()) > seen + 1 and not now[-1].running, "it never rests")
        mill.drop_claimed("work.toml", 'command = "sleep 0.5"\n')
        mill.ended("work")
        found = readings()
        threes = zip(found, found[1:], found[2:], strict=False)  # after two without work the beat is kept
        return any(now.running and not (a.running or b.running) and now.at - b.at < SOON_S for a, b, now in threes)

    mill.until(soon, "each time the next beat was waited for")
