"""That docs/performance.md has a place for what is measured, and that the picture shows what it is given."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from tests.bench import __main__ as bench
from tests.bench.performance import plot
from tests.bench.stories.tables import placed

SVG = "{http://www.w3.org/2000/svg}"


def test_the_page_has_a_place_for_every_part() -> None:
    """So that `--write` does not fail after a quarter of an hour."""
    for name in bench.PARTS:
        assert "x" in placed(bench.PAGE.read_text(), name, "x")


def test_a_line_goes_from_left_to_right_and_up_as_costs_grow() -> None:
    """Ten times as many is as far to the right wherever one stands; a cost that stays lies level."""
    lines = {"a": [(100.0, 1.0), (1000.0, 10.0), (10_000.0, 100.0)], "b": [(100.0, 5.0), (10_000.0, 5.0)]}
    drawn = ET.fromstring(plot.picture("t", lines))
    first, second = (line.attrib["points"] for line in drawn.iter(f"{SVG}polyline"))
    (x0, y0), (x1, y1), (x2, y2) = (tuple(map(float, point.split(","))) for point in first.split())
    assert x0 < x1 < x2
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 > y1 > y2
    assert len({point.split(",")[1] for point in second.split()}) == 1


def test_names_are_words_not_markup() -> None:
    """And each is said beside its line."""
    text = plot.picture("a < b", {"<x>": [(1, 1)]})
    words = [element.text for element in ET.fromstring(text).iter(f"{SVG}text")]
    assert "a < b" in words
    assert "<x>" in words


def test_the_picture_is_for_light_and_for_dark() -> None:
    """Every colour has its other."""
    light, dark = plot.STYLE.split("@media (prefers-color-scheme: dark)")
    assert set(re.findall(r"\.[cd]\d", light)) == set(re.findall(r"\.[cd]\d", dark))


def test_nothing_at_zero_is_drawn_on_logarithmic_axes() -> None:
    """It would lie nowhere."""
    with pytest.raises(ValueError, match="logarithmic"):
        plot.picture("t", {"a": [(1, 0)]})
