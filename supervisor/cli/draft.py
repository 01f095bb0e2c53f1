"""A first job, as a commented text: in the folder that `grist up` makes, and in the editor of `grist add --edit`."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from gristmill.supervisor.core.errors import GristError, JobFileError

NAME = "example.toml.sample"
"""Its name in the jobs folder: with this ending nothing is run, and nothing is moved away."""
EDITORS = ("sensible-editor", "nano", "vim", "vi")
SAMPLE = """\
# A job: six tasks, one for each combination of the values below, as many at once as the machine bears.
# `grist check FILE` says what it would run; every key is in docs/job-files.md.

name = "first"
command = "echo layers {layers}, batch {batch}; sleep 1"   # by sh; or a list, ["python3", "train.py", "{layers}"]
# cwd = "~/project"                 # where it runs; default: the folder that holds the jobs folder
# venv = "~/envs/torch"             # or conda = "torch"
# env = { MODE = "fast" }
# timeout = "2h"                    # of each task
# after = ["prepare"]               # not before that job has ended well
# only = "nights"                   # or start = "22:00"

[grid]                              # or [items] total = 1000, for {index}; or neither: one task
layers = [1, 2, 3]
batch = [16, 32]

# [resources]                       # what is left out is learned from the first task
# cpus = 1
# memory = "2 GiB"

# [retry]
# attempts = 3

# [finally]                         # once, when all have ended
# command = "python3 merge.py {results}"
"""


def put(jobs: Path) -> str:
    """Lays the sample into a jobs folder; returns what to do next."""
    (jobs / NAME).write_text(SAMPLE)
    sample, job = (shlex.quote(os.path.relpath(jobs / name)) for name in (NAME, NAME.removesuffix(".sample")))
    return f"next: cp {sample} {job} runs an example; so does any script, *.toml or list of commands put there"


def sample(name: str, cwd: str, lines: str) -> str:
    """The sample for a job of this name that runs in this folder, with these lines of others' making."""
    from gristmill.supervisor.core.findings import quoted

    here = SAMPLE.replace('# cwd = "~/project"                 # where', f"cwd = {quoted(cwd)}    # where")
    here = here.replace("\n\n[grid]", f"\n{lines}\n[grid]", 1)
    return here.replace('"first"', quoted(name), 1) if name else here


def edited(text: str, unless: str = "") -> str:
    """The text once a person has edited and saved it; raises where that is `unless`, is empty, or is no job.

    Where something is wrong, each fault is printed with its place; at a terminal the editor opens once more on Enter.
    What can't be used is kept, and its path is named: nothing that was typed is lost.
    """
    folder = Path(tempfile.mkdtemp(prefix="grist-"))
    file = folder / "job.toml"
    file.write_text(text)
    while True:
        _open(file)
        now = file.read_text(errors="replace")
        if now == unless or not now.strip():
            shutil.rmtree(folder)
            raise GristError("nothing was written: no job is added")
        try:
            _check(file)
        except JobFileError as error:
            if not sys.stdin.isatty():
                raise GristError(f"{error}\nyour text is kept: mend it, and mv it into the jobs folder") from error
            print(f"{error}\nEnter edits it once more, Ctrl-C leaves it there", file=sys.stderr)
            if not sys.stdin.readline():  # Ctrl-D
                raise GristError(f"no job is added – your text is in {file}") from error
            continue
        shutil.rmtree(folder)
        return now


def _open(file: Path) -> None:
    """Waits for the user's editor."""
    said = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    words = shlex.split(said) if said else [next(filter(shutil.which, EDITORS), "vi")]
    try:
        code = subprocess.run([*words, str(file)], check=False).returncode
    except OSError as error:
        raise GristError(f"editor {words[0]}: {error.strerror} – name one: EDITOR=nano grist add --edit") from error
    if code:
        raise GristError(f"editor {words[0]}: left with {code}, and no job is added – your text is in {file}")


def _check(file: Path) -> None:
    from gristmill.supervisor.cli.check import located, understand

    try:
        understand(file, os.getcwd())
    except JobFileError as error:
        raise JobFileError(str(file), located(error.problems)) from error
