"""`grist replay`: a recorded trace decided once more, and whether today's governor answers as the recorded one did."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.figures import several
from gristmill.supervisor.core.sanitise import safe

if TYPE_CHECKING:
    from gristmill.supervisor.core.replay import Break, Decide, Period

LONGEST = 1 << 24
"""Bytes that a line may have: a file without lines is no trace, and is not read into memory whole."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("file", metavar="FILE", help="a trace, recorded with `grist daemon --record FILE`")
    parser.add_argument("--all", action="store_true", help="every period, not only changed decisions")
    parser.add_argument("--json", action="store_true", help="for programs: JSON lines, the last one with the outcome")


def run(args: argparse.Namespace) -> int:
    """Prints the decisions; 1 when they are not all as recorded."""
    from gristmill.supervisor.core import governor

    decide: Any = governor.decide
    return show(args, decide, governor.State)


def show(args: argparse.Namespace, decide: Decide, kind: type[Any]) -> int:
    """Replays with this governor, whose state is of this kind."""
    from gristmill.supervisor.core import replay, trace

    try:
        file = open(args.file, "rb")  # noqa: SIM115 - closed below; what goes wrong there is not about opening
    except OSError as error:
        raise GristError(f"{args.file}: {error.strerror} – name a trace") from error
    with file:
        try:
            return _print(replay.replay(_lines(file), decide, kind), args)
        except trace.TraceError as error:
            raise GristError(f"{args.file}: {error}") from error


def _lines(file: BinaryIO) -> Iterator[bytes]:
    try:
        while line := file.readline(LONGEST):
            yield line
    except OSError as error:
        raise GristError(f"{file.name}: {error.strerror} – can it be read, with cat?") from error


def _print(found: Iterable[Period | Break], args: argparse.Namespace) -> int:
    from gristmill.supervisor.core.replay import Break

    periods = changes = differing = 0
    first: Period | None = None
    for each in found:
        if isinstance(each, Break):
            print(json.dumps({"note": each.words}) if args.json else f"          – {each.words}")
            continue
        periods += 1
        changes += each.changed
        if each.differs:
            differing += 1
            first = first or each
        if args.all or each.changed or (each is first):
            print(_row(each) if args.json else _line(each))
    if args.json:
        print(json.dumps({
            "periods": periods, "changes": changes, "differing": differing, "equal": not differing,
            "first_difference": {"at": first.at, "what": first.differs} if first else None,
        }))
    else:
        total = f"{several(periods, 'period')}, {several(changes, 'change')}"
        if first:
            print(f"{total}: {differing:,} not as recorded, first at {first.at:.1f} s: {safe(first.differs)}")
        else:
            print(f"{total}: all as recorded")
    return 1 if differing else 0


def _line(period: Period) -> str:
    decision = period.decision
    told = [f"{word} {len(tasks)}" for word, tasks in _acts(period).items() if tasks]
    acts = f" [{', '.join(told)}]" if told else ""
    sign = "≠" if period.differs else " "
    head = "" if decision.reason.startswith(f"{decision.binding}:") else f"{decision.binding}: "
    return (
        f"{period.at:8.1f} s {sign} limit {decision.limit:>4}  busy {period.busy:6.1f}  "
        f"{safe(head + decision.reason)}{acts}"
    )


def _row(period: Period) -> str:
    decision = period.decision
    return json.dumps({
        "at": period.at, "limit": decision.limit, "busy": period.busy, "binding": decision.binding,
        "reason": decision.reason, **_acts(period), "changed": period.changed, "equal": not period.differs,
    })


def _acts(period: Period) -> dict[str, tuple[str, ...]]:
    decision = period.decision
    return {"stop": decision.stop, "resume": decision.resume, "kill": decision.kill}
