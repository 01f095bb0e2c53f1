"""The record of a governor: private, bounded, whole lines only, and never a daemon's trouble."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.governor.reading import Ended
from gristmill.supervisor.core.replay import Break, replay
from gristmill.supervisor.edge.recorder import Recorder
from tests.core.test_trace import Count, count, reading

LINE = 250
"""Bytes of one period, about."""


def keep(recorder: Recorder, periods: int, state: Count = Count()) -> Count:  # noqa: B008 - frozen
    for number in range(periods):
        seen = reading(100.0 + number)
        after, decision = count(seen, state)
        recorder.keep(state, seen, decision)
        state = after
    return state


def replayed(path: Path) -> list[str]:
    """`=` for each period that is decided as it was recorded, `|` where the trace begins anew or is torn."""
    with open(path, "rb") as file:
        found = list(replay(file, count, Count))
    return ["|" if isinstance(each, Break) else each.differs or "=" for each in found]


def test_what_is_kept_can_be_replayed_and_belongs_to_the_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    before = os.umask(0)
    try:
        with Recorder(path) as recorder:
            keep(recorder, 5, Count(3))
            assert recorder.fault == ""
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert replayed(path) == ["="] * 5


def test_the_next_daemon_goes_on_with_it_and_cuts_off_what_was_torn(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    with Recorder(path) as recorder:
        keep(recorder, 3)
    path.chmod(0o644)
    whole = path.read_bytes()
    path.write_bytes(whole + whole.splitlines()[-1][:-40])
    with Recorder(path) as recorder:
        keep(recorder, 2, Count(30))
    assert replayed(path) == ["=", "=", "=", "|", "=", "="]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["my thesis\n", '{"reading":1}\n', "\n"])
def test_a_file_that_is_something_else_is_left_as_it_is(tmp_path: Path, content: str) -> None:
    path = tmp_path / "thesis.tex"
    path.write_text(content)
    path.chmod(0o644)
    with pytest.raises(GristError, match="holds something else than a trace – name another file"):
        Recorder(path)
    assert (path.read_text(), path.stat().st_mode & 0o777) == (content, 0o644)


def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    opened = len(os.listdir("/proc/self/fd"))
    for path, words in ((tmp_path / "pipe", "not a plain file"), (tmp_path, "Is a directory"),
                        (tmp_path / "no" / "folder", "No such file")):
        with pytest.raises(GristError, match=f"^--record {path}: {words}.* – name another file"):
            Recorder(path)
    assert len(os.listdir("/proc/self/fd")) == opened


def test_two_daemons_do_not_write_into_one_file(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    code = "import sys; from gristmill.supervisor.edge.recorder import Recorder; from pathlib import Path\n"
    code += "try: Recorder(Path(sys.argv[1]))\nexcept Exception as error: print(type(error).__name__, error)"
    with Recorder(path) as recorder:
        keep(recorder, 1)
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout == f"GristError --record {path}: another daemon records there – name another file\n"


def test_it_stops_at_its_bound_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    with Recorder(path, most=10 * LINE) as recorder:
        keep(recorder, 30)
        assert recorder.fault.startswith(f"record: {path} holds 2.")
        assert recorder.fault.endswith("K: nothing more is recorded")
    assert path.stat().st_size <= 10 * LINE
    kept = replayed(path)
    assert len(kept) >= 5 and set(kept) == {"="}


def test_past_its_bound_nothing_is_written_that_would_still_fit(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    with Recorder(path, most=10 * LINE) as recorder:
        state = keep(recorder, 2)
        before = path.read_bytes()
        large = msgspec.structs.replace(reading(5.0), polite="x" * 10 * LINE)
        recorder.keep(state, large, count(large, state)[1])
        keep(recorder, 1, state)
    assert path.read_bytes() == before


def test_a_full_disk_is_a_fault_in_words_and_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Recorder(path) as recorder:
        state = keep(recorder, 3)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + LINE // 2, limit[1]))
        try:
            state = keep(recorder, 4, state)
            assert recorder.fault in (
                f"record: {path} can't be written: {words}" for words in ("no room for a whole line", "File too large")
            )
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        keep(recorder, 2, state)
        assert recorder.fault == ""
    assert replayed(path) == ["=", "=", "=", "|", "=", "="]


@pytest.mark.parametrize("fields", [{"cpu_total": float("nan")}, {"pressure_io": float("inf"), "cores": float("inf")},
                                    {"ended": (Ended(kind="\udc80", wall=1, cpu=1, peak=1, busy=1),)}])
def test_a_reading_that_could_not_be_read_again_is_a_fault_and_no_more(tmp_path: Path, fields: dict[str, Any]) -> None:
    path = tmp_path / "trace"
    with Recorder(path) as recorder:
        state = keep(recorder, 1)
        seen = msgspec.structs.replace(reading(1.0), **fields)
        recorder.keep(state, seen, count(seen, state)[1])
        assert recorder.fault.startswith("record: a reading can't be written down")
        keep(recorder, 2)
        assert recorder.fault == ""
    assert replayed(path) == ["=", "|", "=", "="]
