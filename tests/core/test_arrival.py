"""When a file may be taken, by how it came."""

from __future__ import annotations

from gristmill.supervisor.core.arrival import BLIND_S, EMPTY_S, OVERDUE_S, STILL_S, Arrivals

FULL, GROWN, EMPTY = (10, 1, 7), (20, 2, 7), (0, 1, 7)


def test_a_file_that_was_moved_in_is_ripe_at_once() -> None:
    assert Arrivals().look([(b"a", FULL)], {b"a": True}, 5.0) == [b"a"]


def test_a_file_that_was_written_must_hold_still_from_its_last_change_on() -> None:
    arrivals = Arrivals()
    assert arrivals.look([(b"a", FULL)], {b"a": False}, 5.0) == []
    assert arrivals.due_s(5.25) == STILL_S - 0.25
    assert arrivals.look([(b"a", GROWN)], {b"a": False}, 5.5) == []
    assert arrivals.look([(b"a", GROWN)], {}, 5.4 + STILL_S) == []
    assert arrivals.look([(b"a", GROWN)], {}, 5.5 + STILL_S) == [b"a"]
    assert arrivals.due_s(9.0) is None


def test_a_file_that_was_moved_in_and_then_written_again_must_hold_still() -> None:
    arrivals = Arrivals()
    arrivals.look([(b"a", FULL)], {b"a": True}, 5.0)
    assert arrivals.look([(b"a", FULL)], {b"a": False}, 5.1) == []
    assert arrivals.look([(b"a", GROWN)], {}, 5.2) == []


def test_an_empty_file_waits_for_its_writer() -> None:
    arrivals = Arrivals()
    assert arrivals.look([(b"a", EMPTY)], {b"a": True}, 0.0) == []
    assert arrivals.look([(b"a", EMPTY)], {}, EMPTY_S - 0.1) == []
    assert arrivals.look([(b"a", EMPTY)], {}, EMPTY_S) == [b"a"]


def test_where_the_kernel_can_not_tell_a_written_file_must_hold_still_for_longer() -> None:
    arrivals = Arrivals()
    arrivals.look([(b"a", FULL), (b"b", FULL)], {b"b": True}, 0.0)
    assert arrivals.whole(b"b", None, 0.0)
    assert not arrivals.whole(b"a", None, STILL_S)
    assert arrivals.whole(b"a", None, BLIND_S)


def test_a_file_that_is_held_open_is_named_after_a_minute_and_forgotten_when_it_goes() -> None:
    arrivals = Arrivals()
    for now in (0.0, STILL_S, OVERDUE_S - 1):
        arrivals.look([(b"a", FULL)], {}, now)
        assert not arrivals.whole(b"a", False, now)
        assert arrivals.overdue(now) == []
    assert arrivals.overdue(OVERDUE_S) == [b"a"]
    arrivals.look([], {}, OVERDUE_S)
    assert arrivals.overdue(OVERDUE_S) == []
