"""Slurm, by its own commands: sbatch, squeue, scancel, sinfo; sacct where there is one, to explain a loss.

Owns which commands are called, with which options and in which environment. What they print is read in `core.squeue`;
what it means for tasks is `outpost`'s. One array a chunk, one `squeue` for all; nothing here needs slurmdbd.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import shlex
from collections.abc import Callable, Collection, Mapping

from gristmill.supervisor.core import squeue
from gristmill.supervisor.core.remote import Ended, Glimpse
from gristmill.supervisor.core.settings import Settings
from gristmill.supervisor.core.spec import Batch
from gristmill.supervisor.executors import BusyError, Capacity, Chunk, RefusedError, SilentError

PATIENCE_S = 30.0
"""Seconds that a command may take: a controller that restarts lets them wait."""
ARRAY_MOST = 1001
"""What MaxArraySize is where Slurm does not say it."""
_OTHERS = ("SLURM_", "SBATCH_", "SQUEUE_", "SCANCEL_", "SINFO_", "SACCT_", "SALLOC_")
_KEPT = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_CLUSTERS")


class Slurm:
    """The Slurm that its commands on PATH speak to."""

    name = "slurm"
    rest_s = 5.0
    grace_s = 5.0
    start_s = 1.0

    def __init__(self, environ: Mapping[str, str], settings: Callable[[], Settings]) -> None:
        self._settings = settings
        kept = {name: value for name, value in environ.items() if name in _KEPT or not name.startswith(_OTHERS)}
        self._env = {**kept, "SLURM_BITSTR_LEN": "0", "LC_ALL": "C.UTF-8"}  # lines of slots are not cut off
        self._array_most = 0
        self._accounts = False
        self._known = False

    async def capacity(self) -> Capacity:
        await self._learn()
        text = await self._ask("sinfo", "-h", "-o", "%P|%a|%D|%C")
        rows = [fields for line in text.splitlines() if len(fields := line.strip().split("|")) == 4]
        wanted = self._settings().slurm.partition.split(",")
        chosen = [row for row in rows if row[0].rstrip("*") in wanted] or [row for row in rows if row[0].endswith("*")]
        nodes = sum(int(row[2]) for row in chosen)
        cores = [[int(number) for number in row[3].split("/")] for row in chosen if row[3].count("/") == 3]
        cpus, idle = sum(one[3] for one in cores), sum(one[1] for one in cores)
        names = ", ".join(dict.fromkeys(row[0].rstrip("*") for row in rows))
        down = [f"partition {row[0].rstrip('*')} is {row[1]}" for row in chosen if row[1] != "up"]
        words = f"{nodes} nodes, {cpus} cores, {idle} idle; partitions {names}"
        return Capacity(nodes, cpus, idle, max(1, self._array_most - 1), words=words, notes=tuple(dict.fromkeys(down)))

    async def _learn(self) -> None:
        """How long an array may be, and whether there are accounts; asked once."""
        if not self._known:
            text = await self._ask("scontrol", "show", "config")
            found = squeue.settings(text, "MaxArraySize", "AccountingStorageType")
            size = found.get("MaxArraySize", "")
            self._array_most = int(size) if size.isdigit() else ARRAY_MOST
            self._accounts = found.get("AccountingStorageType", "").endswith("slurmdbd")
            self._known = True

    async def submit(self, chunk: Chunk) -> str:
        code, out, complaint = await self._call("sbatch", *options(chunk, self._settings().slurm))
        number = out.strip().split(";")[0]
        if code == 0 and number.isdigit():
            return number
        words = f"slurm: {squeue.plain(complaint or out)}"
        raise {"silent": SilentError, "busy": BusyError, "refused": RefusedError}[squeue.sort(complaint)](words)

    async def poll(self, chunks: Mapping[str, str]) -> dict[str, Glimpse]:
        return squeue.glimpses(await self._rows(), chunks)

    async def cancel(self, engine_id: str, slots: Collection[int] | None) -> bool:
        which = engine_id if slots is None else f"{engine_id}_[{squeue.spans(slots)}]"
        code, _, complaint = await self._call("scancel", which)
        if code and squeue.sort(complaint) == "silent":
            raise SilentError(f"slurm: {squeue.plain(complaint)}")
        return True

    async def adopt(self, labels: Collection[str]) -> dict[str, str]:
        wanted = set(labels)
        return {row.label: row.job for row in await self._rows() if row.label in wanted}

    async def explain(self, engine_id: str, slots: Collection[int]) -> dict[int, Ended]:
        which = ",".join(f"{engine_id}_{slot}" for slot in slots)
        found: dict[int, Ended] = {}
        with contextlib.suppress(SilentError):
            found = squeue.ends(await self._ask("squeue", "-h", "-r", "-t", "all", "-o", squeue.FORMAT, "-j", which))
        if not found.keys() >= set(slots):
            with contextlib.suppress(SilentError):
                await self._learn()  # a daemon that has only adopted knows nothing of it yet
                if self._accounts:
                    text = await self._ask("sacct", "-n", "-P", "-X", "-o", squeue.SACCT, "-j", which)
                    found = squeue.accounted(text) | found
        return {slot: told for slot, told in found.items() if slot in slots}

    def called(self, engine_id: str, slot: int) -> str:
        return f"{engine_id}_{slot}"

    async def close(self) -> None:
        """Nothing is kept open."""

    # ── commands ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _rows(self) -> list[squeue.Row]:
        """All that this user has in the queue, in one call."""
        return squeue.rows(await self._ask("squeue", "-h", "-u", str(os.getuid()), "-o", squeue.FORMAT))

    async def _ask(self, *argv: str) -> str:
        """What a command prints; raises `SilentError` where it fails, whatever it says of that."""
        code, out, complaint = await self._call(*argv)
        if code:
            raise SilentError(f"slurm: {argv[0]} does not answer: {squeue.plain(complaint)}")
        return out

    async def _call(self, *argv: str) -> tuple[int, str, str]:
        try:
            process = await asyncio.create_subprocess_exec(
                *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE, env=self._env, cwd="/", start_new_session=True,
            )
        except FileNotFoundError as error:
            words = f"slurm: {argv[0]} is not found on PATH – start the daemon where Slurm's commands are"
            raise SilentError(words) from error
        complaint = bytearray()
        try:
            told = asyncio.gather(_read(process.stdout), _listen(process, complaint), process.wait())
            out = (await asyncio.wait_for(told, PATIENCE_S))[0]
        except TimeoutError as error:
            raise SilentError(f"slurm: {argv[0]} has not answered in {PATIENCE_S:.0f} s") from error
        finally:
            if process.returncode is None:  # it took too long, or the daemon stops
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await asyncio.shield(process.wait())
        return process.returncode or 0, out.decode(errors="replace"), complaint.decode(errors="replace")


async def _read(stream: asyncio.StreamReader | None) -> bytes:
    return b"" if stream is None else await stream.read()


async def _listen(process: asyncio.subprocess.Process, complaint: bytearray) -> None:
    """Hears what it complains of; one that would ask again and again by itself is ended, for that is ours to do."""
    while process.stderr is not None and (part := await process.stderr.read(4096)):
        complaint += part
        if b"sleeping and retrying" in complaint:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


def options(chunk: Chunk, default: Batch) -> list[str]:
    """The options of sbatch for a chunk, and what it is to run."""
    own, need, folder = chunk.spec.batch, chunk.need, str(chunk.folder)
    array = f"0-{chunk.slots - 1}" + (f"%{chunk.most}" if chunk.most is not None else "")
    found = [
        "--parsable", f"--job-name={chunk.label}", f"--array={array}", "--no-requeue", f"--chdir={folder}",
        f"--output={folder.replace('%', '%%')}/engine.log", "--open-mode=append", "--export=ALL", "--input=/dev/null",
        f"--cpus-per-task={need.cpus}",
    ]  # fmt: skip
    if need.memory_bytes is not None:
        found.append(f"--mem={max(1, math.ceil(need.memory_bytes / (1 << 20)))}M")
    if need.gpus:
        found.append(f"--gres=gpu:{need.gpus}")
    time_s = need.time_s if need.time_s is not None else default.time_s
    if time_s is not None:
        found.append(f"--time={math.ceil(time_s / 60)}")
    for name in ("partition", "account", "qos"):
        value = getattr(own, name) or getattr(default, name)
        if not value and name == "partition" and chunk.spec.slurm is not None:
            value = chunk.spec.slurm.partition  # of a script that was written for Slurm
        if value:
            found.append(f"--{name}={value}")
    found += [*default.extra, *own.extra]
    return [*found, "--wrap", f'exec sh {shlex.quote(folder)}/slot "$SLURM_ARRAY_TASK_ID"']
