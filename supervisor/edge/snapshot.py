"""The code that a job freezes: which files that is, and a copy of them that lasts.

Owns reading the working folder, or git's account of it, and writing the copy. Bounded: it is for code, not for data.
Runs in the thread that reads job files.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from msgspec import structs

from gristmill.supervisor.core import freeze, globs
from gristmill.supervisor.core.findings import Fault, shown
from gristmill.supervisor.core.spec import Snapshot, Spec
from gristmill.supervisor.edge.durable import sync_folder, write_new

MOST_BYTES = 64 << 20
MOST_FILES = 5_000
MOST_LOOKED_AT = 200_000
"""Files and folders that are passed over to find those that are meant."""
MOST_TOLD = 200
PATIENCE_S = 20.0
"""Seconds that git may take for one answer."""
_PASSED_BY = frozenset(("__pycache__", "node_modules"))
_MACHINES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be copied: files by their paths below `root`. `inner` is where in it the working folder lies."""

    root: str
    inner: str
    files: tuple[str, ...]
    bytes: int
    commit: str = ""
    changed: tuple[str, ...] = ()
    untracked: int = 0

    @property
    def names(self) -> frozenset[str]:
        """The files by their paths below the working folder."""
        head = self.inner + "/" if self.inner else ""
        return frozenset(file[len(head) :] for file in self.files if file.startswith(head))


def plan(spec: Spec, text: str) -> Plan:
    """The files as they are now; raises `Fault` for what can't be frozen, or would not be what runs, OSError where the
    machine can't look now. `text` is that of the job's file."""
    wanted = spec.snapshot or Snapshot()
    try:
        made = _tracked(spec.cwd) if wanted.git else _matched(wanted.files, spec.cwd)
    except OSError as error:
        if error.errno in _MACHINES:
            raise
        raise Fault(f"{shown(str(error.filename), 200)} can't be read: {error.strerror}", "mend it") from error
    if fault := freeze.stray(spec, text, made.names):
        raise fault
    return made


def copy(wanted: Snapshot, made: Plan, folder: str) -> Snapshot:
    """Copies the files into a folder of their own, and on to the disk; raises `Fault`, OSError as `plan` does."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)  # half written by a daemon that was killed
    tree = os.path.join(folder, "tree")
    home = os.path.join(tree, made.inner) if made.inner else tree
    os.makedirs(home, mode=0o700)
    room = MOST_BYTES
    for file in made.files:
        room -= _copy(os.path.join(made.root, file), os.path.join(tree, file), made.root, file, room)
    if made.commit:
        write_new(os.path.join(folder, "diff.patch"), _git(made.root, "diff", "--binary", "HEAD"), 0o400)
    for inner, _, _ in os.walk(folder):
        sync_folder(inner)
    return structs.replace(wanted, folder=folder, tree=home, count=len(made.files), bytes=MOST_BYTES - room,
                           commit=made.commit, changed=made.changed, untracked=made.untracked)  # fmt: skip


# ── which files ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _matched(patterns: Iterable[str], cwd: str) -> Plan:
    found: set[str] = set()
    looked = 0
    for pattern in patterns:
        meant = globs.compiled(pattern)
        before = len(found)
        for file in _below(cwd, globs.base(pattern), globs.deep(pattern)):
            looked += 1
            if looked > MOST_LOOKED_AT:
                what = f"{shown(pattern)}: more than {MOST_LOOKED_AT:,} files lie there"
                raise Fault(what, "name the folders that hold the code")
            if meant.fullmatch(file):
                found.add(file)
        if len(found) == before and not any(meant.fullmatch(file) for file in found):
            raise Fault(f"{shown(pattern)} matches no file in {shown(cwd, 200)}", "mend the pattern, or set cwd")
    return _weighed(cwd, "", sorted(found))


def _below(cwd: str, base: str, deep: bool) -> Iterator[str]:
    """The files in a folder, with all below where that is asked for; links to folders are not followed."""
    with os.scandir(os.path.join(cwd, base)) as entries:
        inner = sorted(entries, key=lambda entry: entry.name)
    for entry in inner:
        path = f"{base}/{entry.name}" if base else entry.name
        if entry.is_dir(follow_symlinks=False):
            if deep and entry.name not in _PASSED_BY and not entry.name.startswith("."):
                yield from _below(cwd, path, True)
        elif entry.is_file():
            yield path


def _tracked(cwd: str) -> Plan:
    root = os.fsdecode(_git(cwd, "rev-parse", "--show-toplevel")).strip("\n")
    commit = os.fsdecode(_git(root, "rev-parse", "HEAD")).strip()
    inner = os.path.relpath(os.path.realpath(cwd), os.path.realpath(root))
    files = [file for file in _names(root, "ls-files") if os.path.lexists(os.path.join(root, file))]
    files = [file for file in files if not os.path.isdir(os.path.join(root, file))]  # another repository
    made = _weighed(root, "" if inner == "." else inner, files)
    names = _names(root, "diff", "--name-only", "HEAD")
    changed = [os.fsencode(name).decode(errors="backslashreplace") for name in names]
    untracked = _names(root, "ls-files", "--others", "--exclude-standard")
    return replace(made, commit=commit, changed=tuple(changed[:MOST_TOLD]), untracked=len(untracked))


def _names(root: str, *words: str) -> list[str]:
    return [os.fsdecode(name) for name in _git(root, *words, "-z").split(b"\0") if name]


def _git(folder: str, *words: str) -> bytes:
    """What git answers; raises `Fault` where it does not."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    command = ["git", "-C", folder, "-c", "core.fsmonitor=false", "-c", "core.quotePath=off", *words]
    try:
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S,
                              check=False)  # fmt: skip
    except FileNotFoundError:
        raise Fault("there is no git here", 'install it, or write patterns, such as ["*.py"]') from None
    except subprocess.TimeoutExpired:
        raise Fault(f"git took longer than {PATIENCE_S:g} s", "try again, or write patterns") from None
    if done.returncode:
        said = os.fsdecode(done.stderr).strip().split("\n")[0]
        mend = "commit something first" if words == ("rev-parse", "HEAD") else "set cwd to a folder of a repository"
        raise Fault(f"git: {shown(said, 200)[1:-1]}", mend)
    return done.stdout


def _weighed(root: str, inner: str, files: list[str]) -> Plan:
    """The plan, if it is not too much."""
    sizes = {file: os.lstat(os.path.join(root, file)).st_size for file in files}
    total = sum(sizes.values())
    if total > MOST_BYTES:
        largest = max(sizes, key=lambda file: sizes[file])
        what = f"{total >> 20:,} MiB are too much: {shown(largest)} has {sizes[largest] >> 20:,} MiB"
        raise Fault(what, f"freeze code, not data: {MOST_BYTES >> 20} MiB at most")
    if len(files) > MOST_FILES:
        raise Fault(f"{len(files):,} files are too many", f"freeze code, not data: {MOST_FILES:,} files at most")
    return Plan(root, inner, tuple(files), total)


# ── the copy ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _copy(source: str, target: str, root: str, file: str, room: int) -> int:
    """Copies one file, or the link that stays within the folder; returns its bytes."""
    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
    if os.path.islink(source):
        to = os.readlink(source)
        end = os.path.normpath(os.path.join(os.path.dirname(source), to))
        if not os.path.isabs(to) and end.startswith(root + "/"):
            os.symlink(to, target)
            return 0
    try:
        with open(source, "rb", opener=_plain) as text:
            data, mode = text.read(room + 1), os.fstat(text.fileno()).st_mode
    except OSError as error:
        if error.errno in _MACHINES:
            raise
        raise Fault(f"{shown(file, 200)} can't be read: {error.strerror}", "mend it, or leave it out") from error
    if len(data) > room:
        raise Fault(f"more than {MOST_BYTES >> 20} MiB by the time they were copied", "freeze code, not data")
    write_new(target, data, 0o400 | (mode & stat.S_IXUSR))
    return len(data)


def _plain(path: str, flags: int) -> int:
    fd = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a plain file", path)
    return fd
