"""The machine in detail, as lines of runs: who uses the cores, each core, memory and swap, pressure, disks, GPUs.

Pure: tones, no colours; widths in cells.
"""

from __future__ import annotations

from collections.abc import Sequence

from gristmill.supervisor.core import figures
from gristmill.supervisor.core.answers import CoreView, DiskView, VitalsView
from gristmill.supervisor.core.protocol import EngineView
from gristmill.tui.columns import cut, rule
from gristmill.tui.marks import Marks, Run, Runs

NAME = 11
"""Cells of the names at the left."""
FULL = 90.0
"""Percent of a disk from which on it is said to be full."""
_HEATS = ((40.0, "g0"), (65.0, "g1"), (85.0, "g2"))
_PARTS, _PLAIN_PARTS = "█▓▒", "#=:"
_LEVELS, _PLAIN_LEVELS = " ▁▂▃▄▅▆▇█", " .,:;|#%@"


def heat(percent: float) -> str:
    """The tone of how much is used."""
    return next((tone for most, tone in _HEATS if percent <= most), "g3")


def shares(parts: Sequence[tuple[str, float, str]], width: int, marks: Marks) -> Runs:
    """One bar of several parts, each (name, percent, tone), told apart by their signs as well; the rest is free."""
    signs = _PLAIN_PARTS if marks.ascii else _PARTS
    out: list[Run] = []
    left, total = width, 0.0
    for place, (_, percent, tone) in enumerate(parts):
        total += percent
        cells = min(left, round(total / 100 * width) - (width - left))
        if cells > 0:
            out.append((signs[place % len(signs)] * cells, tone))
            left -= cells
    return (*out, (marks.bar_rest * left, "faint"))


def _line(name: str, runs: Runs, width: int, marks: Marks) -> Runs:
    label = name if len(name) < NAME else f"{name[: NAME - 2]}{marks.cut}"
    return cut(((f"  {label:<{NAME}}", "muted"), *runs), width, marks.cut)


def whose(view: VitalsView, width: int, marks: Marks) -> list[Runs]:
    """Whose the cores are and whose the memory is: ours, others', nobody's."""
    signs = _PLAIN_PARTS if marks.ascii else _PARTS
    cores = len([core for core in view.cores if core.ours])
    room = max(8, min(60, width - NAME - 40))
    total = max(1, view.memory_total_bytes)
    used = 100 * (1 - view.memory_available_bytes / total)
    ours = min(used, 100 * view.memory_ours_bytes / total)
    lines: list[Runs] = []
    for name, mine, others in (("CPU", view.cpu_ours_percent, view.cpu_others_percent), ("memory", ours, used - ours)):
        parts = (("ours", mine, "run"), ("others", max(0.0, others), "warn"))
        told: Runs = ((f"  {signs[0]}ours ", "run"), (f"{mine:.0f}%", "strong"), (f"  {signs[1]}others ", "warn"),
                      (f"{others:.0f}%", "strong"), ("  idle " if name == "CPU" else "  free ", "muted"),
                      (f"{max(0.0, 100 - mine - others):.0f}%", "strong"))  # fmt: skip
        lines.append(_line(name, (*shares(parts, room, marks), *told), width, marks))
    loads = " ".join(f"{load:.1f}" for load in view.load)
    told = ((loads, "text"), (f"  in 1, 5 and 15 minutes; {cores} cores are ours to use", "muted"))
    return [*lines, _line("load", told, width, marks)]


def cores(found: Sequence[CoreView], width: int, lines: int, marks: Marks) -> list[Runs]:
    """A bar for each core in as many columns as there is room for, or where there are very many a letter each."""
    if not found:
        return []
    cell = 22
    columns = max(1, (width - 3) // cell)
    if -(-len(found) // columns) > lines:
        return _letters(found, width, lines, marks)
    rows = -(-len(found) // columns)
    out: list[Runs] = []
    for row in range(rows):
        runs: list[Run] = [("  ", "text")]
        for core in found[row::rows]:
            tone = heat(core.percent) if core.ours else "faint"
            runs += [(f"{core.number:>3} ", "muted" if core.ours else "faint"),
                     *marks.progress(core.percent / 100, cell - 11, tone),
                     (f"{core.percent:>4.0f}%  ", "text" if core.ours else "faint")]  # fmt: skip
        out.append(cut(tuple(runs), width, marks.cut))
    return out


def _letters(found: Sequence[CoreView], width: int, lines: int, marks: Marks) -> list[Runs]:
    """One character a core, as high as it is busy."""
    levels = _PLAIN_LEVELS if marks.ascii else _LEVELS
    room = max(1, width - 8)
    out: list[Runs] = []
    for start in range(0, len(found), room):
        runs: list[Run] = [(f"  {found[start].number:>4} ", "muted")]
        for core in found[start : start + room]:
            level = levels[max(1, round(core.percent / 100 * 8))] if core.percent >= 1 else marks.dot
            runs.append((level, heat(core.percent) if core.ours else "faint"))
        out.append(tuple(runs))
    return out[: max(1, lines)]


def memory(view: VitalsView, width: int, marks: Marks) -> list[Runs]:
    """Memory and swap in figures, with a bar each."""
    room = max(8, min(40, width - NAME - 42))
    total = max(1, view.memory_total_bytes)
    used = total - view.memory_available_bytes
    parts = f"  ours {figures.size(view.memory_ours_bytes)}  cached {figures.size(view.memory_cached_bytes)}"
    told: Runs = ((f"  {figures.size(used)} of {figures.size(total)}", "strong"), (parts, "muted"))
    lines = [_line("used", (*marks.progress(used / total, room, heat(100 * used / total)), *told), width, marks)]
    if not view.swap_total_bytes:
        return [*lines, _line("swap", (("none", "muted"),), width, marks)]
    swapped = view.swap_total_bytes - view.swap_free_bytes
    part = swapped / view.swap_total_bytes
    told = ((f"  {figures.size(swapped)} of {figures.size(view.swap_total_bytes)}", "strong"),)
    return [*lines, _line("swap", (*marks.progress(part, room, heat(100 * part)), *told), width, marks)]


def pressure(view: VitalsView, width: int, marks: Marks) -> list[Runs]:
    """The part of the last second in which somebody waited for CPU, memory or a disk."""
    known = (("CPU", view.pressure_cpu), ("memory", view.pressure_memory), ("disk", view.pressure_io))
    if all(share is None for _, share in known):
        return [(("  The kernel tells no pressure (PSI) here.", "muted"),)]
    room = max(8, min(40, width - NAME - 42))
    lines = []
    for name, share in known:
        runs: Runs = (("not told", "muted"),) if share is None else (
            *marks.progress(share, room, heat(100 * share)), (f"  {100 * share:.1f}%", "strong"))  # fmt: skip
        lines.append(_line(name, runs, width, marks))
    return lines


def disks(found: Sequence[DiskView], width: int, marks: Marks) -> list[Runs]:
    """Each file system with something of ours."""
    room = max(8, min(40, width - NAME - 42))
    lines = []
    for disk in found:
        used = 100 * (1 - disk.free_bytes / max(1, disk.total_bytes))
        sign = " ! full" if used >= FULL or (disk.inodes_percent or 0) >= FULL else ""
        inodes = f"  inodes {disk.inodes_percent:.0f}%" if disk.inodes_percent else ""
        free = f"  {figures.size(disk.free_bytes)} free of {figures.size(disk.total_bytes)}{inodes}  "
        runs: Runs = (*marks.progress(used / 100, room, heat(used)), (f"  {used:.0f}%", "strong"), (sign, "fail"),
                      (free, "muted"), (disk.what, "text"))  # fmt: skip
        name = disk.path if len(disk.path) < NAME else disk.what.partition(",")[0]
        lines.append(_line(name, runs, width, marks))
    return lines or [(("  no disk could be looked at", "muted"),)]


def beyond(found: Sequence[EngineView], width: int, marks: Marks) -> list[Runs]:
    """Each engine elsewhere: what it has of ours, what it is made of, and what keeps it from more."""
    tones = {"ok": "text", "silent": "fail", "busy": "warn"}
    lines = []
    for engine in found:
        used = None if engine.cpus_idle is None or not engine.cpus else 1 - engine.cpus_idle / engine.cpus
        room = max(8, min(20, width - NAME - 52))
        bar: Runs = () if used is None else (*marks.progress(used, room, "run"), ("  ", "text"))
        ours = f"{figures.count(engine.running)} running  {figures.count(engine.queued)} in its queue  "
        lines.append(_line(engine.name, (*bar, (ours, "strong"), (engine.words, "muted")), width, marks))
        if engine.reason:
            lines.append(_line("", ((f"{engine.state}: {engine.reason}", tones[engine.state]),), width, marks))
        lines += [_line("", ((note, "warn"),), width, marks) for note in engine.notes]
    return lines


def whole(
    view: VitalsView, width: int, height: int, marks: Marks, engines: Sequence[EngineView] = ()
) -> list[Runs]:
    """All of it, in the order of how often it is looked for."""

    def part(title: str, aside: str, lines: list[Runs]) -> list[Runs]:
        return [rule(((title, "title"), (f"  {aside}" if aside else "", "muted")), (), width, marks.rule), *lines]

    gpus: list[Runs] = [((f"  {gpu}", "text"),) for gpu in view.gpus] or [(("  none seen", "muted"),)]
    rest = [
        *part("Memory", "", memory(view, width, marks)),
        *part("Pressure", "share of the last second in which somebody waited", pressure(view, width, marks)),
        *part("Disks", "", disks(view.disks, width, marks)),
        *part("GPUs", "", gpus),
        *(part("Beyond", "engines that run tasks elsewhere", beyond(engines, width, marks)) if engines else []),
    ]
    first = part("Whose", "of the cores that we may use", whose(view, width, marks))
    room = max(2, height - len(first) - len(rest) - 1)
    named = f"{len(view.cores)}" + ("" if all(core.ours for core in view.cores) else ", pale ones not ours to use")
    return [*first, *part("Cores", named, cores(view.cores, width, room, marks)), *rest]
