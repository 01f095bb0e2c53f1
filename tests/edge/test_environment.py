"""What tasks find on this machine: the environment of a job, and complaints about what is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import structs

from gristmill.supervisor.core import jobfile, launch
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.spec import Slurm, Spec
from gristmill.supervisor.edge import environment


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with one conda and its environments, a venv, and a folder to work in."""
    for folder in ("miniconda3", "miniconda3/envs/torch", "elsewhere/jax", "venv"):
        (tmp_path / folder / "bin").mkdir(parents=True)
        program(tmp_path / folder / "bin" / "python")
    (tmp_path / "miniconda3/conda-meta").mkdir()
    (tmp_path / "miniconda3/envs/broken").mkdir()
    (tmp_path / ".conda").mkdir()
    (tmp_path / ".conda/environments.txt").write_text(f"{tmp_path}/elsewhere/jax\n{tmp_path}/gone\nnonsense\n")
    (tmp_path / "lab").mkdir()
    return tmp_path


def program(path: Path, text: str = "#!/bin/sh\nexit 0\n", mode: int = 0o755) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def environ(home: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(home), "PATH": "/usr/bin:/bin", **more}


def spec_of(home: Path, text: str, file: str = "a.toml", executable: bool = False) -> Spec:
    cwd = str(home / "lab")
    return jobfile.parse(text, file, cwd=cwd, home=str(home), executable=executable, read=lambda path: path)


def complaints(home: Path, text: str, file: str = "a.toml", **more: str) -> list[str]:
    """What a user is told, at the place that is to blame."""
    found = environment.examine(spec_of(home, text, file, executable=True), environ(home, **more))
    places = [":".join(map(str, jobfile.locate(text, file, complaint.path))) for complaint in found]
    return [f"{place}: {each.what} – {each.mend}" for place, each in zip(places, found, strict=True)]


def test_what_belongs_to_the_daemon_is_not_handed_on(home: Path) -> None:
    ours = {"GRIST_JOBS": "x", "GRIST_STATE": "x", "GRIST_PARAMS": "{}", "NOTIFY_SOCKET": "x", "TEXTUAL_LOG": "x"}
    base = environment.base(spec_of(home, 'command = "true"'), environ(home, **ours, LANG="C", GRISTLE="y"))
    assert base == {**environ(home), "LANG": "C", "GRISTLE": "y", "GRIST_PYTHON": sys.executable}


def test_a_venv_is_entered(home: Path) -> None:
    spec = spec_of(home, 'command = "python x"\nvenv = "~/venv"')
    base = environment.base(spec, environ(home, PYTHONHOME="/x", VIRTUAL_ENV="/other"))
    assert base["PATH"] == f"{home}/venv/bin:/usr/bin:/bin"
    assert base["VIRTUAL_ENV"] == f"{home}/venv"
    assert "PYTHONHOME" not in base
    assert environment.examine(spec, environ(home)) == []


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("torch", "miniconda3/envs/torch"),
        ("base", "miniconda3"),
        ("jax", "elsewhere/jax"),
        ("~/elsewhere/jax", "elsewhere/jax"),
    ],
)
def test_a_conda_environment_is_found(home: Path, name: str, prefix: str) -> None:
    spec = spec_of(home, f'command = "python x"\nconda = "{name}"')
    base = environment.base(spec, environ(home, VIRTUAL_ENV="/other"))
    assert base["PATH"] == f"{home}/{prefix}/bin:/usr/bin:/bin"
    assert base["CONDA_PREFIX"] == f"{home}/{prefix}"
    assert base["CONDA_DEFAULT_ENV"] == spec.conda
    assert "VIRTUAL_ENV" not in base
    assert environment.examine(spec, environ(home)) == []


@pytest.mark.parametrize("active", ["miniconda3", "miniconda3/envs/torch"])
def test_the_conda_in_use_is_searched_wherever_it_lies(home: Path, active: str) -> None:
    (home / "miniconda3").rename(home / "odd")
    spec = spec_of(home, 'command = "python x"\nconda = "torch"')
    used = str(home / active.replace("miniconda3", "odd"))
    assert environment.base(spec, environ(home, CONDA_PREFIX=used))["CONDA_PREFIX"] == f"{home}/odd/envs/torch"


def test_a_conda_environment_that_went_away_is_named(home: Path) -> None:
    spec = spec_of(home, 'command = "python x"\nconda = "torch"')
    (home / "miniconda3").rename(home / "moved")
    with pytest.raises(GristError, match="torch"):
        environment.base(spec, environ(home))


def test_a_python_script_imports_from_its_folder(home: Path) -> None:
    (home / "lab/beside.py").write_text("print('found')\n")
    (home / "lib").mkdir()
    (home / "lib/further.py").write_text("print('too')\n")
    script = program(home / "frozen.py", "import beside, further\n")
    spec = spec_of(home, script.read_text(), "a.py")
    start = launch.launch(spec, job=1, number=0, span=(0, 1), attempt=1, script=str(script))
    env = environment.base(spec, {**os.environ, "PYTHONPATH": str(home / "lib")}) | start.env
    done = subprocess.run(start.argv, cwd=start.cwd, env=env, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("found\ntoo\n", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('command = "ls"\ncwd = "none"', '2:1: cwd: "HOME/lab/none" does not exist – create it: mkdir'),
        ('command = "ls"\ncwd = "/bin/sh"', '2:1: cwd: "/bin/sh" is no folder – name the folder'),
        ('command = "ls"\nvenv = "none"', '2:1: venv: "HOME/lab/none" does not exist – create it: python3 -m'),
        ('command = "ls"\nvenv = "~/lab"', '2:1: venv: "HOME/lab" has no bin/python that runs'),
        ('command = "ls"\nvenv = "~/miniconda3"', "is a conda environment – write conda instead of venv"),
        ('command = "ls"\nvenv = "/bin/sh"', '2:1: venv: "/bin/sh" is no folder'),
        ('command = "ls"\nconda = "torhc"', '2:1: conda: no environment "torhc" – did you mean torch?'),
        ('command = "ls"\nconda = "xyz"', "use one of those there are: base, jax, torch"),
        ('command = "ls"\nconda = "broken"', 'conda: no environment "broken"'),
        ('command = "ls"\nconda = "/none"', "name the folder that holds the environment's bin"),
        ('command = ["nonesuch", "x"]', '1:12: "nonesuch" is not found on PATH – install it, write its full path'),
        ('command = ["ls -l"]', '"ls -l" is not found on PATH – write each argument as a text of its own'),
        ('command = ["./nonesuch"]', '"HOME/lab/./nonesuch" does not exist'),
        ('command = ["/usr"]', '"/usr" is a folder – name the program in it'),
        ('command = ["~/x"]', "only a shell knows ~ – write the full path"),
        ('command = ["/usr/bin/env", "A=1", "nonesuch"]', '"nonesuch" is not found on PATH'),
        ('command = "nonesuch --help | cat"', '1:1: "nonesuch" is not found on PATH'),
        ('command = ["ls"]\nenv.PATH = "/none"', '"ls" is not found on PATH'),
    ],
)  # fmt: skip
def test_what_is_missing_is_told_at_its_place(home: Path, text: str, expected: str) -> None:
    (said,) = complaints(home, text)
    assert expected in said.replace(str(home), "HOME")


@pytest.mark.parametrize(
    "command",
    [
        '"cd x; ls"', '"A=1 nonesuch"', '"./build/later"', '"{item} x"', '"f() {{ ls; }}; f"', '["{item}"]',
        '"# c\\nls"',
        '["env", "-i", "nonesuch"]', '["ls"]', '["/bin/ls"]', '["/usr/bin/env", "ls"]', '"exec ls"', '"ls -l"',
    ],
)  # fmt: skip
def test_what_may_be_right_is_let_pass(home: Path, command: str) -> None:
    assert complaints(home, f'command = {command}\nitems.list = ["ls"]') == []


def test_programs_of_a_venv_are_found(home: Path) -> None:
    program(home / "venv/bin/own-tool")
    assert complaints(home, 'command = ["own-tool"]') != []
    assert complaints(home, 'command = ["own-tool"]\nvenv = "~/venv"') == []


def test_a_program_must_be_executable(home: Path) -> None:
    program(home / "lab/tool", mode=0o644)
    (said,) = complaints(home, 'command = ["./tool"]')
    assert said.endswith(f"is not executable – allow it: chmod +x {home}/lab/./tool")


def test_python_where_only_python3_is(home: Path) -> None:
    (home / "only").mkdir()
    program(home / "only/python3")
    (said,) = complaints(home, 'command = "python train.py"', PATH=str(home / "only"))
    assert (
        said == '1:1: "python" is not found on PATH – write python3, or name the venv or conda environment that has it'
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#!/opt/none/python\n", '1:1: "/opt/none/python" does not exist'),
        ("#!/usr/bin/env nonesuch\n", '1:1: "nonesuch" is not found on PATH'),
        ("#!/usr/bin/env -S nonesuch -x\n", '1:1: "nonesuch" is not found on PATH'),
    ],
)
def test_interpreters_are_looked_for(home: Path, text: str, expected: str) -> None:
    (said,) = complaints(home, text, "tool")
    assert expected in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter any folder")
def test_a_folder_must_be_open(home: Path) -> None:
    (home / "shut").mkdir(mode=0o600)
    (said,) = complaints(home, 'command = "ls"\ncwd = "~/shut"')
    assert said == f'2:1: cwd: "{home}/shut" can\'t be entered – allow it: chmod u+x {home}/shut'


def test_the_last_step_is_examined_as_the_tasks_are(home: Path) -> None:
    (said,) = complaints(home, 'command = "true"\n[finally]\ncommand = "nosuch {results}"')
    assert said.startswith('3:1: "nosuch" is not found on PATH – install it')
    assert complaints(home, 'command = "true"\n[finally]\ncommand = ["sh", "-c", "true"]') == []


def test_parquet_is_refused_where_it_can_not_be_written(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'command = "true"\n[results]\nexport = "parquet"'
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    (said,) = complaints(home, text)
    assert said.startswith("3:1: results.export: Parquet needs pyarrow, which Gristmill's own environment has not")


def test_a_script_for_slurm_may_keep_of_the_environment_what_it_names_alone(tmp_path: Path) -> None:
    environ = {"HOME": "/h", "USER": "ann", "PATH": "/mine", "R_LIBS": "/r", "SECRET": "x", "LANG": "C"}
    job = Spec(
        name="a", kind="script", command=("{script}",), cwd=str(tmp_path), slurm=Slurm(keeps=("R_LIBS", "NONE_SUCH"))
    )
    found = environment.base(job, environ)
    assert found.pop("PATH").startswith("/usr/local/bin:/usr/bin:/bin")
    assert {name: found[name] for name in environ if name in found} == {
        "HOME": "/h", "USER": "ann", "R_LIBS": "/r", "LANG": "C",
    }
    kept = environment.base(structs.replace(job, slurm=Slurm(keeps=("PATH",))), environ)
    assert kept["PATH"] == "/mine"
    assert environment.base(structs.replace(job, slurm=Slurm()), environ)["SECRET"] == "x"
