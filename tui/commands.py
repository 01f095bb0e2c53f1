"""The one table of keys: bindings, the palette of commands, the footer and the help derive from it, and nothing else
binds a key.

Owns what a command is called, where it holds, and its keys. What it does is the method `action_<action>` of the
screen or widget that holds it.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding, BindingType


@dataclass(frozen=True, slots=True)
class Command:
    """`keys` are Textual's names, `shown` is what people read. `footer`: place in the footer, 0 for not there; with
    `named` only in the footers of those rooms.
    """

    keys: tuple[str, ...]
    shown: str
    action: str
    label: str
    help: str
    rooms: frozenset[str]
    footer: int = 0
    writes: bool = False
    palette: bool = True
    named: frozenset[str] = frozenset()


ROOMS = {
    "all": "Everywhere",
    "rows": "Workers, jobs and tasks",
    "overview": "Overview",
    "job": "Job",
    "list": "Marking",
    "log": "Log",
    "why": "Why",
    "machine": "Machine",
    "pager": "Panning",
    "moving": "Moving in lists and logs",
    "prompt": "Typing",
    "question": "Questions",
}
"""Where a command can hold: on all screens, on some, or in a widget that has the focus."""


def _in(*rooms: str) -> frozenset[str]:
    return frozenset(rooms)


COMMANDS = (
    Command(("enter",), "Enter", "open", "open", "Go in: a worker's job, a job's tasks, a task's log", _in("rows"), 1),
    Command(("l",), "l", "log", "log", "Read the log of the task, of a task of the job, or of all marked ones",
            _in("rows"), 2),
    Command(("c",), "c", "cancel", "cancel", "Cancel what is marked or under the cursor, after a question",
            _in("rows"), 3, writes=True),
    Command(("r",), "r", "retry", "retry", "Run again what failed: a task, or all failed ones of a job", _in("rows"), 4,
            writes=True),
    Command(("X", "shift+x"), "X", "kill", "kill", "Cancel with a second of grace at most, after a question",
            _in("rows"), writes=True),
    Command(("h",), "h", "hold", "hold", "Hold the job: nothing more of it is started; again: release it", _in("rows"),
            7, writes=True),
    Command(("left_square_bracket",), "[", "defer", "lower priority", "Lower the priority of the job by one",
            _in("rows"), writes=True),
    Command(("right_square_bracket",), "]", "prefer", "higher priority", "Raise the priority of the job by one",
            _in("rows"), writes=True),
    Command(("slash",), "/", "filter", "filter", "Show only rows with these words; state:fail, !word", _in("rows"), 5),
    Command(("s",), "s", "sort", "sort", "Next order of the rows; in a job, next choice of states", _in("rows"), 6),
    Command(("tab",), "Tab", "next_panel", "panel", "Next panel; in a job, its tasks, failures, sweep, timeline",
            _in("overview", "job"), 8),
    Command(("shift+tab",), "⇧Tab", "last_panel", "panel", "Panel before", _in("overview", "job"),
            palette=False),
    Command(("z",), "z", "zoom", "zoom", "The panel that has the keys on the whole screen, and back",
            _in("overview", "job")),
    Command(("space",), "Space", "mark", "mark", "Mark the row: what comes next is for all marked ones", _in("list"),
            palette=False),
    Command(("y",), "y", "copy", "copy", "Copy the id of the row to the clipboard", _in("rows")),
    Command(("f",), "f", "follow", "follow", "Follow the end of the log", _in("log"), 1),
    Command(("slash",), "/", "search", "search", "Search in the log", _in("log"), 2),
    Command(("n",), "n", "next_match", "next", "Next match", _in("log"), 3),
    Command(("N", "shift+n"), "N", "last_match", "previous", "Match before", _in("log"), 4),
    Command(("ampersand",), "&", "sift", "filter", "Show only lines with a text; !text: only those without it",
            _in("log"), 5),
    Command(("E", "shift+e"), "E", "next_error", "error", "Go to the next line that tells of an error", _in("log"), 6),
    Command(("M", "shift+m"), "M", "set_mark", "mark", "Draw a line at the end of what is written by now", _in("log"),
            8),
    Command(("T", "shift+t"), "T", "times", "times", "Beside each line, when it was seen to come", _in("log")),
    Command(("o",), "o", "stream", "out/err", "Output, standard error where it has a file of its own, or both",
            _in("log"), 9),
    Command(("a",), "a", "earlier", "attempt", "The attempt before this one; before the first comes the last again",
            _in("log")),
    Command(("S", "shift+s"), "S", "save", "save", "Save the lines that are shown to a file", _in("log")),
    Command(("y",), "y", "copy", "copy", "Copy the path of the log to the clipboard", _in("log")),
    Command(("w",), "w", "wrap", "wrap", "Wrap long lines, or pan over them", _in("log"), 7),
    Command(("a",), "a", "limit_auto", "automatic", "Let the daemon find the number of workers again", _in("why"), 3,
            writes=True, palette=False),
    Command(("j", "down"), "j ↓", "down", "down", "Down", _in("moving"), palette=False),
    Command(("k", "up"), "k ↑", "up", "up", "Up", _in("moving"), palette=False),
    Command(("pagedown", "ctrl+f"), "PgDn", "page_down", "page", "A screen down", _in("moving"), palette=False),
    Command(("pageup", "ctrl+b"), "PgUp", "page_up", "page", "A screen up", _in("moving"), palette=False),
    Command(("g", "home"), "g", "first", "first", "To the beginning", _in("moving"), palette=False),
    Command(("G", "shift+g", "end"), "G", "last", "last", "To the end", _in("moving"), palette=False),
    Command(("left",), "←", "pan_left", "left", "Pan to the left", _in("pager"), palette=False),
    Command(("right",), "→", "pan_right", "right", "Pan to the right", _in("pager"), palette=False),
    Command(("y",), "y", "yes", "yes", "Do it, to the one that the question names", _in("question"), 1, palette=False),
    Command(("n", "escape"), "n", "no", "no", "Leave it", _in("question"), 2, palette=False),
    Command(("escape",), "Esc", "dismiss", "give up", "Give up what was typed", _in("prompt"), palette=False),
    Command(("escape",), "Esc", "back", "back", "Out: clear the filter, then one screen back", _in("all"), 9,
            palette=False),
    Command(("1",), "1", "overview", "overview", "The overview", _in("all")),
    Command(("2",), "2", "why", "why", "Why so many workers run: limits, measured rates, history", _in("all"), 8),
    Command(("3",), "3", "machine", "machine", "The machine: whose it is, cores, memory, pressure, disks",
            _in("all"), 8),
    Command(("exclamation_mark",), "!", "conditions", "wrong", "All that is wrong now, why, and since when",
            _in("all")),
    Command(("left_curly_bracket",), "{", "lower", "fewer", "Cap the workers one lower", _in("all"), 1,
            writes=True, named=_in("why")),
    Command(("right_curly_bracket",), "}", "raise_limit", "more",
            "Cap the workers one higher; beyond the cores: automatic again", _in("all"), 2,
            writes=True, named=_in("why")),
    Command(("P", "shift+p"), "P", "pause", "pause all", "Start nothing new, what runs goes on; again: start",
            _in("all"), 4, writes=True, named=_in("why")),
    Command(("d",), "d", "drain", "drain", "Have the daemon stop when all that runs has ended, after a question",
            _in("why"), 5, writes=True),
    Command((), "", "limit_auto", "limit auto", "Let the daemon find the number of workers again", _in("all"),
            writes=True),
    Command(("p",), "p", "freeze", "freeze", "Freeze the display, or let it go on", _in("all")),
    Command(("t",), "t", "theme", "theme", "Next theme", _in("all")),
    Command(("colon",), ":", "palette", "commands", "Find a command by its name; limit N; add COMMAND", _in("all"),
            palette=False),
    Command(("question_mark",), "?", "help", "help", "All keys", _in("all"), 10),
    Command(("q",), "q", "leave", "leave", "Leave; the daemon keeps running", _in("all"), 11),
)  # fmt: skip


def commands_in(*rooms: str, read_only: bool = False) -> list[Command]:
    """The commands of these rooms, in the order of the table."""
    return [command for command in COMMANDS if command.rooms & set(rooms) and not (read_only and command.writes)]


def bindings(*rooms: str) -> list[BindingType]:
    """The bindings of a screen or a widget."""
    return [Binding(",".join(command.keys), command.action, command.label, show=False)
            for command in commands_in(*rooms) if command.keys]  # fmt: skip


def footer(*rooms: str, read_only: bool = False) -> list[Command]:
    """What the footer of a screen names, in order; the last ones give way where it is narrow."""
    ranked = [command for command in commands_in(*rooms, "all", read_only=read_only) if command.footer
              and (not command.named or command.named & set(rooms))]  # fmt: skip
    return sorted(ranked, key=lambda command: command.footer)
