"""`grist log TASK`: what a task printed; `-f` follows it until it ends."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from typing import BinaryIO

from gristmill.supervisor.cli.place import place_of
from gristmill.supervisor.core import sanitise
from gristmill.supervisor.edge.client import Client

POLL_S = 0.2


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("task", metavar="JOB[/TASK]", help="such as 12/3, or 12 for a job with one task")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the task ends")
    parser.add_argument("-n", "--lines", type=int, metavar="N", help="only the last N lines")


def run(args: argparse.Namespace) -> int:
    """Prints the log; on a terminal everything but colours is made visible instead of obeyed."""
    write = write_safely if sys.stdout.isatty() else write_raw
    with place_of(args).connect() as client:
        facts = client.ask("log", task=args.task)
        while facts["path"] is None or not os.path.exists(facts["path"]):
            if not (args.follow and facts["state"] in ("queued", "starting", "running")):
                print(f"{args.task} is {facts['state']} and has written nothing", file=sys.stderr)
                return 0
            time.sleep(POLL_S)
            facts = client.ask("log", task=args.task)
        with open(facts["path"], "rb") as file:
            if args.lines is not None:
                seek_lines(file, args.lines)
            follow(client, args, file, write)
    return 0


def follow(client: Client, args: argparse.Namespace, file: BinaryIO, write: Callable[[bytes], None]) -> None:
    """Copies the file, and with --follow what is added to it until the task has ended."""
    while True:
        live = args.follow and client.ask("log", task=args.task)["live"]
        while chunk := file.read(1 << 16):
            write(chunk)
        sys.stdout.flush()
        if not live:
            return
        time.sleep(POLL_S)


def seek_lines(file: BinaryIO, lines: int) -> None:
    """Moves to where the last `lines` lines begin."""
    end = position = file.seek(0, os.SEEK_END)
    tail = b""
    while position > 0 and tail.count(b"\n") <= lines:
        step = min(1 << 16, position)
        position -= step
        file.seek(position)
        tail = file.read(step) + tail
    kept = tail.splitlines(keepends=True)[-lines:] if lines > 0 else []
    file.seek(end - sum(map(len, kept)))


def write_raw(chunk: bytes) -> None:
    """To a file or a pipe: the bytes as they are."""
    sys.stdout.buffer.write(chunk)


def write_safely(chunk: bytes) -> None:
    """To a terminal: text and colours; any other control sequence as visible text."""
    lines = chunk.decode("utf-8", "replace").split("\n")
    sys.stdout.write("\n".join(sanitise.coloured(line) for line in lines))
