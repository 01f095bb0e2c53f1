"""A daemon with a fault of its own, which is put into it: it begins again, and ends where that does not help."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pytest

from tests.mill import DEADLINE, Mill

POISON = '''
import os, sys

if "daemon" in sys.orig_argv:
    from gristmill.supervisor.core import schedule

    def keep_room(*words, healthy=schedule.keep_room):
        if os.path.exists(os.environ["POISON"]):
            if os.path.getsize(os.environ["POISON"]) == 0:
                os.unlink(os.environ["POISON"])
            raise KeyError("poisoned")
        return healthy(*words)

    schedule.keep_room = keep_room
'''
"""Has the tuner fail while there is such a file: once where it is empty."""
ONCE, ALWAYS = "", "always"


@pytest.fixture
def poison(mill: Mill) -> Path:
    """The file that makes the daemon fail."""
    (mill.base / "sitecustomize.py").write_text(POISON)
    path = mill.base / "poison"
    mill.env.update(PYTHONPATH=str(mill.base), POISON=str(path))
    return path


def test_it_begins_again_as_the_same_process_and_what_runs_goes_on(mill: Mill, poison: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    mill.start("--limit", "2", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard)))
    assert mill.process is not None
    mill.drop("long.toml", f'command = "until test -e {mill.base}/go; do sleep 0.05; done"\n')
    (before,) = mill.running("long")
    inherited = 'command = "ulimit -Sn; ulimit -Hn; ulimit -c; umask; env | cut -d = -f 1 | sort"\n'
    mill.drop("first.toml", inherited)
    mill.ended("first")
    poison.write_text(ONCE)
    reason = mill.until(lambda: mill.condition("fault").get("reason"), "it does not say that it began again")
    assert "the daemon failed (KeyError: 'poisoned') and began again" in reason
    assert mill.status()["daemon"]["pid"] == mill.process.pid
    (after,) = mill.running("long")
    assert after["pid"] == before["pid"]
    mill.drop("second.toml", inherited)
    mill.ended("second")
    assert mill.grist("log", "first/0").startswith("512\n")
    assert mill.grist("log", "second/0") == mill.grist("log", "first/0"), "a task inherits something else"
    (mill.base / "go").touch()
    assert mill.ended("long")["state"] == "done"


def test_one_that_fails_again_and_again_ends_and_says_so(mill: Mill, poison: Path) -> None:
    mill.start()
    assert mill.process is not None
    poison.write_text(ALWAYS)
    assert mill.process.wait(DEADLINE) == 1
    words = (mill.state / "daemon.log").read_text()
    assert words.count("failed by a fault of its own and begins again") == 3
    assert words.count("the daemon ends by a fault of its own") == 1
    poison.unlink()
    mill.process.stdout.close()  # type: ignore[union-attr]  # it is a pipe
    mill.start()
    mill.drop("well.sh", "#!/bin/sh\ntrue\n")
    assert mill.ended("well")["state"] == "done"


def test_a_fault_before_it_has_served_ends_it_at_once(mill: Mill, poison: Path) -> None:
    mill.start()
    mill.kill(signal.SIGTERM)
    (mill.base / "sitecustomize.py").write_text(POISON.replace("schedule.keep_room = keep_room", '''
    from gristmill.supervisor.edge import server

    async def start(self):
        raise KeyError("poisoned")

    server.Server.start = start'''))
    mill.begin()
    assert mill.process is not None
    assert mill.process.wait(DEADLINE) == 1
    assert "begins again" not in (mill.state / "daemon.log").read_text()


def test_a_fault_of_one_that_was_told_to_stop_ends_it(mill: Mill, poison: Path) -> None:
    mill.start()
    assert mill.process is not None
    mill.drop_claimed("long.toml", f'command = "until test -e {mill.base}/go; do sleep 0.05; done"\n')
    mill.running("long")
    mill.ask("shutdown", drain=True)
    poison.write_text(ONCE)
    assert mill.process.wait(DEADLINE) == 1
    assert "begins again" not in (mill.state / "daemon.log").read_text()
    (mill.base / "go").touch()
    mill.process.stdout.close()  # type: ignore[union-attr]  # it is a pipe
    mill.start()
    assert mill.ended("long")["state"] == "done"
