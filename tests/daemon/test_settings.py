"""Settings as a user meets them: at the start, changed while the daemon runs, spoilt, and mended."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.recorded import steps
from tests.mill import DEADLINE, Mill


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
    mill.drop(f"{name}.toml", f'command = "{command}"\ntimeout = "1m"\n')
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


def limit(mill: Mill) -> tuple[str, int]:
    said = mill.status()["limit"]
    return said["mode"], said["workers"] if said["mode"] == "fixed" else 0


def heeded(mill: Mill, text: str) -> None:
    """Saves settings, and waits until the daemon goes by them."""
    write(mill, f"nise = 1\n{text}")
    mill.until(lambda: conditions(mill), "a change is not seen")
    write(mill, text)
    mill.until(lambda: not conditions(mill), "the mended file is not seen")


def restart(mill: Mill, *options: str) -> None:
    mill.kill(signal.SIGTERM)
    mill.start(*options)


def test_an_option_wins_over_the_files_at_the_start_and_when_they_change(mill: Mill) -> None:
    write(mill, "limit = 4\n")
    mill.start("--limit", "auto")
    assert limit(mill) == ("auto", 0)
    heeded(mill, "limit = 5\n")
    assert limit(mill) == ("auto", 0)
    mill.grist("limit", "3")  # a later word
    restart(mill, "--limit", "2")
    assert limit(mill) == ("fixed", 2)
    heeded(mill, "limit = 4\nnice = 3\n")
    assert limit(mill) == ("fixed", 2)


def test_of_a_files_limit_and_the_commands_the_later_word_counts(mill: Mill) -> None:
    write(mill, "limit = 4\n")
    mill.start()
    assert limit(mill) == ("fixed", 4)
    mill.grist("limit", "auto")
    heeded(mill, "limit = 4\nnice = 3\n")
    assert limit(mill) == ("auto", 0), "nothing new was said of the limit"
    restart(mill)
    assert limit(mill) == ("auto", 0)
    heeded(mill, "limit = 3\n")
    assert limit(mill) == ("fixed", 3)
    restart(mill)
    assert limit(mill) == ("fixed", 3), "the command's word was the earlier one"
    mill.grist("limit", "auto")
    mill.kill(signal.SIGTERM)
    write(mill, "limit = 2\n")
    mill.start()
    assert limit(mill) == ("fixed", 2), "the file was changed while no daemon ran"


@pytest.mark.parametrize("verb", [("daemon", "--allow-root"), ("up", "--until-done")])
@pytest.mark.parametrize("word", ["many", "-1", "4097", "1" * 5000, "²", "AUTO"])
def test_what_is_no_limit_is_refused_with_what_to_write(mill: Mill, verb: tuple[str, ...], word: str) -> None:
    said = mill.grist(*verb, f"--limit={word}", code=2)
    assert said == f"grist: --limit '{word}': no number from 0 to 4096 – say `--limit 8` or `--limit auto`\n"


def test_up_hands_the_limit_to_the_daemon_that_it_starts(mill: Mill) -> None:
    write(mill, "limit = 4\n")
    process = mill.process = mill.spawn("up", "--limit", "auto", stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline().startswith("ready: ")
        mill.until(lambda: limit(mill) == ("auto", 0), "the option has not won")
        assert "a daemon runs already – say `grist limit 2`" in mill.grist("up", "--limit", "2", code=2)
        mill.grist("shutdown")
        process.stdout.read()
    assert process.wait(DEADLINE) == 0


def test_in_polite_hours_the_governor_is_given_its_part_of_the_machine(mill: Mill) -> None:
    write(mill, 'polite = ["00:00-24:00"]\npolite_share = 0.3\nmemory_reserve = "1 GiB"\n')
    record = mill.base / "trace"
    mill.start("--record", str(record))
    step, *_ = mill.until(lambda: steps(record), "nothing is recorded")
    assert (step.reading.share, step.reading.reserve) == (0.3, 1 << 30)
    assert step.reading.polite == "polite hours at all times: 30 % of the machine"
