"""Names of job files, odd ones too."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.supervisor.core.filenames import LONGEST, claim, error_of, free, job_like, numbered

names = st.binary(min_size=1, max_size=LONGEST).filter(lambda name: b"/" not in name and b"\0" not in name)


@given(names, names)
def test_no_two_names_share_a_claim(one: bytes, other: bytes) -> None:
    assert (claim("batch", one) == claim("batch", other)) == (one == other)
    claim("batch", one).encode()


@given(names.filter(job_like), st.integers(1, 10**9))
def test_numbered_names_are_never_too_long_and_keep_their_suffix(stem: bytes, number: int) -> None:
    name = stem[:250] + b".toml"
    assert len(numbered(name, number)) <= LONGEST
    assert numbered(name, number).endswith(b".toml")
    assert len(error_of(numbered(name, number))) <= LONGEST


@given(st.integers(0, 5000))
def test_the_first_free_name_is_found_with_few_questions(count: int) -> None:
    there = {numbered(b"a.toml", number) for number in range(1, count + 1)}
    asked: list[bytes] = []

    def taken(name: bytes) -> bool:
        asked.append(name)
        return name in there

    assert free(b"a.toml", taken) == numbered(b"a.toml", count + 1)
    assert len(asked) < 40


@pytest.mark.parametrize(
    "name", [b".a.toml", b"#a.toml#", b"a.toml~", b"a.toml.part", b"a.toml.tmp", b".a.toml.swp", b"README.txt"]
)
def test_hidden_and_unfinished_names_are_no_jobs(name: bytes) -> None:
    assert not job_like(name)
