"""Failures that are alike: grouped by their last words, in which numbers, addresses and quoted names do not count."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from gristmill.supervisor.core.answers import CauseView

_VARYING = re.compile(r"0x[0-9a-fA-F]+|'[^']*'|\"[^\"]*\"|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|/[^\s:]+/")
NUMBERS_MOST = 20
WORDS_MOST = 200
CAUSES_MOST = 50


class Failure(NamedTuple):
    """A task that ended badly: its number, state, the reason in the record, and the last line that it wrote."""

    number: int
    state: str
    reason: str
    words: str


@dataclass(slots=True)
class _Group:
    state: str
    reason: str
    words: str
    count: int = 0
    numbers: list[int] = field(default_factory=list)


def alike(words: str) -> str:
    """What two causes share that are one."""
    return " ".join(_VARYING.sub("#", words).split()).casefold()


def group(failures: Iterable[Failure]) -> list[CauseView]:
    """The causes, those of most tasks first; each in the words of the first task that it was met in."""
    found: dict[tuple[str, str], _Group] = {}
    for failure in failures:
        said = failure.words or failure.reason
        one = found.setdefault((failure.state, alike(said)), _Group(failure.state, failure.reason, said[:WORDS_MOST]))
        one.count += 1
        if len(one.numbers) < NUMBERS_MOST:
            one.numbers.append(failure.number)
    ranked = sorted(found.values(), key=lambda one: (-one.count, one.numbers))
    return [CauseView(state=one.state, reason=one.reason, words=one.words, count=one.count, numbers=sorted(one.numbers))
            for one in ranked[:CAUSES_MOST]]  # fmt: skip
