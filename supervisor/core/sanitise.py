"""Foreign text on its way to a terminal: names, reasons, log lines, paths.

Owns the one rule: SGR colours of a log pass, as values; every other control sequence (OSC, C1, cursor moves, bidi
overrides, zero-width characters) is shown as visible text. Refuses to know what a style is on a screen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

_SGR = re.compile(r"\x1b\[([0-9;:]{0,64})m")  # longer ones are no colour: a number of 5,000 digits is none either
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories that a terminal obeys or hides instead of showing."""
_VARIATION = range(0xFE00, 0xFE10)
"""Variation selectors change the width of what stands before them, and terminals disagree by how much."""
_TAB = 8


@dataclass(frozen=True, slots=True)
class Sgr:
    """What a log asked its text to look like. Colours are `ansi256` numbers as text, `#rrggbb`, or empty."""

    colour: str = ""
    background: str = ""
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    reverse: bool = False
    strike: bool = False


PLAIN = Sgr()


@lru_cache(4096)
def reveal(char: str) -> str:
    """A character as visible text: itself, `^[` for a C0 control, `<U+202E>` for what would hide or reorder."""
    code = ord(char)
    if code < 0x20:
        return "^" + chr(code + 0x40)
    if code == 0x7F:
        return "^?"
    if code in _VARIATION or (not char.isprintable() and _is_hidden(char)):
        return f"<U+{code:04X}>"
    return " " if char.isspace() and char != "\u3000" else char


def _is_hidden(char: str) -> bool:
    import unicodedata  # here: 640 KB of tables, which few daemons ever need

    return unicodedata.category(char) in _HIDDEN


def safe(text: str) -> str:
    """`text` with nothing left in it that a terminal would obey; safe text comes back unchanged."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(reveal, text))


def encodable(text: str) -> str:
    """`text` with halves of characters as visible escapes: no UTF-8 has them, so neither a database nor a socket takes
    them. Exceptions and names of files may hold some."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def last_overwrite(line: str) -> str:
    """What a terminal would have shown of a line that rewrites itself with carriage returns (a progress bar)."""
    if "\r" not in line:
        return line
    return next((part for part in reversed(line.split("\r")) if part.strip()), "")


def spread_tabs(text: str) -> str:
    """Tabs as spaces up to the next multiple of eight; control sequences of colours are not counted."""
    if "\t" not in text:
        return text
    out: list[str] = []
    column = 0
    for part in re.split(r"(\t|\x1b\[[0-9;:]*m)", text):
        piece = " " * (_TAB - column % _TAB) if part == "\t" else part
        if not piece.startswith("\x1b"):
            column += len(piece)
        out.append(piece)
    return "".join(out)


def colour_runs(line: str) -> tuple[tuple[str, Sgr], ...]:
    """A log line as safe runs of text, each with the look that its SGR sequences asked for."""
    line = spread_tabs(last_overwrite(line))
    if "\x1b" not in line:
        return ((safe(line), PLAIN),) if line else ()
    runs: list[tuple[str, Sgr]] = []
    look = PLAIN
    for index, part in enumerate(_SGR.split(line)):
        if index % 2:
            look = apply_sgr(look, part)
        elif part:
            runs.append((safe(part), look))
    return tuple(runs)


def coloured(line: str) -> str:
    """A log line for a terminal: its colours as they are, any other control sequence as visible text."""
    parts = _SGR.split(spread_tabs(last_overwrite(line)))
    return "".join(f"\x1b[{part}m" if index % 2 else safe(part) for index, part in enumerate(parts))


def plain(line: str) -> str:
    """A log line as safe text without its colours."""
    return "".join(text for text, _ in colour_runs(line))


_SIMPLE: dict[int, dict[str, bool | str]] = {
    1: {"bold": True}, 2: {"dim": True}, 3: {"italic": True}, 4: {"underline": True}, 7: {"reverse": True},
    9: {"strike": True}, 22: {"bold": False, "dim": False}, 23: {"italic": False}, 24: {"underline": False},
    27: {"reverse": False}, 29: {"strike": False}, 39: {"colour": ""}, 49: {"background": ""},
}  # fmt: skip


@lru_cache(1024)
def apply_sgr(look: Sgr, parameters: str) -> Sgr:
    """`look` after one SGR sequence; parameters that mean nothing here (blink, fonts) are passed over."""
    codes = [int(code) if code else 0 for code in parameters.replace(":", ";").split(";")]
    while codes:
        code = codes.pop(0)
        if code == 0:
            look = PLAIN
        elif code in _SIMPLE:
            look = replace(look, **_SIMPLE[code])  # type: ignore[arg-type]
        elif 30 <= code <= 37 or 90 <= code <= 97:
            look = replace(look, colour=str(code - 30 if code < 90 else code - 82))
        elif 40 <= code <= 47 or 100 <= code <= 107:
            look = replace(look, background=str(code - 40 if code < 100 else code - 92))
        elif code in (38, 48):
            colour, codes = _take_colour(codes)
            look = replace(look, colour=colour) if code == 38 else replace(look, background=colour)
    return look


def _take_colour(codes: list[int]) -> tuple[str, list[int]]:
    match codes:
        case [5, number, *rest] if number < 256:
            return str(number), rest
        case [2, red, green, blue, *rest] if max(red, green, blue) < 256:
            return f"#{red:02x}{green:02x}{blue:02x}", rest
    return "", []
