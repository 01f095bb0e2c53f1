"""What lies in the folder and is no job file: rejected with its reason, never run, and nobody waits for it."""

from __future__ import annotations

import os
import random
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mill import Mill

ROOT = os.geteuid() == 0
RUN = 'command = "touch ran"\n'


def a_link(path: Path) -> None:
    target = path.with_suffix(".target")
    target.write_text(RUN)
    path.symlink_to(target)


def a_device(path: Path) -> None:
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


def a_hard_link(path: Path) -> None:
    path.with_suffix(".md").write_text(RUN)
    os.link(path.with_suffix(".md"), path)


def of_another(path: Path) -> None:
    path.write_text(RUN)
    os.chown(path, 1, 1)


def unreadable(path: Path) -> None:
    path.write_text(RUN)
    path.chmod(0)


KINDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "link": (a_link, "a symbolic link, not a file – copy the file itself here"),
    "nowhere": (lambda path: path.symlink_to("/nowhere"), "a symbolic link"),
    "itself": (lambda path: path.symlink_to(path.name), "a symbolic link"),
    "pipe": (os.mkfifo, "a pipe, not a file"),
    "socket": (a_socket, "a socket, not a file"),
    "hard": (a_hard_link, "2 hard links"),
    "long": (lambda path: path.write_bytes(RUN.encode() + b"#" * (1 << 20)), "more than 1048576 – keep data outside"),
    "binary": (lambda path: path.write_bytes(b"command = 'x'\n\x7fELF\x80\x81"), "binary.toml:2:5: is not UTF-8 text"),
    "nul": (lambda path: path.write_bytes(RUN.encode() + b"\0"), "nul.toml:2:1: a NUL character"),
    "blank": (lambda path: path.write_text("\n \n"), "the file is empty"),
    "empty": (lambda path: path.touch(), "is empty – write the job first"),
}
if ROOT:
    KINDS["device"] = (a_device, "a device, not a file")
    KINDS["another"] = (of_another, "belongs to another user – copy it")
else:
    KINDS["unreadable"] = (unreadable, "can't be read: Permission denied – chmod u+r it")


def test_each_kind_is_rejected_by_its_name_with_the_mend_and_nobody_waits(
    turning: Mill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(turning.jobs)  # a socket's path must be short
    for name, (make, _) in KINDS.items():
        make(turning.jobs / f"{name}.toml")
    turning.drop("good.toml", 'command = "true"\n')
    rejected = turning.jobs / "rejected"
    turning.until(
        lambda: turning.ask("status") and all((rejected / f"{name}.toml.error").exists() for name in KINDS),
        "not all are rejected",
    )
    for name, (_, words) in KINDS.items():
        (line,) = (rejected / f"{name}.toml.error").read_text().splitlines()
        assert line.startswith(f"{name}.toml:"), line
        assert words in line
        assert " – " in line
        assert os.path.lexists(rejected / f"{name}.toml")
    assert turning.ended("good")["state"] == "done"
    assert [job["name"] for job in turning.ask("status")["jobs"]] == ["good"]
    assert not (turning.base / "ran").exists()


@pytest.mark.skipif(ROOT, reason="root may read every file")
def test_an_unreadable_script_is_named_too(turning: Mill) -> None:
    unreadable(turning.jobs / "script.sh")
    error = turning.jobs / "rejected" / "script.sh.error"
    turning.until(error.exists, "not rejected")
    assert "chmod u+r" in error.read_text()


def test_a_folder_named_like_a_job_is_left_alone(turning: Mill) -> None:
    inner = turning.jobs / "folder.toml"
    inner.mkdir()
    (inner / "inner.toml").write_text(RUN)
    turning.drop("good.toml", 'command = "true"\n')
    turning.ended("good")
    assert (inner / "inner.toml").exists()
    assert [job["name"] for job in turning.ask("status")["jobs"]] == ["good"]
    assert os.listdir(turning.jobs / "rejected") == []


def test_a_file_of_exactly_a_mebibyte_runs(turning: Mill) -> None:
    text = 'command = "true"\n'
    turning.drop("long.toml", text + "#" * ((1 << 20) - len(text)))
    assert turning.ended("long")["state"] == "done"


def test_files_that_vanish_or_turn_into_something_else_meanwhile_hold_nobody_up(
    turning: Mill, chance: random.Random, full: bool
) -> None:
    whole = 'command = "echo {n} >> out"\n'
    kept = []
    for number in range(1000 if full else 100):
        path = turning.jobs / f"f{number}.toml"
        turning.drop(path.name, whole.replace("{n}", str(number)))
        what = chance.choice(["vanish", "link", "pipe", "replace", "keep"])
        try:
            if what in ("vanish", "link", "pipe"):
                path.unlink()
        except FileNotFoundError:  # taken already, and so it runs
            continue
        if what == "link":
            path.symlink_to("/etc/hostname")
        elif what == "pipe":
            os.mkfifo(path)
        elif what == "replace":
            turning.drop(path.name, whole.replace("{n}", str(number)))
        kept.append(number)
    turning.drop("final.toml", 'command = "true"\n')
    turning.ended("final")
    turning.until(lambda: turning.ask("status") and not list(turning.jobs.glob("f*.toml")), "some lie there still")
    turning.until(lambda: all(job["ended_at"] for job in turning.ask("status")["jobs"]), "not all ended")
    jobs = turning.ask("status")["jobs"]
    ran = (turning.base / "out").read_text().split()
    assert len(ran) == len([job for job in jobs if job["name"] != "final"])
    for path in (turning.jobs / "rejected").iterdir():
        if path.suffix != ".error":
            assert path.is_symlink() or path.is_fifo()
