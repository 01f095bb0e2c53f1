"""Odd names of job files: each runs once, is listed, and sends nothing to a terminal that a terminal would obey."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest

from gristmill.supervisor.core.filenames import shown
from tests.mill import Mill

ODD = [
    b"new\nline.toml", b"carriage\rreturn.toml", b"tab\tand blank.toml", b"esc\x1b[31m\x1b]52;c;aGk=\x07.toml",
    b"c1\xc2\x9b31m.toml", b"del\x7f.toml", b"\xff\xfe\xfd.toml", b"\\xff\\xfe\\xfd.toml", b"latin-\xe9.toml",
    b"-rf.toml", b"--json.toml", b"-.toml", b"$(touch pwned).toml", b"`touch pwned`;touch pwned.toml", b"'\".toml",
    b"*.toml", b"{index}.toml", b"%s%n.toml", b"bidi\xe2\x80\xae.toml", b"zero\xe2\x80\x8bwidth.toml",
    "mühle-水車.toml".encode(), b"x" * 250 + b".toml", b"y" * 250 + b".toml", b" .toml", b"12.toml", b"all.toml",
    b"1-3.toml", b"con.toml", b"a.b.c.toml", b"UPPER.toml",
]


def drop(mill: Mill, name: bytes, text: str) -> None:
    """Drops a file under a name that is only bytes."""
    hidden = os.path.join(os.fsencode(mill.base), b"being-written")
    with open(hidden, "w") as file:
        file.write(text)
    os.rename(hidden, os.path.join(os.fsencode(mill.jobs), name))


def listing(mill: Mill, place: str) -> list[bytes]:
    return sorted(os.listdir(os.fsencode(mill.jobs / place)))


def printed(mill: Mill, *words: str) -> bytes:
    """All that a command sends to the terminal."""
    done = subprocess.run(mill.command(*words), env=mill.env, cwd=mill.base, capture_output=True, check=False)
    return done.stdout + done.stderr


def obeyed(text: bytes) -> set[str]:
    """What a terminal would obey or hide in a text."""
    return {char for char in text.decode() if not char.isprintable() and char != "\n"}


def ended(mill: Mill, count: int) -> list[dict[str, object]]:
    """All jobs, once so many have ended."""

    def over() -> list[dict[str, object]]:
        jobs: list[dict[str, object]] = mill.ask("status")["jobs"]
        return jobs if len(jobs) >= count and all(job["ended_at"] is not None for job in jobs) else []

    found: list[dict[str, object]] = mill.until(over, "not all have ended")
    return found


def test_odd_names_run_once_and_are_listed(turning: Mill) -> None:
    for number, name in enumerate(ODD):
        drop(turning, name, f'command = "echo {number} >> out; echo said {number}"\n')
    jobs = ended(turning, len(ODD))
    assert sorted(map(int, (turning.base / "out").read_text().split())) == list(range(len(ODD)))
    assert not (turning.base / "pwned").exists()
    assert sorted(str(job["file"]) for job in jobs) == sorted(map(shown, ODD))
    turning.until(lambda: listing(turning, "done") == sorted(ODD), "not all files are filed")
    assert listing(turning, "accepted") == listing(turning, "rejected") == []
    for job in jobs:
        assert str(job["name"]).isprintable()
        assert turning.grist("log", str(job["id"])).startswith("said ")
    assert obeyed(printed(turning, "status")) == set()
    assert len(json.loads(turning.grist("status", "--json"))["jobs"]) == len(ODD)
    assert obeyed((turning.state / "daemon.log").read_bytes()) == set()
    lines = (turning.state / "daemon.log").read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d ", line) for line in lines), "a name has made a line"


def test_a_leading_dash_is_a_name_like_any_other(turning: Mill) -> None:
    drop(turning, b"-rf.toml", 'command = "echo dashed"\n')
    turning.ended("-rf")
    assert turning.grist("log", "--", "-rf") == "dashed\n"
    assert "job 1 -rf: " in turning.grist("status", "--", "-rf")


def test_odd_names_are_rejected_under_their_own_with_the_reason_beside_them(turning: Mill) -> None:
    for name in ODD:
        drop(turning, name, "command = \n")
    rejected = os.fsencode(turning.jobs / "rejected")
    turning.until(lambda: len(os.listdir(rejected)) == 2 * len(ODD), "not all are rejected")
    for name in ODD:
        assert os.path.exists(os.path.join(rejected, name)), name
    for file in os.listdir(rejected):
        if file.endswith(b".error"):
            with open(os.path.join(rejected, file), "rb") as error:
                text = error.read()
            assert obeyed(text) == set(), file
            (line,) = text.splitlines()
            assert b":1:" in line
            assert " – ".encode() in line
    assert turning.ask("status")["jobs"] == []
    assert obeyed((turning.state / "daemon.log").read_bytes()) == set()


@pytest.mark.parametrize("stop", [False, True], ids=["running", "killed in between"])
def test_a_name_dropped_again_and_again_is_a_job_each_time(turning: Mill, stop: bool) -> None:
    for number in range(12):
        turning.drop("same.toml", f'command = "echo {number} >> out; while ! test -e go; do sleep 0.05; done"\n')
        turning.until(lambda: not (turning.jobs / "same.toml").exists(), "not claimed")
        if stop and number % 4 == 3:
            turning.kill()
            turning.start("--limit", "2")
    turning.until(lambda: len(turning.ask("status")["jobs"]) == 12, "not all were accepted")
    expected = ["same.toml", *(f"same~{number}.toml" for number in range(2, 13))]
    turning.until(lambda: listing(turning, "accepted") == sorted(map(os.fsencode, expected)), "not numbered")
    (turning.base / "go").touch()
    ended(turning, 12)
    assert sorted(map(int, (turning.base / "out").read_text().split())) == list(range(12))
    turning.until(lambda: listing(turning, "done") == sorted(map(os.fsencode, expected)), "not filed")
    texts = [(turning.jobs / "done" / name).read_text() for name in expected]
    assert len(set(texts)) == 12


@pytest.mark.parametrize("name", ["", ".toml", "a/b.toml", "../x.toml", "x", "x.md", "x\0.toml", "x" * 300 + ".toml"])
def test_what_is_no_name_of_a_file_is_refused_over_the_socket_too(turning: Mill, name: str) -> None:
    from gristmill.supervisor.core.errors import GristError

    with pytest.raises(GristError, match="is no name of a job file"):
        turning.ask("add", file=name, text='command = "true"')
    assert list((turning.jobs / ".gristmill" / "spool").iterdir()) == []
