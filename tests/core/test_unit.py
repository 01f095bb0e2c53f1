"""The text of a unit: systemd's quoting, and telling one's own text from one that was changed by hand."""

from __future__ import annotations

import pytest

from gristmill.supervisor.core import unit
from gristmill.supervisor.core.errors import GristError

HERE = unit.Unit(("/venv/bin/python", "-P", "--jobs", "/home/ann/jobs"), "/home/ann/jobs", "/usr/bin:/bin")


def setting(text: str, key: str) -> str:
    (found,) = [line.partition("=")[2] for line in text.splitlines() if line.startswith(key + "=")]
    return found


def test_it_says_what_keeps_tasks_alive() -> None:
    text = unit.text(HERE)
    assert setting(text, "ExecStart") == "/venv/bin/python -P --jobs /home/ann/jobs"
    for key, value in {
        "KillMode": "process", "OOMPolicy": "continue", "Delegate": "yes", "Restart": "on-failure",
        "WorkingDirectory": "%h", "Environment": "PATH=/usr/bin:/bin", "Description": "Gristmill (/home/ann/jobs)",
        "WantedBy": "default.target", "StartLimitBurst": "6",
    }.items():
        assert setting(text, key) == value
    assert "Documentation" not in text
    assert "\nDocumentation=file:///a%%20b\n" in unit.text(
        unit.Unit(HERE.command, HERE.jobs, HERE.path, documentation="file:///a%20b")
    )


@pytest.mark.parametrize(
    ("plain", "quoted"),
    [
        ("/plain/path-1_2.x", "/plain/path-1_2.x"),
        ("/a b", '"/a b"'),
        ("/50%", "/50%%"),
        ("/$HOME", "/$$HOME"),
        ("/back\\slash", '"/back\\\\slash"'),
        ('/say "x"', '"/say \\"x\\""'),
        ("/it's", '"/it\'s"'),
        ("/a;b", '"/a;b"'),
        ("/é", '"/é"'),
        ("", '""'),
    ],
)
def test_a_word_is_quoted_as_systemd_undoes_it(plain: str, quoted: str) -> None:
    assert unit.word(plain, variables=True) == quoted


def test_a_dollar_is_doubled_only_where_variables_are_replaced() -> None:
    odd = unit.Unit(("/venv/bin/python", "/a$b"), "/a$b", "/opt/$x")
    assert setting(unit.text(odd), "ExecStart") == "/venv/bin/python /a$$b"
    assert setting(unit.text(odd), "Environment") == "PATH=/opt/$x"
    dollar = unit.Unit(("/$venv/python", "-P"), "/jobs", "/bin")
    assert setting(unit.text(dollar), "ExecStart") == r'/bin/sh -c "exec \"$$0\" \"$$@\"" /$$venv/python -P'


@pytest.mark.parametrize("path", ["/new\nline", "/tab\t", "/esc\x1b", "/latin\udce9"])
def test_a_name_that_no_unit_file_can_hold_is_refused(path: str) -> None:
    for odd in (unit.Unit((*HERE.command, path), "/jobs", "/bin"), unit.Unit(HERE.command, path, "/bin"),
                unit.Unit(HERE.command, "/jobs", path)):
        with pytest.raises(GristError, match="rename that folder"):
            unit.text(odd)


def test_a_path_that_ends_in_a_backslash_does_not_swallow_the_next_line() -> None:
    text = unit.text(unit.Unit((*HERE.command, "/jobs\\"), "/jobs\\", "/bin\\"))
    assert not any(line.endswith("\\") for line in text.splitlines())


def test_the_name_tells_the_folder_and_no_two_folders_share_one() -> None:
    assert unit.name("/home/ann/My Thesis/jobs").startswith("gristmill-my-thesis-")
    names = {unit.name(path) for path in ("/a/x/jobs", "/b/x/jobs", "/a/x/jobs2", "/jobs", "/é\udce9/jobs", "/" * 3)}
    assert len(names) == 6
    for name in (*names, unit.name("/" + "x" * 250 + "/jobs")):
        assert name.startswith("gristmill-")
        assert name.endswith(".service")
        assert len(name) <= 80
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")


def test_a_change_by_hand_is_seen_and_an_older_text_is_none() -> None:
    text = unit.text(HERE)
    older = unit.text(unit.Unit(HERE.command, HERE.jobs, "/old/path"))
    assert unit.untouched(text)
    assert unit.untouched(older)
    assert not unit.untouched(text.replace("RestartSec=10", "RestartSec=1"))
    assert not unit.untouched(text + "Nice=5\n")
    assert not unit.untouched("[Service]\nExecStart=/bin/true\n")
    assert not unit.untouched("")


def test_without_systemd_each_line_to_type_stays_one_command() -> None:
    (_, nohup), (_, tmux), (_, cron) = unit.by_hand(("/py", "--jobs", "/my jobs/50%"))
    assert nohup == "nohup /py --jobs '/my jobs/50%' >/dev/null 2>&1 &"
    assert tmux.startswith("tmux new-session -d -s gristmill ")
    assert cron == "@reboot /py --jobs '/my jobs/50\\%'"
