"""A job as a dict becomes the text of a file that says the same."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.supervisor.core.tomltext import dumps

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALAR = st.one_of(TEXT, st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.booleans())
VALUE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)


@given(st.dictionaries(TEXT, VALUE, max_size=5))
def test_what_is_written_is_read_back(table: dict[str, Any]) -> None:
    assert tomllib.loads(dumps(table)) == table


def test_what_stands_for_text_and_numbers_is_written_as_such() -> None:
    table = {"cwd": Path("/tmp/x"), "n": np.int64(3), "r": range(2), "t": (1, 2)}
    assert tomllib.loads(dumps(table)) == {"cwd": "/tmp/x", "n": 3, "r": [0, 1], "t": [1, 2]}


def test_what_toml_has_no_word_for_is_named_by_its_key() -> None:
    with pytest.raises(TypeError, match=r"grid\.x: a NoneType can't stand in a job file"):
        dumps({"grid": {"x": None}})
