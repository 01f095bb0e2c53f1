"""The jobs folder on a real file system."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from gristmill.supervisor.core.errors import FolderError
from gristmill.supervisor.edge.folder import JobsFolder, shown


@pytest.fixture
def folder(tmp_path: Path) -> JobsFolder:
    path = tmp_path / "jobs"
    path.mkdir(mode=0o755)
    made = JobsFolder(path)
    made.prepare()
    return made


def names(folder: JobsFolder) -> set[bytes]:
    return {item.name for item in folder.look()}


def test_only_job_files_are_seen_and_all_else_is_left_alone(folder: JobsFolder) -> None:
    for name in ("a.toml", "b.sh", "c.py", "d.txt", "e.cmds", "notes.md", ".f.toml", "g.toml~", "#h.toml#",
                 "i.toml.part", "j.toml.tmp", "k.toml.swp", "README.txt"):
        (folder.path / name).write_text("x = 1\n")
    script = folder.path / "run-it"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    (folder.path / "data").write_text("#!/bin/sh\n")
    assert names(folder) == {b"a.toml", b"b.sh", b"c.py", b"d.txt", b"e.cmds", b"run-it"}


def test_older_files_come_first(folder: JobsFolder) -> None:
    for age, name in enumerate(["third.toml", "second.toml", "first.toml"]):
        (folder.path / name).write_text("x")
        os.utime(folder.path / name, (1000 - age, 1000 - age))
    assert [item.name for item in folder.look()] == [b"first.toml", b"second.toml", b"third.toml"]


def test_a_claim_takes_the_file_and_its_bytes(folder: JobsFolder) -> None:
    (folder.path / "a.toml").write_text("command = 'x'\n")
    (claimed,) = folder.claim([b"a.toml", b"vanished.toml"], "batch")
    assert claimed.data == b"command = 'x'\n"
    assert claimed.fault == ""
    assert not (folder.path / "a.toml").exists()
    assert folder.left() == [("batch", b"a.toml")]


ODD = [b"new\nline.toml", b"-rf.toml", b"\xff\xfe.toml", b"a" * 250 + b".toml", b"esc\x1b[2J.toml"]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_claimed_and_placed_like_any_other(folder: JobsFolder, name: bytes) -> None:
    path = os.path.join(os.fsencode(folder.path), name)
    with open(path, "wb") as file:
        file.write(b"x")
    (claimed,) = folder.claim([name], "batch")
    target = folder.free_place("accepted", name, set())
    folder.place(claimed.claim, name, target)
    assert os.path.exists(os.path.join(os.fsencode(folder.path), target))
    assert folder.left() == []
    assert shown(name).isprintable() or b"\n" in name or b"\x1b" in name


def test_a_second_file_of_a_name_gets_a_number_before_its_suffix(folder: JobsFolder) -> None:
    (folder.path / "accepted" / "a.toml").write_text("")
    assert folder.free_place("accepted", b"a.toml", set()) == b"accepted/a~2.toml"
    assert folder.free_place("accepted", b"a.toml", {b"accepted/a~2.toml"}) == b"accepted/a~3.toml"


def test_what_can_be_no_job_is_named(folder: JobsFolder) -> None:
    path = folder.path
    (path / "empty.toml").touch()
    (path / "long.toml").write_bytes(b"#" * (1 << 20) + b"##")
    (path / "target.md").write_text("x")
    (path / "link.toml").symlink_to(path / "target.md")
    os.link(path / "target.md", path / "hard.toml")
    os.mkfifo(path / "pipe.toml")
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path / "sock.toml"))
    sock.close()
    faults = {item.name: item.fault for item in folder.claim([i.name for i in folder.look()], "batch")}
    for name, words in {
        b"empty.toml": "is empty", b"long.toml": "more than", b"link.toml": "symbolic link",
        b"hard.toml": "2 hard links", b"pipe.toml": "a pipe", b"sock.toml": "a socket",
    }.items():
        assert words in faults[name], name


def test_a_rejected_file_keeps_its_name_and_gets_its_reasons_beside_it(folder: JobsFolder) -> None:
    (folder.path / "bad.toml").write_text("x")
    (claimed,) = folder.claim([b"bad.toml"], "batch")
    folder.reject(claimed.claim, claimed.name, "bad.toml:1:1: wrong – mend")
    assert (folder.path / "rejected" / "bad.toml").read_text() == "x"
    assert (folder.path / "rejected" / "bad.toml.error").read_text() == "bad.toml:1:1: wrong – mend\n"


def test_a_file_that_somebody_still_writes_is_not_complete(folder: JobsFolder) -> None:
    with open(folder.path / "slow.toml", "w") as writer:
        writer.write("comm")
        writer.flush()
        assert not folder.written(b"slow.toml")
    assert folder.written(b"slow.toml")


def test_a_folder_that_others_may_write_is_refused_with_the_mend(folder: JobsFolder) -> None:
    folder.path.chmod(0o777)
    with pytest.raises(FolderError, match=r"others may write to it.* – chmod go-w"):
        folder.check()
    folder.path.chmod(0o755)
    folder.check()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="mkdir"):
        JobsFolder(tmp_path / "nowhere").check()
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match="not a folder"):
        JobsFolder(tmp_path / "file").check()
