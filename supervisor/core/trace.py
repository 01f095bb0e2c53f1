"""A trace: what the governor was told and what it answered, period by period, as JSON lines.

A header with the governor's state, then one line a period. A header in the middle begins anew: the daemon was started
again, or could not write for a while. Owns the form and nothing else: no file is opened here, and what a state is made
of is the governor's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from gristmill import __version__
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.findings import shown
from gristmill.supervisor.core.governor.decision import Decision
from gristmill.supervisor.core.governor.reading import Reading

TRACE = 1
"""Number of this form; it rises when an older program would misread it."""
MARK = b'{"gristmill":'
"""What every trace begins with."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """A beginning: who wrote it, in which form, and the governor's state before the first period."""

    gristmill: str
    trace: int
    state: msgspec.Raw


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One period."""

    reading: Reading
    decision: Decision


class TraceError(GristError):
    """A file that is no trace, or one that can't be understood."""


class Torn:
    """A line that was not finished: the daemon was killed, or the file is being written to."""


_encoder = msgspec.json.Encoder()
_step = msgspec.json.Decoder(Step)
_header = msgspec.json.Decoder(Header)


def begin(state: Any) -> bytes:
    """The header of a trace that begins in this state."""
    raw = msgspec.Raw(_encoder.encode(state))
    return _encoder.encode(Header(gristmill=__version__, trace=TRACE, state=raw)) + b"\n"


def step(reading: Reading, decision: Decision) -> bytes:
    """The line of one period; raises ValueError where it could not be read again, as with a number that is none."""
    line = _encoder.encode(Step(reading=reading, decision=decision))
    _step.decode(line)
    return line + b"\n"


def read(lines: Iterable[bytes]) -> Iterator[Header | Step | Torn]:
    """What the lines of a trace say, one by one; raises `TraceError` with the line's number.

    Only the last line may be torn: whoever goes on with a trace cuts off what was not finished.
    """
    number = 0
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n") and (number > 1 or MARK.startswith(line[: len(MARK)])):
            yield Torn()
        elif number == 1 or line.startswith(MARK):
            yield _begun(line, number)
        else:
            try:
                found = _step.decode(line)
            except msgspec.DecodeError as error:  # ValidationError is one
                what = shown(str(error), 200)[1:-1]
                raise TraceError(f"line {number}: can't be read: {what} – the file was changed, or damaged") from error
            yield found
    if not number:
        raise TraceError("the file is empty – record one with `grist daemon --record FILE`")


def state(header: Header, kind: type[Any]) -> Any:
    """The governor's state at a beginning."""
    try:
        return msgspec.json.decode(header.state, type=kind)
    except msgspec.DecodeError as error:
        raise TraceError(
            f"the state of Gristmill {shown(header.gristmill)[1:-1]} is not one of this version, {__version__}: "
            f"{shown(str(error), 200)[1:-1]} – replay it with the version that wrote it"
        ) from error


def _begun(line: bytes, number: int) -> Header:
    """A header; one of a newer form is refused before its content is looked at."""
    try:
        form = msgspec.json.decode(line, type=dict[str, msgspec.Raw]).get("trace")
        known = int(bytes(form)) if form is not None else 0
        if known <= TRACE:
            return _header.decode(line)
    except (msgspec.DecodeError, ValueError) as error:
        raise TraceError(
            f"line {number}: no trace begins like this – record one with `grist daemon --record FILE`"
        ) from error
    raise TraceError(f"line {number}: written by a newer Gristmill (trace {known}, this one knows {TRACE}) – upgrade")
