"""`grist add -- CMD`: a job without a file of its own; it becomes one in the folder."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time

from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.core.errors import GristError, NoDaemonError
from gristmill.supervisor.core.findings import quoted
from gristmill.supervisor.core.template import literal


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.usage = "grist add [options] [--edit] -- COMMAND [ARGUMENT …]"
    parser.add_argument("--edit", action="store_true",
                        help="edit the job first, in $VISUAL or $EDITOR; without COMMAND, a commented one")  # fmt: skip
    parser.add_argument("--name", help="the job's name (default: the command's)")
    parser.add_argument("--priority", type=int, metavar="N", help="higher runs first (default 0)")
    parser.add_argument("--timeout", metavar="TIME", help="such as 90s or 2h")
    parser.add_argument("--after", metavar="JOB", action="append", help="once that job has ended well (id or name)")
    parser.add_argument("--after-any", metavar="JOB", action="append", help="once that job has ended in any way")
    parser.add_argument("--after-failed", metavar="JOB", action="append", help="once that job has failed")
    parser.add_argument("--start", metavar="TIME", help="not before: 22:00, 2h, '2026-12-24 08:00'")
    parser.add_argument("--where", choices=("local", "slurm", "ray", "auto"),
                        help="where it runs: on this machine, in an engine, or auto")  # fmt: skip
    parser.add_argument("--cwd", metavar="DIR", help="where it runs (default: here)")
    parser.add_argument("--env", metavar="NAME[=VALUE]", action="append", default=[],
                        help="a variable of this shell, or one that is given here")  # fmt: skip
    parser.add_argument("--export", action="store_true",
                        help="all variables of this shell but those whose names look secret")  # fmt: skip
    parser.add_argument("command", nargs="*", metavar="COMMAND", help="one word: a shell command; more: an argv")


def run(args: argparse.Namespace) -> int:
    """Hands the job to the daemon, or leaves it in the folder for the next one."""
    place = place_of(args)
    if not (args.command or args.edit):
        raise GristError("no COMMAND – write one behind --, or say --edit")
    name = args.name or named(args.command[0] if args.command else "job")
    text = written(args, name)
    file = f"{re.sub(r'[^A-Za-z0-9_.+-]+', '-', name)[:80] or 'job'}.toml"
    try:
        client = place.connect()
    except NoDaemonError:
        drop(place.jobs, file, text)
        print(f"left in {place.jobs}: no daemon runs; it starts with the next `grist up`")
        return 0
    with client:
        job = client.ask("add", file=file, text=text)
        from gristmill.supervisor.core.sanitise import safe  # while the job is on its way

        print(f"job {job['id']} {safe(job['name'])}")
    return 0


def named(command: str) -> str:
    """The name of a job that was given none: that of its program."""
    return re.sub(r"[^\w.+-]+", "-", os.path.basename((command.split() or [""])[0])).strip("-.") or "job"


def written(args: argparse.Namespace, name: str) -> str:
    """The job file that the options ask for, edited where they say so."""
    cwd, venv = args.cwd or os.getcwd(), os.environ.get("VIRTUAL_ENV")
    gates = gate_text(args) + env_text(args)
    if not args.edit:
        return job_text(name, _command(args), cwd, args, venv) + gates
    from gristmill.supervisor.cli import draft  # most jobs do without

    if args.command:
        return draft.edited(job_text(name, _command(args), cwd, args, venv) + gates)
    sample = draft.sample(args.name or "", os.path.abspath(cwd), choice_text(args, venv) + gates)
    return draft.edited(sample, unless=sample)


def _command(args: argparse.Namespace) -> str | list[str]:
    given: list[str] = args.command
    return given[0] if len(given) == 1 else given


def job_text(name: str, command: str | list[str], cwd: str, args: argparse.Namespace, venv: str | None) -> str:
    """The job file. Braces mean nothing on a command line, so they are written as literal ones."""
    lines = [f"name = {quoted(name)}"]
    if isinstance(command, str):
        lines.append(f"command = {quoted(literal(command))}")
    else:
        lines.append(f"command = [{', '.join(quoted(literal(word)) for word in command)}]")
    lines.append(f"cwd = {quoted(os.path.abspath(cwd))}")
    return "\n".join(lines) + "\n" + choice_text(args, venv)


def choice_text(args: argparse.Namespace, venv: str | None) -> str:
    """The lines of the job file that say how it runs, where somebody has said so."""
    lines = [f"venv = {quoted(venv)}"] if venv else []
    lines += [] if args.priority is None else [f"priority = {args.priority}"]
    lines += [] if args.timeout is None else [f"timeout = {quoted(args.timeout)}"]
    lines += [] if args.where is None else [f"where = {quoted(args.where)}"]
    return "".join(line + "\n" for line in lines)


def gate_text(args: argparse.Namespace) -> str:
    """The lines of the job file that say when it may begin."""
    lines = [] if args.start is None else [f"start = {quoted(args.start)}"]
    for key, jobs in (("after", args.after), ("after_any", args.after_any), ("after_failed", args.after_failed)):
        refs = ", ".join(job if job.isdecimal() else quoted(job) for job in jobs or ())
        lines += [f"{key} = [{refs}]"] if refs else []
    return "".join(line + "\n" for line in lines)


def env_text(args: argparse.Namespace) -> str:
    """The line of the job file that holds what it takes along of this shell's environment."""
    if not (args.env or args.export):
        return ""
    from gristmill.supervisor.core import shellenv  # here, since most jobs do without

    found, left = shellenv.taken(os.environ, args.env, args.export)
    if left:
        print(f"left behind, as their names look secret: {' '.join(left)} – hand one over with --env NAME",
              file=sys.stderr)  # fmt: skip
    return "env = { " + ", ".join(f"{name} = {quoted(literal(value))}" for name, value in found.items()) + " }\n"


def drop(jobs: os.PathLike[str], file: str, text: str) -> None:
    """Writes a job file into the folder whole: under a hidden name first."""
    if not os.path.isdir(jobs):
        raise GristError(f"{os.fspath(jobs)}: no such folder – make it: mkdir {os.fspath(jobs)}")
    stem, suffix = os.path.splitext(file)
    hidden = os.path.join(jobs, f".{stem}.{os.getpid()}.tmp")
    try:
        fd = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)  # it may hold secrets
        try:
            with open(fd, "w", encoding="utf-8") as out:
                out.write(text)
            os.rename(hidden, os.path.join(jobs, f"{stem}-{time.time_ns() // 1_000_000:x}{suffix}"))
        except OSError:
            os.unlink(hidden)
            raise
    except OSError as error:
        raise GristError(f"{os.fspath(jobs)}: the job can't be left there: {error.strerror} – mend that") from error
