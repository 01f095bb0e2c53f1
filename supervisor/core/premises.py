"""What is right and wrong with the premises: the jobs folder, the state folder, their disk, and the daemon on them.

Judges readings and reads nothing. A finding FAILs where the daemon would refuse to start or to start tasks.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime

from gristmill.supervisor.core import figures
from gristmill.supervisor.core.readings import DaemonReading, Finding, FolderReading, Level, Readings, VolumeReading

RESERVE = 256 << 20
SOCKET_LIMIT = 107
"""Bytes that a socket's path may have."""
SKEW_S = 300.0
"""A file so much newer than the clock is no rounding: one of the two clocks is wrong."""

OK, WARN, FAIL = Level

UNKNOWN = "an unknown file system"
"""Where no mount is told of, as in a chroot."""


def jobs_folder(readings: Readings) -> Iterator[Finding]:
    """Whether job files can be taken from it, by us alone."""
    folder, name = readings.jobs, "jobs folder"
    path = shlex.quote(folder.path)
    if folder.kind != "folder":
        if folder.fault:
            yield Finding(name, FAIL, f"{folder.path}: {folder.fault}", "use another one: --jobs DIR")
        elif folder.kind:
            yield Finding(name, FAIL, f"{folder.path}: not a folder", "use another one: --jobs DIR")
        elif readings.daemon.holder is None:
            yield Finding(name, OK, f"{folder.path}: not there yet, `grist up` makes it")
        else:
            yield Finding(name, FAIL, f"{folder.path}: not there", f"mkdir -p {path}")
        return
    if not folder.ours:
        yield Finding(name, FAIL, f"{folder.path}: belongs to another user", "use one of your own: --jobs DIR")
    elif folder.others_may_write:
        yield Finding(
            name, FAIL, f"{folder.path}: mode {folder.mode:04o}, others may write to it, and so run commands as you",
            f"chmod go-w {path}",
        )
    elif not folder.usable:
        yield Finding(name, FAIL, f"{folder.path}: mode {folder.mode:04o}, can't be read and written",
                      f"chmod u+rwx {path}")
    else:
        hints = ": no hints over the network, files are found by looking" if folder.remote else ""
        yield Finding(name, OK, f"{folder.path}, mode {folder.mode:04o}, {folder.file_system or UNKNOWN}{hints}")
    yield from _parents(readings, folder, name)
    for file in folder.idle[:3]:
        yield Finding(name, WARN, f"{file}: a script that is not executable, so nothing takes it",
                      f"chmod +x {shlex.quote(f'{folder.path}/{file}')}")
    if folder.in_memory:
        yield Finding(name, WARN, f"{folder.path}: on {folder.file_system}, a restart of the machine loses its files",
                      "use one on a disk: --jobs DIR")


def state_folder(readings: Readings) -> Iterator[Finding]:
    """Whether the queue can be kept there, durable and private."""
    folder, name = readings.state, "state folder"
    path, kind = shlex.quote(folder.path), folder.file_system or UNKNOWN
    elsewhere = "export GRIST_STATE=/a/folder/on/a/local/disk"
    if folder.fault or folder.kind == "other":
        yield Finding(name, FAIL, f"{folder.path}: {folder.fault or 'not a folder'}", elsewhere)
        return
    if folder.remote:
        yield Finding(name, FAIL, f"{folder.path}: on {kind}, where locks and databases break", elsewhere)
    elif readings.volume.read_only:
        yield Finding(name, FAIL, f"{folder.path}: on {kind}, mounted read-only", elsewhere)
    elif not folder.usable:
        yield Finding(name, FAIL, f"{folder.path}: can't be {'read and written' if folder.kind else 'made'}",
                      elsewhere)
    elif not folder.kind:
        yield Finding(name, OK, f"{folder.path}, {kind}: not there yet, the daemon makes it")
    elif not folder.ours:
        yield Finding(name, FAIL, f"{folder.path}: belongs to another user", elsewhere)
    elif folder.mode & 0o077:
        yield Finding(name, WARN, f"{folder.path}: mode {folder.mode:04o}, others can look at your jobs and logs",
                      f"chmod 700 {path}")
    else:
        yield Finding(name, OK, f"{folder.path}, mode {folder.mode:04o}, {kind}")
    yield from _parents(readings, folder, name)
    if folder.in_memory:
        yield Finding(name, WARN, f"{folder.path}: on {kind}, a restart of the machine loses the queue", elsewhere)


def _parents(readings: Readings, folder: FolderReading, name: str) -> Iterator[Finding]:
    """Who may put another folder in the place of this one; the daemon refuses that for root's jobs."""
    level = FAIL if readings.root and folder is readings.jobs else WARN
    if folder.loose:
        yield Finding(name, level, f"{folder.loose}: others may write to it, and so replace what lies below it",
                      f"chmod go-w {shlex.quote(folder.loose)}")
    if folder.foreign:
        yield Finding(name, level, f"{folder.foreign}: belongs to another user, who may replace what lies below it")


def reserve(total: int) -> int:
    """Bytes on a disk of this size below which the daemon starts nothing."""
    return min(RESERVE, total // 50)


def disk(readings: Readings) -> Iterator[Finding]:
    """Whether logs, results and the queue have room."""
    volume: VolumeReading = readings.volume
    kept = readings.settings.disk_kept
    look = f"grist clean --older 7d --dry-run; du -sh {shlex.quote(readings.state.path)}/*"
    if kept is None:
        kept = reserve(volume.total)
    room = f"{figures.size(volume.free)} of {figures.size(volume.total)} free, {figures.size(kept)} kept in reserve"
    if volume.free < kept:
        yield Finding("disk", FAIL, f"{room}: nothing is started", look)
    elif volume.free < 4 * kept:
        yield Finding("disk", WARN, f"{room}: soon full", look)
    else:
        yield Finding("disk", OK, room)
    if not volume.inodes:
        return
    left = f"{figures.count(volume.inodes_free)} of {figures.count(volume.inodes)} inodes free"
    if not volume.inodes_free:
        yield Finding("disk", FAIL, f"{left}: no file can be made", look)
    elif volume.inodes_free < 10_000 and volume.inodes_free < volume.inodes // 10:
        yield Finding("disk", WARN, f"{left}: every task that prints needs one", look)


def daemon(readings: Readings) -> Iterator[Finding]:
    """Whether it runs, answers, is of our version, and holds nothing back."""
    there: DaemonReading = readings.daemon
    log = f"tail {shlex.quote(readings.state.path + '/daemon.log')}"
    if there.socket_bytes > SOCKET_LIMIT:
        yield Finding("daemon", FAIL, f"{there.socket}: {there.socket_bytes} bytes, a socket's path may have "
                                      f"{SOCKET_LIMIT}", "export GRIST_STATE=/a/shorter/path")
    if there.socket_there and not there.socket_private:
        yield Finding("daemon", FAIL, f"{there.socket}: others may speak to it", "grist shutdown && grist up")
    if there.version:
        yield from _answering(readings, there)
    elif there.holder is not None:
        yield Finding("daemon", FAIL, f"pid {there.holder} runs and does not answer: {there.fault}", log)
    elif there.elsewhere is not None:
        yield Finding("daemon", FAIL, f"pid {there.elsewhere} serves this jobs folder with another state folder",
                      "name the one that it was started with: --state DIR")
    elif there.fault:
        yield Finding("daemon", WARN, f"can't tell whether it runs: {there.fault}")
    else:
        left = ", one was killed" if there.socket_there else ""
        yield Finding("daemon", OK, f"none runs{left}; start it: grist up")


def _answering(readings: Readings, there: DaemonReading) -> Iterator[Finding]:
    words = f"pid {there.holder}, version {there.version}"
    if there.version == readings.version:
        yield Finding("daemon", OK, f"{words}, answers")
    else:
        yield Finding("daemon", WARN, f"{words}, this command is {readings.version}; running tasks outlive a restart",
                      "grist shutdown && grist up")
    for ailment in there.ailments:
        span = figures.lasting(readings.now - ailment.since)
        level, how = (FAIL, "held") if ailment.holds else (WARN, "says")
        yield Finding("daemon", level, f"{how} {span}: {ailment.reason}")


def settings(readings: Readings) -> Iterator[Finding]:
    """Which settings a daemon finds, and in which file."""
    here, name = readings.settings, "settings"
    for fault in here.faults:
        what, _, mend = fault.rpartition(" – ")
        yield Finding(name, FAIL, f"{what}; no daemon starts with it, one that runs keeps those of before", mend)
    for path, said in here.said:
        yield Finding(name, OK, f"{path}: {', '.join(said) or 'nothing set'}")
    if here.polite:
        yield Finding(name, OK, f"now: {here.polite}")
    if not here.said and not here.faults:
        yield Finding(name, OK, f"all as shipped; yours would be in {here.user}")


def clock(readings: Readings) -> Iterator[Finding]:
    """Whether the time may be true: it dates tasks, backoffs and records."""
    newest = max((readings.jobs, readings.state), key=lambda folder: folder.modified)
    ahead = newest.modified - readings.now
    date = datetime.fromtimestamp(readings.now, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if readings.now < 1704067200:  # the year 2024, before which there was no Gristmill
        yield Finding("clock", FAIL, f"{date}, a time long past", "timedatectl set-ntp true")
    elif ahead > SKEW_S:
        yield Finding("clock", WARN, f"{newest.path} was changed {figures.clock_span(ahead)} from now: "
                                     "this clock or the file server's is wrong", "timedatectl status")
    else:
        yield Finding("clock", OK, date)
