"""The limits, the kinds, the history and the curve as text."""

import pytest

from gristmill.supervisor.core import reasons as words
from gristmill.supervisor.core.answers import AllowView, KindView, PointView
from gristmill.supervisor.core.governor.decision import Binding
from gristmill.supervisor.core.protocol import DecisionView
from gristmill.tui import curve, why
from gristmill.tui.columns import width_of
from gristmill.tui.marks import ASCII, UNICODE, Marks, Runs

from .stage import reasons

NOW = 1_800_000_000.0


def text(lines: list[Runs]) -> list[str]:
    return ["".join(part for part, _ in line).rstrip() for line in lines]


def point(workers: float, rate: float, error: float = 0.0) -> PointView:
    return PointView(workers=workers, rate=rate, error=error)


def test_each_constraint_has_a_sentence() -> None:
    assert {str(binding) for binding in Binding} == set(words.SENTENCES)
    assert len(set(words.SENTENCES.values())) == len(words.SENTENCES)
    assert words.headline(1, "canary") == "1 worker: of a new kind one task runs first"
    assert words.headline(3, "moon") == "3 workers: moon binds"
    assert words.headline(3, "") == "3 workers"


@pytest.mark.parametrize(("seconds", "shown"), [
    (None, ""), (0.0004, "0ms"), (0.02, "20ms"), (0.9996, "1.0s"), (3.44, "3.4s"), (48.2, "48s"), (59.7, "00:59"),
    (724, "12:04"),
])  # fmt: skip
def test_mean_times_are_as_fine_as_they_matter(seconds: float | None, shown: str) -> None:
    assert words.taken(seconds) == shown


def test_of_many_points_the_ends_and_the_nearest_are_told() -> None:
    assert words.near([1, 2, 3], 2, 5) == [0, 1, 2]
    assert words.near(list(range(100)), 50, 5) == [0, 49, 50, 51, 99]
    assert words.near(list(range(100)), 0, 5) == [0, 1, 2, 99]


def test_the_binding_limit_is_marked_and_the_loosest_go_first_where_there_is_no_room() -> None:
    shown = text(why.limits(reasons(), 60, 6, UNICODE))
    assert shown == [
        "  LIMIT      NOW                         ALLOWS",
        "  CPU        71 % of 8 cores, 0.95 a ta…      8",
        "  others     22 % of the CPU is other p…      7",
        " >memory     84 % taken, 3.2 GB kept; o…      6 << binding",
        "  measured   more than 7 was no faster        7",
        "  user       no cap                         any",
    ]
    assert [line.split()[0] for line in text(why.limits(reasons(), 60, 4, UNICODE))[1:]] == [
        "others", ">memory", "measured"]  # fmt: skip
    assert text(why.limits(reasons(), 40, 2, UNICODE)) == ["  LIMIT      ALLOWS", " >memory          6 << binding"]


def test_the_figures_of_what_binds_are_told_in_full_where_there_is_room() -> None:
    shown = text(why.limits(reasons(), 60, 7, UNICODE))
    assert shown[3:5] == [
        " >memory     84 % taken, 3.2 GB kept;         6 << binding",
        "             one more needs 2.1 GB",
    ]
    assert len(shown) == 7


def test_a_number_too_long_and_no_limits_at_all_are_shown() -> None:
    endless = reasons(allows=[AllowView(binding="cpu", workers=123456789)], binding="")
    assert text(why.limits(endless, 40, 5, UNICODE))[1] == "  CPU        12345…"
    assert "no limit has been worked out" in text(why.limits(reasons(allows=[]), 80, 5, UNICODE))[1]


def test_what_is_stopped_and_tried_has_a_line_each() -> None:
    assert why.trying(reasons(trying=""), 80, UNICODE) == []
    shown = text(why.trying(reasons(paused=[f"4/{n}" for n in range(20)]), 120, ASCII))
    assert shown[0].startswith(" next: +1 if")
    assert shown[1].startswith(" =PAU stopped for a while: 4/0, 4/1,")
    assert shown[1].endswith("4/11 and 8 more")


@pytest.mark.parametrize("marks", [UNICODE, ASCII])
@pytest.mark.parametrize("width", [40, 60, 80, 160])
def test_nothing_is_wider_than_its_place(width: int, marks: Marks) -> None:
    wide = KindView(name="日本語" * 20, command="\x1b]52;" * 30, tasks_seen=10**9, wall_s=1e9, cores=1e6,
                    memory_peak_bytes=1 << 60, memory_need_bytes=1 << 60, running=10**6, waiting=10**9)  # fmt: skip
    one = reasons(kinds=[wide], trying="long " * 80, paused=["4/17\x1b"] * 50)
    lines = [*why.limits(one, width, 20, marks), *why.trying(one, width, marks), *why.kinds(one.kinds, width, marks)]
    lines += curve.draw(one.curve, 6, width, 8, marks)
    lines += why.history([DecisionView(time=NOW, before=1, after=2, reason="word " * 90)], NOW, width, marks)
    assert max(width_of(line) for line in lines) <= width


def test_kinds_say_where_their_figures_come_from() -> None:
    shown = text(why.kinds(reasons().kinds, 80, UNICODE))
    assert shown[1].split() == ["sweep", "312", "12:04", "0.95", "1.8G", "2.0G", "learned", "5", "23"]
    assert shown[2].split() == ["pose-cv", "0", "4.0G", "claimed", "1", "9,400"]
    assert "unseen" in text(why.kinds([KindView(name="new")], 100, UNICODE))[1]
    assert "Nothing learned yet" in text(why.kinds([], 80, UNICODE))[1]


def test_the_newest_decision_comes_first_and_none_comes_twice() -> None:
    old, new = (DecisionView(time=NOW - age, before=8, after=7, reason=f"{age}") for age in (9, 3))
    assert [one.reason for one in why.joined([old, new], [new, old])] == ["3", "9"]
    shown = text(why.history([new, old], NOW, 80, UNICODE))
    assert shown[0].startswith(" History  2 changes")
    assert [line.split()[1:] for line in shown[1:]] == [["8>7", "3"], ["8>7", "9"]]
    assert "No change yet" in text(why.history([], NOW, 80, UNICODE))[1]


def test_a_decision_of_another_day_is_dated() -> None:
    shown = text(why.history([DecisionView(time=NOW - 5 * 86400, before=1, after=2, reason="r")], NOW, 80, UNICODE))
    assert shown[1].split()[0] in ("09", "10", "11")


CURVE = [point(1, 0.25), point(2, 0.5, 0.125), point(4, 1.0)]


def test_the_curve_in_plain_characters() -> None:
    assert text(curve.draw(CURVE, 2, 31, 8, ASCII)) == [
        " 100%             :         ..o",
        "                  :      ....",
        "                  | ......",
        "  50%           ..@..",
        "            o.... |",
        "                  :",
        "   0%             :",
        "     0----- 2 now ^-- 4 workers",
    ]


def test_the_curve_in_dots_with_its_errors_upright_and_the_working_point_marked() -> None:
    assert text(curve.draw(CURVE, 4, 31, 8, UNICODE)) == [
        " 100%                      ⢀⣠⠴⢛",
        "                       ⢀⣠⠴⠚⠉  ⢐",
        "                  ⡄⢀⣠⠴⠚⠉      ⢐",
        "  50%           ⣀⡴⡟⠉          ⢐",
        "            ⢀⣠⠴⠚⠁ ⠃           ⢐",
        "           ⠈⠉                 ⢐",
        "   0%                         ⢐",
        "     0───────── 4 workers now ▲",
    ]


def test_a_working_point_beyond_what_was_measured_has_its_place() -> None:
    shown = text(curve.draw(CURVE, 9, 31, 8, ASCII))
    assert shown[0] == " 100%           .o            :"
    assert shown[-1] == "     0--------- 9 workers now ^"
    assert text(curve.draw(CURVE, 0, 31, 8, ASCII))[-1] == "     0--------------- 4 workers"


def test_without_a_measurement_or_a_place_there_is_no_curve() -> None:
    assert "Nothing measured yet" in text(curve.draw([], 2, 60, 8, UNICODE))[0]
    assert curve.draw(CURVE, 2, 17, 8, UNICODE) == []
    assert curve.best([], UNICODE) == ""
    assert curve.best(CURVE, ASCII) == "best 4 (100 % +-0)"
