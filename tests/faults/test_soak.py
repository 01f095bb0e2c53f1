"""Mixed load for a long time: memory flat, and nothing left behind: no descriptor, folder, process or lock.

The full form lasts an hour, of which the first ten minutes count as warming up; the short one says little about an
hour, but finds what leaks with every task. Both are counted in events: how fast those come, a busy machine decides.
"""

from __future__ import annotations

import os
import random
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from gristmill.supervisor.edge import survivors
from gristmill.supervisor.edge.locks import holder
from tests.mill import Mill
from tests.processes import children, resident

MB = 1 << 20
FLAT_MB = 5
JOBS = {
    "tiny": 'command = ["/bin/true"]\n[items]\ntotal = 300\nper_task = 1\n',
    "lines": 'command = "echo {index}; exit $(({index} % 3))"\n[items]\ntotal = 60\nper_task = 1\n',
    "retried": 'command = "test $GRIST_ATTEMPT = 3"\n[items]\ntotal = 5\nper_task = 1\n'
               '[retry]\nattempts = 3\nbackoff = "10ms"\n',
    "results": 'command = "echo {index} > $GRIST_RESULT"\n[items]\ntotal = 40\nper_task = 1\n',
    "leaves": 'command = "sleep 1000 & exit 0"\n[items]\ntotal = 3\nper_task = 1\n',
    "late": 'command = "sleep 1000"\ntimeout = "300ms"\ngrace = "100ms"\n',
    "bad": "command = [\n",
    "flood": 'command = "yes | head -c 3000000"\n[limits]\nlog = "128 KiB"\n',
}


@dataclass(frozen=True)
class Weight:
    """What the daemon and its spawner hold, in bytes and descriptors."""

    daemon: int
    spawner: int
    files: int

    @classmethod
    def of(cls, daemon: int, spawners: list[int]) -> Weight:
        return cls(resident(daemon), sum(map(resident, spawners)), len(os.listdir(f"/proc/{daemon}/fd")))


def of_this_mill(mill: Mill) -> list[int]:
    """Every living process that was started for this mill's state folder."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            environ = Path(f"/proc/{entry}/environ").read_bytes()
        except OSError:
            continue
        if str(mill.state).encode() in environ and survivors.read(int(entry)):
            found.append(int(entry))
    return found


def workers_of(mill: Mill) -> list[int]:
    """The workers of its spawner, where it has one."""
    assert mill.process is not None
    return [worker for spawner in children(mill.process.pid) for worker in children(spawner)]


def disturb(mill: Mill, chance: random.Random, number: int) -> None:
    """One of the things that happen in a long life."""
    what = chance.choice([*JOBS, "cancel", "watch", "garbage", "limit", "kill a worker"])
    if what in JOBS:
        mill.drop(f"{what}-{number}.toml", JOBS[what])
    elif what == "cancel":
        name = f"long-{number}"
        mill.drop(f"{name}.toml", 'command = "sleep 1000"\n[items]\ntotal = 4\nper_task = 1\n')
        mill.until(lambda: mill.job(name).get("state"), "not accepted")
        mill.ask("cancel", ids=[name])
    elif what == "watch":
        with socket.socket(socket.AF_UNIX) as watcher:
            watcher.connect(str(mill.state / "socket"))
            watcher.sendall(b'{"id": 0, "op": "subscribe"}\n')
            watcher.recv(1 << 16)
    elif what == "garbage":
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(str(mill.state / "socket"))
            stranger.sendall(b"\0garbage\n" * 100)
    elif what == "limit":
        mill.ask("limit", workers=chance.randint(1, 6))
    elif what == "kill a worker" and (workers := workers_of(mill)):
        os.kill(chance.choice(workers), signal.SIGKILL)


def test_soak(mill: Mill, full: bool, chance: random.Random) -> None:
    events, warming = (7200, 1200) if full else (100, 50)
    mill.start("--limit", "4")
    assert mill.process is not None
    daemon = mill.process.pid
    most = Weight(0, 0, 0)
    base: Weight | None = None
    for number in range(1, events + 1):
        disturb(mill, chance, number)
        mill.after(0.5 if full else 0.2)
        now = Weight.of(daemon, children(daemon))
        if number > warming:
            base = base or now
            most = Weight(max(most.daemon, now.daemon), max(most.spawner, now.spawner), max(most.files, now.files))
        if full and number % 600 == 0:
            print(f"{number} events: {now.daemon / MB:.1f} MB, {now.spawner / MB:.1f} MB, {now.files}")
    assert base is not None
    print(f"{events} events; daemon {base.daemon / MB:.1f} → {most.daemon / MB:.1f} MB, spawner "
          f"{base.spawner / MB:.1f} → {most.spawner / MB:.1f} MB, descriptors {base.files} → {most.files}")
    mill.until(lambda: all(job["ended_at"] for job in mill.ask("status")["jobs"]), "jobs have not ended")
    assert most.daemon - base.daemon < FLAT_MB * MB
    assert most.spawner - base.spawner < FLAT_MB * MB
    mill.ask("limit", workers=0)  # lets every worker go
    mill.until(lambda: not workers_of(mill), "workers are still there")
    mill.until(lambda: not os.listdir(mill.state / "runs"), "run folders are left")
    assert not os.listdir(mill.jobs / ".gristmill" / "spool")
    mill.until(lambda: Weight.of(daemon, children(daemon)).files <= base.files, "descriptors are left open")
    mill.kill(signal.SIGTERM)
    mill.until(lambda: not of_this_mill(mill), "processes are left")
    assert holder(mill.state / "lock") is None
    assert not (mill.state / "socket").exists()
