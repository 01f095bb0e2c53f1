"""A worker whose tasks are commands: it starts each as a process of its own."""

from __future__ import annotations

import errno
import os
import select
import time

from .birth import Birth, Environment, find_program, input_file, plain_bytes
from .copies import link_log
from .manners import confine, make_nice
from .output import Output
from .task import Task
from .terminal import Terminal
from .worker import Worker

TYPE_CHECKING = False  # as type checkers know it, without the cost of `typing` in each worker
if TYPE_CHECKING:
    import socket
    from typing import Any


class Launcher(Worker):
    """A worker that starts commands."""

    birth: Birth
    """Made before the fork (`settle`): each that made its own would copy the pages that this takes, for a third of a
    millisecond."""

    def __init__(self, sock: socket.socket, run: str, slot: int) -> None:
        super().__init__(sock, run, slot)
        self.outfit: tuple[dict[str, Any], Environment] | None = None  # the job of the last task, and what all have
        self.terminals: dict[int, Terminal] = {}  # of the task in hand, by descriptor

    def spawn(self, key: str, message: dict[str, Any], outputs: list[Output]) -> None:
        context = self.context(key)
        self.kills.refresh()
        environment = self.environment(context, message["env"])
        argv = plain_bytes(message["argv"])
        self.bound(context, message)
        os.chdir(context["cwd"])
        stdin = self.null
        if message.get("stdin") is not None:
            stdin = input_file(message["stdin"])
        takes = self.open_terminals(outputs) if context.get("pty") else [output.fd for output in outputs]
        self.birthright.queue_last(context.get("ionice", False))
        self.birthright.go_first(True)
        before = time.monotonic()
        try:
            self.birth.give((stdin, takes[0], takes[-1]))
            variables = environment.dress(message["env"])
            program = argv[0]
            if b"/" not in program:
                path = message["env"].get("PATH", environment.path)
                program = os.fsencode(find_program(message["argv"][0], path))
            try:
                pid = self.birth.spawn(program, argv, variables)
            except OSError as error:
                if error.errno != errno.ENOEXEC:
                    raise
                pid = self.birth.spawn(b"/bin/sh", [b"/bin/sh", program, *argv[1:]], variables)  # as execvp does
        finally:
            if stdin != self.null:
                os.close(stdin)
            self.birthright.go_first(False)
            for terminal in self.terminals.values():
                terminal.begin()
        self.task = Task(key, pid, context, outputs, time.monotonic() - before)
        if "copy" in message:
            self.task.copies = tuple(os.path.join(context["cwd"], path) if path else "" for path in message["copy"])
            self.task.copies_append = message.get("append", False)
            for output, copy in zip(outputs, self.task.copies):  # noqa: B905 - Python 3.8
                if copy and not self.task.copies_append:
                    link_log(output.target, copy)
        make_nice(pid, context["nice"])
        if context.get("space"):
            confine(pid, context["space"])

    def environment(self, context: dict[str, Any], own: dict[str, str]) -> Environment:
        """What the tasks of a job find in their environment, made once for all that have variables of these names."""
        if self.outfit is None or self.outfit[0] is not context or self.outfit[1].names != tuple(own):
            self.outfit = context, Environment(context["env"], own, self.own_variables())
        return self.outfit[1]

    def not_spawned(self, key: str, error: Exception) -> None:
        self.close_terminals()
        super().not_spawned(key, error)

    def close_task(self, task: Task) -> None:
        self.close_terminals()
        super().close_task(task)

    # ── terminals ─────────────────────────────────────────────────────────────────────────────────────────────

    def open_terminals(self, outputs: list[Output]) -> list[int]:
        """A terminal before each of the files, and the ends of them that the task gets."""
        for output in outputs:
            terminal = Terminal(output)
            self.terminals[terminal.fd] = terminal
            self.poll.register(terminal.fd, select.POLLIN)
        return [terminal.slave for terminal in self.terminals.values()]

    def close_terminals(self) -> None:
        """What the task wrote last is in its log."""
        for fd, terminal in self.terminals.items():
            try:
                self.poll.unregister(fd)
            except KeyError:
                pass  # nobody had it open any more
            terminal.close()
        self.terminals.clear()

    def hear_task(self, fd: int) -> None:
        """It has written to its terminal."""
        if not self.terminals[fd].take():
            self.poll.unregister(fd)  # nobody can write there any more; it is closed when the task has ended
