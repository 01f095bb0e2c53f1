"""The signs of the screens: a glyph, a word and a tone for every state, and the characters that lines are drawn with.

Owns the vocabulary, in Unicode and in plain ASCII. A tone is a name ("ok", "muted"); which colour it has is `looks`'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Run: TypeAlias = tuple[str, str]
"""A piece of text and its tone."""
Runs: TypeAlias = tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Sign:
    """How a state is shown: never by its colour alone."""

    glyph: str
    ascii: str
    word: str
    tone: str


SIGNS = {
    "queued": Sign("○", ".", "QUE", "wait"),
    "waiting": Sign("◌", ",", "WAI", "wait"),
    "held": Sign("◌", "-", "HLD", "warn"),
    "starting": Sign("◐", ">", "STA", "run"),
    "running": Sign("●", "*", "RUN", "run"),
    "paused": Sign("‖", "=", "PAU", "warn"),
    "stopping": Sign("◑", "<", "STP", "stop"),
    "done": Sign("✓", "+", "OK", "ok"),
    "failed": Sign("✗", "x", "FAIL", "fail"),
    "canceled": Sign("⊘", "/", "CAN", "muted"),
    "retry": Sign("↻", "~", "RTY", "warn"),
    "timeout": Sign("◷", "t", "T/O", "fail"),
    "oom": Sign("✗", "o", "OOM", "fail"),
    "lost": Sign("?", "?", "LOST", "fail"),
    "interrupted": Sign("!", "!", "INT", "warn"),
    "rejected": Sign("!", "!", "BAD", "fail"),
    "idle": Sign("·", " ", "idle", "faint"),
}
_UNKNOWN = Sign("?", "?", "", "warn")


@dataclass(frozen=True, slots=True)
class Marks:
    """The characters of one way of drawing."""

    ascii: bool
    rule: str
    cursor: str
    resting: str
    marked: str
    live: str
    cut: str
    bar: str
    bar_half: str
    bar_rest: str
    divider: str
    thumb: str
    dot: str

    def state(self, state: str) -> Runs:
        """A state as glyph and word in its tone; a state that is not known here is shown by its own name."""
        sign = SIGNS.get(state, _UNKNOWN)
        return ((f"{sign.ascii if self.ascii else sign.glyph}{sign.word or state}", sign.tone),)

    def progress(self, part: float, width: int, tone: str = "run") -> Runs:
        """A bar of `width` cells, then nothing else; `part` is 0…1."""
        halves = round(max(0.0, min(1.0, part)) * width * 2)
        full, half = divmod(halves, 2)
        done = self.bar * full + self.bar_half * half
        return ((done, tone), (self.bar_rest * (width - full - half), "faint"))


UNICODE = Marks(
    ascii=False, rule="─", cursor="▎", resting="▏", marked="◆", live="●", cut="…", bar="━", bar_half="╸", bar_rest="─",
    divider="│", thumb="▐", dot="·",
)  # fmt: skip
ASCII = Marks(
    ascii=True, rule="-", cursor=">", resting=".", marked="+", live="*", cut="~", bar="#", bar_half="=", bar_rest="-",
    divider="|", thumb="#", dot="-",
)  # fmt: skip


TO_ASCII = str.maketrans({
    "…": "~", "–": "-", "—": "-", "→": ">", "←": "<", "↑": "^", "↓": "v", "±": "~", "×": "x", "⇧": "^", "·": "-",
})  # fmt: skip
"""What our own words have beyond ASCII, one character for one; text of others stays as it is."""


def tone_of(state: str) -> str:
    """The tone of a state."""
    return SIGNS.get(state, _UNKNOWN).tone
