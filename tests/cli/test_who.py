"""`grist who`: whoever allows it is seen with limit and load; nobody else, and no secret."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.mill import DEADLINE, Mill
from tests.stranger import ByAnother, second_user

SECRET = "secret-of-ann"


@pytest.fixture
def mill(tmp_path: Path) -> Iterator[Mill]:
    with Mill(tmp_path) as made:
        made.env["GRIST_WHO"] = str(tmp_path / "board")
        (tmp_path / "board").mkdir()
        (made.jobs / ".gristmill").mkdir()
        yield made


def allow(mill: Mill, public: bool) -> None:
    (mill.jobs / ".gristmill" / "settings.toml").write_text(f"public = {'true' if public else 'false'}\n")


def test_a_daemon_that_allows_it_is_seen_with_its_limit_and_what_it_has_to_do(mill: Mill) -> None:
    allow(mill, True)
    mill.start("--limit", "2")
    mill.drop_claimed(f"{SECRET}.toml", 'command = "sleep 1000"\n[items]\ntotal = 5\nper_task = 1\n')
    mill.running(SECRET, 2)
    assert mill.process is not None
    pid = mill.process.pid

    def busy() -> str:
        text = mill.grist("who")
        return text if f"{pid}" in text and "2/2 fixed" in text else ""

    text = mill.until(busy, "not shown")
    assert pwd.getpwuid(os.geteuid()).pw_name in text and text.startswith("1 daemon on ")
    (card,) = json.loads(mill.grist("who", "--json"))["daemons"]
    assert (card["uid"], card["card"]["items_left"], card["card"]["jobs"]) == (os.geteuid(), 5, 1)
    (file,) = (mill.base / "board").rglob("*.json")
    assert SECRET not in file.read_text() and str(mill.base) not in file.read_text()
    mill.kill()  # no time to take its card away
    assert mill.grist("who").startswith("0 daemons on ")
    mill.start()
    mill.until(lambda: mill.grist("who").startswith("1 daemon on "), "not shown")
    mill.grist("cancel", "--kill", SECRET)
    mill.ended(SECRET)
    mill.grist("shutdown")
    mill.until(lambda: not os.listdir(mill.base / "board"), "still there")


def test_who_does_not_allow_it_is_not_seen_and_a_word_later_counts(mill: Mill) -> None:
    allow(mill, False)
    mill.start("--limit", "1")
    assert mill.grist("who").startswith("0 daemons on ")
    allow(mill, True)
    mill.until(lambda: mill.grist("who").startswith("1 daemon on "), "not shown")
    allow(mill, False)
    mill.until(lambda: not os.listdir(mill.base / "board"), "still there")


def test_daemons_of_two_users_are_seen_by_each_other(mill: Mill) -> None:
    user, python = second_user()
    if not user:
        pytest.skip("needs root, to become somebody else, and a Python that he may run")
    with TemporaryDirectory() as folder, ByAnother(Path(folder)) as other:
        board = Path(folder, "board")  # pytest's own folders are closed to others
        board.mkdir()
        board.chmod(0o1777)
        (other.jobs / ".gristmill").mkdir()
        for one in (mill, other):
            one.env["GRIST_WHO"] = str(board)
            allow(one, True)
        other.become(user, python, *(other.jobs / ".gristmill").glob("**/*"), other.jobs / ".gristmill")
        for one in (mill, other):
            one.start("--limit", "1")

        def seen(by: Mill) -> str:
            process = by.spawn("who", stdout=subprocess.PIPE)
            text = process.communicate(timeout=DEADLINE)[0]
            assert process.returncode == 0
            return text if text.startswith("2 daemons on ") else ""

        for one in (mill, other):
            text = one.until(partial(seen, one), "one does not see the other")
            assert user in text and "root" in text and "!" not in text


def test_what_is_no_card_is_named_and_harmless(mill: Mill) -> None:
    folder = mill.base / "board" / f"gristmill-who-{os.geteuid()}"
    folder.mkdir(mode=0o755)
    (folder / "0123456789.json").write_text('{"pid": "\\u001b[2J"}')
    (mill.base / "board" / "gristmill-who-4000000000").symlink_to("/etc")
    text = mill.grist("who")
    assert text.startswith("0 daemons on ")
    assert text.count("\n! ") == 2 and "\x1b" not in text
