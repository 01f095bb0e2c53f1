"""docs/architecture.md leads to files that are there, and past none that puts the others in order."""

from __future__ import annotations

import re

import pytest

from tests.reference import tour

PAGE = (tour.ROOT / "docs" / "architecture.md").read_text()
EVERY = [path for layer in tour.LAYERS for path in tour.files(layer)]


def test_each_file_that_is_named_is_there() -> None:
    there = [path.relative_to(tour.ROOT).as_posix() for path in EVERY]
    named = set(re.findall(r"`([\w/]+\.py)`", PAGE))
    assert len(named) > 40, "the page is not read as it is written now"
    assert {name for name in named if not any(f"/{path}".endswith(f"/{name}") for path in there)} == set()


def test_each_file_beside_the_folders_has_its_place_in_the_tour() -> None:
    words = set(re.findall(r"\w+", PAGE))
    assert {path.stem for path in tour.files("supervisor")} - {"__init__"} - words == set()


@pytest.mark.parametrize("floor", ["core", "edge", "worker"])
def test_each_room_of_a_floor_stands_in_its_table_once(floor: str) -> None:
    part = PAGE.partition(f"## The rooms of `{floor}/`")[2].partition("\n## ")[0]
    table = "\n".join(re.findall(r"^\|.*", part, re.MULTILINE))
    rooms = {path.relative_to(tour.ROOT / "supervisor" / floor).parts[0].removesuffix(".py")
             for path in tour.files(f"supervisor/{floor}")} - {"__init__"}  # fmt: skip
    assert sorted(re.findall(r"`(\w+)/?`", table)) == sorted(rooms)


def test_each_file_says_what_it_owns() -> None:
    assert [str(path) for path in EVERY if len(tour.owns(path)) < 20] == []
