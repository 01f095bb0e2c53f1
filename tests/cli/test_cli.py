"""The command line without a daemon: help, start-up, and what a script may rely on."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gristmill.supervisor.cli import VERBS, main, parser_for, wait
from gristmill.supervisor.cli.add import job_text
from gristmill.supervisor.core import jobfile
from gristmill.supervisor.core.findings import quoted
from gristmill.supervisor.core.template import literal

HEAVY = ("asyncio", "rich", "numpy", "textual", "msgspec", "psutil", "sqlite3", "watchdog")


def grist(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gristmill.supervisor.cli", *words], capture_output=True, text=True, check=False, cwd=cwd
    )


@pytest.mark.parametrize("verb", ["status", "log", "cancel", "limit", "wait"])
def test_everyday_verbs_import_nothing_heavy(verb: str, tmp_path: Path) -> None:
    words = [verb, "--jobs", str(tmp_path), "--state", str(tmp_path), *(["1"] if verb in ("log", "cancel") else [])]
    code = (
        "import sys; from gristmill.supervisor.cli import main; code = main(sys.argv[1:]);"
        f"print(code, [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "3 []", done.stderr


def test_the_daemon_does_without_openssl_and_leaves_it_to_whom_needs_it() -> None:
    code = (
        "import sys; from gristmill.supervisor.cli.launchpad import without_openssl\n"
        "with without_openssl():\n    import gristmill.supervisor.daemon\n"
        "maps = open('/proc/self/maps').read(); print([name for name in ('libssl', 'libcrypto') if name in maps])\n"
        "import http.client; print(hasattr(http.client, 'HTTPSConnection'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\nTrue\n", done.stderr


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_explains_itself(verb: str) -> None:
    done = grist(verb, "--help")
    assert done.returncode == 0
    assert VERBS[verb][1:] in done.stdout
    assert "--jobs DIR" in done.stdout


def test_help_names_every_verb_and_usage_errors_exit_with_2() -> None:
    text = parser_for(None).format_help()
    assert all(verb in text for verb in VERBS)
    assert grist().returncode == 2
    assert all(verb in grist().stderr for verb in VERBS)


def test_what_is_mistyped_is_told_with_what_may_have_been_meant() -> None:
    said = grist("stauts")
    assert (said.returncode, said.stderr) == (
        2, "grist: no command 'stauts' – did you mean status? All are listed by `grist --help`\n")
    assert grist("xyzzy").stderr == "grist: no command 'xyzzy' – all are listed by `grist --help`\n"
    said = grist("status", "--no-such-option")
    assert said.returncode == 2
    assert "usage: grist status" in said.stderr
    assert "unrecognized arguments: --no-such-option – `grist status --help`" in said.stderr


def test_a_reader_that_has_gone_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('command = "true"\n')
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        done = subprocess.run([sys.executable, "-m", "gristmill.supervisor.cli", "check", str(tmp_path / "x.toml")],
                              stdout=out, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=env, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_jobs_folder_is_the_nearest_one_upward(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "x.toml").write_text('command = "pwd"\n')
    done = grist("check", str(tmp_path / "x.toml"), cwd=deep)
    assert f"in {tmp_path}" in done.stdout


def test_check_shows_what_would_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.toml"
    file.write_text('command = "echo {a}"\n[grid]\na = ["b c", "d", "e", "f", "g", "h"]\n')
    assert main(["check", "--jobs", str(tmp_path / "jobs"), str(file)]) == 0
    out = capsys.readouterr().out
    assert "job x: 6 tasks, 6 items" in out
    assert "  0: echo 'b c'" in out
    assert "  5: echo h" in out


def test_check_shows_control_characters_instead_of_obeying_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.toml"
    file.write_text('command = "echo {a}"\n[grid]\na = ["\\u001b]52;c;aGk=\\u0007"]\n')
    main(["check", "--jobs", str(tmp_path / "jobs"), str(file)])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "^[]52" in out


@pytest.mark.parametrize("word", ["plain", "a {b} {{c}}", 'say "hi"\\', "tab\tnew\nline", "naïve ∑", "$HOME `id`"])
def test_a_command_added_is_the_command_that_is_run(word: str, tmp_path: Path) -> None:
    class Args:
        priority = None
        timeout = None
        where = None

    text = job_text("n", ["echo", word], "/", Args(), None)  # type: ignore[arg-type]  # what job_text reads of them
    spec = jobfile.parse(text, "n.toml", cwd="/", home="/", read=lambda path: "")
    from gristmill.supervisor.core.launch import launch

    assert launch(spec, job=1, number=0, span=(0, 1), attempt=1, script=None).argv == ("echo", word)
    assert quoted(literal(word))


@pytest.mark.parametrize(("text", "expected"), [("90", 90.0), ("0.5", 0.5), ("90s", 90.0), ("2h", 7200.0)])
def test_a_wait_ends_after_seconds_or_any_length_that_a_job_file_may_have(text: str, expected: float) -> None:
    assert wait.seconds(text) == expected
    with pytest.raises(argparse.ArgumentTypeError, match="soon"):
        wait.seconds("soon")


def plain(fault: subprocess.CompletedProcess[str]) -> str:
    """What a command said that failed with the code for what its user can mend; no traceback."""
    assert fault.returncode == 2 and fault.stderr.startswith("grist: "), fault.stderr
    return fault.stderr


def test_a_folder_that_can_not_be_written_to_is_a_fault_in_one_line(tmp_path: Path) -> None:
    where = ["--jobs", "/proc/self", "--state", str(tmp_path)]  # whoever asks, root included
    assert plain(grist("add", *where, "--", "true")).count("\n") == 1
    assert "/proc/nowhere/jobs: can't be made: " in plain(grist("up", "--plain", "/proc/nowhere/jobs"))
    assert "x/jobs: can't be made: File name too long" in plain(grist("up", "--plain", f"/tmp/{'x' * 300}/jobs"))


def test_folders_of_another_encoding_are_refused_at_the_start(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"o\xffd")
    (odd / "jobs").mkdir(parents=True, mode=0o755)
    (tmp_path / "jobs").mkdir(mode=0o755)
    for jobs, state in ((odd / "jobs", tmp_path / "state"), (tmp_path / "jobs", odd)):
        said = plain(grist("daemon", "--allow-root", "--jobs", str(jobs), "--state", str(state)))
        assert ": its path is not UTF-8 – " in said and "o<U+DCFF>d" in said


@pytest.mark.parametrize("verb", [("shutdown",), ("service", "status"), ("doctor",)])
@pytest.mark.parametrize("state", ["file", "x" * 300])
def test_a_state_folder_that_can_not_be_is_no_traceback(verb: tuple[str, ...], state: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "jobs").mkdir(mode=0o755)
    done = grist(*verb, "--state", state, "--jobs", "jobs", cwd=tmp_path)
    assert done.returncode in (1, 2, 3) and "Traceback" not in done.stderr, done.stderr


def test_what_is_piped_in_and_is_no_text_is_told_so(tmp_path: Path) -> None:
    with open(tmp_path / "odd", "w+b") as odd:
        odd.write(b"\xff\xfe")
        odd.seek(0)
        done = subprocess.run([sys.executable, "-m", "gristmill.supervisor.cli", "submit", "-"], stdin=odd,
                              capture_output=True, text=True, check=False, cwd=tmp_path)  # fmt: skip
    assert plain(done) == "grist: -: not UTF-8 text – save the job as UTF-8\n"


def test_what_an_odd_file_name_holds_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    said = plain(grist("submit", f"{tmp_path}/\x1b]52;c;eA==\x07", cwd=tmp_path))
    assert "^[]52;c;eA==^G: No such file or directory – name a job file\n" in said
    assert "\x1b" not in said and "\x07" not in said


def test_a_terminal_that_knows_few_characters_gets_question_marks(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir(mode=0o755)
    done = subprocess.run(
        [sys.executable, "-m", "gristmill.supervisor.cli", "doctor"], capture_output=True, text=True, check=False,
        cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": "ascii", "HOME": str(tmp_path)},
    )
    assert done.stderr == ""
    assert done.stdout.startswith("? ok    jobs folder ")


def test_a_full_disk_below_the_output_is_a_fault_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('command = "true"\n')
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "gristmill.supervisor.cli", "check", str(tmp_path / "x.toml")],
                              stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False)
    assert plain(done) == "grist: what it writes finds no room: No space left on device\n"
