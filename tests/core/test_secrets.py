"""Which variables are secrets, and where they do not show."""

from __future__ import annotations

import pytest

from gristmill.supervisor.core import jobfile, launch, shellenv
from gristmill.supervisor.core.errors import GristError, JobFileError
from gristmill.supervisor.core.secrets import masked, secret, veiled, without


@pytest.mark.parametrize(
    "name",
    ["HF_TOKEN", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "WANDB_API_KEY", "PGPASSWORD",
     "MYSQL_PWD_PASSWORD", "GOOGLE_APPLICATION_CREDENTIALS", "OPENAI_APIKEY", "SSH_AUTH_SOCK", "db_password", "GH_PAT"],
)  # fmt: skip
def test_secrets(name: str) -> None:
    assert secret(name)


@pytest.mark.parametrize(
    "name", ["PATH", "HOME", "KEYBOARD", "PYTHONPATH", "LD_LIBRARY_PATH", "SEED", "tokenizer", "author", "author_id"]
)
def test_what_is_none(name: str) -> None:
    assert not secret(name)


def test_parameters_are_shown_without_secrets_and_numbers_of_tokens_are_none() -> None:
    line = "A_TOKEN=x run --auth-token 'y z' 3"
    given = {"api_key": "abc", "max_tokens": 128, "tokens": "64", "lr": 0.1, "line": line}
    assert veiled(given) == {**given, "api_key": "…", "line": "A_TOKEN=… run --auth-token … 3"}
    assert without("run abc 'abc' --max-tokens 128", given) == "run … '…' --max-tokens 128"


def test_secrets_in_a_command_are_left_out() -> None:
    line = "HF_TOKEN=hf_abc SEED=3 run --x='y' PGPASSWORD=\"a b\"; DB_KEY='c d' true"
    assert masked(line) == "HF_TOKEN=… SEED=3 run --x='y' PGPASSWORD=…; DB_KEY=… true"
    spec = jobfile.parse('command = "API_KEY=sesame ./run"', "a.toml", cwd="/", home="/", read=str)
    assert launch.summary(spec) == "API_KEY=… ./run"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.toml", 'command = "x"\nenv = { HF_TOKEN = "sesame{" }'),
        ("a.toml", 'command = "x"\nenv = { HF_TOKEN = "{sesame}" }'),
        ("a.toml", 'command = "x"\nenv = { HF_TOKEN = ["sesame"] }'),
        ("a.sh", "#!/bin/sh\n#SBATCH --export=ALL,HF_TOKEN=sesame,A-B=1\ntrue\n"),
    ],
)
def test_a_problem_does_not_tell_a_secret(file: str, text: str) -> None:
    with pytest.raises(JobFileError) as caught:
        jobfile.parse(text, file, cwd="/", home="/", read=str)
    assert "sesame" not in str(caught.value)


def test_a_remark_does_not_tell_a_secret() -> None:
    text = "#!/bin/sh\n#SBATCH --export=ALL,HF_TOKEN=sesame\ntrue\n"
    spec = jobfile.parse(text, "a.sh", cwd="/", home="/", read=str)
    assert spec.slurm is not None
    assert spec.env == {"HF_TOKEN": "sesame"}
    assert spec.slurm.remarks[0].option == "--export=ALL,HF_TOKEN=…"


SHELL = {
    "PATH": "/bin", "SEED": "3", "HF_TOKEN": "sesame", "PWD": "/x", "SSH_TTY": "t", "BASH_FUNC_x%%": "() {",
    "BAD": "\udc80",
}  # fmt: skip


def test_all_of_a_shell_but_secrets_and_the_session() -> None:
    assert shellenv.taken(SHELL, [], True) == ({"PATH": "/bin", "SEED": "3"}, ["HF_TOKEN"])


def test_what_is_named_is_taken() -> None:
    assert shellenv.taken(SHELL, ["HF_TOKEN", "NEW=a=b"], False) == ({"HF_TOKEN": "sesame", "NEW": "a=b"}, [])
    assert shellenv.taken(SHELL, ["HF_TOKEN"], True)[1] == []


@pytest.mark.parametrize("name", ["NOT_THERE", "A-B", "=x", "BAD"])
def test_what_is_not_there_is_no_variable(name: str) -> None:
    with pytest.raises(GristError, match="--env"):
        shellenv.taken(SHELL, [name], False)
