"""Makes the pages: keys from their types, commands from the table that `--help` has; what is said there isn't here."""

from __future__ import annotations

import re
import typing
from pathlib import Path
from typing import Any

import msgspec

from gristmill.supervisor.cli import verbs
from gristmill.supervisor.core import keys, settingskeys
from gristmill.supervisor.core.manpage import COMMON
from tests.reference import samples

DOCS = Path(__file__).parents[2] / "docs"
MADE = "<!-- Made from {source} by `python -m tests.reference`: change it there. -->"
TABLES: dict[str, type[keys.Table]] = {
    "": keys.JobFile,
    "items": keys.ItemsTable,
    "grid": keys.GridTable,
    "resources": keys.ResourcesTable,
    "retry": keys.RetryTable,
    "limits": keys.LimitsTable,
    "finally": keys.FinallyTable,
    "results": keys.ResultsTable,
    "slurm": keys.SlurmTable,
    "recycle": keys.RecycleTable,
    "snapshot": keys.SnapshotTable,
}
"""Of a job file, by name ("" for its top)."""
TITLES = {"": "The top of the file", "recycle": "recycle = { … }", "snapshot": "snapshot = { … }"}
"""Of the sections of those that are no `[name]`."""
JOB_HEAD = """\
# Job files: every key

{made}

A job file is TOML. Its shortest form is one line: `command = "python3 train.py"`. In scripts (`*.sh`, `*.py`) and
lists of commands (`*.txt`, `*.cmds`) the same keys stand in lines that begin with `#GRIST `; `#SBATCH` lines have a
page of their own, [scripts.md](scripts.md). `grist check FILE` says what a file would run, or everything that is wrong
with it. Editors that know JSON Schema complete and explain the keys:
[job.schema.json](../supervisor/core/job.schema.json). The faults that `grist check` prints, `file:line:column: what`,
they find as they find a compiler's: in Vim `:set makeprg=grist\\ check\\ % errorformat=%f:%l:%c:\\ %m`.
`grist add --edit` opens a commented job in `$EDITOR`.

Durations are numbers of seconds, or texts such as `"90s"`, `"2h"`, `"1h30m"`, `"2d"`; sizes are numbers of bytes, or
texts such as `"500 MB"` (of a thousand) or `"2 GiB"` (of 1024). A relative path begins at the folder that holds
`jobs/`, or at `cwd` where that is given.

A job that shows most of what there is:

```toml
name = "batches"
command = ["./compute"]             # a list: an argv, no shell; a string: by sh, every {{placeholder}} quoted
stdin = "{{start}},{{count}}\\n"         # the range, as text on standard input
cwd = "~/project"                   # default: the folder that holds jobs/
venv = "~/envs/torch"               # or conda = "torch"
env = {{ MODE = "fast" }}
snapshot = ["*.py"]                 # code frozen now, or "git": `python3 {{snapshot}}/train.py` runs the copy
where = "slurm"                     # or "auto": here first, and beyond what would take too long; default: "local"
priority = 5
after = ["prepare"]                 # once that job has ended well; also after_any, after_failed
only = "nights"                     # tasks begin in these hours; start = "22:00": not before
stderr = "own"                      # standard error apart (`grist log --err`); default: one log
notify = "mail -s sweep ann"        # JSON on its input when the job has ended; default: what the settings say
leftovers = "wait"                  # for what a task leaves running; default: "kill"
[items]
total = 10_000                      # {{start}} {{count}} {{index}}
per_task = 16                       # or "auto": about a second each, fewer towards the end; failed ones are halved
[limits]
workers = 8                         # at most, of this job
log = "64 MiB"                      # a longer one loses its middle, and says so
[resources]
cpus = 2                            # what is left out is learned
memory = "2 GiB"
gpus = 1                            # a card of its own; gpu_memory = "8 GiB": as many on one as it holds
[retry]
attempts = 3
backoff = "10s"                     # doubling
on = ["oom", "timeout", "exit:75"]  # after `oom` it is taken to need half as much again
[finally]
command = "./merge {{results}}"       # once, when all tasks have ended, with all results in a file
[results]
export = "csv"                      # beside the job's file when it has ended; or "json", "parquet"
```

Every task sees `GRIST_JOB GRIST_TASK GRIST_START GRIST_COUNT GRIST_ATTEMPT GRIST_WORKER GRIST_PARAMS GRIST_<PARAM>`,
`GRIST_RESULT` (write JSON there), `GRIST_PROGRESS` (write `0.42` or `42%` there, again and again; or print `42%|` or
`[3/10]`), `GRIST_PYTHON` (the interpreter that Gristmill runs in), `SLURM_ARRAY_TASK_ID`, and `OMP_NUM_THREADS` and its
kin set to its claim of CPUs, 1 if there is none.
"""
SETTINGS_HEAD = """\
# Settings: every key

{made}

Two files, both optional: `~/.config/gristmill/settings.toml` for all jobs folders of a user, and
`jobs/.gristmill/settings.toml` for one of them, which wins key by key. They are read again when they change; where a
file has a fault what was said before stays in force, and `grist status` says where the fault is. What they are for:
[administration.md](administration.md).
For editors: [settings.schema.json](../supervisor/core/settings.schema.json).
"""
COMMANDS_HEAD = """\
# Commands

{made}

Every command takes `--jobs DIR` (the jobs folder; default: `GRIST_JOBS`, or the nearest `jobs/` upward) and
`--state DIR` (the state folder; default: `GRIST_STATE`, or one for each jobs folder). A JOB is an id, a name (the
newest of it) or `last`; a task is JOB/NUMBER. Exit codes: 0 good, 1 a job failed, 2 usage or a bad job file, 3 no
daemon, 4 the wait ended first.
"""


def made() -> dict[Path, str]:
    """The text of each page."""
    return {DOCS / "job-files.md": job_files(), DOCS / "settings.md": setting_files(), DOCS / "commands.md": commands()}


def job_files() -> str:
    """The keys of a job file, table by table."""
    lines = [JOB_HEAD.format(made=MADE.format(source="supervisor/core/keys.py"))]
    for name, layout in TABLES.items():
        lines += [f"## {TITLES.get(name, f'[{name}]')}", "", paragraphs(layout.__doc__ or ""), ""]
        prefix = f"{name}." if name else ""
        for key, annotation in typed(layout).items():
            lines += entry(prefix + key, annotation, samples.JOBS[name][key])
        if name == "grid":
            lines += entry("grid.PARAMETER.range", typed(keys.RangeTable)["range"], samples.JOBS["grid"]["range"])
    return "\n".join(lines).rstrip() + "\n"


def setting_files() -> str:
    """The keys of a settings file."""
    lines = [SETTINGS_HEAD.format(made=MADE.format(source="supervisor/core/settingskeys.py"))]
    for key, annotation in typed(settingskeys.SettingsFile).items():
        lines += entry(key, annotation, samples.SETTINGS[key])
    return "\n".join(lines).rstrip() + "\n"


def commands() -> str:
    """The verbs as their help has them."""
    lines = [COMMANDS_HEAD.format(made=MADE.format(source="supervisor/cli/"))]
    for verb in verbs.all_verbs():
        lines += [f"## grist {verb.name}", "", f"{verb.summary[0].upper()}{verb.summary[1:]}.", ""]
        lines += ["```sh", *verb.examples, "```", "", f"Usage: `{verb.usage}`", ""]
        own = [option for option in verb.options if option.flags[-1] not in COMMON]
        rows = [(one.name, one.help) for one in verb.arguments if one.help]
        rows += [(", ".join(one.flags) + f" {one.value}".rstrip(), one.help) for one in own]
        if rows:
            cells = [f"| `{cell(term)}` | {cell(words)} |" for term, words in rows]
            lines += ["| argument | what it is |", "|---|---|", *cells, ""]
        lines += [verb.notes, ""] if verb.notes else []
    return "\n".join(lines).rstrip() + "\n"


def typed(layout: type[keys.Table]) -> dict[str, Any]:
    """The keys of a table as a file writes them, with their types."""
    hints = typing.get_type_hints(layout, include_extras=True)
    return {field.encode_name: hints[field.name] for field in msgspec.structs.fields(layout)}


def entry(key: str, annotation: Any, sample: str) -> list[str]:
    """What is said of one key."""
    meaning, _, default = said(annotation).partition("Default: ")
    facts = [f"- Write {wants(annotation)}."] if wants(annotation) else []
    facts += [f"- Default: {default.strip().removesuffix('.')}."] if default else []
    return [f"### {key}", "", meaning.strip(), "", *facts, *([""] if facts else []), "```toml", sample, "```", ""]


def said(annotation: Any) -> str:
    """The description in a key's type."""
    found = [meta.description for meta in getattr(annotation, "__metadata__", ()) if meta.description]
    return found[-1] if found else ""


def wants(annotation: Any) -> str:
    """What a value must be, in the words of the message when it is not."""
    for meta in reversed(getattr(annotation, "__metadata__", ())):
        if meta.extra and "wants" in meta.extra:
            return str(meta.extra["wants"])
    inner = [annotation.__origin__] if hasattr(annotation, "__metadata__") else typing.get_args(annotation)
    return next(filter(None, map(wants, inner)), "")


def paragraphs(text: str) -> str:
    """A docstring as running text."""
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()))


def cell(text: str) -> str:
    """A help text in a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")
