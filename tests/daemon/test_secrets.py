"""A secret in a parameter, or in a line of a list: its task has it, and nobody sees it."""

from __future__ import annotations

import json

from tests.mill import Mill

SECRET = "hf_sesame"


def shown(mill: Mill, job: str) -> str:
    """All that is said of a job, and what the daemon wrote down of it."""
    words = [mill.grist(*line) for line in (
        ("status",), ("status", job), ("status", job, "--json"), ("results", job, "--json"), ("results", job, "--csv"),
        ("explain", job), ("explain", f"{job}/0"), ("events", "--since", "1h"),
        ("check", str(mill.base / "again.toml")),
    )]  # fmt: skip
    answers = [mill.ask("sweep", job=job), mill.ask("tasks", job=job)]
    books = [path.read_text() for path in mill.state.glob("daemon.log*")]
    return "\n".join((*words, *map(str, answers), *books, mill.errors.read_text()))


def test_a_secret_of_a_grid_reaches_its_task_and_no_screen(turning: Mill) -> None:
    text = (
        'command = "echo {api_token} {max_tokens} > .$GRIST_START; echo 1 > $GRIST_RESULT"\n'
        f'[grid]\napi_token = ["{SECRET}", "{SECRET}2"]\nmax_tokens = ["64"]\n'
    )
    (turning.base / "again.toml").write_text(text)
    turning.drop("sweep.toml", text)
    turning.ended("sweep")
    assert (turning.base / ".0").read_text() == f"{SECRET} 64\n"
    told = shown(turning, "sweep")
    assert SECRET not in told
    first = json.loads(turning.grist("results", "sweep", "--json").splitlines()[0])
    assert first["params"] == {"api_token": "…", "max_tokens": "64"}


def test_a_secret_in_a_line_of_a_list_reaches_its_task_and_no_screen(turning: Mill) -> None:
    text = f"HF_TOKEN={SECRET} sh -c 'echo $HF_TOKEN > one'\nsh -c 'echo $1 > two' -- --password {SECRET}\n"
    (turning.base / "again.toml").write_text('command = "true"\n')
    (turning.base / "again.txt").write_text(text)
    turning.drop("lines.txt", text)
    turning.ended("lines")
    assert (turning.base / "one").read_text() == f"{SECRET}\n"
    told = shown(turning, "lines") + turning.grist("check", str(turning.base / "again.txt"))
    assert SECRET not in told
    assert "HF_TOKEN=…" in told
