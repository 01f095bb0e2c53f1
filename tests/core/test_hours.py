"""Hours of the week: what a text means, minute by minute, against its plainest reading; and days of changed clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.supervisor.core import hours
from gristmill.supervisor.core.findings import Fault

MONDAY = datetime(2026, 11, 16)
NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def holds(windows: list[hours.Window], at: datetime) -> bool:
    return hours.left(windows, at) > 0


@st.composite
def written(draw: st.DrawFn) -> tuple[str, set[int]]:
    """A window as a user writes it, and the minutes of the week that it means, counted one by one."""
    first, last = draw(st.integers(0, 6)), draw(st.integers(0, 6))
    begin, end = draw(st.integers(0, 1439)), draw(st.integers(0, 1440))
    if begin == end:
        end += 1
    form = draw(st.sampled_from(["all", "one", "range", "list"]))
    days: list[int] = {
        "all": list(range(7)), "one": [first], "list": [first, last],
        "range": [day % 7 for day in range(first, first + (last - first) % 7 + 1)],
    }[form]
    head = {"all": "", "one": NAMES[first], "list": f"{NAMES[first]},{NAMES[last]}",
            "range": f"{NAMES[first]}-{NAMES[last]}"}[form]
    meant = set()
    for day in days:
        minute = day * 1440 + begin
        while True:  # minute for minute until the clock on the wall shows the end
            meant.add(minute % 10080)
            minute += 1
            if minute % 1440 == end % 1440:
                break
    return f"{head} {begin // 60:02d}:{begin % 60:02d}-{end // 60:02d}:{end % 60:02d}".strip(), meant


@settings(max_examples=40)
@given(st.lists(written(), max_size=3))
def test_every_minute_of_a_week_is_as_the_text_says(drawn: list[tuple[str, set[int]]]) -> None:
    windows = [hours.read(text) for text, _ in drawn]
    meant = set().union(*(minutes for _, minutes in drawn))
    found = {minute for minute in range(10080) if holds(windows, MONDAY + timedelta(minutes=minute, seconds=59))}
    assert found == meant


@settings(max_examples=60)
@given(st.lists(written(), min_size=1, max_size=3), st.integers(0, 10079))
def test_it_ends_when_it_is_said_to_end_and_not_before(drawn: list[tuple[str, set[int]]], minute: int) -> None:
    windows = [hours.read(text) for text, _ in drawn]
    at = MONDAY + timedelta(minutes=minute)
    left = hours.left(windows, at)
    assert all(holds(windows, at + timedelta(minutes=more)) for more in range(0, left, 7))
    if left < hours.WEEK:
        assert not holds(windows, at + timedelta(minutes=left))


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("08:00-20:00", ["Sun 08:00", "Mon 19:59"], ["Mon 07:59", "Mon 20:00"]),
        ("8:00 - 20:00", ["Mon 08:00"], ["Mon 20:00"]),
        ("08:00–20:00", ["Mon 08:00"], ["Mon 20:00"]),
        ("22:00-06:00", ["Mon 23:00", "Tue 05:59", "Mon 00:00"], ["Mon 06:00", "Mon 21:59"]),
        ("fri 22:00-06:00", ["Fri 22:00", "Sat 05:59"], ["Fri 05:00", "Sat 22:00"]),
        ("sun 22:00-06:00", ["Sun 22:00", "Mon 05:59"], ["Mon 22:00"]),
        ("Mon-Fri 08:00-20:00", ["Fri 12:00"], ["Sat 12:00"]),
        ("monday, sunday 00:00-24:00", ["Sun 23:59", "Mon 00:00"], ["Tue 00:00", "Sat 23:59"]),
        ("fri-mon 08:00-09:00", ["Fri 08:30", "Sun 08:30", "Mon 08:30"], ["Tue 08:30", "Thu 08:30"]),
    ],
)  # fmt: skip
def test_what_a_text_means(text: str, inside: list[str], outside: list[str]) -> None:
    window = hours.read(text)
    for expected, moments in ((True, inside), (False, outside)):
        for moment in moments:
            day, clock = moment.split()
            hour, minute = map(int, clock.split(":"))
            at = MONDAY + timedelta(days=NAMES.index(day.lower()), hours=hour, minutes=minute)
            assert holds([window], at) is expected, moment


@pytest.mark.parametrize(
    ("text", "what", "mend"),
    [
        ("8-20", "names no hours", '"08:00-20:00"'), ("", "names no hours", "write hours"),
        ("08:00", "names no hours", "write hours"), ("8am-8pm", "names no hours", "write hours"),
        ("sat", "names no hours", "write hours"), ("08:00-20:00 mon-fri", "names no hours", '"mon-fri 08:00-20:00"'),
        ("25:00-26:00", "25:00 is no time of day", "from 00:00 to 24:00"),
        ("08:00-24:01", "24:01 is no time of day", "from 00:00 to 24:00"),
        ("08:60-09:00", "08:60 is no time of day", "from 00:00 to 24:00"),
        ("08:00-08:00", "begins and ends at once", '"00:00-24:00"'),
        ("24:00-06:00", "begins when its day is over", "00:00"),
        ("xyz 08:00-20:00", '"xyz" is no day', "mon, tue"), ("mon- 08:00-20:00", '"" is no day', "mon, tue"),
        ("mon-wed-fri 08:00-20:00", "names no days", "mon-fri"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_with_its_mend(text: str, what: str, mend: str) -> None:
    with pytest.raises(Fault) as caught:
        hours.read(text)
    assert what in caught.value.what
    assert mend in caught.value.mend


@given(st.text(alphabet="monfrisat 0123456789:-–,", max_size=30))
def test_no_text_breaks_the_reading(text: str) -> None:
    try:
        window = hours.read(text)
    except Fault:
        return
    assert 0 <= window.begin < window.end <= window.begin + hours.DAY
    assert set(window.days) <= set(range(7)) and window.days


@pytest.mark.parametrize(("at", "words"), [("Mon 09:00", "20:00"), ("Fri 23:00", "Mon 06:00"), ("Sun 23:00", "06:00")])
def test_an_end_a_day_away_is_named_with_its_day(at: str, words: str) -> None:
    windows = [hours.read(text) for text in ("mon-thu 08:00-20:00", "fri 20:00-24:00", "sat,sun 00:00-24:00",
                                             "mon 00:00-06:00")]
    day, clock = at.split()
    local = MONDAY + timedelta(days=NAMES.index(day.lower()), hours=int(clock[:2]))
    assert hours.clock(local, hours.left(windows, local)) == words


@pytest.mark.parametrize(
    ("text", "day", "minutes"),
    [
        ("08:00-20:00", (2026, 3, 29), 720), ("08:00-20:00", (2026, 10, 25), 720),
        ("01:00-04:00", (2026, 3, 28), 180), ("01:00-04:00", (2026, 3, 29), 120), ("01:00-04:00", (2026, 10, 25), 240),
        ("02:15-02:45", (2026, 3, 29), 0), ("02:15-02:45", (2026, 10, 25), 60),
    ],
)  # fmt: skip
def test_days_on_which_clocks_are_changed(text: str, day: tuple[int, int, int], minutes: int) -> None:
    zoneinfo = pytest.importorskip("zoneinfo")
    try:
        zone = zoneinfo.ZoneInfo("Europe/Berlin")
    except zoneinfo.ZoneInfoNotFoundError:
        pytest.skip("no time zones on this machine")
    windows = [hours.read(text)]
    begin = datetime(*day, tzinfo=zone).astimezone(UTC)
    end = (datetime(*day, tzinfo=zone) + timedelta(days=1)).astimezone(UTC)
    spent = 0
    while begin < end:  # each real minute of that day, as the wall's clock shows it
        spent += holds(windows, begin.astimezone(zone).replace(tzinfo=None))
        begin += timedelta(minutes=1)
    assert spent == minutes
