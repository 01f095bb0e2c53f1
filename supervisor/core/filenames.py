"""The names of job files: which may be one, how an odd one is shown, and what it is called when its name is taken.

Works on bytes, which is what a file system keeps; opens nothing. Owns what a job is called after foreign text as well.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

SUFFIXES = (b".toml", b".sh", b".py", b".slurm", b".sbatch", b".txt", b".cmds")
README = (b"readme.txt",)
"""Names that people put beside jobs and that are none."""
LONGEST = 255
"""Bytes of one name, as file systems have it."""
AMBIGUOUS = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*|all|last", re.ASCII)
"""What would be read as a job's number or as a selection where it was the name of one."""


def shown(name: bytes) -> str:
    """A file name as text for people and JSON: what is not UTF-8 appears as \\xNN."""
    return name.decode("utf-8", "backslashreplace")


def job_like(name: bytes) -> bool:
    """Whether a file of this name, left alone otherwise, may be a job: hidden and unfinished names never are."""
    if name.startswith((b".", b"#")) or name.endswith((b"~", b".part", b".tmp", b".swp", b".error")):
        return False
    return name.lower() not in README


def claim(batch: str, name: bytes) -> str:
    """What a file in a batch of the spool is called in the record: no two names share one, however they are shown."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        text = ""
    return f"{batch}/{text}" if text and "\\" not in text else f"{batch}/\\{name.hex()}"


def numbered(name: bytes, number: int) -> bytes:
    """The name itself for 1, else with a number before its suffix; never longer than a name may be."""
    stem, suffix = posixpath.splitext(name)
    tail = suffix if number == 1 else b"~%d%s" % (number, suffix)
    return stem[: LONGEST - len(tail)] + tail


def free(name: bytes, taken: Callable[[bytes], bool]) -> bytes:
    """The first of `numbered` that is not taken, found without asking for each of thousands."""
    if not taken(numbered(name, 1)):
        return numbered(name, 1)
    known, high = 1, 2
    while taken(numbered(name, high)):
        known, high = high, high * 2
    while high - known > 1:  # `known` is taken, `high` is free
        middle = (known + high) // 2
        if taken(numbered(name, middle)):
            known = middle
        else:
            high = middle
    return numbered(name, high)


def error_of(name: bytes) -> bytes:
    """The name of the file that says why `name` was rejected."""
    return name[: LONGEST - len(b".error")] + b".error"


def job_named(text: str) -> str:
    """Foreign text, such as a file's stem, made fit to be a job's name; "" where nothing of it is."""
    plain = "".join(char if char.isprintable() and char != "/" else "_" for char in text).strip()[:100].strip()
    return f"job-{plain[:96]}" if AMBIGUOUS.fullmatch(plain) else plain
