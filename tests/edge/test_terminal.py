"""A task that is given a terminal: it sees one, and its log reads as if it had none."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edge.test_worker import Worker, log_of, log_path, timed_out, wait_for

BAR = """\
import os, sys
for part in range(0, 101, 50):
    if sys.stderr.isatty():
        columns = os.get_terminal_size(2).columns
        sys.stderr.write(f"\\r{part:3d}%|" + "#" * (part // 10))
        sys.stderr.flush()
print(file=sys.stderr)
print("out", sys.stdout.isatty(), "in", sys.stdin.isatty(), columns)
"""


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    made = Worker(tmp_path)
    made.context["pty"] = True
    made.say({"context": made.context, "job": 1})
    yield made
    made.close()


def test_a_progress_bar_is_drawn_and_its_log_reads_like_any_other(worker: Worker, tmp_path: Path) -> None:
    (tmp_path / "bar.py").write_text(BAR)
    worker.do(0, sys.executable, "bar.py")
    assert worker.hear("e")["code"] == 0
    bar, rest = log_path(worker, 0).read_bytes().split(b"\n", 1)
    assert bar == b"\r  0%|\r 50%|#####\r100%|##########"
    assert rest == b"out True in False 80\n"


def test_without_it_there_is_no_terminal(worker: Worker, tmp_path: Path) -> None:
    (tmp_path / "bar.py").write_text(BAR)
    worker.say({"context": {**worker.context, "pty": False}, "job": 1})
    worker.do(0, sys.executable, "-c", "import sys; print(sys.stdout.isatty(), sys.stderr.isatty())")
    worker.hear("e")
    assert log_of(worker, 0) == "False False\n"


def test_what_it_writes_is_in_the_log_while_it_runs(worker: Worker, tmp_path: Path) -> None:
    worker.sh(0, "echo begun; while ! test -e go; do sleep 0.02; done; echo over")
    assert wait_for(tmp_path / "logs/1/0.1.log") == "begun\n"
    (tmp_path / "go").touch()
    worker.hear("e")
    assert log_of(worker, 0) == "begun\nover\n"


def test_colours_stay_and_what_moves_the_cursor_goes_also_in_pieces(worker: Worker) -> None:
    whole = r"printf '\033[2K\033[1Aa\033[31mb\033[0m\033]0;title\007c'"
    worker.sh(0, whole + r"; printf '\033['; sleep 0.05; printf '?25ld\n'")
    worker.hear("e")
    assert log_of(worker, 0) == "a\x1b[31mb\x1b[0mcd\n"


def test_nobody_is_asked_for_a_password(worker: Worker) -> None:
    worker.sh(0, "exec 3</dev/tty")
    end = worker.hear("e")
    assert end["code"] != 0
    assert "/dev/tty" in log_of(worker, 0)


def test_much_of_it_arrives_whole_and_each_stream_in_its_own_file(worker: Worker) -> None:
    worker.say({"context": {**worker.context, "err": True}, "job": 1})
    worker.sh(0, "seq 200000; seq 3 >&2; test -t 1 -a -t 2")
    assert worker.hear("e")["code"] == 0
    assert log_of(worker, 0).split() == [str(number) for number in range(1, 200_001)]
    assert Path(worker.base, "logs/1/0.1.err").read_text() == "1\n2\n3\n"


def test_a_silent_task_leaves_no_log_and_no_descriptor(worker: Worker) -> None:
    worker.sh(0, "exit 0")
    worker.hear("e")
    before = len(os.listdir(f"/proc/{worker.pid}/fd"))
    for number in range(1, 20):
        worker.sh(number, "exit 0")
        worker.hear("e")
    worker.do(20, "no-such-program")
    assert worker.hear("e")["code"] == 127
    assert len(os.listdir(f"/proc/{worker.pid}/fd")) == before
    assert not Path(worker.base, "logs/1").exists()


def test_a_timeout_ends_it_with_what_it_wrote(worker: Worker) -> None:
    number, end = timed_out(worker, "echo begun; touch ready; sleep 100")
    assert end["why"] == "timeout"
    assert log_of(worker, number) == "begun\n"
