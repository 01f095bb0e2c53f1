"""When the machine is looked at, on a real daemon."""

from __future__ import annotations

import itertools

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


def test_of_a_new_kind_it_is_decided_as_soon_as_the_first_task_has_ended(mill: Mill) -> None:
    record = mill.base / "record"
    mill.start("--record", str(record))

    def soon() -> bool:
        seen = len(list(steps(record)))
        mill.drop("new.toml", f'name = "new-{seen}"\ncommand = "sleep 0.11"\n[items]\ntotal = 20\nper_task = 1\n')
        mill.ended(f"new-{seen}")
        found = [step.reading for step in steps(record)][seen:]
        return any(now.ended and now.waiting and now.at - before.at < 0.2 for before, now in itertools.pairwise(found))

    mill.until(soon, "each time the next look was waited for")


APART_S = 0.1
"""Looks are so far apart at least."""


def test_a_limit_that_is_set_between_two_looks_holds_at_once_and_is_no_look(mill: Mill) -> None:
    """A look of a millisecond would take the hundredth of a second that the kernel has just counted for ten cores."""
    record = mill.base / "record"
    mill.start("--record", str(record))
    mill.drop_claimed("burn.toml", 'command = "while :; do :; done"\n')
    mill.running("burn")

    def brief() -> bool:
        for workers in (3, 2):
            mill.ask("limit", workers=workers)
            assert mill.status()["limit"]["workers"] == workers
        found = [step.reading.at for step in steps(record)]
        return any(two - one < APART_S for one, two in itertools.pairwise(found))

    mill.until(brief, "never twice within a tenth of a second")
    looks = [(step.reading.at, step.reading.cpu_total, step.reading.cpu_ours) for step in steps(record)]
    fresh = [one for one, before in zip(looks[1:], looks, strict=False) if one[1:] != before[1:]]
    assert all(two[0] - one[0] > 0.9 * APART_S for one, two in itertools.pairwise(fresh)), looks
    mill.grist("cancel", "burn")
