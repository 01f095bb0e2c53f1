"""What a journal says, whole or torn."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.supervisor.core.errors import FolderError
from gristmill.supervisor.core.journal import VERSION, Key, Start, read, seal

A, B = "1.2.1", "1.3.1"


def line(record: dict[str, Any]) -> bytes:
    body = json.dumps(record, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def claim(key: str) -> bytes:
    return line({"c": key, "t": 5.0})


def end(key: str, code: int = 0) -> bytes:
    return line({"e": key, "code": code, "signal": None, "why": None, "t0": 5.0, "t": 6.0, "cpu": 0.1, "rss": 7})


def test_a_claim_without_an_exit_runs() -> None:
    fates = read(claim(A) + end(A, 3) + claim(B))
    assert fates.running == {Key.parse(B): Start(5.0)}
    assert fates.ended[Key.parse(A)].exit_code == 3


def test_a_start_tells_the_pid_of_a_claim() -> None:
    fates = read(claim(A) + line({"s": A, "pid": 77, "t": 5.5}) + line({"s": B, "pid": 78, "t": 5.5}))
    assert fates.running == {Key.parse(A): Start(5.5, 77)}


def test_a_claim_behind_a_fence_is_void_and_an_exit_is_not() -> None:
    fates = read(claim(A) + seal({"fence": 1}) + claim(B) + end(A))
    assert fates.running == {}
    assert set(fates.ended) == {Key.parse(A)}


def test_a_start_that_the_machine_refused_runs_no_more() -> None:
    fates = read(claim(A) + line({"n": A, "errno": 11, "text": "no more processes"}))
    assert fates.running == {}
    assert fates.refused == {Key.parse(A): "no more processes"}


def test_a_fence_behind_a_torn_line_is_read() -> None:
    fates = read(claim(A) + claim(B)[:9] + seal({"fence": 1}) + claim(B))
    assert set(fates.running) == {Key.parse(A)}


def evicted(key: str) -> bytes:
    return line({"e": key, "code": None, "signal": 9, "why": "evict", "t0": 5.0, "t": 6.0, "cpu": 0.1, "rss": 7,
                 "stopped": 0.5, "v": 2})


def test_an_attempt_that_is_claimed_once_more_runs_whatever_became_of_it_before() -> None:
    again = read(claim(A) + evicted(A) + claim(B) + end(B) + claim(A))
    assert set(again.running) == {Key.parse(A)}
    assert set(again.ended) == {Key.parse(B)}
    assert read(claim(A) + evicted(A) + claim(A) + end(A, 3)).ended[Key.parse(A)].exit_code == 3
    refused = line({"n": A, "errno": 11, "text": "no more processes"})
    assert read(claim(A) + refused + claim(A)).refused == {}


def test_a_claim_behind_a_fence_does_not_undo_an_end() -> None:
    fates = read(claim(A) + evicted(A) + seal({"fence": 1}) + claim(A))
    assert fates.running == {}
    assert fates.ended[Key.parse(A)].why == "evict"


def test_how_long_a_task_was_stopped_is_known_from_its_start_and_its_end() -> None:
    stops = line({"p": A, "stopped": 1.5}) + line({"p": A, "stopped": 4.0}) + line({"p": B, "stopped": 9.0})
    fates = read(claim(A) + line({"s": A, "pid": 77, "t": 5.5, "k": 3}) + stops)
    assert fates.running == {Key.parse(A): Start(5.5, 77, 3, 4.0)}
    assert read(claim(A) + evicted(A)).ended[Key.parse(A)].stopped_s == 0.5
    assert read(claim(A) + end(A)).ended[Key.parse(A)].stopped_s == 0.0


def test_only_a_worker_that_says_so_knows_how_to_stop_a_task() -> None:
    assert read(line({"v": 1, "stops": True}) + claim(A)).stops
    assert not read(line({"v": 1}) + claim(A)).stops


def test_what_a_newer_program_wrote_is_refused_and_what_it_added_is_not() -> None:
    assert set(read(line({"v": 1, "more": 5}) + claim(A) + line({"new": A})).running) == {Key.parse(A)}
    with pytest.raises(FolderError, match="written by a newer Gristmill"):
        read(line({"v": VERSION + 1}) + claim(A))


def test_it_names_the_process_of_a_call_before_the_call_begins() -> None:
    begun = line({"v": 1, "stops": True}) + claim(A) + line({"r": 77, "k": 1234})
    assert read(begun).running == {Key.parse(A): Start(5.0, 77, 1234)}
    told = line({"e": A, "code": 0, "signal": None, "why": None, "t0": 5.0, "t": 6.0, "cpu": 0.0, "rss": 0,
                 "value": "[1]"})  # fmt: skip
    fates = read(begun + told + line({"c": B, "t": 6.0}))
    assert fates.running == {Key.parse(B): Start(6.0, 77, 1234)}
    assert fates.ended[Key.parse(A)].value == "[1]"


def test_of_a_long_one_only_what_is_asked_for_is_read() -> None:
    text = b"".join(end(f"1.{number}.1", number) for number in range(100)) + claim("1.50.2")
    text += seal({"fence": 1}) + claim("1.7.2") + b"torn {"
    fates = read(text, {Key(1, 50, 2), Key(1, 7, 1), Key(1, 7, 2), Key(1, 200, 1)})
    assert (list(fates.running), list(fates.ended)) == ([Key(1, 50, 2)], [Key(1, 7, 1)])
    assert fates.ended[Key(1, 7, 1)].exit_code == 7
    assert len(read(text).ended) == 100


@given(st.integers(0, 400), st.binary(max_size=30))
def test_a_torn_or_soiled_end_takes_nothing_with_it(cut: int, rubbish: bytes) -> None:
    whole = claim(A) + end(A) + claim(B)
    fates = read(whole[:cut] + rubbish)
    assert set(fates.ended) <= {Key.parse(A)}
    if cut >= len(claim(A) + end(A)):
        assert set(fates.ended) == {Key.parse(A)}
