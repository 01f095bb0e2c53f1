"""People are told what they asked to be told; a notifier that fails or hangs costs nobody anything."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from gristmill.supervisor.core import notices
from gristmill.supervisor.core.conditions import Conditions
from gristmill.supervisor.core.events import JobEvent
from gristmill.supervisor.core.settings import Settings
from gristmill.supervisor.notifier import Notifier
from tests.mill import DEADLINE, Mill

DONE = 'command = "true"\n'


def settings(mill: Mill, text: str) -> None:
    (mill.jobs / ".gristmill").mkdir(exist_ok=True)
    (mill.jobs / ".gristmill" / "settings.toml").write_text(text)


def told(mill: Mill, name: str = "told") -> list[dict[str, Any]]:
    """What a notifier that appends its input to a file has got so far."""
    path = mill.base / name
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []


def test_ends_and_holds_are_told_once_with_all_that_matters(mill: Mill) -> None:
    settings(mill, 'notify = "cat >> told"\n')
    mill.start("--limit", "2")
    mill.drop("good.toml", DONE)
    mill.ended("good")
    mill.drop("bad.toml", 'command = "exit 7"\n')
    mill.ended("bad")
    mill.until(lambda: len(told(mill)) == 2, "not told")
    good, bad = told(mill)
    assert (good["topic"], good["event"], good["name"], good["state"]) == ("done", "job", "good", "done")
    assert good["text"].startswith("job 1 (good) done in 00:") and good["text"].endswith("1 of 1 items done")
    assert (bad["topic"], bad["items_failed"], bad["jobs_dir"]) == ("failed", 1, str(mill.jobs))
    mill.kill()
    mill.start("--limit", "2")
    mill.drop("next.toml", DONE)
    mill.until(lambda: len(told(mill)) == 3, "not told")
    assert [one["name"] for one in told(mill)] == ["good", "bad", "next"]


def test_a_job_says_for_itself_who_is_told(mill: Mill) -> None:
    settings(mill, 'notify = ["sh", "-c", "cat >> told"]\nnotify_on = ["failed"]\n')
    mill.start("--limit", "1")
    mill.drop("own.toml", 'command = "true"\nnotify = "cat >> own"\n')
    mill.drop("silent.toml", 'command = "false"\nnotify = false\n')
    mill.drop("usual.toml", DONE)
    mill.drop("loud.toml", 'command = "false"\n')
    for name in ("own", "silent", "usual", "loud"):
        mill.ended(name)
    mill.until(lambda: told(mill) and told(mill, "own"), "not told")
    assert [one["name"] for one in told(mill)] == ["loud"]
    assert [one["name"] for one in told(mill, "own")] == ["own"]


def test_a_notifier_that_fails_is_shown_once_and_left_alone(mill: Mill) -> None:
    settings(mill, 'notify = "echo >> tries; echo no route >&2; exit 3"\n')
    mill.start("--limit", "1")
    for number in range(6):
        mill.drop(f"job-{number}.toml", DONE)
        mill.ended(f"job-{number}")

    def notes() -> list[dict[str, Any]]:
        return [one for one in mill.status()["daemon"]["conditions"] if "not tried again" in one["reason"]]

    (note,) = mill.until(notes, "not shown")
    assert note["reason"].startswith("notify: echo …: exited with 3: no route") and not note["holds"]
    assert (mill.base / "tries").read_text().count("\n") == 3
    settings(mill, 'notify = "cat >> told"\n')

    def heard() -> bool:
        mill.drop("again.toml", DONE)
        mill.ended("again")
        mill.after(1.5)
        return bool(told(mill))

    mill.until(heard, "the new one is not used")
    mill.until(lambda: not notes(), "the note stays")


def test_a_notifier_that_hangs_holds_nothing_up(mill: Mill) -> None:
    settings(mill, 'notify = "sleep 1000"\n')
    mill.start("--limit", "1")
    for number in range(5):
        mill.drop(f"job-{number}.toml", DONE)
        assert mill.ended(f"job-{number}")["state"] == "done"
    assert mill.status()["daemon"]["state"] == "ok"
    assert mill.process is not None
    mill.grist("shutdown")
    mill.process.wait(DEADLINE)


def test_a_disk_that_runs_full_is_told_once_while_it_lasts(mill: Mill) -> None:
    settings(mill, 'notify = "cat >> told"\ndisk_reserve = "90 %"\n')
    free = shutil.disk_usage(mill.base)
    mill.start("--limit", "1", *(() if free.free < 0.9 * free.total else ("--disk-reserve", str(free.total))))
    (first,) = mill.until(lambda: told(mill), "not told")
    assert (first["topic"], first["event"], first["kind"], first["state"]) == ("disk", "condition", "disk", "began")
    assert first["text"].startswith("disk: ") and first["holds"]
    mill.after(2.5)
    assert len(told(mill)) == 1


async def test_a_daemon_that_ends_by_a_fault_of_its_own_says_so_with_its_last_breath(tmp_path: Path) -> None:
    conditions = Conditions(time.monotonic, time.time, lambda *_: None)
    jobs = tmp_path / "jobs"
    notifier = Notifier(lambda: Settings(notify="cat > told"), conditions, jobs, lambda: 9.0)
    notifier.farewell(ZeroDivisionError("a defect"))
    said = json.loads((tmp_path / "told").read_text())
    assert (said["topic"], said["jobs_dir"], said["time"]) == ("fault", str(jobs), 9.0)
    assert "ZeroDivisionError: a defect" in said["text"] and "its tasks go on" in said["text"]


async def test_a_flood_becomes_a_score_of_messages_and_a_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "DIGEST_S", 0.5)
    conditions = Conditions(time.monotonic, time.time, lambda *_: None)
    notifier = Notifier(lambda: Settings(notify="cat >> told"), conditions, tmp_path / "jobs", lambda: 9.0)
    for number in range(50):
        event = JobEvent(time=1.0, id=number, name=f"job-{number}", file="x", state="failed", items=1, submitted_at=0.0)
        notifier.hear(event, True)
    sending = asyncio.ensure_future(notifier.run())
    path = tmp_path / "told"
    try:
        async with asyncio.timeout(DEADLINE):
            while not (path.exists() and re.search(r'"digest".*\n', path.read_text())):  # noqa: ASYNC110 - by a process
                await asyncio.sleep(0.02)
    finally:
        sending.cancel()
    said = [json.loads(line) for line in path.read_text().splitlines()]
    assert [one["topic"] for one in said] == ["failed"] * notices.BURST + ["digest"]
    assert (said[-1]["text"], len(said[-1]["first"])) == ("30 more: 30 failed", notices.NAMED)
