"""Ray through its job server, experimental: one Ray job a chunk, which has Ray run the chunk's slots (`raydriver`).

The daemon needs no `ray`, only the address of the cluster's dashboard (and its token, which is found where Ray's own
tools look for it). The nodes see the chunks' folder, as any engine's do; the head's Python is the one with Ray.

Tasks of Ray's end with the program that asked for them, and only its jobs outlive ours: hence one job a chunk, 100 MB
on the head each, and few of them. Of slots it tells nothing: which have begun, where, and are over, the job writes into
the chunk's folder, whose path is in the job's metadata, so that the daemon that asks need not be the one that
submitted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from gristmill.supervisor.core import rayjobs
from gristmill.supervisor.core.remote import Ended, Glimpse
from gristmill.supervisor.core.settings import Settings
from gristmill.supervisor.executors import BusyError, Capacity, Chunk, RefusedError, SilentError

TIMEOUT_S = 20.0
CHUNKS_MOST = 8
"""Jobs of ours that live in Ray at once."""
SLOTS_MOST = 1000
DRIVER = "raydriver.py"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the job server said."""

    status: int
    text: str

    @property
    def value(self) -> Any:
        """The JSON of it; raises SilentError where it is none."""
        try:
            return json.loads(self.text)
        except ValueError:
            raise SilentError("Ray's answer is no JSON: is [ray] address that of its dashboard?") from None


def token(env: Mapping[str, str]) -> str:
    """The cluster's token, from where Ray's own tools have it: RAY_AUTH_TOKEN, the file RAY_AUTH_TOKEN_PATH names,
    ~/.ray/auth_token; "" where there is none."""
    if found := env.get("RAY_AUTH_TOKEN"):
        return found.strip()
    path = env.get("RAY_AUTH_TOKEN_PATH") or os.path.join(env.get("HOME", "/"), ".ray", "auth_token")
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


class Server:
    """A Ray cluster's job server: one request after another, each over a connection of its own."""

    def __init__(self, environ: Mapping[str, str], address: Callable[[], str]) -> None:
        self._environ, self._address = environ, address

    async def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """Its answer; raises SilentError where there is none."""
        address = self._address() or self._environ.get("RAY_API_SERVER_ADDRESS") or "http://127.0.0.1:8265"
        return await asyncio.to_thread(self._ask, address.rstrip("/"), method, path, body)

    def _ask(self, address: str, method: str, path: str, body: Any) -> Answer:
        import http.client  # here: with `email` and OpenSSL, it takes 6 MB of a daemon that has no such cluster

        found = urlsplit(address if "//" in address else f"http://{address}")
        made = http.client.HTTPSConnection if found.scheme == "https" else http.client.HTTPConnection
        headers = {"Content-Type": "application/json"}
        if secret := token(self._environ):
            headers["Authorization"] = f"Bearer {secret}"
        try:
            with contextlib.closing(made(found.netloc, timeout=TIMEOUT_S)) as link:
                link.request(method, found.path + path, None if body is None else json.dumps(body), headers)
                answer = link.getresponse()
                said = Answer(answer.status, answer.read().decode(errors="replace"))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise SilentError(f"Ray at {found.netloc} does not answer: {error}") from error
        if said.status in (401, 403):
            what = "our token (RAY_AUTH_TOKEN, or ~/.ray/auth_token)"
            raise SilentError(f"Ray refuses {what}: {rayjobs.gist(said.text)}")
        return said


class Ray:
    """The engine of `where = "ray"`."""

    name = "ray"
    rest_s = 2.0
    start_s = 0.5

    def __init__(self, environ: Mapping[str, str], settings: Callable[[], Settings]) -> None:
        self._settings = settings
        # a node that has lost its head goes on for so long, and its tasks get their time to end
        self.grace_s = float(environ.get("RAY_gcs_rpc_server_reconnect_timeout_s") or 60.0) + 5.0
        self._server = Server(environ, lambda: settings().ray)
        self._nodes: list[dict[str, float]] = []

    async def capacity(self) -> Capacity:
        answer = await self._server.ask("GET", "/api/v0/nodes?limit=10000")
        if answer.status != 200:
            raise SilentError(f"Ray does not tell its nodes: {rayjobs.gist(answer.text)}")
        self._nodes = rayjobs.nodes_from(answer.value)
        cpus = int(sum(node["CPU"] for node in self._nodes))
        return Capacity(
            nodes=len(self._nodes), cpus=cpus, slots_most=SLOTS_MOST, queue_most=CHUNKS_MOST * SLOTS_MOST,
            words=rayjobs.words(self._nodes), notes=() if self._nodes else ("no node runs tasks",),
        )  # fmt: skip

    async def submit(self, chunk: Chunk) -> str:
        if why := await self._misfit(chunk):
            raise BusyError(why)  # a node may come: clusters in the cloud grow
        live = sum(1 for job in (await self._jobs()).values() if job.get("status") in rayjobs.LIVE)
        if live >= CHUNKS_MOST:
            raise BusyError(f"{live} Ray jobs of ours live already; each takes 100 MB of the head")
        most = min(chunk.most or chunk.slots, chunk.slots)
        words = [self._settings().ray_python, chunk.folder.parent / DRIVER, chunk.folder, chunk.slots, most]
        answer = await self._server.ask("POST", "/api/jobs/", {
            "submission_id": chunk.label,
            "entrypoint": shlex.join([*map(str, words), json.dumps(rayjobs.options(chunk.need))]),
            "metadata": {"gristmill": str(chunk.folder), "slots": str(chunk.slots)},
        })  # fmt: skip
        if answer.status == 200 or rayjobs.is_known(answer.text):
            return chunk.label
        if answer.status < 500:
            raise RefusedError(f"Ray refuses it: {rayjobs.gist(answer.text)}")
        raise SilentError(f"Ray did not take it: {rayjobs.gist(answer.text)}")

    async def _misfit(self, chunk: Chunk) -> str:
        if rayjobs.misfit(chunk.need, self._nodes):
            await self.capacity()  # it may have grown
        return rayjobs.misfit(chunk.need, self._nodes)

    async def _jobs(self) -> dict[str, dict[str, Any]]:
        """All jobs of ours that Ray knows, in one call."""
        answer = await self._server.ask("GET", "/api/jobs/")
        if answer.status != 200:
            raise SilentError(f"Ray does not tell its jobs: {rayjobs.gist(answer.text)}")
        return {
            str(job["submission_id"]): job for job in answer.value
            if job.get("submission_id") and "gristmill" in (job.get("metadata") or {})
        }  # fmt: skip

    async def poll(self, chunks: Mapping[str, str]) -> dict[str, Glimpse]:
        jobs = await self._jobs()
        asked = {name: jobs[engine_id] for name, engine_id in chunks.items() if engine_id in jobs}
        found = {}
        for name, job in asked.items():
            seen = rayjobs.glimpse(job, int(job["metadata"]["slots"]), *await asyncio.to_thread(_told, job))
            if seen is not None:
                found[name] = seen
        if over := rayjobs.outlived(jobs, chunks.values()):
            await self._server.ask("DELETE", f"/api/jobs/{quote(over)}")  # else its list, and the head, grow for ever
        return found

    async def cancel(self, engine_id: str, slots: Collection[int] | None) -> bool:
        if slots is not None:
            return False
        answer = await self._server.ask("POST", f"/api/jobs/{quote(engine_id)}/stop")
        if answer.status >= 500:
            raise SilentError(f"Ray did not stop it: {rayjobs.gist(answer.text)}")
        return True  # one that it does not know (404) is no more

    async def adopt(self, labels: Collection[str]) -> dict[str, str]:
        known = await self._jobs()
        return {label: label for label in labels if label in known}

    async def explain(self, engine_id: str, slots: Collection[int]) -> dict[int, Ended]:
        try:
            job = (await self._jobs()).get(engine_id)
        except SilentError:
            return {}
        _, over = ({}, {}) if job is None else await asyncio.to_thread(_told, job)
        ends = {slot: rayjobs.ended(job, over, slot) for slot in slots}
        return {slot: end for slot, end in ends.items() if end is not None}

    def called(self, engine_id: str, slot: int) -> str:
        return f"{engine_id}/{slot}"

    async def close(self) -> None:
        """Nothing is open between two requests."""


def _told(job: Mapping[str, Any]) -> tuple[dict[int, str], dict[int, Ended]]:
    """The slots of a job that have begun, and those that are over, as the job itself wrote it down."""
    folder = Path(job["metadata"]["gristmill"], "ray")
    with contextlib.suppress(OSError):
        hosts = rayjobs.begun(os.listdir(folder))
        with contextlib.suppress(FileNotFoundError):
            return hosts, rayjobs.over_from((folder / "over").read_text(errors="replace"))
        return hosts, {}
    return {}, {}
