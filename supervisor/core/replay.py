"""A trace decided once more: each recorded reading is given to a governor, and its answer held beside the recorded one.

Pure: the governor is passed in, and what is found comes out period by period, so that a long trace needs no memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from gristmill.supervisor.core import trace
from gristmill.supervisor.core.findings import shown
from gristmill.supervisor.core.governor.decision import Decision
from gristmill.supervisor.core.governor.reading import Reading

Decide = Callable[[Reading, Any], tuple[Any, Decision]]


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """One period decided again: `at` in seconds since the trace began, `differs` where it is not as recorded.

    `changed` says that the limit, what binds it, or tasks to be stopped, resumed or ended are news.
    """

    at: float
    busy: float
    decision: Decision
    changed: bool
    differs: str = ""


class Break(msgspec.Struct, frozen=True):
    """The trace begins anew, or a line of it is torn, in words."""

    words: str


def replay(lines: Iterable[bytes], decide: Decide, kind: type[Any]) -> Iterator[Period | Break]:
    """Decides a trace once more; `kind` is the type of the governor's state. Raises `TraceError`."""
    state: Any = None
    first: float | None = None
    before: Decision | None = None
    for found in trace.read(lines):
        if isinstance(found, trace.Torn):
            yield Break("a line was not finished: the daemon was killed, or is writing; it is passed over")
        elif isinstance(found, trace.Header):
            if first is not None:
                yield Break("the record begins anew")
            state, first, before = trace.state(found, kind), None, None
        else:
            state, decision = decide(found.reading, state)
            first = found.reading.at if first is None else first
            yield Period(
                at=round(found.reading.at - first, 3), busy=found.reading.busy, decision=decision,
                changed=_news(before, decision), differs=difference(decision, found.decision),
            )
            before = decision


def difference(now: Decision, recorded: Decision) -> str:
    """Where two decisions differ first, "" where they are the same when written down."""
    for field in msgspec.structs.fields(Decision):
        one, other = (msgspec.json.encode(getattr(decision, field.name)) for decision in (now, recorded))
        if one != other:
            new, old = one.decode(), other.decode()
            same = next((at for at, pair in enumerate(zip(new, old, strict=False)) if pair[0] != pair[1]), 0)
            new, old = (_around(text, same) for text in (new, old))
            return f"{field.name} is {new}, recorded was {old}"
    return ""


def _around(text: str, at: int) -> str:
    """A long text from shortly before a place on, in plain characters."""
    begin = at - 20 if at > 40 else 0
    return ("…" if begin else "") + shown(text[begin:], 80)[1:-1].replace('\\"', '"')


def _news(before: Decision | None, now: Decision) -> bool:
    if before is None or now.stop or now.resume or now.kill:
        return True
    return (before.limit, before.binding) != (now.limit, now.binding)
