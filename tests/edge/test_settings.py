"""Settings files as users change them: replaced, emptied for a moment, broken, mended, unreadable, gone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.settings import Reserve
from gristmill.supervisor.edge.settings import MOST_BYTES, SettingsFiles, paths


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    user, folder = tmp_path / "user.toml", tmp_path / "folder.toml"
    user.write_text("limit = 3\nnice = 19\n")
    folder.write_text("nice = 5\n")
    return user, folder


def replace(path: Path, text: str) -> None:
    """As careful editors save: another file, renamed over this one."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.rename(path)


def test_the_later_file_wins_key_by_key_and_options_over_both(files: tuple[Path, Path]) -> None:
    found = SettingsFiles(files, {"disk_reserve": Reserve(size=5)}).read()
    assert (found.limit, found.nice, found.disk_kept(10**12)) == (3, 5, 5)
    assert SettingsFiles(files, {"limit": 9}).read().limit == 9


def test_files_that_are_not_there_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    sources = SettingsFiles([tmp_path / "no" / "such.toml", tmp_path / "plain" / "such.toml"])
    assert sources.read().nice == 10
    assert sources.said == {}


def test_a_bad_file_stops_a_start_with_every_problem_of_every_file(files: tuple[Path, Path]) -> None:
    files[0].write_text("limt = 3\n")
    files[1].write_text("\nnice = 77\n")
    with pytest.raises(GristError) as caught:
        SettingsFiles(files).read()
    assert caught.value.code == 2
    one, two = str(caught.value).splitlines()
    assert one == f"{files[0]}:1:1: unknown key limt – did you mean limit?"
    assert two.startswith(f"{files[1]}:2:1: nice is 77 – write a whole number")


def test_a_change_counts_when_it_has_been_seen_twice(files: tuple[Path, Path]) -> None:
    sources = SettingsFiles(files)
    sources.read()
    replace(files[0], "limit = 4\n")
    assert not sources.pending
    assert sources.look()[0].limit == 3 and sources.pending
    assert sources.look() == (sources.settings, "") and not sources.pending
    assert sources.settings.limit == 4


@pytest.mark.parametrize("between", ["", "lim", None])
def test_a_file_that_is_being_written_changes_nothing_for_a_moment(
    files: tuple[Path, Path], between: str | None
) -> None:
    sources = SettingsFiles(files)
    sources.read()
    if between is None:
        files[0].unlink()
    else:
        files[0].write_text(between)
    found, fault = sources.look()
    assert (found.limit, fault) == (3, "")
    files[0].write_text("limit = 5\n")
    sources.look()
    assert sources.look()[0].limit == 5


def test_a_change_of_the_same_length_at_the_same_time_is_seen(files: tuple[Path, Path]) -> None:
    sources = SettingsFiles(files)
    sources.read()
    before = files[0].stat()
    files[0].write_text("limit = 8\nnice = 19\n")
    os.utime(files[0], ns=(before.st_atime_ns, before.st_mtime_ns))
    sources.look()
    assert sources.look()[0].limit == 8


def test_a_bad_change_keeps_what_was_in_force_and_is_told_until_it_is_mended(files: tuple[Path, Path]) -> None:
    sources = SettingsFiles(files)
    sources.read()
    replace(files[0], 'limit = 7\npolite = "8-20"\nnise = 3\n')
    sources.look()
    for _ in range(2):
        found, fault = sources.look()
        assert (found.limit, found.nice) == (3, 5)
        assert fault.startswith(f'settings: {files[0]}:2:1: polite: "8-20" names no hours – write hours')
        assert fault.endswith("(and 1 more); those of before stay in force")
    replace(files[0], "limit = 7\n")
    sources.look()
    assert sources.look() == (sources.settings, "")
    assert sources.settings.limit == 7


def test_a_file_that_goes_takes_its_settings_with_it(files: tuple[Path, Path]) -> None:
    sources = SettingsFiles(files)
    sources.read()
    files[1].unlink()
    sources.look()
    assert sources.look()[0].nice == 19


def test_what_is_no_text_file_is_refused_and_never_waited_for(files: tuple[Path, Path]) -> None:
    user = files[0]
    opened = len(os.listdir("/proc/self/fd"))
    for make, words in (
        (lambda: os.mkfifo(user), "not a plain file"), (user.mkdir, "Is a directory"),
        (lambda: user.symlink_to(user), "Too many levels"), (lambda: user.write_bytes(b"\xff"), "not UTF-8"),
        (lambda: user.write_bytes(b"#" * (MOST_BYTES + 1)), "longer than 1 MiB"),
    ):
        if user.is_dir():
            user.rmdir()
        else:
            user.unlink()
        make()
        with pytest.raises(GristError, match=f"{words}.* – make it a readable text file"):
            SettingsFiles(files).read()
    assert len(os.listdir("/proc/self/fd")) == opened


@pytest.mark.parametrize(("home", "user"), [("/etc/xdg", "/etc/xdg"), ("", "~/.config"), ("relative", "~/.config")])
def test_they_are_the_users_and_the_folders(tmp_path: Path, home: str, user: str) -> None:
    assert paths(tmp_path / "jobs", {"XDG_CONFIG_HOME": home}) == (
        Path(user, "gristmill", "settings.toml").expanduser(), tmp_path / "jobs" / ".gristmill" / "settings.toml",
    )
    assert paths(tmp_path, {}) == paths(tmp_path, {"XDG_CONFIG_HOME": ""})
