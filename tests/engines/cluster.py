"""A Slurm of its own on loopback: munged, slurmctld and slurmds on one host, without systemd or cgroups; with a
database and slurmdbd where its accounting is asked for (`accounts`).

Works as root and as an ordinary user; then only that user runs jobs. Single daemons can be killed and started again.
All of it ends with the `with`, by the pids that were started and by whoever has our configuration in its environment.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests import waiting
from tests.engines import accounts

CONF = """\
ClusterName=mill
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={base}/munge/munge.socket
CredType=cred/munge
StateSaveLocation={base}/state
SlurmdSpoolDir={base}/spool/%n
SlurmctldPidFile={base}/run/slurmctld.pid
SlurmdPidFile={base}/run/%n.pid
SlurmctldLogFile={base}/log/slurmctld.log
SlurmdLogFile={base}/log/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
{accounting}
JobCompType=jobcomp/none
SchedulerType=sched/backfill
SchedulerParameters={sched}
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout={slurmd_timeout}
SlurmctldTimeout=30
MessageTimeout=5
MinJobAge={min_job_age}
KillWait=5
InactiveLimit=0
MaxArraySize=1001
MaxJobCount={max_jobs}
DefMemPerCPU=100
PropagateResourceLimits=NONE
GresTypes=gpu
NodeName=n[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs={cpus} RealMemory={memory} \
Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=short Nodes=n1 MaxTime=30 State=UP
{more}
"""
SCHED = "bf_interval=2,sched_interval=2,batch_sched_delay=0,sched_min_interval=0,bf_resolution=60"
DEADLINE = 120.0


def program(name: str) -> str | None:
    """Where a daemon of Slurm's is, None where it is not installed."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def missing() -> str:
    """What is not installed that a cluster needs, "" for nothing."""
    gone = [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if program(name) is None]
    return f"not installed: {', '.join(gone)} (apt-get install slurm-wlm munge)" if gone else ""


class Cluster:
    """One Slurm in a folder, whose path is short and open to all."""

    def __init__(self, base: Path, nodes: int = 2, cpus: int = 4, accounting: bool = False, **how: Any) -> None:
        self.base, self.nodes, self.accounting = base.resolve(), nodes, accounting
        self.port, self._hold = _ports()
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.env = {**os.environ, "SLURM_CONF": str(self.base / "slurm.conf"),
                    "MARIADB_UNIX_PORT": str(accounts.socket_of(self.base))}  # fmt: skip
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        options = {
            "sched": SCHED, "slurmd_timeout": 30, "min_job_age": 10, "max_jobs": 20000, "memory": 2000,
            "more": "", **how,
        }
        for inner in ("munge", "state", "spool", "run", "log"):
            (self.base / inner).mkdir(parents=True)
            (self.base / inner).chmod(0o755)
        self.base.chmod(0o755)
        key = self.base / "munge" / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        kept = accounts.prepare(self.base, self.port + nodes + 1, self.user) if accounting else accounts.NONE
        (self.base / "slurm.conf").write_text(CONF.format(
            base=self.base, host=socket.gethostname().split(".")[0], port=self.port, first=self.port + 1,
            last=self.port + nodes, user=self.user, nodes=nodes, cpus=cpus, accounting=kept, **options,
        ))
        devices = ("null", "zero", "full", "random")  # a card needs a file; nothing is confined here
        (self.base / "gres.conf").write_text(
            "".join(f"NodeName=n[1-{nodes}] Name=gpu File=/dev/{device}\n" for device in devices[:2])
        )

    def __enter__(self) -> Cluster:
        try:
            self._begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _begin(self) -> None:
        self.start("munged")
        self.until((self.base / "munge" / "munge.socket").exists, "munged")
        if self.accounting:
            self.start("mariadbd")
            self.until(accounts.socket_of(self.base).exists, "mariadbd")
            self.start("slurmdbd")
            self.until(lambda: self.run("sacctmgr", "-n", "list", "cluster").returncode == 0, "slurmdbd")
        self.start("slurmctld")
        self.until(self.answers, "slurmctld")
        for number in range(1, self.nodes + 1):
            self.start(f"n{number}")
        self.until(lambda: self.states() == {"idle"}, "the nodes")

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self.answers():
                self.run("scancel", "-u", str(os.getuid()))
                self.until(lambda: not self.run("squeue", "-h").stdout.strip(), "the end of all jobs")
        order = [f"n{number}" for number in range(1, self.nodes + 1)] + ["slurmctld", "slurmdbd", "mariadbd", "munged"]
        for name in order:
            if name in self._running:
                self.kill(name, signal.SIGTERM)
        for pid in self._strays():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._hold.close()

    # ── its daemons ───────────────────────────────────────────────────────────────────────────────────────────

    def start(self, name: str) -> None:
        """Starts one of them; a node's name means its slurmd."""
        b = self.base
        commands: dict[str, list[str | None]] = {
            "munged": [program("munged"), "--foreground", "--force", f"--socket={b}/munge/munge.socket",
                       f"--key-file={b}/munge/munge.key", f"--log-file={b}/log/munged.log",
                       f"--pid-file={b}/munge/munged.pid", f"--seed-file={b}/munge/munged.seed"],
            "slurmctld": [program("slurmctld"), "-D", "-f", f"{b}/slurm.conf"],
            "slurmdbd": [program("slurmdbd"), "-D"],  # its configuration is beside the other
            "mariadbd": [*accounts.database(b, self.user)],
        }
        argv = commands.get(name, [program("slurmd"), "-D", "-N", name, "-f", f"{b}/slurm.conf"])
        with open(b / "log" / f"{name}.out", "ab") as out:
            self._running[name] = subprocess.Popen(
                [part or "" for part in argv], env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=b,
                start_new_session=True,
            )

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Ends one of them by a signal, and waits until it is gone."""
        process = self._running.pop(name)
        process.send_signal(number)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def lose(self, node: str) -> None:
        """The power of a node goes: slurmd, steps and their tasks end at once, and Slurm is told that it is down."""
        self.kill(node)
        for one in self.living(node):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(one, signal.SIGKILL)
            os.close(one)
        self.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")

    def living(self, node: str) -> list[int]:
        """Descriptors of all that runs on a node, which is this machine, its slurmd left out: its steps, then their
        tasks, whose ends a step that is still there would tell."""
        steps: list[int] = []
        tasks: list[int] = []
        own = f"SLURM_CONF={self.base}/slurm.conf\0".encode()  # others' nodes are called the same
        log = str(self.base / "log" / f"{node}.log")  # of a step's environment its title has left the end alone
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                environ = (entry / "environ").read_bytes()
                if own not in environ:
                    continue
                if b"slurmstepd" in (entry / "cmdline").read_bytes():
                    if log in _opened(entry):
                        steps.append(os.pidfd_open(int(entry.name)))
                elif f"SLURMD_NODENAME={node}\0".encode() in environ:
                    tasks.append(os.pidfd_open(int(entry.name)))
        return steps + tasks

    def _strays(self) -> Iterator[int]:
        """Those that our daemons left, such as slurmstepd: our configuration is in their environment."""
        tag = f"{self.base}/slurm.conf".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if b"slurmstepd" in (entry / "cmdline").read_bytes() and tag in (entry / "environ").read_bytes():
                    yield int(entry.name)

    # ── its commands ──────────────────────────────────────────────────────────────────────────────────────────

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """One of Slurm's commands."""
        return subprocess.run(argv, env=self.env, capture_output=True, text=True, check=False, timeout=DEADLINE)

    def answers(self) -> bool:
        """Whether the controller does."""
        return "is UP" in self.run("scontrol", "ping").stdout

    def states(self) -> set[str]:
        """The states that its nodes are in."""
        return set(self.run("sinfo", "-h", "-N", "-o", "%T").stdout.split())

    def has_forgotten(self) -> bool:
        """Whether the controller knows of no job any more."""
        return not self.run("squeue", "-h", "-t", "all").stdout.strip()

    def queue(self) -> list[str]:
        """What is in its queue, a line each."""
        return self.run("squeue", "-h", "-r").stdout.splitlines()

    def resume(self) -> None:
        """Has all nodes take jobs again, and waits until they do."""
        for number in range(1, self.nodes + 1):
            self.run("scontrol", "update", f"nodename=n{number}", "state=resume")
        self.until(lambda: self.states() <= {"idle", "mixed", "allocated", "completing"}, "nodes that work")

    def settle(self) -> None:
        """Waits until the controller has saved its state since now."""
        saved, now = self.base / "state" / "job_state", time.time()
        self.until(lambda: saved.exists() and saved.stat().st_mtime > now, "the controller to save its state")

    @staticmethod
    def until(what: Callable[[], object], why: str) -> None:
        """Waits until it is so; fails at the deadline."""
        waiting.until(what, f"still waiting for {why}", DEADLINE, 0.05)


def _ports() -> tuple[int, socket.socket]:
    """The first of ten ports on loopback that nobody has, outside of those that the kernel hands out by itself; and
    what keeps them for us, until it is closed, from others who look for some and have not bound them yet."""
    for port in range(7000, 10000, 10):
        hold = socket.socket(socket.AF_UNIX)
        with contextlib.ExitStack() as stack:
            try:
                hold.bind(f"\0gristmill-tests-ports-{port}")
                for number in range(port, port + 10):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", number))
            except OSError:
                hold.close()
                continue
        return port, hold
    raise AssertionError("no ports are free")


def _opened(entry: Path) -> Iterator[str]:
    """The files that a process has open, by its folder in /proc; it may open and close some meanwhile."""
    for one in (entry / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield os.readlink(one)
