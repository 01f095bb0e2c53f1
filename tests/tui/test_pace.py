"""Frames wait for the line."""

from gristmill.tui.pace import PATIENCE_S, Pace


def test_the_next_frame_waits_for_the_answer_to_the_last() -> None:
    pace = Pace(able=True)
    assert pace.free(0.0) and not pace.ask(0.0), "nothing was made yet"
    pace.made()
    assert pace.ask(1.0)
    assert not pace.ask(1.0) and not pace.free(1.2)
    pace.answered(1.3)
    assert pace.free(1.3)
    assert pace.words == "rtt 300ms"


def test_a_terminal_that_never_answers_is_not_waited_for_again() -> None:
    pace, now = Pace(able=True), 0.0
    for _ in range(2):
        pace.made()
        assert pace.ask(now)
        assert not pace.free(now + PATIENCE_S - 0.1)
        now += PATIENCE_S
        assert pace.free(now)
    pace.made()
    assert not pace.ask(now) and pace.free(now)


def test_a_late_answer_counts_and_a_stray_one_does_not() -> None:
    pace = Pace(able=True)
    pace.answered(5.0)
    assert pace.trip_s is None
    pace.made()
    pace.ask(6.0)
    assert pace.free(6.0 + PATIENCE_S)
    pace.answered(12.0)
    assert pace.trip_s is None
    pace.made()
    assert pace.ask(13.0)
    pace.answered(13.04)
    assert pace.words == "rtt 40ms"


def test_a_short_trip_is_not_worth_a_word() -> None:
    pace = Pace(trip_s=0.004)
    assert pace.words == ""
    assert [Pace(trip_s=trip).words for trip in (0.031, 0.22, 0.97, 1.26)] == [
        "rtt 30ms", "rtt 200ms", "rtt 950ms", "rtt 1.3s"]
