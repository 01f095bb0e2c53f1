"""README's table of figures, taken from what the benchmarks wrote into docs/performance.md and docs/stories.md.

    python -m tests.bench.readme        # after those two were run with --write

README claims nothing that they did not print: a test holds it to these cells.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.bench.stories import memory
from tests.bench.stories.tables import PAGE as STORIES
from tests.bench.stories.tables import placed

DOCS = STORIES.parent
README = DOCS.parent / "README.md"
PROMISED = "What was promised"
EIGHT = "2,000 tasks, 8 slots"


class Place(NamedTuple):
    """A cell of a page: its section, how the caption of its table and its row begin, and its column."""

    page: str
    section: str
    row: str
    column: str = "figure"
    caption: str = PROMISED


class Line(NamedTuple):
    """A row of README's table: `{}` in `words` is filled from the cells in turn; of the first the bar is shown."""

    what: str
    words: str
    cells: tuple[Place, ...]


def promised(page: str, section: str, row: str, what: str, words: str) -> Line:
    """A line that one promised figure fills."""
    return Line(what, words, (Place(page, section, row),))


def beside(peer: str) -> Place:
    """How many times as fast as a peer silent tasks are dispatched."""
    return Place("performance", "dispatch", peer, "gristmill : it", EIGHT)


LINES = (
    Line("tasks that do nothing, eight at a time", "{} a second",
         (Place("performance", "dispatch", "gristmill", "tasks/s", EIGHT),)),
    promised("performance", "dispatch", "silent tasks, of `xargs -P`", "the same beside `xargs -P`", "{} ×"),
    promised("performance", "dispatch", "tasks that write a line, of `xargs -P`",
             "tasks that write a line, beside it", "{} ×"),
    Line("times as fast as GNU parallel, task-spooler, Dask, HyperQueue, Ray", "{}, {}, {}, {}, {}",
         tuple(map(beside, ("parallel", "tsp", "dask", "hq", "ray")))),
    promised("performance", "dispatch", "CPU of all our processes, ms a silent task", "CPU of ours a task", "{} ms"),
    promised("performance", "latency", "drop to start, median ms", "from the drop of a file to its start", "{} ms"),
    promised("performance", "idle", "idle, % of a core", "a daemon with nothing to do, of a core", "{} %"),
    promised("performance", "idle", "daemon, MB resident", "its memory", "{} MB"),
    promised("performance", "scale", "the same: the daemon grows by MB", "it grows by, for a million items", "{} MB"),
    promised("performance", "scale", "start-up with 1,000,000 ended tasks, s",
             "its start after a million tasks", "{} s"),
    promised("stories", "e", "a fork a call, × cold", "Python calls, a process each, beside cold starts", "{} ×"),
    promised("stories", "e", "processes used again, × loky",
             "calls in processes that are used again, beside loky", "{} ×"),
    promised("stories", "e", "handing out ranges", "lost by handing out ranges", "{}"),
    Line("8 workers on a set of 400 MB, all memory; with loky", "{}; {} MB", (
        Place("stories", "d", "400 MB under 8 workers"),
        Place("stories", "d", "joblib, loky: each process reads it", "MB", memory.CAPTION),
    )),
    promised("stories", "a", "as a command, at the governor's number, × the best by hand",
             "a program at the number that is found, beside the best number by hand", "{} ×"),
    promised("stories", "a", "called warm", "the same work as warm calls", "{} ×"),
)


def main() -> None:
    """Writes the table into README."""
    README.write_text(placed(README.read_text(), "figures", text()))
    print(text())


def text() -> str:
    """The table, and what its figures have to be read with."""
    pages = {name: (DOCS / f"{name}.md").read_text() for name in ("performance", "stories")}
    rows = ["| measured | figure | promised |", "|---|---|---|"]
    for line in LINES:
        figures = [cell(pages, place) for place in line.cells]
        rows.append(f"| {line.what} | {line.words.format(*figures)} | {bar(pages, line.cells[0])} |")
    used = {(place.page, place.section) for line in LINES for place in line.cells}
    said = "; ".join(sorted({conditions(section(pages[page], name)) for page, name in used}))
    links = "[docs/performance.md](docs/performance.md), [docs/stories.md](docs/stories.md)"
    return "\n".join((*rows, "", f"{said}. All tables: {links}.", ""))


def cell(pages: dict[str, str], place: Place) -> str:
    """What stands there; LookupError where the page has no such cell."""
    for caption, head, rows in tables(section(pages[place.page], place.section)):
        if caption.startswith(place.caption) and place.column in head:
            for row in rows:
                if row[0].startswith(place.row):
                    return row[head.index(place.column)]
    raise LookupError(f"docs/{place.page}.md has no {place}")


def bar(pages: dict[str, str], place: Place) -> str:
    """What was promised of a figure, and whether that is missed."""
    if place.caption != PROMISED:
        return ""
    asked = cell(pages, place._replace(column="bar"))
    return asked if cell(pages, place._replace(column="met")) != "**no**" else f"{asked}: missed"


def section(page: str, name: str) -> str:
    """What a benchmark wrote; LookupError for none."""
    found = re.search(rf"<!-- {name}: measured -->\n(.*?)<!-- {name}: end -->", page, re.DOTALL)
    if found is None:
        raise LookupError(f"no section {name}")
    return found[1]


def tables(text: str) -> list[tuple[str, list[str], list[list[str]]]]:
    """Caption, head and rows of each table."""
    found = re.findall(r"^\*\*(.+)\*\*\n\n((?:\|.*\n)+)", text, re.MULTILINE)
    split = [(caption, [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in body.splitlines()])
             for caption, body in found]
    return [(caption, lines[0], lines[2:]) for caption, lines in split]


def conditions(text: str) -> str:
    """The machine and the form of a measurement, without its load and length."""
    found = re.findall(r"^(.* cores, .*), load \S+ before, (\w+) form", text, re.MULTILINE)
    if not found:
        raise LookupError("nothing says on what it was measured")
    machine, form = found[-1]
    return f"{machine}, {form} form"


if __name__ == "__main__":
    main()
