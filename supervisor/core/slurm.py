"""What the `#SBATCH` options of a script amount to here: keys of a job file, and what tasks see of Slurm.

Every option has one of three fates: it is honoured, it is passed over with a word, since nothing on one machine answers
to it, or it is refused, since without it the script would do something else than it says. A key that a #GRIST line
gives wins. How options are spelt is `sbatch`'s to know, how their values are written `slurmvalues`'.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from gristmill.supervisor.core import sbatch, slurmwords, template
from gristmill.supervisor.core import slurmvalues as values
from gristmill.supervisor.core.figures import several
from gristmill.supervisor.core.findings import Fault, Findings, Path
from gristmill.supervisor.core.sbatch import Option
from gristmill.supervisor.core.spec import Remark, Slurm

Made: TypeAlias = tuple[dict[Path, Any], str]
"""The keys that an option sets, by their paths, and what is to be said of it."""

ARRAY = "array"
"""The parameter that the ids of an array are the values of."""


@dataclass
class Script:
    """What the options of one script come to."""

    keys: dict[str, Any] = field(default_factory=dict)
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    slurm: Slurm | None = None
    singleton: bool = False


def read(text: str, given: Mapping[str, Any], findings: Findings) -> Script:
    """The keys that the options of a script and its #GRIST lines (`given`) come to together; notes what is wrong.
    Without an option `slurm` is None, and the keys are those given."""
    options, unread = sbatch.read(text, findings)
    if not options and not unread:
        return Script(keys=dict(given))
    last = {option.name: option for option in options}  # of an option given twice sbatch takes the last
    reader = _Reader(last, given, findings)
    for option in options:
        reader.take(option)
    reader.remarks += [Remark(line=line, option=text, fate="not read", words=why) for line, text, why in unread]
    made = reader.made
    made.slurm = reader.slurm(text)
    return made


class _Reader:
    """Takes one option after another."""

    def __init__(self, last: Mapping[str, Option], given: Mapping[str, Any], findings: Findings) -> None:
        self.last, self._findings = last, findings
        self._given = given
        self.made = Script(keys={name: dict(one) if isinstance(one, dict) else one for name, one in given.items()})
        self.remarks: list[Remark] = []
        self.keeps: tuple[str, ...] | None = None

    def take(self, option: Option) -> None:
        """Puts down what an option amounts to, and what is to be said of it."""
        if self.last[option.name] is not option:
            self._say(option, "overridden", f"a later --{option.name} counts")
            return
        if option.name in slurmwords.IGNORED:
            self._say(option, "not honoured", slurmwords.IGNORED[option.name])
            return
        read = _HONOURED.get(option.name)
        try:
            if read is None:
                strange = option.name not in sbatch.KNOWN
                words = "sbatch itself knows no such option; a plugin of your cluster's Slurm may"
                self._say(option, "not honoured", words if strange else "it means nothing here")
                return
            made, words = read(self, option.value)
        except Fault as fault:
            self._findings.add_at(option.line, option.column, f"{option.said}: {fault.what}", fault.mend)
            return
        if made is _NOTHING:
            self._say(option, "not honoured", words)
            return
        against = [why for path, value in made.items() if (why := self._put(path, value, option))]
        if made and len(against) == len(made):
            self._say(option, "overridden", against[0])
        else:
            self._say(option, "honoured", words + (f" – but {against[0]} in part" if against else ""))

    def slurm(self, text: str) -> Slurm:
        """What tasks see of Slurm, and where their logs are put."""
        output, error = (self.last[name].value if name in self.last else "" for name in ("output", "error"))
        given = "grid" not in self._given and "items" not in self._given
        return Slurm(
            array="array" in self.last and given,
            ntasks=values.ntasks(self.last) if {"ntasks", "ntasks-per-node"} & self.last.keys() else 0,
            partition=self.last["partition"].value if "partition" in self.last else "",
            output=output, error="" if error == output else error,
            keeps=self.keeps,
            append=self.last["open-mode"].value[:1] == "a" if "open-mode" in self.last else False,
            old_names="SLURM_JOBID" in text or "SLURM_NPROCS" in text, stand_ins=self.look_through(text),
            remarks=tuple(self.remarks),
        )

    def _put(self, path: Path, value: Any, option: Option) -> str:
        """Sets a key; returns what is against it, "" for nothing."""
        table: Any = self.made.keys
        if path[0] in ("grid", "items") and ("grid" in self._given or "items" in self._given):
            return _GRIST
        for part in path[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                return _GRIST
        if path[-1] in table:
            if path not in self.made.places:
                return _GRIST
            return "" if table[path[-1]] == value else "another option says otherwise"
        table[path[-1]] = value
        for length in range(1, len(path) + 1):
            self.made.places.setdefault(path[:length], (option.line, option.column))
        return ""

    def _say(self, option: Option, fate: str, words: str) -> None:
        self.remarks.append(Remark(line=option.line, option=option.said, fate=fate, words=words))

    def look_through(self, text: str) -> bool:
        """Remarks on commands that clusters have; whether something stands in for one of them."""
        found = slurmwords.commands(text)
        for command, line in found.items():
            fate = "honoured" if command in slurmwords.STAND_INS else "not honoured"
            self.remarks.append(Remark(line=line, option=command, fate=fate, words=slurmwords.COMMANDS[command]))
        return bool(found.keys() & slurmwords.STAND_INS)

    # ── options ───────────────────────────────────────────────────────────────────────────────────────────────

    def job_name(self, value: str) -> Made:
        return {("name",): values.name(value)}, "the job's name"

    def array(self, value: str) -> Made:
        ids, most = values.array(value)
        made: dict[Path, Any] = {("grid", ARRAY): ids}
        if most:
            made["limits", "workers"] = most
        return made, "an item each" + (f", {most} at once" if most else "")

    def time(self, value: str) -> Made:
        seconds = values.seconds(value)
        return ({("timeout",): seconds} if seconds else {}), "each task's timeout" if seconds else "no timeout"

    def memory(self, value: str) -> Made:
        size = values.size(value)
        if not size:
            return _NOTHING, "all of the machine's memory is given to nobody: it is learned what the task needs"
        return {("resources", "memory"): size}, "each task's claim of memory"

    def memory_per_cpu(self, value: str) -> Made:
        size = values.size(value)
        cores = values.cores(self.last)
        if not size:
            return _NOTHING, "it is learned what the task needs"
        return {("resources", "memory"): size * cores}, f"a claim of memory, for {several(cores, 'core')}"

    def cores(self, _: str) -> Made:
        cores = values.cores(self.last)
        if cores == 1 and "cpus-per-task" not in self.last:
            return {}, "one task of Slurm's"
        more = ": the script runs once, as sbatch does it" if values.ntasks(self.last) > 1 else ""
        return {("resources", "cpus"): cores}, f"a claim of {several(cores, 'core')}{more}"

    def nodes(self, value: str) -> Made:
        if value.partition("-")[0] not in ("1", "01"):
            raise Fault("there is one machine", "write --nodes=1 if the script can do with it")
        return {}, "this machine"

    def gpus(self, value: str) -> Made:
        count = values.gpus(value)
        if count == 0:
            return {}, "no GPU"
        if count is None:
            return _NOTHING, "there is no such resource here"
        return {("resources", "gpus"): count}, f"a claim of {several(count, 'GPU')}"

    def memory_per_gpu(self, value: str) -> Made:
        size, cards = values.size(value), values.cards(self.last)
        if not size or not cards:
            return _NOTHING, "it is learned what the task needs"
        return {("resources", "memory"): size * cards}, f"a claim of memory, for {several(cards, 'GPU')}"

    def cores_per_gpu(self, value: str) -> Made:
        cards = values.cards(self.last)
        if not cards:
            return _NOTHING, "no GPU is asked for"
        cores = values.count(value) * cards
        return {("resources", "cpus"): cores}, f"a claim of {several(cores, 'core')}"

    def signal(self, value: str) -> Made:
        name, _, ahead = value.rpartition(":")[2].partition("@")
        if name.upper().removeprefix("SIG") not in ("TERM", "15") or not ahead.isdecimal():
            return _NOTHING, "a task that runs out of time hears TERM, then KILL after `grace` (10 s): trap TERM"
        return {("grace",): int(ahead)}, f"TERM comes when the time is over, KILL {ahead} s later"

    def container(self, _: str) -> Made:
        raise Fault("there are no containers here", "start the program in one yourself: apptainer exec IMAGE …")

    def chdir(self, value: str) -> Made:
        return {("cwd",): value}, "the folder that tasks run in"

    def dependency(self, value: str) -> Made:
        made, self.made.singleton = values.dependency(value)
        words = "job ids are Gristmill's"
        if self.made.singleton:
            words = "after all earlier jobs of this name" + (f"; {words}" if made else "")
        return {(key,): refs for key, refs in made.items()}, words

    def export(self, value: str) -> Made:
        kept, variables = values.export(value)
        self.keeps = kept
        if kept is None:
            words = "on top of the daemon's environment" if variables else "tasks have the daemon's environment"
        else:
            named = ", ".join((*kept, *variables))
            words = f"of the daemon's environment tasks have what a login sets{f', and {named}' if named else ''}"
        return {("env", name): template.literal(one) for name, one in variables.items()}, words

    def output(self, value: str) -> Made:
        values.pattern(value)
        return {}, "the log is there: a link while the task runs, then a copy"

    def error(self, value: str) -> Made:
        values.pattern(value)
        if "output" in self.last and self.last["output"].value == value:
            return {}, "the same file as that of --output"
        return {("stderr",): "own"}, "standard error is there: a link while the task runs, then a copy"

    def open_mode(self, value: str) -> Made:
        if value not in ("append", "truncate", "a", "t"):
            raise Fault("is neither append nor truncate", "write --open-mode=append")
        return {}, "for the copy of the log"

    def requeue(self, _: str) -> Made:
        return {("on_reboot",): "rerun"}, "a task that a reboot interrupts is run again"

    def no_requeue(self, _: str) -> Made:
        return {("on_reboot",): "hold"}, "a task that a reboot interrupts is held"

    def nice(self, value: str) -> Made:
        return {("priority",): -values.whole(value or "100")}, "the job's priority, lowered"

    def priority(self, value: str) -> Made:
        return {("priority",): values.whole(value)}, "the job's priority"

    def begin(self, value: str) -> Made:
        start = values.begin(value)
        return ({("start",): start} if start else {}), "not before"

    def refused(self, _: str) -> Made:
        raise Fault("can't be kept here", "remove the line, or put the job on hold when it is there: grist hold JOB")

    def stdin(self, value: str) -> Made:
        if value == "/dev/null":
            return {}, "as all tasks have it"
        raise Fault("standard input of a script is empty here", "write < FILE behind the command that reads it")


_GRIST = "a #GRIST line says otherwise"
_NOTHING: dict[Path, Any] = {}
"""What an option sets that is not honoured after all; told from others by what it is, not by what is in it."""

_HONOURED: dict[str, Callable[[_Reader, str], Made]] = {
    "job-name": _Reader.job_name, "array": _Reader.array, "time": _Reader.time, "mem": _Reader.memory,
    "mem-per-cpu": _Reader.memory_per_cpu, "cpus-per-task": _Reader.cores, "ntasks": _Reader.cores,
    "ntasks-per-node": _Reader.cores, "nodes": _Reader.nodes, "gres": _Reader.gpus, "gpus": _Reader.gpus,
    "gpus-per-node": _Reader.gpus, "gpus-per-task": _Reader.gpus, "chdir": _Reader.chdir,
    "dependency": _Reader.dependency, "export": _Reader.export, "output": _Reader.output, "error": _Reader.error,
    "open-mode": _Reader.open_mode, "requeue": _Reader.requeue, "no-requeue": _Reader.no_requeue,
    "nice": _Reader.nice, "priority": _Reader.priority, "begin": _Reader.begin, "hold": _Reader.refused,
    "input": _Reader.stdin, "mem-per-gpu": _Reader.memory_per_gpu, "cpus-per-gpu": _Reader.cores_per_gpu,
    "signal": _Reader.signal, "container": _Reader.container, "container-image": _Reader.container,
    "container-id": _Reader.container, "container-name": _Reader.container, "container-mounts": _Reader.container,
    "container-workdir": _Reader.container,
}  # fmt: skip
