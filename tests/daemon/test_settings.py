"""Settings as a user meets them: at the start, changed while the daemon runs, spoilt, and mended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gristmill.supervisor.core import trace
from tests.mill import Mill


@pytest.fixture
def mill(tmp_path: Path) -> Iterator[Mill]:
    with Mill(tmp_path) as made:
        made.env["XDG_CONFIG_HOME"] = str(tmp_path / "config")
        yield made


def write(mill: Mill, text: str) -> None:
    """Saves the user's settings as an editor does."""
    path = mill.base / "config" / "gristmill" / "settings.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name("settings.toml~")
    beside.write_text(text)
    beside.rename(path)


def niceness(mill: Mill, name: str) -> str:
    """What a task that is started now is told of its niceness, once it has one: it is given right after the start."""
    command = "until [ $(nice) -gt 0 ]; do sleep 0.02; done; nice"
    mill.drop(f"{name}.toml", f'command = "{command}"\ntimeout = "20s"\n')
    mill.ended(name)
    return mill.grist("log", name).splitlines()[-1]


def conditions(mill: Mill) -> list[dict[str, Any]]:
    return [view for view in mill.status()["daemon"]["conditions"] if view["kind"] == "settings"]


def test_a_bad_file_ends_a_start_with_its_line_and_mend(mill: Mill) -> None:
    write(mill, "limit = 2\nnise = 3\n")
    file = mill.base / "config" / "gristmill" / "settings.toml"
    said = mill.grist("daemon", "--allow-root", code=2)
    assert said == f"grist: {file}:2:1: unknown key nise – did you mean nice?\n"


def test_a_change_is_taken_over_while_the_daemon_runs_and_a_bad_one_is_told(mill: Mill) -> None:
    write(mill, "nice = 7\n")
    mill.start()
    assert niceness(mill, "a") == "7"
    write(mill, "nice = 70\n")
    (view,) = mill.until(lambda: conditions(mill), "nothing is said of a bad file")
    assert "settings.toml:1:1: nice is 70 – write a whole number from 0" in view["reason"]
    assert view["holds"] is False
    assert niceness(mill, "b") == "7"
    write(mill, "nice = 3\n")
    mill.until(lambda: not conditions(mill), "the fault is still told")
    assert niceness(mill, "c") == "3"


def test_the_files_limit_holds_at_the_start_and_when_it_is_changed(mill: Mill) -> None:
    write(mill, "limit = 3\n")
    mill.start()
    mill.until(lambda: mill.status()["limit"]["workers"] == 3, "the file's limit is not in force")
    write(mill, "limit = 2\n")
    mill.until(lambda: mill.status()["limit"]["workers"] == 2, "the file's new limit is not in force")


def test_in_polite_hours_the_governor_is_given_its_part_of_the_machine(mill: Mill) -> None:
    write(mill, 'polite = ["00:00-24:00"]\npolite_share = 0.3\nmemory_reserve = "1 GiB"\n')
    record = mill.base / "trace"
    mill.start("--record", str(record))
    mill.until(lambda: record.read_bytes().count(b"\n") > 2, "nothing is recorded")
    lines = record.read_bytes().splitlines(keepends=True)[:2]
    _, step = trace.read(lines)
    assert isinstance(step, trace.Step)
    assert (step.reading.share, step.reading.reserve) == (0.3, 1 << 30)
    assert step.reading.polite == "polite hours at all times: 30 % of the machine"
