"""`grist submit FILE`: hands a job file to the daemon, from anywhere; with `--host` to one on another machine, over
ssh."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys

from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.core.errors import GristError


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="a job file, - for what is typed or piped in")
    parser.add_argument("--name", metavar="FILE", help="the file's name where it is - (default: job.toml)")
    parser.add_argument("--host", metavar="HOST", help="where the daemon is: a name that ssh knows; --jobs is there")
    parser.add_argument("--grist", metavar="PATH", default="grist", help="the command grist on that host")
    parser.epilog = (
        "Paths in the file are those of the machine where the daemon is. `ssh HOST grist up` starts one there."
    )


def run(args: argparse.Namespace) -> int:
    """Hands each file over; the first that is refused ends it."""
    for file in args.files:
        name = args.name or "job.toml" if file == "-" else os.path.basename(file)
        text = _read(file)
        code = _there(args, name, text) if args.host else _here(args, name, text)
        if code:
            return code
    return 0


def _here(args: argparse.Namespace, name: str, text: str) -> int:
    with place_of(args).connect() as client:
        job = client.ask("add", file=name, text=text)
    from gristmill.supervisor.core.sanitise import safe

    print(f"job {job['id']} {safe(job['name'])}: {job['items']} items")
    return 0


def _there(args: argparse.Namespace, name: str, text: str) -> int:
    """The same command on the other machine, with the file on its input."""
    words = [args.grist, "submit", "-", "--name", name]
    for option, value in (("--jobs", args.jobs), ("--state", args.state)):
        words += [option, value] if value else []
    if args.host.startswith("-"):
        raise GristError(f"{args.host}: no name of a host")
    try:
        done = subprocess.run(["ssh", "--", args.host, shlex.join(words)], input=text, text=True, check=False)
    except FileNotFoundError as error:
        raise GristError("ssh is not found on PATH – install it") from error
    if done.returncode in (127, 255):
        what = f"{args.grist} is not found there" if done.returncode == 127 else "ssh did not get there"
        raise GristError(f"{args.host}: {what} – try: ssh {args.host} {args.grist} --version")
    return done.returncode


def _read(file: str) -> str:
    """The text of a file, or for `-` what is typed or piped in; raises GristError where there is none."""
    try:
        with open(sys.stdin.fileno() if file == "-" else file, encoding="utf-8", closefd=file != "-") as opened:
            return opened.read()
    except OSError as error:
        raise GristError(f"{file}: {error.strerror} – name a job file") from error
    except UnicodeDecodeError as error:
        raise GristError(f"{file}: not UTF-8 text – save the job as UTF-8") from error
