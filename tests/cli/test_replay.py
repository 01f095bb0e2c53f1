"""`grist replay`: what is printed of a trace, what a program gets, and the exit code that says whether all is equal."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from gristmill.supervisor.cli.replay import show
from gristmill.supervisor.core import trace
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.governor.decision import Decision
from gristmill.supervisor.core.governor.reading import Reading
from tests.core.test_trace import Count, count, recorded
from tests.mill import DEADLINE, Mill


def told(path: Path, *, everything: bool = False, as_json: bool = False) -> argparse.Namespace:
    return argparse.Namespace(file=str(path), all=everything, json=as_json)


def other(seen: Reading, state: Count) -> tuple[Count, Decision]:
    """Another governor: as `count`, but for the sixth period on."""
    after, decision = count(seen, state)
    return after, msgspec.structs.replace(decision, reason="\x1b[2Jelse") if after.periods > 5 else decision


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "trace"
    file.write_bytes(b"".join(recorded(8)))
    return file


def test_one_line_for_each_changed_decision_and_the_outcome(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(told(path), count, Count) == 0
    assert capsys.readouterr().out.splitlines() == [
        "     0.0 s   limit    0  busy    1.5  ramp: period 1",
        "     2.0 s   limit    1  busy    1.5  ramp: period 3",
        "     5.0 s   limit    2  busy    1.5  ramp: period 6",
        "8 periods, 3 changes: all as recorded",
    ]


def test_all_shows_every_period(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(told(path, everything=True), count, Count) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[:-1]] == [f"{n}.0" for n in range(8)]


def test_the_first_difference_is_named_and_no_terminal_is_driven(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(told(path), other, Count) == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "     5.0 s ≠ limit    2" in out
    assert "3 not as recorded, first at 5.0 s: reason is " in out.splitlines()[-1]
    assert out.splitlines()[-1].endswith('else", recorded was "period 6"')


def test_a_program_gets_json_lines(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(told(path, as_json=True), other, Count) == 1
    *rows, end = map(json.loads, capsys.readouterr().out.splitlines())
    assert [(row["at"], row["limit"], row["changed"], row["equal"]) for row in rows] == [
        (0, 0, True, True), (2, 1, True, True), (5, 2, True, False),
    ]
    assert (end["periods"], end["changes"], end["differing"], end["equal"]) == (8, 3, 3, False)
    assert end["first_difference"]["at"] == 5


def test_a_torn_end_is_said_and_does_no_harm(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_bytes(path.read_bytes()[:-5])
    assert show(told(path), count, Count) == 0
    *_, note, end = capsys.readouterr().out.splitlines()
    assert "a line was not finished" in note
    assert end == "7 periods, 3 changes: all as recorded"
    assert show(told(path, as_json=True), count, Count) == 0
    assert "note" in json.loads(capsys.readouterr().out.splitlines()[-2])


def test_what_is_no_trace_is_named(tmp_path: Path) -> None:
    file = tmp_path / "x"
    for content, words in ((b"", "the file is empty"), (b"\0" * (1 << 20), "line 1: no trace begins like this")):
        file.write_bytes(content)
        with pytest.raises(GristError, match=f"^{file}: {words}"):
            show(told(file), count, Count)
    for wrong, words in ((tmp_path / "y", "No such file or directory – name a trace"), (tmp_path, "Is a directory")):
        with pytest.raises(GristError, match=f"^{wrong}: {words}"):
            show(told(wrong), count, Count)


def test_the_verb_refuses_with_code_2(tmp_path: Path) -> None:
    file = tmp_path / "newer"
    file.write_bytes(trace.begin(Count()).replace(b'"trace":1', b'"trace":7'))
    command = [sys.executable, "-m", "gristmill.supervisor.cli", "replay", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"grist: {file}: line 1: written by a newer Gristmill (trace 7, this one knows 1) – upgrade\n"
    )


def test_a_daemons_record_is_replayed_as_it_was_decided_over_a_kill_and_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "trace"
    with Mill(tmp_path) as mill:
        mill.start("--record", str(file))
        mill.drop("a.toml", 'command = "sleep 0.5"\n[items]\ntotal = 4\n')
        mill.ended("a")
        mill.until(lambda: file.read_bytes().count(b"\n") > 3, "nothing is recorded")
        mill.kill()
        file.write_bytes(file.read_bytes() + b'{"reading":{"at"')  # as a power cut would leave it
        mill.start("--record", str(file))
        mill.until(lambda: len(file.read_bytes().split(trace.MARK)) == 3, "nothing is recorded after the restart")
        assert "a daemon runs already" in mill.grist("up", "--plain", "--record", str(tmp_path / "other"), code=2)
        mill.grist("shutdown")
        assert mill.process is not None
        mill.process.wait(DEADLINE)
        lines = mill.grist("replay", str(file)).splitlines()
    assert file.stat().st_mode & 0o777 == 0o600
    assert lines[-1].endswith(": all as recorded")
    assert sum("the record begins anew" in line for line in lines) == 1


def test_a_daemon_that_can_not_record_does_not_start(tmp_path: Path) -> None:
    with Mill(tmp_path) as mill:
        words = mill.grist("daemon", "--allow-root", "--record", str(tmp_path / "no" / "trace"), code=2)
    assert f"grist: --record {tmp_path}/no/trace: No such file or directory – name another file" in words
