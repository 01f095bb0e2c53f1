"""The jobs folder and its shelves on a real file system."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from gristmill.supervisor.core.errors import FolderError
from gristmill.supervisor.core.filenames import claim, shown
from gristmill.supervisor.edge.folder import JobsFolder
from gristmill.supervisor.edge.shelves import Shelves


@pytest.fixture
def folder(tmp_path: Path) -> JobsFolder:
    path = tmp_path / "jobs"
    path.mkdir(mode=0o755)
    made = JobsFolder(path)
    made.prepare()
    return made


@pytest.fixture
def shelves(folder: JobsFolder) -> Shelves:
    return Shelves(folder.path, folder.spool)


def names(folder: JobsFolder) -> set[bytes]:
    return {item.name for item in folder.look()}


def seen(folder: JobsFolder) -> dict[bytes, tuple[int, ...]]:
    return {item.name: item.settled for item in folder.look()}


def test_only_job_files_are_seen_and_all_else_is_left_alone(folder: JobsFolder) -> None:
    for name in ("a.toml", "b.sh", "c.py", "d.txt", "e.cmds", "notes.md", ".f.toml", "g.toml~", "#h.toml#",
                 "i.toml.part", "j.toml.tmp", "k.toml.swp", "README.txt", "4913", ".l.toml.Xa4Rk1", "sedAbCd12"):
        (folder.path / name).write_text("x = 1\n")
    (folder.path / "folder.toml").mkdir()
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


def test_a_claim_of_what_has_vanished_leaves_nothing_behind(folder: JobsFolder) -> None:
    assert folder.claim([b"vanished.toml"], "batch") == []
    assert list(folder.spool.iterdir()) == []


def test_what_was_replaced_between_look_and_claim_is_given_back(folder: JobsFolder) -> None:
    for name in ("same.toml", "grown.toml", "other.toml", "link.toml"):
        (folder.path / name).write_text("x")
    looked = seen(folder)
    (folder.path / "grown.toml").write_text("xy")
    (folder.path / "new").write_text("z")
    (folder.path / "new").rename(folder.path / "other.toml")
    (folder.path / "link.toml").unlink()
    (folder.path / "link.toml").symlink_to("/etc/hostname")
    assert [item.name for item in folder.claim(sorted(looked), "batch", looked)] == [b"same.toml"]
    assert names(folder) == {b"grown.toml", b"other.toml", b"link.toml"}
    assert (folder.path / "other.toml").read_text() == "z"


def test_what_is_opened_again_between_look_and_claim_is_given_back(folder: JobsFolder) -> None:
    (folder.path / "a.toml").write_text("x")
    looked = seen(folder)
    with open(folder.path / "a.toml", "a"):
        assert folder.claim([b"a.toml"], "batch", looked) == []
    assert names(folder) == {b"a.toml"}


ODD = [b"new\nline.toml", b"-rf.toml", b"\xff\xfe.toml", b"a" * 250 + b".toml", b"esc\x1b[2J.toml"]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_claimed_and_placed_like_any_other(folder: JobsFolder, shelves: Shelves, name: bytes) -> None:
    path = os.path.join(os.fsencode(folder.path), name)
    with open(path, "wb") as file:
        file.write(b"x")
    (claimed,) = folder.claim([name], "batch")
    assert claimed.claim == claim("batch", name)
    target = shelves.free_place("accepted", name, set())
    assert shelves.place("batch", name, target) == target
    assert os.path.exists(os.path.join(os.fsencode(folder.path), target))
    assert folder.left() == []
    assert shown(name).isprintable() or b"\n" in name or b"\x1b" in name


def test_names_that_look_alike_have_claims_of_their_own() -> None:
    alike = [b"\xff.toml", b"\\xff.toml", b"\\\\xff.toml", b"5c7866662e746f6d6c", b"ff2e746f6d6c"]
    assert len({claim("batch", name) for name in alike}) == len(alike)


def test_a_second_file_of_a_name_gets_a_number_before_its_suffix(folder: JobsFolder, shelves: Shelves) -> None:
    (folder.path / "accepted" / "a.toml").write_text("")
    assert shelves.free_place("accepted", b"a.toml", set()) == b"accepted/a~2.toml"
    assert shelves.free_place("accepted", b"a.toml", {b"accepted/a~2.toml"}) == b"accepted/a~3.toml"


def test_no_move_ever_replaces_a_file(folder: JobsFolder, shelves: Shelves) -> None:
    (folder.path / "accepted" / "a.toml").write_text("users own")
    (folder.path / "a.toml").write_text("claimed")
    folder.claim([b"a.toml"], "batch")
    assert shelves.place("batch", b"a.toml", b"accepted/a.toml") == b"accepted/a~2.toml"
    assert (folder.path / "accepted" / "a.toml").read_text() == "users own"
    assert (folder.path / "accepted" / "a~2.toml").read_text() == "claimed"
    assert shelves.place("batch", b"a.toml", b"accepted/a.toml") is None


def test_a_shelf_that_was_removed_is_made_again(folder: JobsFolder, shelves: Shelves) -> None:
    (folder.path / "a.toml").write_text("claimed")
    folder.claim([b"a.toml"], "batch")
    (folder.path / "accepted").rmdir()
    assert shelves.place("batch", b"a.toml", b"accepted/a.toml") == b"accepted/a.toml"
    (folder.path / "done").rmdir()
    assert shelves.move(b"accepted/a.toml", "done") == b"done/a.toml"
    assert shelves.move(b"accepted/a.toml", "done") is None
    assert shelves.find("done", b"a.toml", b"claimed") == b"done/a.toml"
    assert shelves.find("done", b"a.toml", b"another") is None


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
    looked = seen(folder)
    faults = {item.name: item.fault for item in folder.claim(sorted(looked), "batch", looked)}
    for name, words in {
        b"empty.toml": "is empty", b"long.toml": "more than", b"link.toml": "symbolic link",
        b"hard.toml": "2 hard links", b"pipe.toml": "a pipe", b"sock.toml": "a socket",
    }.items():
        assert words in faults[name], name


def test_a_rejected_file_keeps_its_name_and_gets_its_reasons_beside_it(folder: JobsFolder, shelves: Shelves) -> None:
    for number, reason in enumerate(["bad.toml:1:1: wrong – mend", "bad.toml:2:2: other – mend"], 1):
        (folder.path / "bad.toml").write_text(str(number))
        folder.claim([b"bad.toml"], f"batch{number}")
        shelves.reject(f"batch{number}", b"bad.toml", reason)
    rejected = folder.path / "rejected"
    assert [(rejected / name).read_text() for name in ("bad.toml", "bad~2.toml")] == ["1", "2"]
    assert (rejected / "bad.toml.error").read_text() == "bad.toml:1:1: wrong – mend\n"
    assert (rejected / "bad~2.toml.error").read_text() == "bad.toml:2:2: other – mend\n"


def test_whoever_sees_the_reasons_of_a_rejection_sees_all_of_them(folder: JobsFolder, shelves: Shelves) -> None:
    (folder.path / "bad.toml").write_text("x")
    folder.claim([b"bad.toml"], "batch")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, hard))  # the disk takes the first letters and no more
    try:
        with pytest.raises(OSError):
            shelves.reject("batch", b"bad.toml", "wrong – mend")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(folder.path / "rejected") == []
    shelves.reject("batch", b"bad.toml", "wrong – mend")
    assert (folder.path / "rejected" / "bad.toml.error").read_text() == "wrong – mend\n"


def test_reasons_of_the_longest_names_do_not_overwrite_each_other(folder: JobsFolder, shelves: Shelves) -> None:
    for number, end in enumerate([b"x", b"y"]):
        name = b"n" * 249 + end + b".toml"
        with open(os.path.join(os.fsencode(folder.path), name), "w") as file:
            file.write("x")
        folder.claim([name], str(number))
        shelves.reject(str(number), name, f"reason {number} – mend")
    errors = [path.read_text() for path in (folder.path / "rejected").iterdir() if path.name.endswith(".error")]
    assert sorted(errors) == ["reason 0 – mend\n", "reason 1 – mend\n"]


@pytest.mark.parametrize("written", ["wrong – mend\n", "wro", ""])
def test_a_rejection_that_a_crash_cut_short_is_finished(folder: JobsFolder, shelves: Shelves, written: str) -> None:
    (folder.path / "bad.toml").write_text("x")
    folder.claim([b"bad.toml"], "batch")
    (folder.path / "rejected" / "bad.toml.error").write_text(written)
    assert shelves.reject("batch", b"bad.toml", "wrong – mend") == b"rejected/bad.toml"
    assert sorted(os.listdir(folder.path / "rejected")) == ["bad.toml", "bad.toml.error"]


def test_of_many_files_the_oldest_are_looked_at_first(folder: JobsFolder) -> None:
    for age in (3, 1, 4, 1, 5):
        path = folder.path / f"{age}-{len(os.listdir(folder.path))}.toml"
        path.write_text("command = 'true'")
        os.utime(path, (1000 - age, 1000 - age))
    every = [item.name for item in folder.look()]
    assert [name[:1] for name in every] == [b"5", b"4", b"3", b"1", b"1"]
    assert [item.name for item in folder.look(2)] == every[:2]
    assert [item.name for item in folder.look(9)] == every


def test_a_file_that_somebody_still_writes_is_not_complete(folder: JobsFolder) -> None:
    with open(folder.path / "slow.toml", "w") as writer:
        writer.write("comm")
        writer.flush()
        assert folder.closed(b"slow.toml") is False
    assert folder.closed(b"slow.toml") is True


ASK_WHILE_WRITTEN = """
import sys, threading
from pathlib import Path
from gristmill.supervisor.edge.folder import JobsFolder
folder, path = JobsFolder(Path(sys.argv[1])), Path(sys.argv[1], "a.toml")
path.write_text("x")
for _ in range(30_000):
    folder.closed(b"a.toml")
print("alive")
"""


def test_a_writer_that_comes_in_the_moment_of_the_question_does_not_end_the_daemon(folder: JobsFolder) -> None:
    path = folder.path / "a.toml"
    path.write_text("x")
    asking = subprocess.Popen([sys.executable, "-c", ASK_WHILE_WRITTEN, folder.path], stdout=subprocess.PIPE, text=True)
    while asking.poll() is None:
        with open(path, "a"):
            pass
    assert asking.stdout is not None
    with asking.stdout:
        assert (asking.returncode, asking.stdout.read()) == (0, "alive\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away, and become somebody else")
def test_a_file_of_another_user_is_not_waited_for_as_if_it_were_being_written() -> None:
    with tempfile.TemporaryDirectory() as base:
        folder = JobsFolder(Path(base))
        (folder.path / "foreign.toml").write_text("x")
        folder.path.chmod(0o755)
        os.seteuid(65534)
        try:
            assert folder.closed(b"foreign.toml") is True
        finally:
            os.seteuid(0)


def test_a_folder_that_others_may_write_is_refused_with_the_mend(folder: JobsFolder) -> None:
    folder.path.chmod(0o777)
    with pytest.raises(FolderError, match=r"others may write to it.* – chmod go-w"):
        folder.check()
    folder.path.chmod(0o755)
    folder.check()
    folder.spool.chmod(0o777)
    with pytest.raises(FolderError, match=r"spool: others may write to it.* – chmod go-w"):
        folder.prepare()


def test_what_takes_the_folders_name_after_it_was_checked_is_left_as_it_is(folder: JobsFolder) -> None:
    programs, away = folder.path.with_name("programs"), folder.path.with_name("away")
    programs.mkdir(mode=0o755)
    folder.check()
    folder.path.rename(away)
    folder.path.symlink_to(programs)
    with pytest.raises(FolderError, match="has taken its name this moment"):
        folder.prepare()
    assert os.listdir(programs) == []
    folder.path.unlink()
    away.rename(folder.path)
    (folder.path / "done").rmdir()
    folder.check()
    folder.prepare()
    assert (folder.path / "done").is_dir()


def test_what_can_not_be_made_is_named_with_its_whole_path(folder: JobsFolder) -> None:
    (folder.path / ".gristmill" / "spool").rmdir()
    (folder.path / "done").rmdir()
    (folder.path / "done").symlink_to("nowhere")
    with pytest.raises(OSError) as refused:
        folder.prepare()
    assert refused.value.filename == str(folder.path / "done")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="mkdir"):
        JobsFolder(tmp_path / "nowhere").check()
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match="not a folder"):
        JobsFolder(tmp_path / "file").check()


def test_a_shelf_that_is_no_folder_is_named(folder: JobsFolder) -> None:
    (folder.path / "done").rmdir()
    (folder.path / "done").write_text("mine")
    with pytest.raises(FolderError, match="done: no folder of this file system – move it away"):
        folder.prepare()


def test_the_lock_is_taken_anew_when_the_folder_was_remade(folder: JobsFolder) -> None:
    folder.hold()
    folder.path.rename(folder.path.with_name("moved"))
    folder.path.mkdir(mode=0o755)
    folder.prepare()
    script = (
        "import sys; from pathlib import Path; from gristmill.supervisor.edge.folder import JobsFolder;"
        "JobsFolder(Path(sys.argv[1])).hold(); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, folder.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(FolderError, match=rf"a daemon runs already for this folder \(pid {other.pid}\)"):
            folder.hold()
        other.stdin.close()
        other.wait()
    folder.hold()
