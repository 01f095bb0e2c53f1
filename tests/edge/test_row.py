"""Calls sent ahead: what becomes of the others when something becomes of one, in one process or in one for each."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gristmill.supervisor.core import journal
from gristmill.supervisor.core.journal import Fates, Key
from gristmill.supervisor.worker.processes import descendants
from tests.edge.test_warm import NEVER, Warm
from tests.edge.test_worker import log_of
from tests.processes import alive
from tests.waiting import after, until

BEGIN = "os.close(os.open(f'begun-{index}-' + str(os.getpid()), os.O_CREAT | os.O_EXCL))"
"""Leaves a file whose name says that a call has begun, and where: a second beginning in one process would fail."""


class Ahead(Warm):
    """A worker to which several calls go at once."""

    def send(self, first: int, *texts: str) -> None:
        """Sends calls that evaluate these texts, in one go."""
        self.say(*({"do": f"1.{number}.1", "env": {"GRIST_TASK": str(number)}, "args": [self.begun(number, text)],
                    "kwargs": {}} for number, text in enumerate(texts, first)))

    @staticmethod
    def begun(number: int, text: str) -> str:
        return f"[{BEGIN.replace('{index}', str(number))}, {text}][-1]"

    def ends(self, count: int) -> dict[int, dict[str, Any]]:
        """The next ends, by number."""
        found = [self.hear("e") for _ in range(count)]
        return {Key.parse(end["e"]).number: end for end in found}

    def beginnings(self) -> Counter[int]:
        """How often each call has begun."""
        return Counter(int(name.split("-")[1]) for name in os.listdir(self.base) if name.startswith("begun-"))

    def fates(self) -> Fates:
        return journal.read((self.runs.path(self.run) / "journal").read_bytes())

    def hear_start(self, number: int) -> None:
        """Waits until this call has been told of; on a busy machine others may be before it."""
        while self.hear("s")["s"] != f"1.{number}.1":
            pass

    def gate(self) -> str:
        """What a call evaluates that waits for `open_gate`."""
        os.mkfifo(self.base / "gate")
        return "open('gate').read()"

    def open_gate(self) -> None:
        with open(self.base / "gate", "w") as gate:
            gate.write("opened")

    def runner(self) -> int:
        """The process that makes the calls, by itself or in children."""
        return descendants(self.pid)[0][0]  # the nearest come first


@pytest.fixture(params=[NEVER, None], ids=["reuse", "fork"])
def ahead(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Ahead]:
    made = Ahead(tmp_path, call="lab:look", places=("what",))
    made.tell(recycle=request.param)
    yield made
    made.close()


def until_begun(ahead: Ahead, number: int) -> None:
    until(lambda: ahead.beginnings()[number], f"call {number} has not begun")


def test_many_calls_end_in_their_order_in_one_process_or_each_in_its_own(ahead: Ahead) -> None:
    """More of them than the socket between worker and runner holds."""
    ahead.send(0, *(f"[{number}, os.getpid()]" for number in range(800)))
    values = [json.loads(ahead.hear("e")["value"]) for _ in range(800)]
    assert [number for number, _ in values] == list(range(800))
    pids = {pid for _, pid in values}
    if ahead.context["once"]:
        assert len(pids) > 400 and ahead.runner() not in pids  # a number may come again
    else:
        assert pids == {ahead.runner()}
    fates = ahead.fates()
    assert (len(fates.ended), fates.running) == (800, {})


def test_each_call_has_its_own_log_variables_and_result(ahead: Ahead) -> None:
    written = "open(os.environ['GRIST_RESULT'], 'w').write('[1]') and None"
    ahead.send(0, *(("os.environ['GRIST_TASK']", f"print('line {n}')", f"'x' * {5000 + n}", written)[n % 4]
                    for n in range(60)))
    for number, end in ahead.ends(60).items():
        assert end["code"] == 0
        if number % 4 == 0:
            assert end["value"] == f'"{number}"'
        elif number % 4 == 1:
            assert log_of(ahead, number) == f"line {number}\n" and end["log"].endswith(f"/{number}.1.log")
        else:
            text = Path(end["result"]).read_text()
            assert text == ("[1]" if number % 4 == 3 else json.dumps("x" * (5000 + number)))
    assert len(os.listdir(ahead.base / "logs" / "1")) == 15


def test_a_long_order_goes_ahead_as_any_other(ahead: Ahead) -> None:
    ahead.send(0, "1", f"len({'y' * 300_000!r})", "3")
    assert [json.loads(ahead.hear("e")["value"]) for _ in range(3)] == [1, 300_000, 3]


@pytest.mark.parametrize(
    ("how", "code", "number"), [("os._exit(7)", 7, None), ("os.kill(os.getpid(), 9)", None, 9), ("1 / 0", 1, None)]
)
def test_a_crash_is_one_calls_end_alone(ahead: Ahead, how: str, code: int | None, number: int | None) -> None:
    ahead.send(0, *(how if index in (20, 21, 39) else str(index) for index in range(40)))
    for index, end in ahead.ends(40).items():
        if index in (20, 21, 39):
            assert (end["code"], end["signal"]) == (code, number)
        else:
            assert (end["code"], end.get("value")) == (0, str(index))
    assert ahead.beginnings() == Counter(range(40))


def test_a_call_that_takes_too_long_costs_those_behind_it_nothing(ahead: Ahead) -> None:
    ahead.tell(recycle=ahead.context["recycle"], timeout=3.0)  # many times what the others take
    ahead.send(0, *("time.sleep(600)" if index in (5, 6) else str(index) for index in range(12)))
    ends = ahead.ends(12)
    assert [index for index, end in ends.items() if end["why"] == "timeout"] == [5, 6]
    assert sum(end["code"] == 0 for end in ends.values()) == 10
    assert ahead.beginnings() == Counter(range(12))


def test_what_is_asked_back_does_not_begin_and_what_is_in_hand_goes_on(ahead: Ahead) -> None:
    ahead.send(0, "0", ahead.gate(), "2", "3", "4")
    ahead.hear_start(1)
    ahead.say({"drop": True})
    assert ahead.hear("dropped")["dropped"] == ["1.2.1", "1.3.1", "1.4.1"]
    ahead.open_gate()
    assert json.loads(ahead.hear("e")["value"]) == "opened"
    ahead.send(5, "5")
    assert json.loads(ahead.hear("e")["value"]) == 5
    assert ahead.beginnings() == Counter([0, 1, 5])


def test_calls_that_are_asked_back_while_they_run_begin_once_or_never(ahead: Ahead) -> None:
    """Whoever takes an order from the row has it, however the two meet."""
    given, returned = 0, []
    for _ in range(100):
        ahead.send(given, *["None"] * 20)
        ahead.say({"drop": True})
        given += 20
        back = [Key.parse(key).number for key in ahead.hear("dropped")["dropped"]]
        returned += back
    ahead.send(given, "'last'")
    seen = 0
    while "value" not in ahead.hear("e"):
        seen += 1
    begun = ahead.beginnings()
    assert set(begun) == set(range(given + 1)) - set(returned)
    assert set(begun.values()) == {1}
    assert {key.number for key in ahead.fates().ended} == set(begun)


def test_a_canceled_call_that_was_sent_ahead_does_not_begin(ahead: Ahead) -> None:
    ahead.send(0, ahead.gate(), "1", "2", "3")
    ahead.hear_start(0)
    ahead.say({"end": "1.2.1"})
    assert ahead.hear("dropped")["dropped"] == ["1.2.1"]
    ahead.open_gate()
    assert sorted(ahead.ends(3)) == [0, 1, 3]
    assert ahead.beginnings() == Counter([0, 1, 3])


@pytest.mark.parametrize("order", ["end", "evict"])
def test_the_end_of_the_call_in_hand_is_no_others(ahead: Ahead, order: str) -> None:
    ahead.send(0, "0", "time.sleep(600)", "2", "3")
    ahead.hear_start(1)
    ahead.say({order: "1.1.1"})
    ends = ahead.ends(3)
    assert ends[1]["why"] == {"end": "cancel", "evict": "evict"}[order]
    assert [ends[2]["value"], ends[3]["value"]] == ["2", "3"]
    assert ahead.beginnings() == Counter(range(4))


def test_a_stopped_call_goes_on_and_those_behind_it_after_it(ahead: Ahead) -> None:
    ahead.send(0, "0", ahead.gate(), "2")
    ahead.hear_start(1)
    ahead.say({"stop": "1.1.1"})
    ahead.hear("paused")
    after(0.1)
    ahead.say({"go": "1.1.1"})
    ahead.open_gate()
    ends = ahead.ends(2)
    assert [ends[1]["value"], ends[2]["value"]] == ['"opened"', "2"]
    assert ends[1]["stopped"] > 0.09
    assert ahead.beginnings() == Counter(range(3))


@pytest.mark.parametrize("ahead", [NEVER], indirect=True)  # a process of its own does not find it
def test_a_call_that_closes_the_journal_costs_no_other_its_end(ahead: Ahead) -> None:
    """Its own end is told by the worker, what comes is made by another process."""
    opened = "[(int(fd), os.path.realpath(f'/proc/self/fd/{fd}')) for fd in os.listdir('/proc/self/fd')]"
    ahead.send(0, "0", f"[os.close(fd) for fd, path in {opened} if path.endswith('journal')] and None", "2", "3")
    assert ahead.hear("n")["n"] == "1.2.1"
    ahead.send(2, "2")
    assert {json.loads(ahead.hear("e")["value"]) for _ in range(2)} == {2, 3}
    assert {key.number: end.exit_code for key, end in ahead.fates().ended.items()} == dict.fromkeys(range(4), 0)


def test_a_runner_killed_at_any_moment_costs_one_call_and_no_record(ahead: Ahead) -> None:
    victims = set()
    for round_ in range(20):
        ahead.send(50 * round_, *["time.sleep(0.0002)"] * 50)
        until_begun(ahead, 50 * round_ + round_)
        os.kill(ahead.runner(), signal.SIGKILL)
        ends = ahead.ends(50)
        killed = [number for number, end in ends.items() if end["signal"] == signal.SIGKILL]
        assert len(killed) <= 1
        assert all(end["code"] == 0 for number, end in ends.items() if number not in killed)
        victims.update(killed)
    begun = ahead.beginnings()
    assert set(begun.values()) == {1}
    assert set(range(1000)) - set(begun) <= victims, "a call was killed before it had done anything"


def test_a_killed_worker_leaves_a_journal_that_is_true(ahead: Ahead) -> None:
    """Its runner ends what it has in hand, says so there, and begins nothing more."""
    ahead.send(0, *(str(index) for index in range(20)), ahead.gate(), *(str(index) for index in range(30)))
    until_begun(ahead, 20)
    runner = ahead.runner()
    os.kill(ahead.pid, signal.SIGKILL)
    ahead.gone()
    fates = ahead.fates()
    assert [key.number for key in fates.running] == [20]
    assert next(iter(fates.running.values())).pid == runner
    ahead.open_gate()
    until(lambda: not alive(runner), "the runner has not left")
    assert ahead.beginnings() == Counter(range(21))
    assert {key.number for key in ahead.fates().ended} >= set(range(20))


def test_a_daemon_that_hangs_up_finds_every_call_ended_or_never_begun(ahead: Ahead) -> None:
    ahead.send(0, *["time.sleep(0.02)"] * 1000)  # far more than it begins before it hears of that
    until_begun(ahead, 30)
    ahead.sock.shutdown(socket.SHUT_RDWR)
    ahead.gone()
    fates = ahead.fates()
    assert fates.running == {}
    assert {key.number for key in fates.ended} == set(ahead.beginnings())
    assert 30 < len(fates.ended) < 1000


def test_nothing_begins_behind_a_fence(ahead: Ahead) -> None:
    """Another daemon has taken over while the worker was frozen with a row before its runner, which was not."""
    ahead.send(0, ahead.gate(), *(str(index) for index in range(50)))
    until_begun(ahead, 0)
    ahead.hear_start(0)
    os.kill(ahead.pid, signal.SIGSTOP)
    ahead.runs.fence(ahead.run)
    ahead.open_gate()
    os.kill(ahead.pid, signal.SIGCONT)
    ahead.gone()
    fates = ahead.fates()
    assert (fates.running, list(fates.ended)) == ({}, [Key(1, 0, 1)])
    assert ahead.beginnings() == Counter([0])
