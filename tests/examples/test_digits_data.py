"""The data that ship are what their licence note says they are."""

from __future__ import annotations

import gzip
import hashlib
from collections import Counter
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def rows(examples: Path) -> list[list[int]]:
    with gzip.open(examples / "data" / "digits.csv.gz", "rt") as file:
        return [[int(number) for number in line.split(",")] for line in file]


def test_there_are_1797_images_of_64_pixels_and_a_label(rows: list[list[int]]) -> None:
    assert len(rows) == 1797
    assert {len(row) for row in rows} == {65}
    assert {pixel for row in rows for pixel in row[:64]} == set(range(17))


def test_each_digit_is_as_frequent_as_the_source_says(rows: list[list[int]]) -> None:
    counts = Counter(row[64] for row in rows)
    assert [counts[digit] for digit in range(10)] == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_the_numbers_are_unchanged(examples: Path) -> None:
    text = gzip.decompress((examples / "data" / "digits.csv.gz").read_bytes())
    assert hashlib.sha256(text).hexdigest() == "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8"


@pytest.mark.parametrize("words", ["E. Alpaydin", "C. Kaynak", "10.24432/C50P49", "CC BY 4.0", "none to the numbers"])
def test_the_licence_and_its_terms_are_named_beside_the_data(examples: Path, words: str) -> None:
    assert words in (examples / "data" / "LICENSE.md").read_text()
