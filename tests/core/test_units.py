"""Durations and sizes: what is understood, and what is refused with which mend."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.supervisor.core import units
from gristmill.supervisor.core.findings import Fault


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h", 7200.0), ("1h30m", 5400.0), ("1h 30m", 5400.0), ("90s", 90.0), ("250ms", 0.25), ("1.5h", 5400.0),
        ("1d", 86400.0), ("1d2h3m4s5ms", 93784.005), (" 10 s ", 10.0), (30, 30.0), (0.5, 0.5),
    ],
)  # fmt: skip
def test_durations(text: str | int | float, expected: float) -> None:
    assert units.seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("", "write a duration"), ("-5m", "write a duration"), ("1.2.3s", "write a duration"), ("5", '"5m"'),
        ("2 hours", "write a duration"), ("2H", "write a duration"), ("1m1h", "largest first"), ("1h1h", "unit once"),
        ("2:30:00", '"2h30m"'), ("٣s", "write a duration"), ("1h,30m", "write a duration"), ("inf", "write a duration"),
        (0, "leave the key out"), ("0s", "leave the key out"), (-1, "write"), (float("nan"), "write a duration"),
        (10**30, "leave the key out"), ("9999999d", "leave the key out"), ("1" * 5000 + "s", "write a duration"),
    ],
)  # fmt: skip
def test_durations_refused(text: str | int | float, mend: str) -> None:
    with pytest.raises(Fault) as caught:
        units.seconds(text)
    assert mend in caught.value.mend


def test_zero_passes_only_where_it_means_something() -> None:
    assert units.seconds(0, zero=True) == 0.0
    assert units.seconds("0s", zero=True) == 0.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 GiB", 2 << 30), ("500 MB", 500_000_000), ("500MB", 500_000_000), ("64 kib", 65536), ("1.5 GiB", 3 << 29),
        ("4G", 4 << 30), ("100 B", 100), ("1 TB", 10**12), (4096, 4096),
    ],
)  # fmt: skip
def test_sizes(text: str | int, expected: int) -> None:
    assert units.size(text) == expected


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("4 GBB", "write a size"), ("", "write a size"), ("-1 GiB", "write a size"), ("1.2.3 GiB", "write a size"),
        ("4", '"4 GiB"'), ("GiB", "write a size"), ("4  GiB", "write a size"), ("4 GiB 2", "write a size"),
        ("0 GiB", "1,048,576 bytes"), (4, "give the unit"), (0, "give the unit"), ("9999999 PiB", "write a size"),
    ],
)  # fmt: skip
def test_sizes_refused(text: str | int, mend: str) -> None:
    with pytest.raises(Fault) as caught:
        units.size(text, least=1 << 20)
    assert mend in caught.value.mend


PIECES = st.lists(st.sampled_from(["1", "90", ".", "-", " ", "h", "m", "s", "ms", "Gi", "B", "M", "k"]), max_size=7)


@given(st.text(max_size=30) | PIECES.map("".join))
def test_any_text_is_understood_or_refused(text: str) -> None:
    for read in (units.seconds, units.size):
        try:
            assert read(text) > 0
        except Fault as fault:
            assert fault.what
            assert fault.mend


@given(st.integers(0, 23), st.integers(0, 59), st.integers(1, 59))
def test_parts_add_up(hours: int, minutes: int, seconds: int) -> None:
    assert units.seconds(f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds
