"""The line to the daemon: it comes back by itself, and misses nothing without noticing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
from textual.message import Message

from gristmill.supervisor.core.errors import NoDaemonError, RequestError
from gristmill.tui.link import Link, pause_after
from gristmill.tui.messages import Arrived, LinkLost
from tests.waiting import DEADLINE

from .stage import Daemon, job


class Heard:
    """What the link told, and waiting for it."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._news = asyncio.Event()

    def __call__(self, message: Message) -> None:
        self.messages.append(message)
        self._news.set()

    async def until(self, condition: Callable[[list[Message]], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition(self.messages):
                self._news.clear()
                await self._news.wait()

    def snapshots(self) -> int:
        return sum(isinstance(one, Arrived) and one.update.event == "snapshot" for one in self.messages)

    def reasons(self) -> list[str]:
        return [one.reason for one in self.messages if isinstance(one, LinkLost)]


@pytest.fixture
async def heard() -> Heard:
    return Heard()


@pytest.fixture
async def link(daemon: Daemon, heard: Heard) -> AsyncIterator[Link]:
    one = Link(str(daemon.path), heard)
    task = asyncio.create_task(one.run(), name="link under test")
    yield one
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_updates_arrive_in_order(daemon: Daemon, link: Link, heard: Heard) -> None:
    await heard.until(lambda _: heard.snapshots() == 1)
    daemon.push(job(9, "new"))
    daemon.push()
    await heard.until(lambda messages: len(messages) == 3)
    assert [one.update.seq for one in heard.messages if isinstance(one, Arrived)] == [10, 11, 12]


async def test_after_a_gap_a_whole_snapshot_is_asked_for(daemon: Daemon, link: Link, heard: Heard) -> None:
    await heard.until(lambda _: heard.snapshots() == 1)
    daemon.push(job(9, "lost on the way"), skip=1)
    await heard.until(lambda _: heard.snapshots() == 2)
    assert daemon.subscriptions == 2
    assert heard.reasons() == ["update 12 does not follow 10"]


@pytest.mark.parametrize("line", [b"not json", b'{"event":"delta","seq":11}', b"[]"])
async def test_a_line_that_means_nothing_starts_over(daemon: Daemon, link: Link, heard: Heard, line: bytes) -> None:
    await heard.until(lambda _: heard.snapshots() == 1)
    daemon.send(line)
    await heard.until(lambda _: heard.snapshots() == 2)


async def test_fields_of_a_newer_daemon_are_passed_over(daemon: Daemon, link: Link, heard: Heard) -> None:
    await heard.until(lambda _: heard.snapshots() == 1)
    daemon.seq += 1
    newer = msgspec.json.decode(msgspec.json.encode(daemon.update("delta", [])))
    daemon.send(msgspec.json.encode({**newer, "tides": [1, 2]}))
    await heard.until(lambda messages: len(messages) == 2)
    assert heard.reasons() == []


async def test_a_picture_of_ten_thousand_jobs_is_taken_in(daemon: Daemon, heard: Heard) -> None:
    daemon.jobs = {number: job(number, f"job-{number}", reason="waits " * 9) for number in range(10_000)}
    task = asyncio.create_task(Link(str(daemon.path), heard).run(), name="link under test")
    await heard.until(bool)
    (first,) = heard.messages
    assert isinstance(first, Arrived)
    assert len(first.update.jobs) == 10_000
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_daemons_last_word_is_the_reason_that_is_shown(daemon: Daemon, link: Link, heard: Heard) -> None:
    await heard.until(lambda _: heard.snapshots() == 1)
    daemon.send(b'{"id": null, "ok": false, "error": "hung up: too many connections are open", "code": 2}')
    await heard.until(lambda _: heard.snapshots() == 2)
    assert heard.reasons() == ["hung up: too many connections are open"]


async def test_a_daemon_that_comes_late_is_found(tmp_path: Path, heard: Heard) -> None:
    daemon = Daemon(tmp_path / "late")
    task = asyncio.create_task(Link(str(daemon.path), heard).run(), name="link under test")
    await heard.until(lambda _: len(heard.reasons()) == 2)
    assert heard.reasons()[0] == "no socket there"
    await daemon.start()
    await heard.until(lambda _: heard.snapshots() == 1)
    task.cancel()
    await daemon.stop()


async def test_answers_find_their_questions(daemon: Daemon, link: Link, heard: Heard) -> None:
    await heard.until(lambda _: heard.snapshots() == 1)
    cap, again = await asyncio.gather(link.ask("limit", workers=5), link.ask("retry", ids=["4/9"], failed=True))
    assert (cap["message"], again["message"]) == ("limit 5", "queued again: 4/9")


async def test_a_refusal_is_the_daemons_own_words(daemon: Daemon, link: Link, heard: Heard) -> None:
    await heard.until(lambda _: heard.snapshots() == 1)
    daemon.refusals["cancel"] = "no job 99"
    with pytest.raises(RequestError, match="no job 99"):
        await link.ask("cancel", ids=["99"])


async def test_a_question_fails_when_the_daemon_goes(daemon: Daemon, link: Link, heard: Heard) -> None:
    await heard.until(lambda _: heard.snapshots() == 1)
    await daemon.stop()
    await heard.until(lambda _: bool(heard.reasons()))
    with pytest.raises(NoDaemonError):
        await asyncio.wait_for(link.ask("limit", workers=5), DEADLINE)


def test_the_pauses_grow_and_stay_short() -> None:
    assert [pause_after(failures) for failures in (0, 1, 2, 9, 99)] == [0.0, 0.25, 0.5, 3.0, 3.0]
