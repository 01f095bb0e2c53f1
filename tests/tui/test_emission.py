"""The bytes of a partial update: only what changed, and of looks only the difference."""

from __future__ import annotations

from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from gristmill.tui.emission import Changes, between, codes

RED, BOLD_RED = Style(color="#ff0000", bgcolor="#000000"), Style(color="#ff0000", bgcolor="#000000", bold=True)


def sent(strip: Strip, *spans: tuple[int, int, int]) -> str:
    console = Console(color_system="truecolor", force_terminal=True)
    return Changes([{0: strip}], list(spans), [[strip.cell_length]]).render_segments(console)


def test_only_the_cells_that_changed_are_sent() -> None:
    strip = Strip([Segment("hello ", RED), Segment("world", BOLD_RED)])
    assert sent(strip, (0, 4, 8)) == (
        "\x1b[1;5H\x1b[0;38;2;255;0;0;48;2;0;0;0mo \x1b[1mwo\x1b[0m")
    assert sent(strip, (0, 20, 30)) == ""


def test_wide_characters_are_not_torn() -> None:
    strip = Strip([Segment("名前x", RED)])
    assert "前" in sent(strip, (0, 2, 5))
    assert "名" not in sent(strip, (0, 2, 5))


def test_looks_are_told_by_their_difference() -> None:
    system = ColorSystem.TRUECOLOR
    red, bold = codes(RED, system), codes(BOLD_RED, system)
    assert between(red, bold) == "\x1b[1m"
    assert between(red, red) == ""
    assert between(bold, red).startswith("\x1b[0;38;2;255;0;0;48;2;0;0;0")
    assert between(red, codes(Style(color="#00ff00", bgcolor="#000000"), system)) == "\x1b[38;2;0;255;0m"
    assert between(red, codes(Style(bgcolor="#000000"), system)) == "\x1b[39m"
    assert between(None, codes(Style.null(), system)) == "\x1b[0m"
    assert codes(RED, ColorSystem.STANDARD)[1:] == ("31", "40")
