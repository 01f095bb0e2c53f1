"""Which tasks are to be stopped, and for how long each has been."""

from __future__ import annotations

from gristmill.supervisor.core.journal import Key
from gristmill.supervisor.core.stops import SHORT, Stops

A, B = Key(1, 0, 1), Key(1, 1, 1)


def test_only_the_time_between_a_begin_and_its_end_counts() -> None:
    stops = Stops()
    stops.want(A, "memory")
    assert stops.seconds(A, 10.0) == 0.0
    stops.began(A, 10.0)
    stops.began(A, 12.0)  # asked for again
    assert stops.seconds(A, 15.0) == 5.0
    stops.over(A, 16.0)
    stops.over(A, 17.0)
    assert stops.seconds(A, 30.0) == 6.0
    stops.began(A, 40.0)
    stops.over(A, 41.0)
    assert (stops.seconds(A, 50.0), stops.seconds(B, 50.0)) == (7.0, 0.0)


def test_what_is_wanted_is_kept_until_it_is_released_and_its_time_until_it_is_forgotten() -> None:
    stops = Stops()
    assert stops.seconds(A, 2.0) == 0.0
    stops.want(B, "memory: short")
    stops.want(A, "pressure")
    assert (stops.wanted(), stops.reason(B)) == ([B, A], "memory: short")
    stops.began(B, 1.0)
    stops.over(B, 3.0)
    stops.release(B)
    assert (stops.wanted(), stops.known(), stops.reason(B)) == ([A], [B, A], SHORT)
    assert stops.seconds(B, 9.0) == 2.0
    stops.forget(B)
    assert (stops.known(), stops.seconds(B, 9.0)) == ([A], 0.0)


def test_stops_under_an_earlier_daemon_count_too() -> None:
    stops = Stops()
    stops.add(A, 0.0)
    assert stops.seconds(A, 2.0) == 0.0
    stops.add(A, 4.0)
    stops.began(A, 1.0)
    assert stops.seconds(A, 2.0) == 5.0
