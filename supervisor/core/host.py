"""What is right and wrong with the host: kernel, limits, control group, session, interpreter.

Judges readings and reads nothing. Most of it is the administrator's, so a finding FAILs only where tasks would be lost.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from gristmill.supervisor.core import figures
from gristmill.supervisor.core.readings import Finding, Level, LimitsReading, Readings

FILES = 256
"""Open files that a daemon of some dozens of workers and screens gets by with."""
SPARE = 200
"""Processes and threads that should still be allowed: fewer, and a handful of threaded tasks meets the limit."""
MIB = 1 << 20

OK, WARN, FAIL = Level


def account(readings: Readings) -> Iterator[Finding]:
    """Root runs every job as root."""
    if readings.root:
        yield Finding("account", WARN, "root: every job runs as root, and may do anything to this machine",
                      "run grist as an ordinary user")


def session(readings: Readings) -> Iterator[Finding]:
    """What a logout ends."""
    here = readings.session
    linger = f"loginctl enable-linger {shlex.quote(here.user)}"
    if not here.logind:
        yield Finding("logout", OK, "no logind here: a logout ends nothing")
    elif here.kills and not (here.unit and here.linger):
        yield Finding("logout", FAIL, "KillUserProcesses=yes: a logout ends a daemon of `grist up`, and its tasks",
                      "grist service install --linger")
    elif here.linger:
        yield Finding("logout", OK, f"linger is on for {here.user}: a logout ends nothing")
    elif here.unit:
        yield Finding("logout", FAIL, "linger is off: a logout ends the service and its tasks", linger)
    elif here.clears:
        yield Finding("logout", WARN, "linger is off: the last logout removes shared memory of running tasks "
                                      "(RemoveIPC=yes); daemon and tasks stay", linger)
    else:
        yield Finding("logout", OK, "linger is off: a daemon of `grist up` and its tasks stay, a service would end")


def pressure(readings: Readings) -> Iterator[Finding]:
    """Whether the kernel tells how long work waits."""
    lacking = [name for name in ("cpu", "memory", "io") if name not in readings.machine.pressure]
    if lacking:
        yield Finding("pressure", WARN, f"no /proc/pressure/{', '.join(lacking)}: what waits can't be told from "
                                        "what works", "boot the kernel with psi=1")
    else:
        yield Finding("pressure", OK, "cpu, memory and io can be read")


def cgroup(readings: Readings) -> Iterator[Finding]:
    """What our control group allows, which is what counts."""
    group, machine = readings.cgroup, readings.machine
    if not group.version:
        yield Finding("cgroup", OK, f"none; {machine.cores} cores, {figures.size(machine.memory)} of memory")
        return
    memory = machine.memory if group.memory is None else min(group.memory, machine.memory)
    cores = float(machine.cores) if group.cores is None else min(group.cores, machine.cores)
    given = "claims of tasks are enforced" if group.divided else f"{'' if group.delegated else 'not '}delegated"
    words = (
        f"v{group.version}, {given}; {cores:g} of {machine.cores} cores, "
        f"{figures.size(memory)} of {figures.size(machine.memory)} of memory may be used"
    )
    tight = cores < 1 or memory < 512 * MIB
    yield Finding("cgroup", WARN if tight else OK, f"{words}{': very little' if tight else ''}")
    if group.processes is not None and group.processes - group.processes_now < SPARE:
        yield Finding(
            "cgroup", WARN, f"{group.processes_now} of {group.processes} processes and threads are used: tasks will "
                            "wait to be started", "systemctl --user edit the service, or ask for a higher TasksMax",
        )


def limits(readings: Readings) -> Iterator[Finding]:
    """Resource limits; Gristmill needs a file or two a worker, and a process a worker and a task."""
    here = readings.limits
    found = list(_tight(here))
    yield from found
    if not found:
        yield Finding(
            "limits", OK, f"of {here.whose}: {_many(here.files)} open files (at most {_many(here.files_most)}, "
                          f"{FILES} needed), {here.used} of {_many(here.processes)} processes",
        )


def _tight(here: LimitsReading) -> Iterator[Finding]:
    def finding(level: Level, found: str, mend: str) -> Finding:
        return Finding("limits", level, f"of {here.whose}: {found}", mend)

    if here.files is not None and here.files < FILES:
        most = "" if here.files_most is None or here.files_most >= FILES else ", and the hard limit in limits.conf"
        yield finding(FAIL if here.files < 64 else WARN, f"{here.files} open files, {FILES} are needed",
                      f"ulimit -n 1024{most}")
    if here.processes is not None and here.processes - here.used < SPARE:
        yield finding(WARN, f"{here.used} of {here.processes} processes and threads are used: tasks will wait to be "
                            "started", "ulimit -u, or nproc in limits.conf")
    if here.file_size is not None and here.file_size < 1024 * MIB:
        yield finding(FAIL if here.file_size < 64 * MIB else WARN,
                      f"no file may grow beyond {figures.size(here.file_size)}: logs and the queue meet that",
                      "ulimit -f unlimited")
    if here.cpu is not None:
        yield finding(FAIL, f"every process ends after {figures.clock_span(here.cpu)} of CPU time, the daemon too",
                      "ulimit -t unlimited")
    if here.address is not None:
        yield finding(WARN, f"no process may map more than {figures.size(here.address)}: larger tasks fail",
                      "ulimit -v unlimited")
    if here.core_beside and (here.core is None or here.core > 100 * MIB):
        yield finding(WARN, "a task that crashes leaves its whole memory as a file in its folder", "ulimit -c 0")


def _many(number: int | None) -> str:
    return "unlimited" if number is None else str(number)


def inotify(readings: Readings) -> Iterator[Finding]:
    """Hints that files came; without them they are found a little later."""
    here = readings.inotify
    words = f"{here.instances} instances and {here.watches} watches a user"
    if here.fault:
        yield Finding("inotify", WARN, f"{words}, none is left ({here.fault}): files are found by looking",
                      "sudo sysctl fs.inotify.max_user_instances=1024 fs.inotify.max_user_watches=524288")
    else:
        yield Finding("inotify", OK, f"{words}, some are left")


def kernel(readings: Readings) -> Iterator[Finding]:
    """What Gristmill asks of Linux."""
    machine = readings.machine
    if machine.lacking:
        yield Finding("kernel", FAIL, f"{machine.kernel}: refuses {', '.join(machine.lacking)}",
                      "use Linux 5.3 or newer, and a container profile that allows it")
    elif not machine.oom_counted:
        yield Finding("kernel", WARN, f"{machine.kernel}: does not count OOM kills; they are shown as signal 9")
    else:
        yield Finding("kernel", OK, f"{machine.kernel}: pidfd_open, memfd_create, OOM kills counted")
    if machine.overcommit == 2:
        yield Finding(
            "kernel", WARN, f"vm.overcommit_memory=2: memory counts when it is asked for, not when it is used; "
                            f"{figures.size(machine.committed)} of {figures.size(machine.commit_limit)} are asked for, "
                            "beyond that tasks fail though memory is free", "sudo sysctl vm.overcommit_memory=0",
        )


def python(readings: Readings) -> Iterator[Finding]:
    """The interpreter that daemon and workers run in."""
    here = readings.python
    words = f"{'.'.join(map(str, here.version))}, {here.executable}"
    if not here.there:
        yield Finding("python", FAIL, f"{here.executable}: not there any more", "install Gristmill again")
    elif here.version < (3, 11):
        yield Finding("python", FAIL, f"{words}: 3.11 or newer is needed", "install Gristmill in a newer Python")
    elif here.version >= (3, 14):
        yield Finding("python", WARN, f"{words}: newer than what was tried (3.11 to 3.13)")
    else:
        yield Finding("python", OK, f"{words}, SQLite {here.sqlite}")
    for path in here.loose:
        yield Finding("python", WARN, f"{path}: others may write to it, and so run commands as you",
                      f"chmod go-w {shlex.quote(path)}")
    for path in here.path_loose:
        what = "others may put programs there" if path.startswith("/") else "means whatever folder one stands in"
        yield Finding("python", WARN, f"PATH holds {path or 'an empty entry'}: {what}", "take it out of PATH")
