"""Code that is frozen at submission: what a job file says of it, and whether the command runs what is frozen.

A task finds the copy as `{snapshot}` and `$GRIST_SNAPSHOT`, and Python imports from it first. Where `cwd = true` it
runs in the copy. Which files there are, and copying them, is `edge.snapshot`'s.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection
from functools import partial

from msgspec import UNSET

from gristmill.supervisor.core import globs, keys
from gristmill.supervisor.core.findings import Fault, Findings, Path, shown
from gristmill.supervisor.core.spec import Snapshot, Spec

_SAY = 'write a list of patterns, such as snapshot = ["*.py", "conf/**"], or "git"'
_WORDS = re.compile(r"""[^\s"'`;|&<>()=,]+""")
MOST_PATTERNS = 100


def read(layout: keys.JobFile, findings: Findings) -> Snapshot | None:
    """What is to be frozen, None for nothing but the job file and its script."""
    if layout.snapshot is UNSET:
        return None
    table = layout.snapshot if isinstance(layout.snapshot, keys.SnapshotTable) else None
    given = layout.snapshot if table is None else table.files
    path: Path = ("snapshot",) if table is None else ("snapshot", "files")
    inside = table is not None and table.cwd
    if given is UNSET:
        if not findings.touched("snapshot"):
            findings.add(path, "snapshot without files", _SAY)
        return None
    if given == "git":
        return Snapshot(git=True, cwd=inside)
    assert isinstance(given, list)
    if not 0 < len(given) <= MOST_PATTERNS:
        findings.add(path, "snapshot names no file" if not given else "snapshot: too many patterns", _SAY)
    files = tuple(findings.take((*path, at), partial(globs.checked, one), "") for at, one in enumerate(given))
    return Snapshot(files=files, cwd=inside)


def ahead(spec: Spec) -> tuple[str, ...]:
    """The folders that Python looks for modules in first."""
    frozen = (spec.snapshot.tree,) if spec.snapshot is not None and spec.snapshot.tree else ()
    return (*frozen, *((spec.cwd,) if _is_python(spec) else ()))


def _is_python(spec: Spec) -> bool:
    """Whether the job is a Python script, which finds its own modules in the working folder."""
    return spec.kind == "script" and spec.command == ("python3", "{script}")


def folder(spec: Spec) -> str:
    """The folder that tasks run in."""
    return spec.snapshot.tree if spec.snapshot is not None and spec.snapshot.cwd and spec.snapshot.tree else spec.cwd


def stray(spec: Spec, text: str, frozen: Collection[str]) -> Fault | None:
    """Why what is run would not be what is frozen: a command that names such a file by its place in the working
    folder. `text` is that of a script."""
    if spec.snapshot is None or spec.snapshot.cwd:
        return None
    known = set(frozen)
    for line in _lines(spec, text):
        words = _WORDS.findall(line)
        for before, word in zip(["", *words], words, strict=False):
            module = word.replace(".", "/") if before == "-m" else ""
            if module and known & {f"{module}.py", f"{module}/__main__.py"}:
                what = f"-m {shown(word)[1:-1]} would find the working folder first, not what is frozen"
                return Fault(what, "have the task run in the copy: snapshot = { files = …, cwd = true }")
            if posixpath.normpath(word) in known:
                copy = f"$GRIST_SNAPSHOT/{word}" if spec.kind == "script" else f"{{snapshot}}/{word}"
                what = f"{shown(word)} would be run as it is then, not as it is frozen"
                return Fault(what, f"write {copy}, or snapshot = {{ files = …, cwd = true }}")
    return None


def _lines(spec: Spec, text: str) -> list[str]:
    """What is looked through for names of files."""
    if spec.kind == "script":
        if _is_python(spec):  # whose imports find the copy
            return []
        return [line for line in text.split("\n") if not line.lstrip().startswith("#")]
    if spec.kind == "command":
        return [spec.command] if isinstance(spec.command, str) else [" ".join(spec.command)]
    return [str(case["line"]) for case in spec.items.cases[:1000]] if spec.kind == "list" else []
