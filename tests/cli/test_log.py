"""How the bytes of a log become what a terminal gets, and where its last lines begin."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.supervisor.cli.log import LINE, Terminal, last_lines

OSC52 = b"\x1b]52;c;aGk=\x07"


def shown(*chunks: bytes, rest: bool = False) -> str:
    """What a terminal gets of a log that comes in these pieces; with `rest`, after a pause behind each."""
    out = io.StringIO()
    terminal = Terminal(out)
    for chunk in chunks:
        terminal.write(chunk)
        if rest:
            terminal.rest()
    terminal.end()
    return out.getvalue()


def test_commands_to_the_terminal_are_shown_as_text() -> None:
    log = b"a" + OSC52 + b"\x00\x1b[2J\x9b2J\xc2\x9b31m\x1bc\x1b]0;t\x07\x08\x7f\xe2\x80\xaeb\n"
    text = shown(log)
    assert text.isprintable() or text.removesuffix("\n").isprintable()
    assert text == "a^[]52;c;aGk=^G^@^[[2J\ufffd2J<U+009B>31m^[c^[]0;t^G^H^?<U+202E>b\n"


PIECES = (b"\x1b", b"[", b"31m", b"]52;c;", b"\x07", b"\r", b"\n", b"\xc3", b"\xa9", b"\x9b", b"x", b"\0", b"\t",
          b"y" * LINE)


@given(st.lists(st.sampled_from(PIECES), max_size=40), st.data(), st.booleans())
def test_nothing_but_colours_lines_and_returns_of_ours_passes(
    pieces: list[bytes], data: st.DataObject, rest: bool
) -> None:
    log = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(log)), max_size=5)))
    parts = [log[start:end] for start, end in zip([0, *cuts], [*cuts, len(log)], strict=True)]
    text = shown(*parts, rest=rest)
    for ours in ("\r\x1b[K", "\x1b[0m", "\x1b[31m", "\n"):
        text = text.replace(ours, "")
    assert text.isprintable() or not text, repr(text)


def test_characters_and_colours_torn_apart_between_two_reads_stay_whole() -> None:
    assert shown(b"na\xc3", b"\xafve \x1b[3", b"1mred\x1b[0m\n") == "naïve \x1b[31mred\x1b[0m\n\x1b[0m"
    assert shown(b"x" * LINE + b"\x1b[1", b"mbold\n").endswith("\x1b[1mbold\n\x1b[0m")


def test_a_bar_that_rewrites_itself_is_rewritten_and_its_last_state_kept() -> None:
    assert shown(b" 1%|", b"\r50%|", b"\r99%|\nend\n", rest=True) == " 1%|\r\x1b[K50%|\r\x1b[K99%|\nend\n"
    assert shown(b" 1%|\r50%|\r99%|\nend\n") == "99%|\nend\n"
    assert shown(b"dos line\r\n", rest=True) == "dos line\n"


def test_a_line_without_end_is_shown_whole_in_pieces() -> None:
    assert shown(b"z" * (5 * LINE + 3)) == "z" * (5 * LINE + 3)


@pytest.mark.parametrize(("text", "lines", "kept"), [
    (b"a\nb\nc\n", 2, b"b\nc\n"), (b"a\nb\nc", 2, b"b\nc"), (b"a\nb\n", 9, b"a\nb\n"), (b"a\nb\n", 0, b""),
    (b"", 3, b""),
    (b"x" * 200_000 + b"\nlast\n", 1, b"last\n"), (b"x" * 200_000, 1, b"x" * 200_000), (b"\n\n\n", 2, b"\n\n"),
])  # fmt: skip
def test_the_last_lines_are_found_from_the_end(tmp_path: Path, text: bytes, lines: int, kept: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(text)
    fd = os.open(path, os.O_RDONLY)
    try:
        assert text[last_lines(fd, lines) :] == kept
    finally:
        os.close(fd)
