"""Why so many workers run, as a user sees it: asked over a real socket, drawn at two sizes and below."""

import asyncio
import time
from typing import Any

import pytest
from textual.widget import Widget

from gristmill.supervisor.core.answers import KindView, PointView
from gristmill.supervisor.core.protocol import DecisionView, LimitView
from gristmill.tui.app import MillApp
from gristmill.tui.screens.why import Plan, WhyScreen, plan
from gristmill.tui.widgets.details import JobHead
from gristmill.tui.widgets.logview import LogView
from gristmill.tui.widgets.reasons import Limits
from tests.waiting import DEADLINE

from .stage import OSC52, Daemon, Eye, Opened, reasons

GOLDEN = """\
 6 workers: memory binds ──────────────────────────────────────── auto, 6 busy ─
 next: +1 if less than 78 % of memory for 30 s (11 s so far)
  LIMIT      NOW                                             ALLOWS
  CPU        71 % of 8 cores, 0.95 a task                         8
  others     22 % of the CPU is other people's                    7
 >memory     84 % taken, 3.2 GB kept; one more needs 2.1 GB       6 << binding
  measured   more than 7 was no faster                            7
  user       no cap                                             any
 Throughput  of the best; errors upright ─────────────────── best 7 (100 % ±2) ─
 100%                                          ⣀⣀⣀⡤⢤⠤⠤⠤⠤⠖⠒⠒⠒⢒⠒⠒⠒⠒⠚⠉⠉⠉⠙⠉⠉⠉⠉⠓⠒⠒⠒⠲
                                 ⣀⣀⣀⣀⡤⠤⠤⠴⠒⠓⠒⠋⠉⠉⠁            ⢐
  50%            ⢀⣀⣀⣀⣀⡤⠤⠦⠤⠖⠒⠒⠚⠉⠉⠉⠁                          ⢐
   0%         ⠈⠉⠉⠉                                          ⢐
     0──────────────────────────────────────────────────────▲ 6 now ─ 8 workers
 Kinds                   SEEN    WALL CORES  PEAK  NEED FROM         RUN   WAIT
  sweep                   312   12:04  0.95  1.8G  2.0G learned        5     23
  pose-cv                   0                      4.0G claimed        1  9,400
 History  2 changes ────────────────────────────────────────────────────────────
  09:34:14     7>6  memory: 86 % taken, one task has grown by 0.4 GB
  09:31:07     8>7  memory: 88 % taken, 2.9 GB of reserve 3.2 GB left
"""


async def test_it_says_what_binds_what_was_measured_learned_and_decided(mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("limit 8:")
        assert eye.line("limit 8:").endswith("2 why"), "the reason names the key that tells more"
        await eye.press("2")
        await eye.sees("6 workers: memory binds")
        assert "\n".join(eye.lines[2:22]) + "\n" == GOLDEN
        assert eye.lines[-1].split("  ")[:3] == [" { fewer", "} more", "a automatic"]


async def test_a_large_screen_has_the_curve_beside_the_limits(mill: Opened) -> None:
    async with mill(160, 45) as eye:
        await eye.sees("sweep/17")
        await eye.press("2")
        await eye.sees("6 workers: memory binds", "<< binding", "History  2 changes", "python pose.py")
        assert "Throughput" in eye.line("6 workers: memory binds")
        places = [eye.lines.index(eye.line(part)) for part in ("100%", "50%", "8 workers", "History")]
        assert places == sorted(places)
        assert places[2] - places[0] > 20
        column = eye.line("▲").index("▲")
        assert all(line[column] != " " for line in eye.lines[places[0] : places[2]]), "the working point is marked"


async def test_without_room_there_is_the_list_alone(daemon: Daemon, mill: Opened) -> None:
    async with mill(50, 18) as eye:
        await eye.sees("sweep/17")
        await eye.press("2")
        await eye.sees("6 workers: memory binds", ">memory", "6 << binding", "pose-cv", "more lines below")
        assert "Throughput" not in eye.text
        await eye.press("G")
        await eye.sees("8>7")
        await eye.pilot.resize_terminal(80, 24)
        await eye.sees("Throughput", "▲ 6 now")


async def test_it_can_be_read_in_plain_characters(mill: Opened) -> None:
    async with mill(use_ascii=True) as eye:
        await eye.sees("sweep/17")
        await eye.press("2")
        await eye.sees("6 workers: memory binds", "^ 6 now", "<< binding")
        assert eye.text.isascii()
        assert "@" in eye.text


async def test_it_asks_once_an_update_and_only_while_it_is_open(daemon: Daemon, mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("sweep/17")
        daemon.push()
        daemon.push()
        await eye.until(lambda: eye.app.mill is not None and eye.app.mill.seq == daemon.seq, "the updates")
        assert daemon.ops("why") == []
        await eye.press("2")
        await eye.sees("6 workers")
        assert len(daemon.ops("why")) == 1
        daemon.why = reasons(limit=LimitView(workers=5, busy=5, reason=""), binding="cpu", paused=["4/17"])
        daemon.push()
        await eye.sees("5 workers: the cores bind", ">CPU", "stopped for a while: 4/17")
        assert len(daemon.ops("why")) == 2
        await eye.press("escape")
        await eye.sees("sweep/17")
        daemon.push()
        await eye.until(lambda: eye.app.mill is not None and eye.app.mill.seq == daemon.seq, "the update")
        assert len(daemon.ops("why")) == 2


async def test_the_cap_is_lowered_raised_and_given_back_from_here(daemon: Daemon, mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("sweep/17")
        await eye.press("2", "{")
        await eye.until(lambda: daemon.ops("limit") == [{"workers": 7}], "asks for 7")
        daemon.limit = LimitView(workers=7, busy=1, reason="set by you", mode="fixed")
        daemon.push()
        await eye.sees("limit 7: set by you")
        await eye.press("}")
        await eye.until(lambda: daemon.ops("limit")[-1] == {"workers": 8}, "asks for 8")
        await eye.press("a")
        await eye.until(lambda: daemon.ops("limit")[-1] == {"workers": None}, "asks for automatic")


async def test_who_only_reads_is_offered_no_cap(daemon: Daemon, mill: Opened) -> None:
    async with mill(read_only=True) as eye:
        await eye.sees("sweep/17")
        await eye.press("2")
        await eye.sees("6 workers")
        assert "fewer" not in eye.lines[-1]
        await eye.press("a")
        await eye.sees("read-only: nothing is changed from here")
        assert daemon.ops("limit") == []


async def test_an_older_daemon_leaves_what_every_update_says(daemon: Daemon, mill: Opened) -> None:
    daemon.refusals["why"] = "unknown request 'why'"
    daemon.decisions = [DecisionView(time=time.time(), before=2, after=8, reason="slow start")]
    async with mill() as eye:
        await eye.sees("sweep/17")
        await eye.press("2")
        await eye.sees("8 workers", "the daemon does not say more: unknown request 'why'", "2>8  slow start")


async def test_what_is_old_says_so(daemon: Daemon, mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("sweep/17")
        await eye.press("2")
        await eye.sees("6 workers")
        daemon.refusals["why"] = "no idea"
        daemon.push()
        await eye.sees("6 workers: memory binds", "s ago: no idea")
        del daemon.refusals["why"]
        daemon.push()
        await eye.misses("no idea")
        await daemon.stop()
        await eye.sees("stale")
        assert "6 workers: memory binds" in eye.text


async def test_a_frozen_screen_asks_nothing(daemon: Daemon, mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("sweep/17")
        await eye.press("2")
        await eye.sees("6 workers")
        await eye.press("p")
        await eye.sees("frozen")
        daemon.why = reasons(binding="cpu")
        daemon.push()
        await eye.until(lambda: eye.app.mill is not None and eye.app.mill.seq == daemon.seq, "the update")
        assert len(daemon.ops("why")) == 1
        assert "memory binds" in eye.text
        await eye.press("p")
        await eye.sees("the cores bind")


async def test_opened_on_a_frozen_display_it_shows_what_holds_then_and_stays(daemon: Daemon, mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("sweep/17")
        await eye.press("p")
        await eye.sees("frozen")
        await eye.press("2")
        await eye.sees("memory binds", "frozen")
        daemon.why = reasons(binding="cpu")
        daemon.push()
        await eye.press("question_mark")
        await eye.sees("Everywhere")
        await eye.press("escape")
        await eye.sees("memory binds")
        assert len(daemon.ops("why")) == 1


async def test_who_reads_the_history_is_not_moved_by_a_new_line(daemon: Daemon, mill: Opened) -> None:
    now = time.time()
    past = [DecisionView(time=now - 1000 + at, before=at, after=at + 1, reason=f"step {at}") for at in range(40)]
    daemon.why = reasons(decisions=past)
    async with mill() as eye:
        await eye.sees("sweep/17")
        await eye.press("2")
        await eye.sees("step 39")
        await eye.press(*["pagedown"] * 4)
        await eye.misses("step 39")
        top = next(line for line in eye.lines[16:] if "step" in line)
        daemon.why = reasons(decisions=[*past, DecisionView(time=now, before=9, after=8, reason="step new")],
                             binding="cpu")  # fmt: skip
        daemon.push()
        await eye.sees("the cores bind")
        assert next(line for line in eye.lines[16:] if "step" in line) == top
        await eye.press("g")
        await eye.sees("9>8  step new")


async def test_what_is_foreign_reaches_it_as_text(daemon: Daemon, mill: Opened) -> None:
    daemon.why = reasons(kinds=[KindView(name="evil" + OSC52, command="x[bold]\x9b2J", tasks_seen=1)],
                         trying="try\x1bc", decisions=[DecisionView(time=1.0, before=1, after=2, reason="r\x07e")],
                         paused=["4/17\x1b[2J"])  # fmt: skip
    async with mill(160, 45) as eye:
        await eye.sees("sweep/17")
        await eye.press("2")
        await eye.sees("evil^[]52", "x[bold]<U+009", "try^[c", "r^Ge", "4/17^[[2J")
        assert "\x1b" not in eye.text


async def test_the_palette_knows_it_and_home_is_one_key_away(mill: Opened) -> None:
    async with mill() as eye:
        await eye.sees("sweep/17")
        await eye.press("colon", "=why so many")
        await eye.sees("Why so many workers run")
        await eye.press("enter")
        await eye.sees("memory binds", "<< binding")
        await eye.press("2", "escape")
        await eye.sees("sweep/17")
        assert not isinstance(eye.app.screen, WhyScreen)


async def test_only_what_has_changed_is_drawn_again(daemon: Daemon, mill: Opened) -> None:
    daemon.why = reasons(curve=[PointView(workers=n, rate=n / 300, error=0.01) for n in range(1, 301)],
                         limit=LimitView(workers=300, busy=300, reason=""))  # fmt: skip
    async with mill(160, 45) as eye:
        await eye.sees("sweep/17")
        await eye.press("2")
        await eye.sees("300 workers", "best 300")
        drawn: list[object] = []
        for name in ("#limits", "#curve", "#story"):
            widget = eye.app.screen.query_one(name)
            widget.refresh = lambda *regions, **_: drawn.append(regions)  # type: ignore[method-assign,assignment]
        daemon.push()
        await eye.until(lambda: len(daemon.ops("why")) == 2, "the second answer is asked for")
        daemon.why = reasons(curve=daemon.why.curve, limit=daemon.why.limit, trying="something else")
        daemon.push()
        await eye.until(lambda: drawn, "a line that differs")
        assert len(drawn) == 1


def test_a_curve_of_nothing_takes_two_lines() -> None:
    assert plan(80, 24, 8, measured=False) == Plan(8, 2)
    assert plan(160, 45, 8, measured=False) == plan(160, 45, 8)


@pytest.mark.parametrize(("width", "height", "rows", "shared"), [
    (80, 24, 8, Plan(8, 6)), (80, 24, 12, Plan(12, 0)), (59, 40, 8, Plan(0, 0, whole=True)),
    (80, 14, 8, Plan(0, 0, whole=True)), (80, 40, 8, Plan(8, 9)), (160, 45, 8, Plan(25, 25, wide=True)),
    (80, 24, 30, Plan(14, 0)),
])  # fmt: skip
def test_the_plan_follows_the_size(width: int, height: int, rows: int, shared: Plan) -> None:
    assert plan(width, height, rows) == shared


class Late(MillApp):
    """An app in which an answer comes when the screen that asked has lost what would show it."""

    def __init__(self, *args: Any, op: str, shown_by: type[Widget]) -> None:
        super().__init__(*args)
        self.op, self.shown_by, self.asked = op, shown_by, asyncio.Event()

    async def ask(self, op: str, **fields: Any) -> Any:
        """The answer is held back."""
        answer = await super().ask(op, **fields)
        if op == self.op:
            screen = self.screen
            self.asked.set()
            while screen.query(self.shown_by):  # noqa: ASYNC110 - nobody is told when it is gone
                await asyncio.sleep(0)
        return answer


@pytest.mark.parametrize(("keys", "op", "shown_by"), [
    (("2",), "why", Limits), (("enter",), "tasks", JobHead), (("enter", "enter"), "log", LogView),
], ids=["why", "job", "log"])  # fmt: skip
async def test_an_answer_that_comes_while_the_screens_are_taken_down_harms_nobody(
    daemon: Daemon, keys: tuple[str, ...], op: str, shown_by: type[Widget]
) -> None:
    app = Late(str(daemon.path), "/home/me/jobs", op=op, shown_by=shown_by)
    async with app.run_test() as pilot:
        eye = Eye(app, pilot)
        await eye.sees("sweep")
        for key in keys:
            await eye.press(key)
        async with asyncio.timeout(DEADLINE):
            await app.asked.wait()
