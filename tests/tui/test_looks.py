"""Colours that can be read, in every theme."""

from __future__ import annotations

import pytest

from gristmill.tui.looks import COLOUR_BLIND, DARK, LIGHT, NAMES, TERMINAL, Palette
from gristmill.tui.marks import SIGNS


def brightness(colour: str) -> float:
    """Relative luminance 0…1 of `#rrggbb`, as WCAG 2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """1…21, as WCAG 2 defines it."""
    low, high = sorted((brightness(one), brightness(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("palette", [DARK, LIGHT, COLOUR_BLIND], ids=lambda palette: palette.name)
def test_what_is_said_can_be_read_on_every_ground(palette: Palette) -> None:
    colours = palette.colours
    for tone in ("text", "strong", "title", "muted", "ok", "run", "fail", "warn", "stop", "wait", "accent", "key"):
        least = 3.0 if tone == "muted" else 4.0
        for ground in ("ground", "raised", "cursor"):
            assert contrast(colours[tone], colours[ground]) >= least, f"{tone} on {ground}"
    assert contrast(colours["ground"], colours["warn"]) >= 4.0, "a banner"


@pytest.mark.parametrize("palette", list(NAMES.values()), ids=list(NAMES))
def test_every_tone_has_a_style_on_every_ground(palette: Palette) -> None:
    tones = {"text", "muted", "faint", "title", "key", "accent", "banner", "found"}
    tones |= {sign.tone for sign in SIGNS.values()}
    for tone in tones:
        for suffix in ("", "+", "^") if tone != "found" else ("",):
            style = palette.style(tone + suffix)
            assert style.color is not None
            assert style.bgcolor is not None or palette is TERMINAL or tone == "banner"


def test_states_are_told_apart_without_colour() -> None:
    words = [(sign.glyph, sign.word) for sign in SIGNS.values()]
    assert len(set(words)) == len(words)
    plain = [(sign.ascii, sign.word) for sign in SIGNS.values()]
    assert len(set(plain)) == len(plain) and all(sign.isascii() for sign, _ in plain)
