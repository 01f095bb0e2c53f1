"""Cards in a place that all may write to: our own can be read by all, and forgeries are not believed."""

from __future__ import annotations

import os
import resource
import stat
from pathlib import Path

import pytest

from gristmill.supervisor.edge import board
from gristmill.supervisor.edge.board import Board, Found

NAME = "0123456789.json"
ME = os.geteuid()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    tmp_path.chmod(0o1777)
    return tmp_path


def test_a_card_is_readable_by_all_whatever_the_umask_and_goes_without_a_trace(place: Path) -> None:
    before = os.umask(0o077)
    try:
        Board(place).publish(NAME, b"{}")
        Board(place).publish(NAME, b'{"a": 1}')
    finally:
        os.umask(before)
    folder = place / f"gristmill-who-{ME}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert stat.S_IMODE((folder / NAME).stat().st_mode) == 0o644
    assert Board(place).read() == ([Found(ME, b'{"a": 1}')], [])
    Board(place).publish("fedcba9876.json", b"{}")
    Board(place).withdraw(NAME)
    assert Board(place).read() == ([Found(ME, b"{}")], [])
    Board(place).withdraw("fedcba9876.json")
    assert os.listdir(place) == []


def test_a_card_under_the_name_of_another_user_is_not_believed(place: Path) -> None:
    folder = place / f"gristmill-who-{ME + 1}"
    folder.mkdir(mode=0o755)
    (folder / NAME).write_bytes(b"{}")
    found, (refused,) = Board(place).read()
    assert found == [] and f"belongs to user {ME}, not to user {ME + 1}: not believed" in refused


def test_links_pipes_and_what_others_may_write_to_are_not_believed(place: Path) -> None:
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / NAME).write_bytes(b'{"secret": 1}')
    folder = place / f"gristmill-who-{ME}"
    folder.symlink_to(elsewhere)
    assert Board(place).read()[0] == []
    with pytest.raises(OSError):
        Board(place).publish(NAME, b"{}")
    assert (elsewhere / NAME).read_bytes() == b'{"secret": 1}'
    folder.unlink()
    folder.mkdir(mode=0o755)
    (folder / "0000000000.json").symlink_to(elsewhere / NAME)
    os.mkfifo(folder / "1111111111.json")
    os.link(elsewhere / NAME, folder / "2222222222.json")
    (folder / "3333333333.json").write_bytes(b"x" * (board.BYTES + 1))
    (folder / "4444444444.json").write_bytes(b"{}")
    (folder / "4444444444.json").chmod(0o666)
    (folder / "5555555555.json").write_bytes(b"{}")
    (folder / "notes.txt").write_bytes(b"{}")
    found, refused = Board(place).read()
    assert found == [Found(ME, b"{}")]
    assert len(refused) == 5
    folder.chmod(0o777)
    found, refused = Board(place).read()
    assert found == [] and "others may write to it" in refused[0]


def test_a_squatter_in_our_place_is_a_fault_that_is_said(place: Path) -> None:
    (place / f"gristmill-who-{ME}").write_text("mine")
    with pytest.raises(OSError):
        Board(place).publish(NAME, b"{}")
    assert (place / f"gristmill-who-{ME}").read_text() == "mine"


def test_many_cards_of_one_user_are_not_all_read(place: Path) -> None:
    for number in range(100):
        Board(place).publish(f"{number:010x}.json", b"{}")
    assert len(Board(place).read()[0]) == board.DAEMONS


def test_a_place_that_is_not_there_is_said(place: Path) -> None:
    assert Board(place / "nowhere").read() == ([], [f"{place}/nowhere: No such file or directory"])


def test_a_card_that_finds_no_room_leaves_the_one_before_and_nothing_else(place: Path) -> None:
    Board(place).publish(NAME, b"{}")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, hard))  # as a disk on which 4 bytes are free
    try:
        with pytest.raises(OSError):
            Board(place).publish(NAME, b'{"a": 1}')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert Board(place).read() == ([Found(ME, b"{}")], [])
    assert os.listdir(place / f"gristmill-who-{ME}") == [NAME]
