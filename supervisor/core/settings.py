"""The settings of a daemon: what files say (their keys are `settingskeys`), and what that amounts to.

A file is checked as job files are: all that is wrong with it at once, each with its line and its mend. What several
say is settled key by key, the last one first. Opens nothing and reads no clock; whose file wins is the caller's order.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from gristmill.supervisor.core import document, entries, figures, hours, keys, notices, premises, units, walker
from gristmill.supervisor.core.errors import ProblemsError
from gristmill.supervisor.core.findings import Fault, Findings, dotted, shown
from gristmill.supervisor.core.settingskeys import SYNONYMS, SettingsFile
from gristmill.supervisor.core.spec import Batch

_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%", re.ASCII)
_MOST_PERCENT = 90
_LEAST_BYTES = 1 << 20
ALL = "all"
"""What `keep` and `keep_size` say for no bound."""


class Reserve(msgspec.Struct, frozen=True):
    """What is left free of a whole: so many bytes, or this share of it, whichever is more."""

    size: int = 0
    share: float = 0.0

    def of(self, total: float) -> int:
        """In bytes."""
        return max(self.size, round(self.share * total))


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What is in force. `limit` is None where nobody has said anything, which `grist limit` may have done."""

    limit: int | Literal["auto"] | None = None
    polite: tuple[hours.Window, ...] = ()
    polite_share: float = 0.5
    nice: int = 10
    ionice: bool = True
    memory_reserve: Reserve = Reserve(250_000_000, 0.05)
    disk_reserve: Reserve | None = None
    keep: float | UnsetType | None = UNSET
    """Seconds for which what ended jobs left is kept, None for ever."""
    keep_size: int | UnsetType | None = UNSET
    """Bytes that they may take together, None for any number."""
    gpus: tuple[int | str, ...] | None = None
    """The cards that are ours to use, None for all."""
    gpus_shared: bool = False
    counters: dict[str, float] = {}
    notify: str | tuple[str, ...] | None = None
    notify_on: tuple[notices.Topic, ...] = notices.TOPICS
    where: str = "local"
    beyond: str = "slurm"
    """The engine of `where = "auto"`."""
    beyond_after: float = 1800.0
    """Seconds that what is left for this machine of such a job takes at most."""
    beyond_queue: int = 1000
    """Slots of ours in an engine's queue at most."""
    shared: str = ""
    """The folder that nodes see as well, "" for the one in the jobs folder."""
    lost_after: float = 60.0
    node_python: str = "python3"
    slurm: Batch = Batch()
    ray: str = ""
    """The address of Ray's dashboard, "" for where Ray's own tools look."""
    ray_python: str = "python3"
    public: bool = False

    @property
    def keep_usual(self) -> bool:
        """Whether nobody has said what is kept: then it is what `retention.USUAL` says."""
        return self.keep is UNSET and self.keep_size is UNSET

    def disk_kept(self, total: int) -> int:
        """Bytes of a disk of this size that are kept free."""
        return premises.reserve(total) if self.disk_reserve is None else self.disk_reserve.of(total)


class SettingsError(ProblemsError):
    """A settings file that can't be understood."""


def share(settings: Settings, local: datetime) -> float:
    """The part of the machine that may be used at this time on the wall's clock."""
    return settings.polite_share if hours.left(settings.polite, local) else 1.0


def words(settings: Settings, local: datetime) -> str:
    """Why that is not the whole: `polite hours until 20:00: half of the machine`; "" where it is."""
    minutes = hours.left(settings.polite, local)
    if not minutes:
        return ""
    until = "at all times" if minutes >= hours.WEEK else f"until {hours.clock(local, minutes)}"
    if settings.polite_share == 0:
        return f"polite hours {until}: nothing is started"
    part = "half" if settings.polite_share == 0.5 else f"{100 * settings.polite_share:.4g} %"
    return f"polite hours {until}: {part} of the machine"


def parse(text: str, file: str) -> dict[str, Any]:
    """What a file says, by key and in the types of `Settings`; raises `SettingsError` with all its problems."""
    findings = Findings()
    found = document.read(text.removeprefix("\ufeff"))
    findings.places = found.places
    if found.problem:
        findings.add_at(found.problem.line, found.problem.column, found.problem.what, found.problem.mend)
    known = keys.names(SettingsFile)
    for key in found.values:
        if key not in known:
            _unknown(key, known, findings)
    layout = walker.walk({key: found.values[key] for key in found.values if key in known}, SettingsFile, (), findings)
    said = _understood(found.values, layout, findings)
    problems = findings.problems()
    if problems:
        raise SettingsError(file, problems)
    return said


def settle(*said: Mapping[str, Any]) -> Settings:
    """What is in force when all of these have their say: the last that names a key decides it."""
    together: dict[str, Any] = {}
    for each in said:
        together |= each
    return Settings(**together)


def amount(value: str | int) -> Reserve:
    """What `"4 GiB"` or `"10 %"` leaves free; raises `Fault`."""
    percent = _PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
    if percent is None:
        return Reserve(size=units.size(value, least=_LEAST_BYTES))
    if not 0 < float(percent.group(1)) <= _MOST_PERCENT:
        raise Fault(f"{shown(str(value))} leaves nothing to keep or nothing to use",
                    f"write a share above 0 and up to {_MOST_PERCENT} %")
    return Reserve(share=float(percent.group(1)) / 100)


def windows(text: str) -> tuple[hours.Window, ...]:
    """The hours that one text names; raises `Fault`."""
    return (hours.read(text),)


def worded(key: str, value: object) -> str:
    """A setting in a few words: `limit 4`, `polite mon-fri 08:00-20:00`, `memory_reserve 10 %`."""
    if isinstance(value, bool):
        return f"{key} {'true' if value else 'false'}"
    if key == "notify":
        return f"{key} {'false' if value is None else 'is set'}"  # it may hold a secret
    if key == "notify_on":
        return f"{key} {', '.join(map(str, value)) or 'nothing'}" if isinstance(value, tuple) else key
    if key in ("keep", "keep_size"):
        assert value is None or isinstance(value, int | float)
        shows = figures.clock_span if key == "keep" else figures.size
        return f"{key} {ALL if value is None else shows(value)}"
    if isinstance(value, Batch):
        said = [name for name in value.__struct_fields__ if getattr(value, name)]
        return f"{key} {', '.join(said) or 'as Slurm has it'}"
    if key in ("beyond_after", "lost_after"):
        return f"{key} {figures.clock_span(float(str(value)))}"
    if isinstance(value, Reserve):
        return f"{key} {figures.size(value.size) if value.size else f'{100 * value.share:.4g} %'}"
    if key == "gpus":
        return f"{key} {', '.join(map(str, value)) or 'none' if isinstance(value, tuple) else 'all'}"
    if isinstance(value, dict):
        return f"{key} {', '.join(f'{name} {count:g}' for name, count in value.items()) or 'none'}"
    if isinstance(value, tuple):
        return f"{key} {', '.join(window.text for window in value) or 'never'}"
    return f"{key} {value}"


def _understood(values: Mapping[str, Any], layout: SettingsFile, findings: Findings) -> dict[str, Any]:
    """What the walker let through, in the types of `Settings`."""
    said = {key: value for key in keys.names(SettingsFile) if (value := getattr(layout, key)) is not UNSET}
    if "polite" in values:
        written = values["polite"]
        listed = isinstance(written, list)
        none: tuple[hours.Window, ...] = ()
        said["polite"] = sum((  # of a list every text is read, whatever stands beside it
            findings.take(("polite", number) if listed else ("polite",), partial(windows, text), none)
            for number, text in enumerate(written if listed else [written])
            if isinstance(text, str) and not findings.full
        ), none)
    for key in ("memory_reserve", "disk_reserve"):
        if key in said:
            said[key] = findings.take((key,), partial(amount, said[key]), Reserve())
    if "notify" in said:
        said["notify"] = findings.take(("notify",), partial(_notifier, said["notify"]), None)
    if "notify_on" in said:
        said["notify_on"] = tuple(said["notify_on"])
    said |= _of_engines(said, findings)
    age, most = partial(units.seconds, zero=True), partial(units.size, least=_LEAST_BYTES)
    for key, read in (("keep", age), ("keep_size", most)):
        if said.get(key) == ALL:
            said[key] = None
        elif key in said:
            said[key] = findings.take((key,), partial(read, said[key]), None)
    if "gpus" in said:
        said["gpus"] = None if said["gpus"] == "all" else () if said["gpus"] == "none" else tuple(said["gpus"])
    if "counters" in said:
        said["counters"] = {name: float(count) for name, count in said["counters"].items()}
    if "polite_share" in said:
        said["polite_share"] = float(said["polite_share"])
    return said


def _of_engines(said: Mapping[str, Any], findings: Findings) -> dict[str, Any]:
    """What is said of engines beyond this machine, likewise."""
    found = {key: findings.take((key,), partial(units.seconds, said[key], zero=True), 0.0)
             for key in ("beyond_after", "lost_after") if key in said}  # fmt: skip
    return found | ({"slurm": entries.batch(said["slurm"], ("slurm",), findings)} if "slurm" in said else {})


def _notifier(given: bool | str | list[str]) -> str | tuple[str, ...] | None:
    if given is True:
        raise Fault("true names no command", 'write one, such as notify = "mail -s gristmill ann@example.org"')
    return None if given is False else notices.command(given)


def _unknown(key: str, known: tuple[str, ...], findings: Findings) -> None:
    name = key[:40].lower().replace("-", "_")
    near = [SYNONYMS[name]] if name in SYNONYMS else difflib.get_close_matches(name, known, n=1)
    mend = f"did you mean {near[0]}?" if near else f"remove it; the keys here are {', '.join(known)}"
    findings.add((key,), f"unknown key {dotted((key,))}", mend)
