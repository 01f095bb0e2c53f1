"""What a Ray cluster's job server says, understood: jobs, nodes, and the lines of what each job adds (`raydriver`).

Owns the reading of answers, and what is asked for a slot. Asks nobody (`executors.ray`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gristmill.supervisor.core.figures import several
from gristmill.supervisor.core.remote import End, Ended, Glimpse, Need

LIVE = frozenset({"PENDING", "RUNNING"})
"""States of a Ray job that may still run slots; SUCCEEDED, FAILED and STOPPED don't."""
WORDS: Mapping[str, str] = {
    "PENDING": "its Ray job waits for the head",
    "RUNNING": "waits for a free place in Ray",
}
"""Why a slot has not begun, by the state of its job."""


def is_known(text: str) -> bool:
    """Whether the refusal of a job says that it is there already."""
    return "already exists" in text


def gist(text: str) -> str:
    """The last line of a traceback that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip(" .")]
    return lines[-1][:300] if lines else "no reason given"


def over_from(text: str) -> dict[int, Ended]:
    """The slots that Ray runs no more, from the lines of `over`; a line that is not whole yet is left out."""
    found = {}
    for line in text.splitlines(keepends=True):
        number, _, rest = line.partition("\t")
        how, _, words = rest.partition("\t")
        if line.endswith("\n") and number.isdigit() and how in frozenset(End):
            found[int(number)] = Ended(End(how), words.strip())
    return found


def begun(names: Iterable[str]) -> dict[int, str]:
    """The slots that have begun and their hosts, from the names `SLOT@HOST`."""
    found = {}
    for name in names:
        number, sign, host = name.partition("@")
        if sign and number.isdigit():
            found[int(number)] = host
    return found


def glimpse(job: Mapping[str, Any], slots: int, hosts: Mapping[int, str], over: Iterable[int]) -> Glimpse | None:
    """What a job of so many slots still has, of which some have begun; None when it has ended."""
    status = job.get("status", "")
    if status not in LIVE:
        return None
    left = frozenset(range(slots)) - frozenset(over)
    running = {slot: host for slot, host in hosts.items() if slot in left}
    return Glimpse(queued=left - running.keys(), running=running, reason=WORDS[status])


def outlived(jobs: Mapping[str, Mapping[str, Any]], asked: Iterable[str]) -> str:
    """A job of the same daemon as those that are asked for, `grist-TAG-CHUNK`, that has ended and nobody asks for any
    more; "" where there is none."""
    wanted = set(asked)
    owners = {name.rpartition("-")[0] for name in wanted}
    gone = (name for name, job in jobs.items() if name not in wanted and job.get("status") not in LIVE)
    return next((name for name in gone if name.rpartition("-")[0] in owners), "")


def ended(job: Mapping[str, Any] | None, over: Mapping[int, Ended], slot: int) -> Ended | None:
    """How a slot ended, by its own line, else by its job."""
    if slot in over:
        return over[slot]
    if job is None:
        return Ended(End.NODE, "Ray knows nothing of its job: its head was lost")
    status = job.get("status", "")
    if status == "STOPPED":
        return Ended(End.CANCELED, "its Ray job was stopped")
    if status == "FAILED":
        return Ended(End.ENDED, f"its Ray job failed: {gist(str(job.get('message', '')))}")
    return None


def options(need: Need) -> dict[str, Any]:
    """What Ray is told that a slot needs, as `ray.remote` takes it: counters, which it does not enforce."""
    asked: dict[str, Any] = {"num_cpus": need.cpus}
    if need.gpus:
        asked["num_gpus"] = need.gpus
    if need.memory_bytes is not None:
        asked["memory"] = need.memory_bytes
    return asked


def nodes_from(answer: Mapping[str, Any]) -> list[dict[str, float]]:
    """What each living node has: `CPU`, `GPU`, `memory` in bytes; a head that runs no task is none."""
    found = answer["data"]["result"]["result"]
    return [
        node["resources_total"] for node in found
        if node.get("state") == "ALIVE" and node.get("resources_total", {}).get("CPU", 0) > 0
    ]  # fmt: skip


def misfit(need: Need, nodes: Iterable[Mapping[str, float]]) -> str:
    """Why no node of these could ever run a slot, or ""."""
    nodes = list(nodes)
    if not nodes:
        return "Ray has no node that runs tasks"
    asked = {"CPU": need.cpus, "GPU": need.gpus, "memory": need.memory_bytes or 0}
    if any(all(node.get(kind, 0) >= much for kind, much in asked.items()) for node in nodes):
        return ""
    most = {kind: max(node.get(kind, 0) for node in nodes) for kind in asked}
    short = [kind for kind, much in asked.items() if much > most[kind]]
    if not short:
        return "no node of Ray's has all that a task needs"
    if short[0] == "memory":
        wanted, there = asked["memory"] / 1e9, most["memory"] / 1e9
        return f"no node of Ray's has {wanted:.3g} GB of memory (the largest has {there:.3g})"
    word = {"CPU": "cores", "GPU": "GPUs"}[short[0]]
    return f"no node of Ray's has {asked[short[0]]:g} {word} (the largest has {most[short[0]]:g})"


def words(nodes: list[dict[str, float]]) -> str:
    """Nodes in one line: `2 nodes, 4 cores`."""
    cards = sum(node.get("GPU", 0) for node in nodes)
    count, cores = len(nodes), sum(node.get("CPU", 0) for node in nodes)
    return f"{several(count, 'node')}, {several(cores, 'core')}" + (f", {several(cards, 'GPU')}" if cards else "")
