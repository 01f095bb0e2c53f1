"""People are told what they asked to be told; a notifier that fails or hangs costs nobody anything."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.mill import Mill

DONE = 'command = "true"\n'


def settings(mill: Mill, text: str) -> None:
    (mill.jobs / ".gristmill").mkdir(exist_ok=True)
    (mill.jobs / ".gristmill" / "settings.toml").write_text(text)


def told(mill: Mill, name: str = "told") -> list[dict[str, Any]]:
    """What a notifier that appends its input to a file has got so far."""
    path = mill.base / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


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
    assert good["text"].startswith("job 1 (good) done in 00:0") and good["text"].endswith("1 of 1 items done")
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
    mill.until(lambda: not mill.status()["daemon"]["conditions"], "the note stays")


def test_a_notifier_that_hangs_holds_nothing_up(mill: Mill) -> None:
    settings(mill, 'notify = "sleep 1000"\n')
    mill.start("--limit", "1")
    for number in range(5):
        mill.drop(f"job-{number}.toml", DONE)
        assert mill.ended(f"job-{number}")["state"] == "done"
    assert mill.status()["daemon"]["state"] == "ok"
    assert mill.process is not None
    began = time.monotonic()
    mill.grist("shutdown")
    mill.process.wait(60)
    assert time.monotonic() - began < 15
