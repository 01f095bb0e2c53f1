"""Foreign text can't command a terminal, and what it tried is there to be seen."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.supervisor.core.sanitise import PLAIN, Sgr, colour_runs, plain, safe


def harmless(text: str) -> bool:
    return not any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in text)


@given(st.text())
def test_no_text_keeps_anything_a_terminal_obeys(text: str) -> None:
    assert harmless(safe(text))


@given(st.text())
def test_safe_text_comes_back_as_it_is(text: str) -> None:
    assert safe(safe(text)) == safe(text)


@given(st.text(alphabet=st.sampled_from("\x1b[]0123;:m\x07\r\t\x9b\u202eaé")))
def test_the_runs_of_a_log_line_are_safe(line: str) -> None:
    assert all(harmless(text) for text, _ in colour_runs(line))


@pytest.mark.parametrize(("raw", "shown"), [
    ("sweep-ä-日本", "sweep-ä-日本"),
    ("\x1b]52;c;ZWNobw==\x07", "^[]52;c;ZWNobw==^G"),
    ("\x1b[2J\x1b[H", "^[[2J^[[H"),
    ("\x9b31m", "<U+009B>31m"),
    ("abc\u202egnp.exe", "abc<U+202E>gnp.exe"),
    ("pay\u200bpal", "pay<U+200B>pal"),
    ("two\nlines", "two^Jlines"),
    ("\x7f", "^?"),
])  # fmt: skip
def test_controls_are_shown(raw: str, shown: str) -> None:
    assert safe(raw) == shown


@pytest.mark.parametrize(("raw", "runs"), [
    ("\x1b[31mred\x1b[0m plain", (("red", Sgr(colour="1")), (" plain", PLAIN))),
    ("\x1b[1;92mok", (("ok", Sgr(colour="10", bold=True)),)),
    ("\x1b[38;5;208mo\x1b[48;2;1;2;255mb", (("o", Sgr(colour="208")), ("b", Sgr(colour="208", background="#0102ff")))),
    ("\x1b[1mb\x1b[22mn", (("b", Sgr(bold=True)), ("n", PLAIN))),
    ("\x1b[38;5mcut short", (("cut short", PLAIN),)),
    ("\x1b[2Kx", (("^[[2Kx", PLAIN),)),
    ("\x1b[" + "1" * 5000 + "mx", (("^[[" + "1" * 5000 + "mx", PLAIN),)),
])  # fmt: skip
def test_colours_of_a_log_pass(raw: str, runs: tuple[tuple[str, Sgr], ...]) -> None:
    assert colour_runs(raw) == runs


def test_a_line_that_rewrites_itself_shows_its_last_state() -> None:
    assert plain(" 10%|#\r 42%|####\r") == " 42%|####"


def test_tabs_reach_the_next_stop_whatever_colours_stand_between() -> None:
    assert plain("a\t\x1b[31mb\x1b[0m\tc") == "a       b       c"
